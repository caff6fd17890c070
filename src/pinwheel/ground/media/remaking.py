"""Remaking: what people send is decoded and drawn anew, so that nothing of the file survives but
what can be seen: no place where it was taken, no second file inside, no script."""

from __future__ import annotations

import io
import warnings

import msgspec
from PIL import Image, ImageOps, UnidentifiedImageError

from pinwheel.ground.media.model import (
    LONGEST_EDGE,
    MOST_BYTES,
    MOST_PIXELS,
    QUALITY,
    NotAPicture,
    PictureTooLarge,
)

READ = ("JPEG", "PNG", "WEBP")


class Remade(msgspec.Struct, frozen=True):
    body: bytes
    width: int
    height: int


def remade(raw: bytes) -> Remade:
    """``raw`` as a WebP of at most 1600 pixels along its longer edge, upright, on white where it
    was see-through; of a moving picture the first one. The kind is read from the bytes, never from
    a name. Costs processor time: call it in a thread. ``NotAPicture``, ``PictureTooLarge``."""
    if len(raw) > MOST_BYTES:
        raise PictureTooLarge()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(raw), formats=READ) as found:
                # The size stands in the header: a bomb is refused before it is unpacked.
                if found.width * found.height > MOST_PIXELS:
                    raise PictureTooLarge()
                found.draft("RGB", (2 * LONGEST_EDGE, 2 * LONGEST_EDGE))
                picture = _flat(ImageOps.exif_transpose(found))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureTooLarge() from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise NotAPicture() from error
    picture.thumbnail((LONGEST_EDGE, LONGEST_EDGE))
    kept = io.BytesIO()
    picture.save(kept, "WEBP", quality=QUALITY, exif=b"", icc_profile=None)
    return Remade(kept.getvalue(), picture.width, picture.height)


def _flat(picture: Image.Image) -> Image.Image:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        ground = Image.new("RGB", clear.size, "white")
        ground.paste(clear, mask=clear.getchannel("A"))
        return ground
    return picture.convert("RGB")
