"""The demonstration shop's content: about 3,000 books, 400 other things, their drawings, reviews
and a month of orders.

Pure and seeded: the same seed gives the same shop, byte for byte. Everything is generated and
labelled as a demonstration: no title, imprint, series, number or buyer is real.

`shop(seed, until)` is what is sold, `order_history(products, seed, until)` how it was bought,
`picture(product, language)` what a product looks like. `cover_svg` and `object_svg` draw one
thing for anybody.
"""

from datetime import datetime
from random import Random

from pinwheel.demonstration.books import books
from pinwheel.demonstration.covers import cover_svg
from pinwheel.demonstration.model import (
    NODES,
    RATES_CNY,
    DemoAttribute,
    DemoCategory,
    DemoChoice,
    DemoNode,
    DemoOrderLine,
    DemoOrderPlan,
    DemoProduct,
    DemoReview,
    DemoShop,
    DemoVariant,
    Language,
    Words,
)
from pinwheel.demonstration.objects import object_svg
from pinwheel.demonstration.things import things
from pinwheel.demonstration.tree import categories
from pinwheel.demonstration.voices import order_history, reviews

__all__ = [
    "NODES",
    "RATES_CNY",
    "DemoAttribute",
    "DemoCategory",
    "DemoChoice",
    "DemoNode",
    "DemoOrderLine",
    "DemoOrderPlan",
    "DemoProduct",
    "DemoReview",
    "DemoShop",
    "DemoVariant",
    "Language",
    "Words",
    "cover_svg",
    "object_svg",
    "order_history",
    "picture",
    "shop",
]


def shop(seed: int, until: datetime, review_count: int = 6000, buyers: int = 600) -> DemoShop:
    """Categories, products and reviews. `until` is the newest moment of a review, with its time
    zone."""
    r = Random(seed)
    products = (*books(r), *things(r))
    said = reviews(products, r, until, review_count, buyers)
    return DemoShop(categories(), products, tuple(said))


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
