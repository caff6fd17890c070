"""What a buyer asks for and what the stages make of it: the draft, its lines, the quote of it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.trade.orders.hints import DeliveryOff, Hint
from pinwheel.trade.payments import Payment
from pinwheel.trade.pricing import Rule


class Item(msgspec.Struct, frozen=True):
    """So many of one offer."""

    offer_id: uuid.UUID
    quantity: int


class Tender(msgspec.Struct, frozen=True):
    """How to pay: a provider and its token of a method. ``amount_minor`` None is whatever is
    left."""

    provider: str
    method: str
    amount_minor: int | None = None


class Claim(msgspec.Struct, frozen=True):
    """A price that somebody promised this buyer: a team's seat, a bargain, a newcomer offer. The
    stage of its ``kind`` proves it or refuses the draft."""

    kind: str
    id: uuid.UUID


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """So much off one offer's line: who takes it off, which budget pays (None: the seller's own
    price cut), and why, in words for the buyer."""

    source: str
    source_id: uuid.UUID
    offer_id: uuid.UUID
    amount_minor: int
    budget_id: uuid.UUID | None = None
    en: str
    zh: str


class Reason(msgspec.Struct, frozen=True):
    """Why a figure is what it is: shown to the buyer and kept with the order."""

    step: str
    en: str
    zh: str
    amount_minor: int


class Ruled(msgspec.Struct, frozen=True):
    """An offer whose price a price rule made, and what a piece cost before."""

    rule: Rule
    before_minor: int


class DeliveryOption(msgspec.Struct, frozen=True):
    """One way to be delivered to, priced for this draft."""

    code: str
    name: dict[str, str]
    price_minor: int
    min_days: int
    max_days: int


class DraftLine(msgspec.Struct):
    """One line as the stages fill it. A line that two nodes send is two lines."""

    offer_id: uuid.UUID
    seller_id: uuid.UUID
    variant_id: uuid.UUID
    sku: str
    title: dict[str, str]
    slug: str
    quantity: int
    unit_price_minor: int
    list_price_minor: int | None
    tax_class: str
    weight_grams: int
    discount_minor: int = 0
    tax_basis_points: int = 0
    tax_minor: int = 0
    fee_minor: int = 0
    node: str = ""
    hold_id: uuid.UUID | None = None
    earmark_id: uuid.UUID | None = None  # the document that its pieces are put aside for
    product_id: uuid.UUID | None = None
    category_id: uuid.UUID | None = None
    brand: str = ""

    @property
    def goods_minor(self) -> int:
        return self.unit_price_minor * self.quantity


class Draft(msgspec.Struct, kw_only=True):
    """What a buyer asks for, and what the stages make of it. ``expected`` is what the buyer
    saw: a quote's token, or the total alone as ``GBP 1399``. ``most_minor``: no more than this;
    ``address_id``: the address of the buyer's book, for orders that may travel together (within
    ``join_seconds``). ``aside``: offers of which so many pieces come out of an earmark, by its
    document. ``coupons`` are codes as typed in; ``device`` is a keyed hash, "" when
    unknown. A stage sets ``capture`` False to have the money authorised only, and ``waits_for``
    to what must happen before the paid order is sent (``let_go``)."""

    id: uuid.UUID
    items: Sequence[Item]
    market: str
    country: str
    region: str = ""
    city: str = ""
    postal_code: str = ""
    person_id: uuid.UUID | None = None
    contact: str | None = None
    ship_to: str | None = None
    delivery: str | None = None
    tenders: Sequence[Tender] = ()
    expected: str | None = None
    channel: str = "web"
    scope: str | None = None
    key: str | None = None
    undo_seconds: int = 0
    return_url: str = ""
    most_minor: int | None = None
    address_id: uuid.UUID | None = None
    join_seconds: int = 0
    coupons: Sequence[str] = ()
    claims: Sequence[Claim] = ()
    device: str = ""
    # filled by the stages; ``asked`` tells a repeat from another request under the same key
    currency: str = ""
    tax_included: bool = True
    lines: list[DraftLine] = []
    options: list[DeliveryOption] = []
    delivery_minor: int = 0
    delivery_tax_minor: int = 0
    reasons: list[Reason] = []
    refusal: Refusal | None = None
    leader_id: uuid.UUID | None = None
    discounts: list[Discount] = []
    claimed: set[uuid.UUID] = set()
    capture: bool | None = None
    waits_for: str | None = None
    revision: int = 0  # of the rules that stages keep in memory
    delivery_offs: list[DeliveryOff] = []
    hints: list[Hint] = []
    aside: dict[uuid.UUID, tuple[uuid.UUID, int]] | None = None
    ruled: dict[uuid.UUID, Ruled] = {}  # by offer
    asked: bytes = b""

    def __post_init__(self) -> None:
        """Remember what was asked, before a stage fills anything in."""
        wanted: tuple[Any, ...] = (
            self.items,
            self.market,
            self.country,
            self.region,
            self.delivery,
            self.tenders,
            self.person_id,
        )
        if self.coupons or self.claims:
            wanted += (self.coupons, self.claims)
        self.asked = hashlib.blake2b(msgspec.json.encode(wanted), digest_size=16).digest()

    def take_off(self, *discounts: Discount) -> None:
        """Lower the lines of the discounts' offers; those given together are one step and one
        reason. A line never goes below nothing: more than it still costs is a ``ValueError`` of
        the stage that asked."""
        lines = {line.offer_id: line for line in reversed(self.lines)}
        for discount in discounts:
            line = lines[discount.offer_id]
            if not 0 < discount.amount_minor <= line.goods_minor - line.discount_minor:
                raise ValueError(f"{discount.amount_minor} off a line that has not so much left")
            line.discount_minor += discount.amount_minor
        self.discounts += discounts
        if discounts:
            first, whole = discounts[0], sum(d.amount_minor for d in discounts)
            self.reasons.append(Reason(first.source, first.en, first.zh, -whole))

    def start_walk(self) -> None:
        """Forget what an earlier walk decided: a batch that raced walks again."""
        self.reasons, self.discounts, self.claimed = [], [], set()
        self.delivery_offs, self.hints, self.ruled = [], [], {}
        self.leader_id = self.capture = self.waits_for = self.aside = None

    def take_aside(self, offer_id: uuid.UUID, document_id: uuid.UUID, pieces: int) -> None:
        """So many pieces of an offer come out of what is put aside for a document, as far as there
        are; a claim's before a deal's."""
        self.aside = {offer_id: (document_id, pieces)} | (self.aside or {})

    # Asked for a dozen times an order: a plain loop costs a third of ``sum`` over a generator.

    @property
    def goods_minor(self) -> int:
        total = 0
        for line in self.lines:
            total += line.unit_price_minor * line.quantity
        return total

    @property
    def discount_minor(self) -> int:
        total = 0
        for line in self.lines:
            total += line.discount_minor
        return total

    @property
    def tax_minor(self) -> int:
        total = self.delivery_tax_minor
        for line in self.lines:
            total += line.tax_minor
        return total

    @property
    def total_minor(self) -> int:
        on_top = 0 if self.tax_included else self.tax_minor
        return self.goods_minor - self.discount_minor + self.delivery_minor + on_top

    def line_total(self, line: DraftLine) -> int:
        return line.goods_minor - line.discount_minor + (0 if self.tax_included else line.tax_minor)


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What an order would cost, to the minor unit, and why. ``token`` names exactly these
    figures."""

    token: str
    market: str
    currency: str
    tax_included: bool
    lines: list[DraftLine]
    delivery: str
    options: list[DeliveryOption]
    goods_minor: int
    discount_minor: int
    delivery_minor: int
    tax_minor: int
    total_minor: int
    reasons: list[Reason]
    hints: list[Hint] = []


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was accepted; ``fresh`` is False for a repeat of the same request."""

    order_id: uuid.UUID
    number: str
    state: str
    total_minor: int
    currency: str
    payments: list[Payment] = []  # to be asked for now
    fresh: bool = True


def quoted(draft: Draft) -> Quote:
    """The quote of a draft that walked the stages."""
    return Quote(
        token=quote_token(draft),
        market=draft.market,
        currency=draft.currency,
        tax_included=draft.tax_included,
        lines=draft.lines,
        delivery=draft.delivery or "",
        options=draft.options,
        goods_minor=draft.goods_minor,
        discount_minor=draft.discount_minor,
        delivery_minor=draft.delivery_minor,
        tax_minor=draft.tax_minor,
        total_minor=draft.total_minor,
        reasons=draft.reasons,
        hints=draft.hints,
    )


def quote_token(draft: Draft) -> str:
    """The name of these figures: any change of price, discount, tax or delivery is another token.

    It says nothing of nodes: where a parcel comes from may change without the buyer being asked
    again."""
    per_offer: dict[uuid.UUID, list[int]] = {}
    for line in draft.lines:
        sums = per_offer.setdefault(line.offer_id, [0, 0, 0, 0])
        sums[0] += line.quantity
        sums[1] += line.goods_minor
        sums[2] += line.discount_minor
        sums[3] += line.tax_minor
    figures = (
        draft.market,
        draft.currency,
        sorted((str(offer), *sums) for offer, sums in per_offer.items()),
        draft.delivery,
        draft.delivery_minor,
        draft.total_minor,
    )
    return hashlib.blake2b(msgspec.json.encode(figures), digest_size=9).hexdigest()


def agrees(draft: Draft) -> bool:
    """Are these figures what the buyer saw?"""
    if not draft.expected:
        return True
    return draft.expected in (quote_token(draft), f"{draft.currency} {draft.total_minor}")
