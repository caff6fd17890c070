"""What the demonstration shop is made of. All of it is generated; none of it names a real book,
maker or person."""

from datetime import datetime
from typing import Literal

import msgspec

Language = Literal["en", "zh-CN"]
Outcome = Literal["delivered", "returned", "cancelled"]


class Words(msgspec.Struct, frozen=True):
    """The same thing in both languages."""

    en: str
    zh: str

    def in_language(self, language: Language) -> str:
        return self.zh if language == "zh-CN" else self.en


class DemoChoice(msgspec.Struct, frozen=True):
    """One value that a choice attribute or a variant option may take."""

    value: str
    name: Words


class DemoAttribute(msgspec.Struct, frozen=True):
    """A typed attribute that a category declares and its children inherit; `unit` is a symbol
    such as "mm" or empty."""

    key: str
    name: Words
    kind: Literal["integer", "choice", "text"]
    unit: str = ""
    choices: tuple[DemoChoice, ...] = ()
    is_facet: bool = True


class DemoCategory(msgspec.Struct, frozen=True):
    """A node of the category tree; parents come before their children."""

    slug: str
    parent: str | None
    name: Words
    attributes: tuple[DemoAttribute, ...]


class DemoVariant(msgspec.Struct, frozen=True):
    """What is put into a cart. `price_minor` and `list_price_minor` are by currency code; the
    latter may be empty. `stock` has the units at each of NODES, in order. `options` maps an
    attribute's key to a choice's value."""

    sku: str
    gtin: str
    options: dict[str, str]
    price_minor: dict[str, int]
    list_price_minor: dict[str, int]
    weight_grams: int
    stock: tuple[int, int]


class DemoProduct(msgspec.Struct, frozen=True):
    """A book or a thing. `kind` is the genre of a book or the drawing of a thing; `attributes`
    has only plain values: whole numbers, texts and choices' values. `popularity` is a weight
    above 0 that reviews and orders follow."""

    slug: str
    category: str
    shape: Literal["book", "object"]
    kind: str
    title: Words
    subtitle: Words
    description: Words
    imprint: Words
    attributes: dict[str, int | str]
    variants: tuple[DemoVariant, ...]
    drawing_seed: int
    colours: tuple[str, ...]
    popularity: float


class DemoReview(msgspec.Struct, frozen=True):
    """A buyer's words in the one language that the buyer wrote; title and body may be empty."""

    product: str
    buyer_number: int
    rating: int
    language: Language
    title: str
    body: str
    at: datetime

    @property
    def reviewer(self) -> Words:
        return Words(f"Demonstration buyer {self.buyer_number}", f"演示买家 {self.buyer_number} 号")


class DemoOrderLine(msgspec.Struct, frozen=True):
    sku: str
    quantity: int


class DemoOrderPlan(msgspec.Struct, frozen=True):
    """An order that a simulated buyer places at `at`, and how it ends."""

    at: datetime
    buyer_number: int
    lines: tuple[DemoOrderLine, ...]
    outcome: Outcome


class DemoShop(msgspec.Struct, frozen=True):
    """Everything that the demonstration shop sells, in a stable order."""

    categories: tuple[DemoCategory, ...]
    products: tuple[DemoProduct, ...]
    reviews: tuple[DemoReview, ...]


class DemoNode(msgspec.Struct, frozen=True):
    """A place that keeps stock."""

    code: str
    name: Words


NODES: tuple[DemoNode, DemoNode] = (
    DemoNode("east", Words("East warehouse (demonstration)", "华东仓（演示）")),
    DemoNode("south", Words("South warehouse (demonstration)", "华南仓（演示）")),
)

# What one unit of each currency costs in CNY; fixed, so that the shop looks the same every day.
RATES_CNY: dict[str, float] = {"CNY": 1.0, "USD": 7.2, "EUR": 7.9, "GBP": 9.2}
