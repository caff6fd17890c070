"""The named colours of demonstration goods, and the three tones a flat drawing is made of."""

import msgspec

INK = "#2a2a30"
CREAM = "#f7f0e1"
WOOD = "#c99c69"
WOOD_DARK = "#9c7143"
STEEL = "#b9c0c6"
LEAF = "#4d7c57"

COLOURS: dict[str, str] = {
    "ink": "#343a46",
    "pine": "#2c6a5d",
    "brick": "#c4553a",
    "ochre": "#dda23a",
    "sky": "#6f9cc4",
    "plum": "#7c4a68",
    "sand": "#d3bd96",
    "sage": "#94ad8e",
    "rose": "#d98f88",
    "cream": "#ece0c8",
}


class Tones(msgspec.Struct, frozen=True):
    """One colour in light, itself and shade."""

    base: str
    dark: str
    light: str
