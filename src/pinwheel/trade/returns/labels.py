"""The printable label: a Code 128 barcode of the tracking number, a QR of the return, the address.

Drawn as one SVG of A6 (105 × 148 mm)."""

from __future__ import annotations

import html
from collections.abc import Sequence

import segno

START_B, STOP = 104, 106
_PATTERNS = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 "
    "112232 122132 122231 113222 123122 123221 223211 221132 221231 213212 223112 312131 "
    "311222 321122 321221 312212 322112 322211 212123 212321 232121 111323 131123 131321 "
    "112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 "
    "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 "
    "314111 221411 431111 111224 111422 121124 121421 141122 141221 112214 112412 122114 "
    "122411 142112 142211 241211 221114 413111 241112 134111 111242 121142 121241 114212 "
    "124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 "
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112"
)
_WIDTHS = _PATTERNS.split(" ")


def code128(text: str) -> list[int]:
    """The values of ``text`` (printable ASCII) in code set B with start, check and stop: ISO/IEC
    15417. The check is the weighted sum modulo 103."""
    if not text or any(not 32 <= ord(c) <= 126 for c in text):
        raise ValueError("Code 128 B takes printable ASCII")
    values = [START_B, *(ord(c) - 32 for c in text)]
    check = values[0] + sum(n * v for n, v in enumerate(values[1:], 1))
    return [*values, check % 103, STOP]


def bars(text: str) -> list[tuple[int, int]]:
    """(start, width) of each black bar, in modules."""
    found, at = [], 0
    for value in code128(text):
        for position, width in enumerate(_WIDTHS[value]):
            if position % 2 == 0:
                found.append((at, int(width)))
            at += int(width)
    return found


def label_svg(
    number: str, tracking: str, to: Sequence[str], words: Sequence[str], *, demonstration: bool
) -> str:
    """``to``: lines of the address it goes to; ``words``: (heading, order, scan me)."""
    drawn = bars(tracking or number)
    whole = drawn[-1][0] + drawn[-1][1]
    module = 85 / whole
    barcode = "".join(
        f'<rect x="{10 + at * module:.3f}" y="96" width="{width * module:.3f}" height="26"/>'
        for at, width in drawn
    )
    matrix = [list(row) for row in segno.make(number, error="m").matrix]
    cell = 34 / len(matrix)
    qr = "".join(
        f'<rect x="{10 + x * cell:.3f}" y="{52 + y * cell:.3f}" width="{cell:.3f}" '
        f'height="{cell:.3f}"/>'
        for y, row in enumerate(matrix)
        for x, dark in enumerate(row)
        if dark
    )
    lines = "".join(
        f'<text x="10" y="{24 + 6 * n}" font-size="4.6">{html.escape(line)}</text>'
        for n, line in enumerate(to)
    )
    heading, order, scan = (html.escape(w) for w in words)
    stamp = (
        '<text x="95" y="12" font-size="3.4" text-anchor="end">DEMONSTRATION · 演示</text>'
        if demonstration
        else ""
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="105mm" height="148mm" '
        f'viewBox="0 0 105 148" role="img" aria-label="{heading} {html.escape(number)}">'
        '<rect width="105" height="148" fill="#fff"/><g fill="#000" font-family="sans-serif">'
        f'<text x="10" y="13" font-size="5.5" font-weight="bold">{heading}</text>{stamp}{lines}'
        f'<g shape-rendering="crispEdges">{qr}{barcode}</g>'
        f'<text x="50" y="62" font-size="3.6">{scan}</text>'
        f'<text x="50" y="70" font-size="4.6" font-family="monospace">{html.escape(number)}</text>'
        f'<text x="50" y="80" font-size="3.6">{order}</text>'
        '<text x="52.5" y="129" font-size="5" font-family="monospace" text-anchor="middle">'
        f"{html.escape(tracking or number)}</text></g></svg>"
    )
