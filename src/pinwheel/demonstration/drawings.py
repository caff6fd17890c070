"""Where the drawn pictures are found: an address that names what is drawn, and the drawing for it.

An address carries a digest of everything that goes into the drawing, so a browser may keep it for
good; nothing that isn't part of the demonstration can be drawn by asking.
"""

from functools import lru_cache
from hashlib import blake2b
from random import Random

from pinwheel.demonstration.books import books
from pinwheel.demonstration.covers import cover_svg
from pinwheel.demonstration.model import DemoProduct, Language
from pinwheel.demonstration.objects import object_svg
from pinwheel.demonstration.things import things

FOLDER = "/media/demonstration/"
SEED = 20_260_105
VERSION = 1  # to be raised when the drawings themselves change


def goods(seed: int) -> tuple[DemoProduct, ...]:
    """Books, then things, in a stable order."""
    r = Random(seed)
    return (*books(r), *things(r))


def address_of(product: DemoProduct, language: Language, colour: str = "") -> str:
    """The address of a cover in ``language``, or of a thing in ``colour`` (its first unless
    told)."""
    manner = language if product.shape == "book" else colour or product.colours[0]
    title, subtitle = product.title.in_language(language), product.subtitle.in_language(language)
    imprint = product.imprint.in_language(language)
    whole = (VERSION, product.kind, product.drawing_seed, title, subtitle, imprint, manner)
    digest = blake2b(repr(whole).encode(), digest_size=6).hexdigest()
    return f"{FOLDER}{product.slug}.{manner}.{digest}.svg"


def picture(product: DemoProduct, language: Language, colour: str = "") -> str:
    """The product's drawing as SVG text: a cover with the title in that language, or the thing in
    one of its colours (its first unless told)."""
    title = product.title.in_language(language)
    if product.shape == "book":
        return cover_svg(
            product.drawing_seed,
            title,
            product.subtitle.in_language(language),
            product.kind,
            product.imprint.in_language(language),
        )
    return object_svg(product.kind, product.drawing_seed, colour or product.colours[0], title)


@lru_cache(maxsize=1)
def _by_address() -> dict[str, tuple[DemoProduct, Language, str]]:
    languages: tuple[Language, ...] = ("en", "zh-CN")
    found: dict[str, tuple[DemoProduct, Language, str]] = {}
    for product in goods(SEED):
        if product.shape == "book":
            found |= {address_of(product, lang): (product, lang, "") for lang in languages}
        else:
            found |= {address_of(product, "en", c): (product, "en", c) for c in product.colours}
    return found


@lru_cache(maxsize=2048)
def drawing(name: str) -> str | None:
    """The SVG at ``FOLDER + name``; None when nothing is drawn there. The first call takes most of
    a second, the others a millisecond."""
    known = _by_address().get(FOLDER + name)
    return picture(*known) if known else None
