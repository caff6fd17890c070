"""Pictures: limits, refusals, and what is known of one."""

from __future__ import annotations

import uuid

import msgspec

from pinwheel.kernel.errors import Refusal

MOST_BYTES = 10_000_000
MOST_PIXELS = 50_000_000
LONGEST_EDGE = 1600
QUALITY = 82
MEDIA_TYPE = "image/webp"


class Picture(msgspec.Struct, frozen=True):
    """A picture that is there: shown at ``/media/pictures/<id>``. ``digest`` is the SHA-256 of the
    file."""

    id: uuid.UUID
    digest: str
    width: int
    height: int
    bytes: int


class NotAPicture(Refusal):
    status = 415
    en = "This is not a picture that can be read here. Send a JPEG, PNG or WebP file."
    zh = "无法识别该图片，请上传 JPEG、PNG 或 WebP 文件。"


class PictureTooLarge(Refusal):
    status = 413
    en = "This picture is too large: at most {megabytes} MB and {megapixels} million pixels."
    zh = "图片过大：最多 {megabytes} MB、{megapixels} 百万像素。"

    def __init__(self) -> None:
        super().__init__(megabytes=MOST_BYTES // 1_000_000, megapixels=MOST_PIXELS // 1_000_000)
