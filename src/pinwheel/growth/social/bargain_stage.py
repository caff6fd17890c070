"""The bargain stage: proves a claim of kind ``bargain``, sets the price to the list price less the
cuts so far, and hands what the bargain had put aside to the order's own reservation."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Hold
from pinwheel.growth.social.bargain import CLAIM
from pinwheel.growth.social.bargain_running import Live, free_reserved, locked_bargains
from pinwheel.growth.social.model import (
    BargainAsked,
    BargainBuysOne,
    BargainEnded,
    BargainNeedsPerson,
    BargainNotOffered,
    BargainNotYours,
    BargainOrdered,
    BargainPriceOver,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import budgets
from pinwheel.trade.orders import Discount, Draft

RISE = "bargain_promise"  # what a price that rose since the start costs more: the seller's own


class _Seen(msgspec.Struct, frozen=True):
    id: uuid.UUID
    person_id: uuid.UUID | None
    state: str
    ends_at: dt.datetime
    list_minor: int
    cut_minor: int
    market: str
    currency: str
    offer_id: uuid.UUID
    budget_id: uuid.UUID
    name: dict[str, str]
    campaign_id: uuid.UUID
    stock: str


class _Use(msgspec.Struct, frozen=True):
    """What a draft uses of its bargain."""

    bargain: _Seen
    amount_minor: int


class _Loaded(msgspec.Struct):
    now: dt.datetime
    bargains: Mapping[uuid.UUID, _Seen]
    uses: dict[uuid.UUID, _Use] = {}  # by draft, as decided


class BargainStage:
    """Statements: none for a batch without a claim; else 1 to load, 5 and the ledger's to record.

    The whole gap stands in the budget under the bargain. In the transaction that places the order
    the cuts move to the order's own reservation: both are made under the budget's account lock,
    so nobody else can have them in between."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> _Loaded | None:
        ids = sorted({c.id for d in drafts for c in d.claims if c.kind == CLAIM})
        if not ids:
            return None
        rows = await tx.rows(
            _Seen,
            """
            select b.id, b.person_id, b.state, b.ends_at, b.list_minor, b.cut_minor, c.market,
                   b.currency, c.offer_id, c.budget_id, c.name, b.campaign_id, c.stock
              from social.bargain b
              join social.bargain_campaign c on c.cell = b.cell and c.id = b.campaign_id
             where b.cell = $1 and b.id = any($2::uuid[])
            """,
            tx.cell,
            ids,
        )
        return _Loaded(tx.now, {row.id: row for row in rows})

    def decide(self, loaded: _Loaded | None, draft: Draft) -> None:
        claims = [c.id for c in draft.claims if c.kind == CLAIM]
        if loaded is None or not claims:
            return
        seen = _proved(loaded, draft, claims)
        if isinstance(seen, Refusal):
            draft.refusal = seen
            return
        line = next(li for li in draft.lines if li.offer_id == seen.offer_id)
        left = line.goods_minor - line.discount_minor
        off = left - (seen.list_minor - seen.cut_minor)
        if off <= 0:
            draft.refusal = BargainPriceOver()
            return
        cut = min(off, seen.cut_minor)
        draft.take_off(*_discounts(seen, line.offer_id, cut, off - cut))
        draft.claimed.add(line.offer_id)
        if seen.stock == "reserved":
            draft.take_aside(line.offer_id, seen.campaign_id, 1)
        loaded.uses[draft.id] = _Use(seen, cut)

    async def record(self, tx: Tx, loaded: _Loaded | None, drafts: Sequence[Draft]) -> None:
        if loaded is None:
            return
        mine = [(d, loaded.uses[d.id]) for d in drafts if d.id in loaded.uses]
        bargains = await locked_bargains(tx, [use.bargain.id for _, use in mine])
        taken = set[uuid.UUID]()
        for draft, use in mine:
            bargain = bargains[use.bargain.id]
            if not bargain.is_open or tx.now >= bargain.ends_at:
                draft.refusal = BargainEnded()
            elif bargain.is_ordered or bargain.id in taken:
                draft.refusal = BargainOrdered()
            else:
                taken.add(bargain.id)
        standing = [(d, use) for d, use in mine if d.refusal is None]
        if standing:
            await _hand_over(tx, standing, bargains)


async def _hand_over(
    tx: Tx, standing: Sequence[tuple[Draft, _Use]], bargains: Mapping[uuid.UUID, Live]
) -> None:
    """Out of each bargain's reservation what its order reserves in a moment."""
    await tx.run(
        """
        update social.bargain b set order_id = o.order_id, order_cut_minor = o.cut_minor
          from unnest($2::uuid[], $3::uuid[], $4::bigint[]) as o(id, order_id, cut_minor)
         where b.cell = $1 and b.id = any($2::uuid[]) and b.id = o.id
        """,
        tx.cell,
        [use.bargain.id for _, use in standing],
        [draft.id for draft, _ in standing],
        [use.amount_minor for _, use in standing],
    )
    await free_reserved(tx, [use.bargain.id for _, use in standing], pieces=False)
    rest = [
        put_aside(
            use.bargain.id,
            bargains[use.bargain.id].budget_id,
            use.bargain.currency,
            bargains[use.bargain.id].gap_minor - use.amount_minor,
            f"rest:{draft.id}",
        )
        for draft, use in standing
    ]
    for answer in await ledger.hold(tx, [hold for hold in rest if hold.amount]):
        if isinstance(answer, Refusal):
            raise answer
    tx.emit(
        BargainAsked(
            asked=[
                (
                    use.bargain.id,
                    draft.id,
                    use.amount_minor,
                    use.bargain.budget_id,
                    use.bargain.currency,
                )
                for draft, use in standing
                if use.amount_minor
            ]
        )
    )


def put_aside(
    bargain_id: uuid.UUID, budget_id: uuid.UUID, currency: str, amount_minor: int, key: str
) -> Hold:
    """A part of a bargain's gap, held as a reservation of its budget. Asked of the ledger itself:
    a budget whose time is over still keeps what it promised."""
    return Hold(
        document_kind="bargain",
        document_id=bargain_id,
        key=budgets.ledger_key(budget_id, key),
        debit=budgets.spent_of(budget_id, currency),
        credit=budgets.left_of(budget_id, currency),
        amount=amount_minor,
    )


def _proved(loaded: _Loaded, draft: Draft, claims: Sequence[uuid.UUID]) -> _Seen | Refusal:
    """The bargain that is claimed, or why not. Pure."""
    if draft.person_id is None:
        return BargainNeedsPerson()
    seen = loaded.bargains.get(claims[0])
    if seen is None or seen.market != draft.market or seen.currency != draft.currency:
        return BargainNotOffered()
    if seen.person_id != draft.person_id:
        return BargainNotYours()
    if seen.state not in ("running", "reached") or loaded.now >= seen.ends_at:
        return BargainEnded()
    line = next((li for li in draft.lines if li.offer_id == seen.offer_id), None)
    if len(claims) > 1 or line is None or line.quantity != 1:
        return BargainBuysOne()
    return seen


def _discounts(seen: _Seen, offer_id: uuid.UUID, cut: int, rise: int) -> list[Discount]:
    found: list[Any] = [
        ("bargain", cut, seen.budget_id),
        (RISE, rise, None),
    ]
    return [
        Discount(
            source=source,
            source_id=seen.id,
            offer_id=offer_id,
            amount_minor=amount,
            budget_id=budget_id,
            en=f"Bargain: {seen.name['en']}",
            zh=f"砍价：{seen.name['zh-CN']}",
        )
        for source, amount, budget_id in found
        if amount
    ]
