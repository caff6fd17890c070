"""A card to send: a cover, what it is, what it costs, how far it has come, and a QR code. Drawn as
SVG with everything inside, and as PNG in figures. Pure; no word of who sends it."""

from __future__ import annotations

import base64
import io
import unicodedata
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

import msgspec
import segno
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

WIDTH, HEIGHT = 600, 800
LINES, LINE_EMS = 3, 17.0
INK, SOFT, PAPER, LOUD, PLINTH = "#16211f", "#626d69", "#fafaf7", "#c1301c", "#eef0ea"
FONTS = "'Noto Sans CJK SC','PingFang SC','Microsoft YaHei','Segoe UI',Helvetica,Arial,sans-serif"
JOINERS = "\u200c\u200d"
MARK = (
    ("#d8402a", "M16 16V2c7 0 12 3.4 12.6 8.2z"),
    ("#eaa821", "M16 16h14c0 7-3.4 12-8.2 12.6z"),
    ("#148276", "M16 16v14c-7 0-12-3.4-12.6-8.2z"),
    ("#2b5f9e", "M16 16H2C2 9 5.4 4 10.2 3.4z"),
)


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on it. ``cover`` is a picture's bytes and type, or None; ``note`` how far it has
    come; ``scan`` what to do with the code; ``link`` what the code says."""

    shop: str
    language: str
    title: str
    price: str = ""
    was: str = ""
    note: str = ""
    scan: str = ""
    link: str = ""
    cover: tuple[bytes, str] | None = None


def svg(card: Card) -> str:
    """600 × 800, with nothing outside it."""
    lines = _wrapped(_readable(card.title))
    rtl = _is_rtl(card.title)
    x, direction = (WIDTH - 40, ' direction="rtl"') if rtl else (40, "")
    titles = "".join(
        f'<text x="{x}" y="{508 + 36 * n}" font-size="29" font-weight="600"'
        f' fill="{INK}"{direction}>{escape(line)}</text>'
        for n, line in enumerate(lines)
    )
    mark = "".join(f'<path fill="{fill}" d="{d}"/>' for fill, d in MARK)
    label = quoteattr(_readable(f"{card.title} {card.price} {card.shop}".strip()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"'
        f' viewBox="0 0 {WIDTH} {HEIGHT}" xml:lang="{card.language}" role="img"'
        f' aria-label={label} font-family="{FONTS}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>'
        f'<rect width="{WIDTH}" height="460" fill="{PLINTH}"/>{_cover(card)}{titles}'
        f"{_figures(card, 508 + 36 * len(lines))}{_code(card.link)}"
        f'<g transform="translate(40 724)">{mark}</g>'
        f'<text x="84" y="748" font-size="24" font-weight="650" fill="{INK}">'
        f"{escape(_readable(card.shop))}</text>"
        f'<text x="40" y="782" font-size="17" fill="{SOFT}">{escape(_readable(card.scan))}</text>'
        "</svg>"
    )


def _cover(card: Card) -> str:
    if card.cover is None:
        mark = "".join(f'<path fill="{fill}" d="{d}"/>' for fill, d in MARK)
        return f'<g transform="translate(204 134) scale(6)" opacity="0.5">{mark}</g>'
    data, kind = card.cover
    inside = base64.b64encode(data).decode()
    return (
        '<image x="60" y="30" width="480" height="400" preserveAspectRatio="xMidYMid meet"'
        f' href="data:{kind};base64,{inside}"/>'
    )


def _figures(card: Card, top: int) -> str:
    found = ""
    if card.price:
        size = 44 if len(card.price) <= 12 else 30
        found += (
            f'<text x="40" y="{top + 34}" fill="{LOUD}"><tspan font-size="{size}"'
            f' font-weight="700">{escape(_readable(card.price))}</tspan>'
        )
        if card.was:
            found += (
                f'<tspan dx="12" font-size="22" fill="{SOFT}" text-decoration="line-through">'
                f"{escape(_readable(card.was))}</tspan>"
            )
        found += "</text>"
    if card.note:
        found += (
            f'<text x="40" y="{top + 70}" font-size="22" fill="{INK}">'
            f"{escape(_readable(card.note))}</text>"
        )
    return found


def _code(link: str) -> str:
    """The QR code as one path, 150 wide in the lower corner."""
    if not link:
        return ""
    matrix = [bytes(row) for row in segno.make(link, error="m").matrix]
    scale = 150 / len(matrix)
    path = "".join(
        f"M{x} {y}h1v1h-1z" for y, row in enumerate(matrix) for x, dark in enumerate(row) if dark
    )
    return (
        '<rect x="400" y="620" width="170" height="170" rx="8" fill="#ffffff"/>'
        f'<g transform="translate(410 630) scale({scale:.4f})">'
        f'<path fill="#0f1413" shape-rendering="crispEdges" d="{path}"/></g>'
    )


def _readable(text: str) -> str:
    """Without control characters, which no XML may hold, and without marks that turn text round."""
    text = text.replace("\t", " ").replace("\n", " ")
    return "".join(
        c for c in text if c in JOINERS or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn")
    )


def _is_rtl(text: str) -> bool:
    """By the first letter that has a direction (Unicode Annex 9, rule P2)."""
    for c in text:
        kind = unicodedata.bidirectional(c)
        if kind in ("L", "R", "AL"):
            return kind != "L"
    return False


def _ems(c: str) -> float:
    return 1.0 if unicodedata.east_asian_width(c) in ("W", "F") else 0.56


def _words(text: str) -> Iterator[str]:
    """What stays together on a line: a word with its space, or one wide character."""
    word = ""
    for c in text:
        if _ems(c) == 1.0:
            if word:
                yield word
                word = ""
            yield c
        else:
            word += c
            if c == " " or len(word) >= 24:
                yield word
                word = ""
    if word:
        yield word


def _wrapped(text: str) -> list[str]:
    """At most three lines; what does not fit ends in an ellipsis."""
    lines = [""]
    for word in _words(" ".join(text.split())):
        if sum(map(_ems, lines[-1] + word.rstrip())) <= LINE_EMS:
            lines[-1] += word
        elif len(lines) < LINES:
            lines.append(word)
        else:
            last = lines[-1].rstrip()
            while sum(map(_ems, last)) > LINE_EMS - 1:
                last = last[:-1]
            lines[-1] = last + "…"
            break
    return [line.strip() for line in lines]


def png(card: Card) -> bytes:
    """1200 × 630, what messengers show of a link: the cover where it is a picture of dots, and the
    price. Words only where the built-in letters have them all."""
    image = Image.new("RGB", (1200, 630), PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 560, 630), fill=PLINTH)
    cover = _dots(card.cover)
    if cover is not None:
        cover.thumbnail((480, 550))
        place = (280 - cover.width // 2, 315 - cover.height // 2)
        image.paste(cover, place)
    else:
        for n, fill in enumerate(("#2b5f9e", "#d8402a", "#148276", "#eaa821")):
            left, top = 160 + 120 * (n % 2), 195 + 120 * (n // 2)
            draw.ellipse((left, top, left + 120, top + 120), fill=fill)
    y = 120
    for line in _wrapped(_readable(card.title)) if _has_letters(card.title) else ():
        draw.text((610, y), line, fill=INK, font=ImageFont.load_default(38))
        y += 52
    y = max(y + 30, 270)
    if card.price and _has_letters(card.price):
        draw.text((610, y), card.price, fill=LOUD, font=ImageFont.load_default(92))
        y += 120
    if card.was and _has_letters(card.was):
        draw.text((610, y), card.was, fill=SOFT, font=ImageFont.load_default(40))
        right = 610 + draw.textlength(card.was, font=ImageFont.load_default(40))
        draw.line((610, y + 26, right, y + 26), fill=SOFT, width=3)
    if _has_letters(card.shop):
        draw.text((610, 540), card.shop, fill=INK, font=ImageFont.load_default(34))
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _dots(cover: tuple[bytes, str] | None) -> Image.Image | None:
    if cover is None or cover[1] == "image/svg+xml":
        return None
    try:
        return Image.open(io.BytesIO(cover[0])).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError):
        return None


def _has_letters(text: str) -> bool:
    """Latin letters and the signs of money: what the built-in letters can draw."""
    return all(c.isascii() or c in "£€¥\u00a0" or "\u00c0" <= c <= "\u017e" for c in text)
