"""Some three thousand books that nobody has written, each with a title in both languages and one
or two bindings."""

from random import Random
from typing import Any

from pinwheel.demonstration.grammar import load, pairs, titles_of
from pinwheel.demonstration.identifiers import demo_isbn
from pinwheel.demonstration.model import RATES_CNY, DemoProduct, DemoVariant, Words
from pinwheel.demonstration.tree import value_of

FORMATS_MM = ((184, 130), (210, 140), (210, 148), (230, 152), (260, 185))
PICTURE_BOOK_MM = ((230, 230), (260, 210), (285, 210))
YEARS = (2018, 2019, 2020, 2021, 2022, 2023, 2024, 2024, 2025, 2025, 2026)
HARDCOVER_SHARE = 0.45
REDUCED_SHARE = 0.35


def rounded_fen(amount: float) -> int:
    """A price as a bookshop writes it: whole yuan, or ending in .80."""
    yuan = round(amount / 100)
    return yuan * 100 if yuan % 2 else yuan * 100 - 20


def in_currencies(fen: int) -> dict[str, int]:
    """One price in every currency of RATES_CNY; abroad it ends in .49 or .99."""
    prices = {"CNY": fen}
    for code, rate in RATES_CNY.items():
        if code != "CNY":
            prices[code] = max(99, round(fen / rate / 50) * 50 - 1)
    return prices


def priced(list_fen: int, r: Random, reduced_share: float) -> tuple[dict[str, int], dict[str, int]]:
    """Price and, for the reduced share, the higher list price, both in every currency."""
    full = in_currencies(list_fen)
    if r.random() >= reduced_share:
        return full, {}
    lower = in_currencies(rounded_fen(list_fen * r.choice((0.68, 0.75, 0.8, 0.85, 0.9))))
    return lower, {code: full[code] for code in full if full[code] > lower[code]}


def stock_of(r: Random) -> tuple[int, int]:
    """Units at the two nodes: a few sold out, a few nearly, most with a comfortable pile."""
    luck = r.random()
    if luck < 0.04:
        return 0, 0
    if luck < 0.12:
        return r.randint(0, 3), r.randint(0, 2)
    return r.randint(4, 160), r.choice((0, r.randint(2, 90)))


def slug_of(title: str, taken: set[str]) -> str:
    """The title in lower case with hyphens; a number makes it unique where it must."""
    plain = value_of(title.replace("'", ""))[:80].strip("-")
    slug, n = plain, 2
    while slug in taken:
        slug, n = f"{plain}-{n}", n + 1
    taken.add(slug)
    return slug


def description_of(
    r: Random, openings: tuple[Words, ...], middles: tuple[Words, ...], closing: Words
) -> Words:
    """An opening, one or two more sentences, and that it is a demonstration."""
    first = r.choice(openings)
    rest = [m for m in middles if m != first]
    parts = [first, *r.sample(rest, r.choice((1, 2, 2)))]
    en = " ".join(p.en for p in parts)
    zh = "".join(p.zh for p in parts)
    return Words(f"{en}\n\n{closing.en}", f"{zh}\n\n{closing.zh}")


def editions(number: int, genre: str, pages: int, r: Random) -> tuple[DemoVariant, ...]:
    """Paperback, and for some also hardcover; picture books come bound."""
    base = 1800 + pages * r.uniform(9, 13) + (900 if genre in ("design", "computing") else 0)
    bindings = ["hardcover"] if genre == "children" else ["paperback"]
    if genre != "children" and r.random() < HARDCOVER_SHARE:
        bindings.append("hardcover")
    found = []
    for i, binding in enumerate(bindings):
        is_hard = binding == "hardcover"
        price, full = priced(rounded_fen(base * (1.55 if is_hard else 1)), r, REDUCED_SHARE)
        found.append(
            DemoVariant(
                sku=f"BK{number:05d}{'H' if is_hard else 'P'}",
                gtin=demo_isbn(number * 10 + i),
                options={"binding": binding},
                price_minor=price,
                list_price_minor=full,
                weight_grams=round(pages * r.uniform(0.95, 1.15)) + (240 if is_hard else 60),
                stock=stock_of(r),
            )
        )
    return tuple(found)


def facts_of(
    genre: str, subtitle: Words, imprint: Words, series: Words, r: Random
) -> dict[str, Any]:
    """The typed attributes of one book."""
    is_picture_book = genre == "children"
    height, width = r.choice(PICTURE_BOOK_MM if is_picture_book else FORMATS_MM)
    pages = r.randrange(32, 64, 8) if is_picture_book else r.randrange(96, 640, 16)
    is_bilingual = subtitle.en == "Bilingual Edition" or genre == "language"
    written_in = r.choices(("zh-CN", "en", "bilingual"), (62, 30, 8))[0]
    facts: dict[str, Any] = {
        "pages": pages // 2 if genre == "poetry" else pages,
        "published_year": r.choice(YEARS),
        "language": "bilingual" if is_bilingual else written_in,
        "imprint": f"{imprint.en} · {imprint.zh} (demonstration)",
        "height_mm": height,
        "width_mm": width,
    }
    if series.en:
        facts["series"] = f"{series.en} · {series.zh}"
    if is_picture_book:
        facts["age"] = "6-9" if "6 to 9" in subtitle.en else "3-6"
    return facts


def book(
    number: int, genre: str, title: Words, subtitle: Words, slug: str, r: Random
) -> DemoProduct:
    """One book with everything but its place among the others."""
    texts = load("texts")
    imprint = r.choice(pairs(texts["imprints"], ";;"))
    series = r.choice(pairs(texts["series"], ";;")) if r.random() < 0.3 else Words("", "")
    facts = facts_of(genre, subtitle, imprint, series, r)
    return DemoProduct(
        slug=slug,
        category=genre,
        shape="book",
        kind=genre,
        title=title,
        subtitle=subtitle,
        description=description_of(
            r,
            pairs(texts["opening"][genre], ";;"),
            pairs(texts["middle"], ";;"),
            pairs(texts["closing"], ";;")[0],
        ),
        imprint=imprint,
        attributes=facts,
        variants=editions(number, genre, facts["pages"], r),
        drawing_seed=r.randrange(1 << 30),
        colours=(),
        popularity=r.paretovariate(1.15),
    )


def books(r: Random) -> list[DemoProduct]:
    """Every book of every genre's quota. No English and no Chinese title occurs twice."""
    grammars = load("titles")
    seen: set[str] = set()
    slugs: set[str] = set()
    found: list[DemoProduct] = []
    for genre, wanted in load("goods")["quota"].items():
        subtitles = pairs(grammars[genre]["subtitles"])
        made = 0
        for title in titles_of(grammars[genre], r):
            if made == wanted:
                break
            if title.en in seen or title.zh in seen:
                continue
            seen.update((title.en, title.zh))
            made += 1
            slug = slug_of(title.en, slugs)
            found.append(book(len(found) + 1, genre, title, r.choice(subtitles), slug, r))
    return found
