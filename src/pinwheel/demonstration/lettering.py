"""Setting type in a drawing without a layout engine: measured by character class, broken into
even lines, fitted to a box."""

from html import escape

import msgspec
import rjieba

SERIF = "Georgia,'Noto Serif CJK SC','Songti SC',SimSun,serif"
SANS = "'Helvetica Neue',Arial,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif"
NARROW = frozenset("iljtfrI.,:;'|!()-’")
BROAD = frozenset("mwMW@&%—")
NO_LINE_START = frozenset("，。：、；！？》」』）—…的与和之")
CJK_FIRST = "\u2e80"


class Block(msgspec.Struct, frozen=True):
    """Lines of text at one size, in the drawing's own units."""

    lines: tuple[str, ...]
    size: float
    leading: float

    @property
    def height(self) -> float:
        return self.size * self.leading * len(self.lines)


def is_cjk(text: str) -> bool:
    """Whether a text is set in Chinese characters, at least in part."""
    return any(c >= CJK_FIRST for c in text)


def width(text: str, size: float) -> float:
    """How wide a line comes out, a little on the safe side."""
    ems = 0.0
    for c in text:
        if c >= CJK_FIRST:
            ems += 1.0
        elif c == " ":
            ems += 0.28
        elif c in NARROW:
            ems += 0.37
        elif c in BROAD:
            ems += 0.98
        else:
            ems += 0.76 if c.isupper() else 0.6
    return ems * size


def tokens(text: str) -> list[str]:
    """Where a line may end: after a Latin word, or after a Chinese word that the next one need
    not cling to."""
    out: list[str] = []
    for word in rjieba.cut(text):
        if (
            out
            and (
                word[0] in NO_LINE_START or word[0] == " " or out[-1][-1] in "-’'" or word in "-’'"
            )
        ) or (out and word < CJK_FIRST and out[-1][-1] < CJK_FIRST and not out[-1].endswith(" ")):
            out[-1] += word
        else:
            out.append(word)
    return out


def wrap(parts: list[str], size: float, room: float) -> tuple[str, ...]:
    """Even lines no wider than `room`: as few as greedy breaking needs, then narrowed while their
    number stays."""

    def greedy(limit: float) -> list[str]:
        lines, line = [], ""
        for token in parts:
            if line and width((line + token).rstrip(), size) > limit:
                lines.append(line.rstrip())
                line = token
            else:
                line += token
        return [*lines, line.rstrip()]

    best = greedy(room)
    low, high = room * 0.4, room
    for _ in range(6):
        middle = (low + high) / 2
        narrower = greedy(middle)
        if len(narrower) == len(best) and all(width(n, size) <= room for n in narrower):
            best, high = narrower, middle
        else:
            low = middle
    return tuple(best)


def fit(
    text: str, room: float, tall: float, largest: float, smallest: float = 13, leading: float = 0
) -> Block:
    """The largest size at which a text fits a box; a text too long even for the smallest size is
    cut with an ellipsis."""
    spacing = leading or (1.24 if is_cjk(text) else 1.1)
    size, parts = largest, tokens(text)
    while True:
        lines = wrap(parts, size, room)
        fits = len(lines) * size * spacing <= tall and all(width(n, size) <= room for n in lines)
        if fits or size <= smallest:
            break
        size = max(smallest, size * 0.94)
    most = max(1, int(tall / (size * spacing)))
    if len(lines) > most:
        lines = (*lines[: most - 1], lines[most - 1][:-1] + "…")
    return Block(lines, round(size, 1), spacing)


def paint(
    block: Block,
    x: float,
    y: float,
    fill: str,
    anchor: str = "start",
    family: str = SERIF,
    weight: int = 700,
    extra: str = "",
) -> str:
    """The block with its top edge at `y`, as one text element."""
    step = block.size * block.leading
    first = y + block.size * 0.86 + (step - block.size) / 2
    spans = "".join(
        f'<tspan x="{x:g}" y="{first + i * step:.0f}">{escape(line)}</tspan>'
        for i, line in enumerate(block.lines)
    )
    return (
        f'<text font-family="{family}" font-size="{block.size:g}" font-weight="{weight}" '
        f'fill="{fill}" text-anchor="{anchor}"{extra}>{spans}</text>'
    )


def upright(
    text: str, x: float, y: float, tall: float, fill: str, largest: float, family: str = SERIF
) -> tuple[str, float]:
    """Chinese set from top to bottom, columns from right to left; answers the element and its
    width."""
    chars = [c for c in text if c != " "]
    columns, size = 1, largest
    while len(chars) * size * 1.12 / columns > tall:
        size *= 0.94
        if size < largest * 0.62:
            columns, size = columns + 1, largest * 0.9
    per = -(-len(chars) // columns)
    out = []
    for k in range(columns):
        part = chars[k * per : (k + 1) * per]
        cx = x - k * size * 1.25
        ys = " ".join(f"{y + size * (0.88 + i * 1.12):.0f}" for i in range(len(part)))
        xs = " ".join(f"{cx:.0f}" for _ in part)
        out.append(f'<text x="{xs}" y="{ys}">{escape("".join(part))}</text>')
    group = (
        f'<g font-family="{family}" font-size="{size:.1f}" font-weight="700" fill="{fill}" '
        f'text-anchor="middle">{"".join(out)}</g>'
    )
    return group, columns * size * 1.25
