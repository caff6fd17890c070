"""Curated colours for drawn covers and goods. Ink reads on ground at 4.5 : 1 or better; a test
holds them to it."""

import msgspec


class Palette(msgspec.Struct, frozen=True):
    """ground carries the cover, ink its words; a, b and c are for the drawing, from dominant to
    accent."""

    ground: str
    ink: str
    a: str
    b: str
    c: str


PALETTES: tuple[Palette, ...] = (
    Palette("#f3ecdd", "#1d2b2a", "#1f5f5b", "#d9532c", "#e9b44c"),
    Palette("#123a3a", "#f4ecd8", "#d8694a", "#e6b655", "#6fa59a"),
    Palette("#e9e4da", "#22223a", "#3b4a8c", "#c8553d", "#8fa6cb"),
    Palette("#bf3f2a", "#fff5e4", "#2a1a1f", "#f2b950", "#f6dcc0"),
    Palette("#f1c24b", "#2a2117", "#b3402a", "#24525c", "#fff3d0"),
    Palette("#1f2a44", "#f3ead7", "#e0a33e", "#c7503c", "#7f9bc4"),
    Palette("#dfe8e1", "#17322b", "#2f7257", "#e07a5f", "#a9c9b1"),
    Palette("#f6e9e4", "#3a1d28", "#a63d57", "#2f5d62", "#e8a798"),
    Palette("#2d2a32", "#f2efe6", "#ddd92a", "#8a8fa3", "#e4572e"),
    Palette("#dce6ef", "#152b43", "#27629b", "#e9724c", "#9dbfdd"),
    Palette("#24503a", "#f4f0de", "#a8c686", "#e8b44f", "#163526"),
    Palette("#fbf6ec", "#2b2320", "#7b2d26", "#c2a878", "#46655c"),
    Palette("#5a2333", "#f9e9dc", "#d98e73", "#e7c27d", "#8f3d4c"),
    Palette("#efe7f0", "#2c2140", "#5d4a8a", "#e28f5b", "#b6a6d1"),
    Palette("#0f2f4f", "#eef3ee", "#3f88a8", "#f0c05a", "#e0614a"),
    Palette("#e4dccb", "#2e2a1d", "#7d7a45", "#b5562f", "#d3b15f"),
    Palette("#f4f1ea", "#111111", "#e03c2d", "#111111", "#f0b429"),
    Palette("#cfe0dc", "#0e3238", "#157a7a", "#f2a65a", "#f4efe2"),
)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mix(one: str, other: str, share: float) -> str:
    """`share` of the way from one colour to the other."""
    pairs = ((int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(p + (q - p) * share):02x}" for p, q in pairs)
