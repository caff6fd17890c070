"""Flat drawings of things that aren't books, one door: `object_svg`. 400 × 500, the thing in the
middle of a soft ground."""

from collections.abc import Callable
from html import escape
from random import Random

import msgspec

from pinwheel.demonstration.object_shapes_home import HOME
from pinwheel.demonstration.object_shapes_life import LIFE
from pinwheel.demonstration.palettes import mix
from pinwheel.demonstration.tones import COLOURS, Tones

Shape = Callable[[Tones, Random], str]

SHAPES: dict[str, Shape] = {**HOME, **LIFE}


class Backdrop(msgspec.Struct, frozen=True):
    """The wall and the table behind a thing."""

    wall: str
    table: str


def backdrop_of(tones: Tones, r: Random) -> Backdrop:
    """Quiet neighbours of the thing's own colour."""
    wall = mix(
        mix(tones.base, r.choice(("#e9dfcd", "#d7e0dd", "#eadbd3", "#dfe3ea")), 0.72),
        "#ffffff",
        0.35,
    )
    return Backdrop(wall, mix(wall, tones.dark, 0.1))


def object_svg(kind: str, seed: int, colour: str, label: str = "", backdrop: bool = True) -> str:
    """A thing of one of the kinds in SHAPES, in a named colour of COLOURS; `backdrop=False`
    leaves the ground clear."""
    r = Random(seed)
    base = COLOURS[colour]
    tones = Tones(base, mix(base, "#141318", 0.26), mix(base, "#ffffff", 0.32))
    ground = backdrop_of(tones, r)
    behind = (
        f'<path d="M0 0h400v500H0z" fill="{ground.wall}"/>'
        f'<path d="M0 372h400v128H0z" fill="{ground.table}"/>'
        if backdrop
        else ""
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 500" width="400" '
        'height="500" role="img">'
        f"<title>{escape(label or kind)}</title>{behind}"
        '<g transform="translate(-40 -90) scale(1.2)">'
        '<ellipse cx="200" cy="400" rx="128" ry="15" fill="#1a1410" fill-opacity=".16"/>'
        f"{SHAPES[kind](tones, r)}</g></svg>"
    )
