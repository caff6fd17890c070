"""Questions about gift cards; ``card_of`` can lock."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade.payments.gifts import GiftCard
from pinwheel.trade.payments.model import gift_card


class GiftBatch(msgspec.Struct, frozen=True, kw_only=True):
    id: uuid.UUID
    size: int
    face_minor: int
    currency: str
    market: str
    reason: str
    made_at: dt.datetime
    made_by: str


class Liability(msgspec.Struct, frozen=True):
    """What is owed to those who hold cards, by currency: by state, in minor units."""

    currency: str
    open_minor: int
    blocked_minor: int
    open_cards: int


async def card_of(tx: Tx, card_id: uuid.UUID, *, locks: bool = False) -> GiftCard:
    """One card without its balance; ``NotFound``. With ``locks`` it is held against payments."""
    if locks:
        await tx.run(
            "select from payments.gift_card where cell = $1 and id = $2 for update",
            tx.cell,
            card_id,
        )
    return await tx.the(
        "gift card",
        GiftCard,
        """
        select id, last4, state, reason, face_minor, currency, market, expires_on, batch_id,
               order_id, line, buyer_id, created_at, 0::bigint as balance_minor
          from payments.gift_card where cell = $1 and id = $2
        """,
        tx.cell,
        card_id,
    )


async def gift_card_of(tx: Tx, card_id: uuid.UUID) -> GiftCard:
    """One card with what it is still good for; ``NotFound``. 2 statements."""
    return (await with_balances(tx, [await card_of(tx, card_id)]))[0]


async def with_balances(tx: Tx, cards: Sequence[GiftCard]) -> list[GiftCard]:
    """The cards with what each is good for. 1 statement."""
    if not cards:
        return []
    accounts = {c.id: gift_card(c.id, c.currency) for c in cards}
    found = await ledger.balances(tx, list(accounts.values()))
    return [
        msgspec.structs.replace(c, balance_minor=found[accounts[c.id].code].available)
        for c in cards
    ]


async def kept_gift_cards(tx: Tx, person_id: uuid.UUID) -> list[GiftCard]:
    """The cards whose code this person has typed, the newest first, at most 50. 2 statements."""
    cards = await tx.rows(
        GiftCard,
        """
        select c.id, c.last4, c.state, c.reason, c.face_minor, c.currency, c.market, c.expires_on,
               c.batch_id, c.order_id, c.line, c.buyer_id, c.created_at,
               0::bigint as balance_minor
          from payments.gift_holder h
          join payments.gift_card c on c.cell = h.cell and c.id = h.card_id
         where h.cell = $1 and h.person_id = $2 order by h.kept_at desc, c.id limit 50
        """,
        tx.cell,
        person_id,
    )
    return await with_balances(tx, cards)


async def bought_gift_cards(
    tx: Tx, person_id: uuid.UUID, *, order_id: uuid.UUID | None = None
) -> list[GiftCard]:
    """The cards that this person bought (in one order), the newest first, at most 100."""
    cards = await tx.rows(
        GiftCard,
        """
        select id, last4, state, reason, face_minor, currency, market, expires_on, batch_id,
               order_id, line, buyer_id, created_at, 0::bigint as balance_minor
          from payments.gift_card
         where cell = $1 and buyer_id = $2 and ($3::uuid is null or order_id = $3)
         order by created_at desc, id limit 100
        """,
        tx.cell,
        person_id,
        order_id,
    )
    return await with_balances(tx, cards)


async def usable_gift_cards(tx: Tx, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> list[GiftCard]:
    """Those of (person, card) whose code the person has typed, with what they are good for; what
    can't be paid with is worth nothing. 2 statements."""
    cards = await tx.rows(
        GiftCard,
        """
        select distinct on (c.id) c.id, c.last4, c.state, c.reason, c.face_minor, c.currency,
               c.market, c.expires_on, c.batch_id, c.order_id, c.line, c.buyer_id, c.created_at,
               0::bigint as balance_minor
          from unnest($2::uuid[], $3::uuid[]) as w(person_id, card_id)
          join payments.gift_holder h
            on h.cell = $1 and h.person_id = w.person_id and h.card_id = w.card_id
          join payments.gift_card c on c.cell = h.cell and c.id = h.card_id
         where c.state = 'open' and (c.expires_on is null or c.expires_on >= $4) order by c.id
        """,
        tx.cell,
        [p for p, _ in pairs],
        [c for _, c in pairs],
        tx.now.date(),
    )
    return await with_balances(tx, cards)


async def gift_card_list(
    tx: Tx, *, last4: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[GiftCard]:
    """Cards, the newest first; ``last4``: those whose code ends so. 2 statements."""
    at, last = after(cursor, dt.datetime, uuid.UUID) or (None, None)
    rows = await tx.rows(
        GiftCard,
        """
        select id, last4, state, reason, face_minor, currency, market, expires_on, batch_id,
               order_id, line, buyer_id, created_at, 0::bigint as balance_minor
          from payments.gift_card
         where cell = $1 and ($2::text is null or last4 = $2)
           and ($3::timestamptz is null or (created_at, id) < ($3, $4::uuid))
         order by created_at desc, id desc limit $5
        """,
        tx.cell,
        last4,
        at,
        last,
        limit + 1,
    )
    return page(await with_balances(tx, rows), limit, lambda r: (r.created_at, r.id))


async def gift_batches(tx: Tx, *, most: int = 50) -> list[GiftBatch]:
    return await tx.rows(
        GiftBatch,
        """
        select id, size, face_minor, currency, market, reason, made_at, made_by
          from payments.gift_batch where cell = $1 order by made_at desc, id desc limit $2
        """,
        tx.cell,
        most,
    )


async def gift_liability(tx: Tx) -> list[Liability]:
    """What is owed on cards, by currency: the ledger's balances. 2 statements."""
    blocked: set[str] = set(
        await tx.values(
            "select id::text from payments.gift_card where cell = $1 and state = 'blocked'", tx.cell
        )
    )
    sums: dict[str, list[int]] = {}
    for balance in await ledger.balances_below(tx, "gift_card:"):
        is_blocked = balance.code.split(":")[1] in blocked
        one = sums.setdefault(balance.unit, [0, 0, 0])
        one[is_blocked] += balance.posted
        one[2] += not is_blocked and balance.posted > 0
    return [Liability(currency, *parts) for currency, parts in sorted(sums.items())]


async def valid_days_of(tx: Tx, market: str) -> int | None:
    """How many days a card of this market is good for; None: for ever."""
    found: int | None = await tx.value(
        "select valid_days from payments.gift_policy where cell = $1 and market = $2",
        tx.cell,
        market,
    )
    return found


class GiftPolicy(msgspec.Struct, frozen=True):
    market: str
    valid_days: int


async def gift_policies(tx: Tx) -> list[GiftPolicy]:
    """The markets whose cards expire."""
    return await tx.rows(
        GiftPolicy,
        "select market, valid_days from payments.gift_policy where cell = $1 order by market",
        tx.cell,
    )


async def gift_variants(tx: Tx, variant_ids: Sequence[uuid.UUID] | None = None) -> set[uuid.UUID]:
    """Which variants (of these) are gift cards."""
    return set(
        await tx.values(
            "select variant_id from payments.gift_product"
            " where cell = $1 and ($2::uuid[] is null or variant_id = any($2))",
            tx.cell,
            list(variant_ids) if variant_ids is not None else None,
        )
    )


async def export_gift_cards(tx: Tx, person_id: uuid.UUID) -> dict[str, Any]:
    """A person's cards, for the copy of their data."""
    shown = (
        "last4",
        "state",
        "face_minor",
        "balance_minor",
        "currency",
        "expires_on",
        "created_at",
    )
    return {
        name: [{f: getattr(card, f) for f in shown} for card in cards]
        for name, cards in (
            ("kept", await kept_gift_cards(tx, person_id)),
            ("bought", await bought_gift_cards(tx, person_id)),
        )
    }
