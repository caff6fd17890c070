"""Some four hundred things beside the books: stationery, tea ware, lamps, bags, games, plants."""

from random import Random
from typing import Any

from pinwheel.demonstration.books import description_of, priced, rounded_fen, slug_of, stock_of
from pinwheel.demonstration.grammar import load, pairs
from pinwheel.demonstration.identifiers import demo_gtin
from pinwheel.demonstration.model import DemoProduct, DemoVariant, Words
from pinwheel.demonstration.tones import COLOURS
from pinwheel.demonstration.tree import choices_of, value_of

CLOSING = Words(
    "A demonstration product of the Pinwheel shop; it can't be bought.",
    "Pinwheel 演示商店的虚构商品，不可购买。",
)
REDUCED_SHARE = 0.3
DEARER_A_SIZE = 0.2
MOST_VARIANTS = 9


def named(kind: dict[str, Any], lines: tuple[Words, ...], r: Random) -> list[tuple[Words, Words]]:
    """Titles of one kind with the make in each, every line and make at most once together."""
    noun = pairs(kind["name"])[0]
    every = [
        (Words(f"{line.en} {make.en} {noun.en}", f"{line.zh}{make.zh}{noun.zh}"), make)
        for line in lines
        for make in pairs(kind["materials"])
    ]
    return r.sample(every, kind["n"])


def facts_of(kind: dict[str, Any], make: Words, r: Random) -> dict[str, int | str]:
    """Make and measured figures of one thing."""
    facts: dict[str, int | str] = {"make": value_of(make.en)}
    for key in load("goods")["units"]:
        if key in kind:
            low, high = kind[key]
            facts[key] = low + r.randrange(0, high - low + 1, 10 if high > 200 else 1)
    return facts


def variants_of(
    kind: dict[str, Any], number: int, colours: tuple[str, ...], r: Random
) -> tuple[DemoVariant, ...]:
    """Every colour in every size, where the kind has sizes; a nib costs no more for being wide."""
    low, high = kind["price"]
    lower, full = priced(rounded_fen(low + (high - low) * r.random() ** 1.8), r, REDUCED_SHARE)
    grams = r.randint(*kind["grams"])
    sizes = [c.value for c in choices_of(kind["sizes"])] if "sizes" in kind else []
    step = 0.0 if kind["category"] == "writing" else DEARER_A_SIZE
    every = [(colour, n) for colour in colours for n in range(len(sizes) or 1)][:MOST_VARIANTS]
    found = []
    for i, (colour, n) in enumerate(every):
        more = 1 + step * n
        found.append(
            DemoVariant(
                sku=f"TH{number:04d}-{i + 1}",
                gtin=demo_gtin(number * 100 + i),
                options={"colour": colour, **({"size": sizes[n]} if sizes else {})},
                price_minor={
                    c: p if not n else round(p * more / 10) * 10 for c, p in lower.items()
                },
                list_price_minor={
                    c: p if not n else round(p * more / 10) * 10 for c, p in full.items()
                },
                weight_grams=round(grams * more),
                stock=stock_of(r),
            )
        )
    return tuple(found)


def things(r: Random) -> list[DemoProduct]:
    """Every thing of every kind; titles are unique because a line and a make meet once a kind."""
    goods, texts = load("goods"), load("texts")
    lines = pairs(goods["lines"]["all"])
    openings = pairs(texts["object_opening"]["any"], ";;")
    imprints = pairs(texts["imprints"], ";;")
    slugs: set[str] = set()
    found: list[DemoProduct] = []
    for name, kind in goods["kinds"].items():
        for title, make in named(kind, lines, r):
            colours = tuple(r.sample(list(COLOURS), r.choice((1, 2, 3, 3, 4))))
            found.append(
                DemoProduct(
                    slug=slug_of(title.en, slugs),
                    category=kind["category"],
                    shape="object",
                    kind=name,
                    title=title,
                    subtitle=Words("", ""),
                    description=description_of(r, openings, openings, CLOSING),
                    imprint=r.choice(imprints),
                    attributes=facts_of(kind, make, r),
                    variants=variants_of(kind, len(found) + 1, colours, r),
                    drawing_seed=r.randrange(1 << 30),
                    colours=colours,
                    popularity=r.paretovariate(1.3),
                )
            )
    return found
