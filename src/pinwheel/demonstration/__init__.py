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

from pinwheel.demonstration.covers import cover_svg
from pinwheel.demonstration.drawings import SEED, address_of, drawing, goods, picture
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
    Outcome,
    Words,
)
from pinwheel.demonstration.objects import object_svg
from pinwheel.demonstration.tree import categories
from pinwheel.demonstration.voices import order_history, reviews

__all__ = [
    "NODES",
    "RATES_CNY",
    "SEED",
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
    "Outcome",
    "Words",
    "address_of",
    "cover_svg",
    "drawing",
    "goods",
    "object_svg",
    "order_history",
    "picture",
    "shop",
]


def shop(seed: int, until: datetime, review_count: int = 6000, buyers: int = 600) -> DemoShop:
    """Categories, products and reviews. `until` is the newest moment of a review, with its time
    zone."""
    products = goods(seed)
    said = reviews(products, Random(f"reviews of {seed}"), until, review_count, buyers)
    return DemoShop(categories(), products, tuple(said))
