"""Nouns and rules of stock: nodes, positions, and the choice of nodes for an order."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

MAX_SUBSET_NODES = 8  # up to here every set of nodes is tried
MAX_PARCELS = 3


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A place that keeps stock. ``parcel_minor``: what one parcel from here costs;
    ``lead_hours``: until it leaves."""

    code: str
    name: dict[str, str]
    kind: str = "warehouse"
    country: str
    latitude: float | None = None
    longitude: float | None = None
    parcel_minor: int = 0
    lead_hours: int = 24
    is_open: bool = True


class Place(msgspec.Struct, frozen=True):
    """Whose stock of which variant, and where."""

    seller_id: uuid.UUID
    node: str
    variant_id: uuid.UUID


class Position(msgspec.Struct, frozen=True):
    """A place with what is there: ``on_hand`` − ``reserved`` − safety stock (+ back-order
    limit) = ``atp``."""

    variant_id: uuid.UUID
    seller_id: uuid.UUID
    node: str
    on_hand: int
    reserved: int
    atp: int
    is_open: bool
    safety_stock: int
    backorder_limit: int
    expected_on: dt.date | None


class StockCount(msgspec.Struct, frozen=True):
    """``quantity`` pieces that come to, or with a negative number leave, a place."""

    place: Place
    quantity: int


class Counted(msgspec.Struct, frozen=True):
    """What was found at a place, and what the books had there. ``fresh`` is False when this
    document counted the place before: the first count stands."""

    place: Place
    quantity: int
    booked: int
    fresh: bool = True

    @property
    def change(self) -> int:
        """By how much the books were corrected."""
        return self.quantity - self.booked


def available(place: Place, backorder_limit: int = 0) -> Account:
    """What can be sold here. Its floor is nothing, or the back-order limit below nothing."""
    return Account(
        f"stock:{place.variant_id}:{place.seller_id}:{place.node}:available",
        ledger.pieces(place.variant_id),
        "debit",
        floor=-backorder_limit,
    )


def damaged(place: Place) -> Account:
    """What is here and can't be sold as new."""
    return Account(
        f"stock:{place.variant_id}:{place.seller_id}:{place.node}:damaged",
        ledger.pieces(place.variant_id),
        "debit",
        floor=0,
    )


def earmarked(place: Place, document_id: uuid.UUID) -> Account:
    """What is here and put aside for a document."""
    return Account(
        f"stock:{place.variant_id}:{place.seller_id}:{place.node}:aside:{document_id}",
        ledger.pieces(place.variant_id),
        "debit",
        floor=0,
    )


def supplied(variant_id: uuid.UUID) -> Account:
    """Where stock comes from."""
    return Account(f"stock:{variant_id}:supplied", ledger.pieces(variant_id), "credit")


def sold(variant_id: uuid.UUID) -> Account:
    """Where sold stock has gone; returns come back out of it."""
    return Account(f"stock:{variant_id}:sold", ledger.pieces(variant_id))


def written_off(variant_id: uuid.UUID) -> Account:
    """Lost, broken, or counted away."""
    return Account(f"stock:{variant_id}:written_off", ledger.pieces(variant_id))


class UnknownNode(Refusal):
    status = 422
    en = "There is no stock node {node}. Use one of: {known}."
    zh = "没有名为 {node} 的库存节点。可用节点：{known}。"


class OutOfStock(Refusal):
    """Not enough can be promised. ``left`` is what can be promised now."""

    en = "Only {left} of {sku} can be delivered now; {asked} asked for. Please take fewer."
    zh = "{sku} 目前仅可供应 {left} 件，您需要 {asked} 件，请减少数量。"


class StockTaken(Refusal):
    """More would leave a place than is free there."""

    en = "Only {left} of this item are free at {node}; the rest is reserved. Take at most {left}."
    zh = "{node} 处该商品仅有 {left} 件可动用，其余已被预留。最多可调出 {left} 件。"


class TooFewToPutAside(Refusal):
    """``where`` lists the open nodes with what is free at each."""

    en = (
        "{pieces} of {sku} can't be put aside: {free} are free ({where}). Choose a smaller "
        "quantity, or receive more."
    )
    zh = "无法为 {sku} 预留 {pieces} 件：可用 {free} 件（{where_zh}）。请减少数量或先补货。"

    def __init__(self, *, sku: str, pieces: int, free: int, where: str) -> None:
        super().__init__(
            sku=sku,
            pieces=pieces,
            free=free,
            where=where or "at no open node",
            where_zh=where or "无可用库存节点",
        )


class AvailabilityChanged(Event, frozen=True, kw_only=True):
    """Variants went out of stock or came back: what a search result may show has changed."""

    variant_ids: list[uuid.UUID]


class NodeClosed(Event, frozen=True, kw_only=True):
    """A node stopped; what it promised must come from elsewhere."""

    node: str


class NodeOpened(Event, frozen=True, kw_only=True):
    node: str


class Wanted(msgspec.Struct, frozen=True):
    """One line to source."""

    variant_id: uuid.UUID
    seller_id: uuid.UUID
    quantity: int


class Part(msgspec.Struct, frozen=True):
    """``quantity`` of line number ``line`` comes from ``node``."""

    line: int
    node: str
    quantity: int


class Terms(msgspec.Struct, frozen=True):
    """What a choice of nodes costs: each parcel, each kilometre of each parcel, each day late,
    and taking from a node that has little of the item (``imbalance_minor`` for the last piece,
    less with more left)."""

    split_minor: int = 300
    kilometre_millis: int = 2  # thousandths of a minor unit per kilometre and parcel
    late_day_minor: int = 200
    imbalance_minor: int = 40
    promised_hours: int = 72


Free = Mapping[tuple[uuid.UUID, uuid.UUID, str], int]  # (variant, seller, node) → atp


def source(
    lines: Sequence[Wanted],
    free: Free,
    nodes: Mapping[str, Node],
    *,
    to: tuple[float, float] | None = None,
    terms: Terms = Terms(),
) -> list[Part] | None:
    """Which node sends what, at the least cost; None when it can't all be sent.

    Cost = parcels + distance + lateness + imbalance (``Terms``). With up to
    ``MAX_SUBSET_NODES`` candidate nodes every set of up to ``MAX_PARCELS`` is tried, and
    the nearest-node rule; ties go to the first node by code."""
    codes = sorted({n for w in lines for n in nodes if _free(free, w, n) > 0})
    if len(codes) == 1 or (len(lines) == 1 and len(codes) <= 1):
        return _fill(lines, free, nodes, tuple(codes), to, terms)
    best: tuple[float, list[Part]] | None = None
    sizes = range(1, min(len(codes), MAX_PARCELS) + 1) if len(codes) <= MAX_SUBSET_NODES else ()
    for size in sizes:
        if best is not None and best[0] <= (size - 1) * terms.split_minor:
            break  # more parcels can't be cheaper than their own split
        for subset in itertools.combinations(codes, size):
            parts = _fill(lines, free, nodes, subset, to, terms)
            if parts is not None:
                price = cost(lines, parts, free, nodes, to=to, terms=terms)
                if best is None or price < best[0]:
                    best = (price, parts)
    # The simple rule and "all of them" are choices too: what is taken is never dearer than either.
    for parts in (
        nearest(lines, free, nodes, to=to),
        _fill(lines, free, nodes, tuple(codes), to, terms),
    ):
        if parts is not None:
            price = cost(lines, parts, free, nodes, to=to, terms=terms)
            if best is None or price < best[0]:
                best = (price, parts)
    return best[1] if best is not None else None


def nearest(
    lines: Sequence[Wanted],
    free: Free,
    nodes: Mapping[str, Node],
    *,
    to: tuple[float, float] | None = None,
) -> list[Part] | None:
    """The simple rule ``source`` is compared with: each line from the nearest node that has it."""
    parts = []
    left = dict(free)
    for number, wanted in enumerate(lines):
        need = wanted.quantity
        for code in sorted(nodes, key=lambda c: (kilometres(nodes[c], to), c)):
            key = (wanted.variant_id, wanted.seller_id, code)
            take = min(need, left.get(key, 0))
            if take > 0:
                left[key] -= take
                need -= take
                parts.append(Part(number, code, take))
        if need:
            return None
    return parts


def cost(
    lines: Sequence[Wanted],
    parts: Iterable[Part],
    free: Free,
    nodes: Mapping[str, Node],
    *,
    to: tuple[float, float] | None = None,
    terms: Terms = Terms(),
) -> float:
    """What the choice costs, in minor units."""
    parts = list(parts)
    used = sorted({p.node for p in parts})
    total = float(max(0, len(used) - 1) * terms.split_minor)
    for code in used:
        total += _node_cost(nodes[code], to, terms)
    for part in parts:
        left = _free(free, lines[part.line], part.node) - part.quantity
        total += terms.imbalance_minor * part.quantity / (1 + max(0, left))
    return total


def kilometres(node: Node, to: tuple[float, float] | None) -> float:
    """Great-circle distance (haversine, mean Earth radius 6,371 km); 0 when either place is
    unknown."""
    if to is None or node.latitude is None or node.longitude is None:
        return 0.0
    lat1, lon1, lat2, lon2 = map(math.radians, (node.latitude, node.longitude, *to))
    a = (
        math.sin((lat2 - lat1) / 2) ** 2
        + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    )
    return 6371.0 * 2 * math.asin(math.sqrt(a))


def _node_cost(node: Node, to: tuple[float, float] | None, terms: Terms) -> float:
    late_days = max(0, node.lead_hours - terms.promised_hours) / 24
    way = kilometres(node, to) * terms.kilometre_millis / 1000
    return node.parcel_minor + way + late_days * terms.late_day_minor


def _free(free: Free, wanted: Wanted, node: str) -> int:
    return free.get((wanted.variant_id, wanted.seller_id, node), 0)


def _fill(
    lines: Sequence[Wanted],
    free: Free,
    nodes: Mapping[str, Node],
    subset: tuple[str, ...],
    to: tuple[float, float] | None,
    terms: Terms,
) -> list[Part] | None:
    """All lines out of ``subset``: whole lines from one node where possible, the cheapest node
    first. Two lines of one stock item share what is there."""
    left: dict[tuple[uuid.UUID, uuid.UUID, str], int] = {}
    order = sorted(subset, key=lambda c: (_node_cost(nodes[c], to, terms), c))
    parts: list[Part] = []
    for number, wanted in enumerate(lines):
        need = wanted.quantity
        has = {
            c: left.get((wanted.variant_id, wanted.seller_id, c), _free(free, wanted, c))
            for c in order
        }
        whole = [c for c in order if has[c] >= need]
        for code in whole[:1] or order:
            take = min(need, has[code])
            if take > 0:
                left[wanted.variant_id, wanted.seller_id, code] = has[code] - take
                need -= take
                parts.append(Part(number, code, take))
        if need:
            return None
    return parts
