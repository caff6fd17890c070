"""Drawn covers for demonstration books: one door, `cover_svg`. The same arguments always give the
same drawing."""

from collections.abc import Callable
from html import escape
from random import Random

from pinwheel.demonstration import cover_geometry as geometry
from pinwheel.demonstration import cover_pictures as pictures
from pinwheel.demonstration.cover_geometry import H, W
from pinwheel.demonstration.lettering import SANS, fit, paint
from pinwheel.demonstration.palettes import PALETTES, Palette

Drawing = Callable[[Random, Palette, str, str], str]

DRAWINGS: dict[str, Drawing] = {
    "swiss": geometry.swiss,
    "midcentury": geometry.midcentury,
    "concentric": geometry.concentric,
    "quilt": geometry.quilt,
    "arcs": geometry.arcs,
    "type_only": geometry.type_only,
    "stripes": geometry.stripes,
    "orbit": geometry.orbit,
    "interference": geometry.interference,
    "blocks": geometry.blocks,
    "botanical": pictures.botanical,
    "woodcut": pictures.woodcut,
    "seigaiha": pictures.seigaiha,
    "ridges": pictures.ridges,
    "moon_gate": pictures.moon_gate,
    "night": pictures.night,
    "contours": pictures.contours,
    "still_life": pictures.still_life,
    "seal": pictures.seal,
    "cut_leaves": pictures.cut_leaves,
    "window": pictures.window,
}

BY_GENRE: dict[str, tuple[str, ...]] = {
    "fiction": (
        "type_only",
        "ridges",
        "window",
        "cut_leaves",
        "midcentury",
        "seigaiha",
        "moon_gate",
        "stripes",
    ),
    "mystery": ("night", "window", "type_only", "concentric", "blocks", "stripes"),
    "science-fiction": ("orbit", "night", "concentric", "interference", "arcs", "blocks"),
    "poetry": ("moon_gate", "seal", "seigaiha", "botanical", "type_only", "ridges"),
    "history": ("seal", "woodcut", "type_only", "stripes", "contours", "quilt"),
    "philosophy": ("swiss", "concentric", "type_only", "seal", "arcs", "window"),
    "science": ("orbit", "interference", "swiss", "concentric", "night", "arcs"),
    "nature": ("botanical", "ridges", "cut_leaves", "woodcut", "seigaiha", "contours"),
    "travel": ("contours", "ridges", "seigaiha", "woodcut", "stripes", "window"),
    "cooking": ("still_life", "cut_leaves", "stripes", "midcentury", "botanical", "quilt"),
    "design": ("swiss", "quilt", "arcs", "midcentury", "type_only", "stripes"),
    "business": ("swiss", "blocks", "type_only", "concentric", "quilt", "stripes"),
    "psychology": ("concentric", "window", "interference", "midcentury", "cut_leaves", "swiss"),
    "children": ("midcentury", "cut_leaves", "window", "quilt", "ridges", "night"),
    "computing": ("quilt", "interference", "swiss", "arcs", "blocks", "orbit"),
    "language": ("type_only", "swiss", "seal", "stripes", "arcs", "quilt"),
}
ON_DARK = ("night", "orbit")
FULL_BLEED = ("swiss", "arcs", "stripes", "cut_leaves")


def choose(r: Random, genre: str) -> tuple[str, Palette]:
    """A composition that suits the genre and a palette that suits the composition."""
    name = r.choice(BY_GENRE.get(genre, tuple(DRAWINGS)))
    dark = [p for p in PALETTES if int(p.ground[1:3], 16) < 0x60]
    return name, r.choice(dark if name in ON_DARK else PALETTES)


def draw(name: str, r: Random, p: Palette, title: str, subtitle: str, imprint: str = "") -> str:
    """One named composition in one palette as a whole SVG document."""
    foot = ""
    if name != "seal":
        calm = f'<path d="M0 438h320v42H0z" fill="{p.ground}"/>' if name in FULL_BLEED else ""
        ink = p.ground if name == "ridges" else p.ink
        mark = (
            '<path transform="translate(38 456) scale(.8)" d="M0 0V-11H10zM0 0H11V10zM0 '
            f'0V11H-10zM0 0H-11V-10z" fill="{ink}"/>'
        )
        words = (
            paint(fit(imprint, 220, 18, 12, 10), 54, 448, ink, family=SANS, weight=500)
            if imprint
            else ""
        )
        foot = calm + mark + words
    spine = (
        '<path d="M0 0h7v480H0z" fill="#000" fill-opacity=".1"/>'
        '<path d="M7 0h2v480H7z" fill="#fff" fill-opacity=".16"/>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}" width="{W}" '
        f'height="{H}" role="img">'
        f"<title>{escape(title)}</title>"
        f'<path d="M0 0h{W}v{H}H0z" fill="{p.ground}"/>'
        f"{DRAWINGS[name](r, p, title, subtitle)}{foot}{spine}</svg>"
    )


def cover_svg(seed: int, title: str, subtitle: str, genre: str, imprint: str = "") -> str:
    """A cover of at most 6 KB, 320 × 480. The composition follows the seed and the genre, never
    the title, so the English and the Chinese cover of one book look alike."""
    r = Random(seed)
    name, palette = choose(r, genre)
    return draw(name, r, palette, title, subtitle, imprint)
