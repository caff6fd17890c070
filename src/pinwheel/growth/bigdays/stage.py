"""The big days' stage of a draft's walk: no deal price without an admission where there is a queue,
none for the control group; and the balance of a deposit."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.ground import ledger, trust
from pinwheel.growth.bigdays import balance, presale
from pinwheel.growth.bigdays.book import Guarded, book_of
from pinwheel.growth.bigdays.model import (
    PRESALE,
    QUEUE,
    BalanceAsked,
    BalanceNotNow,
    BalanceUnderWay,
    Deposit,
    NotAdmitted,
    OneForDeposit,
    QueuePlace,
    admission_account,
    admissions_account,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.trade import orders, payments
from pinwheel.trade.orders import Discount, Draft, Tender

SOURCE = "bigday"


class Loaded(msgspec.Struct):
    book: Mapping[uuid.UUID, list[Guarded]]
    now: dt.datetime
    placing: bool
    places: dict[tuple[uuid.UUID, uuid.UUID], QueuePlace] = {}  # by event and person
    deposits: dict[uuid.UUID, Deposit] = {}
    admitted: dict[uuid.UUID, list[tuple[QueuePlace, Guarded]]] = {}  # by draft
    balances: dict[uuid.UUID, Deposit] = {}  # by draft


class BigDayStage:
    """Claims ``bigday`` (a place in a queue) and ``bigday_presale`` (a deposit). An admission
    counts also without a claim; a claim without one is refused. No statement for a batch that
    has neither a claim nor an offer behind a queue."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        book = await book_of(tx).at(tx, max(d.revision for d in drafts))
        loaded = Loaded(book, tx.now, placing)
        wanted = {
            (deal.event_id, d.person_id)
            for d in drafts
            if d.person_id is not None
            for line in d.lines
            for deal in book.get(line.offer_id, ())
            if deal.queue_on and deal.holds_at(tx.now, d.market)
        }
        if wanted:
            if placing:
                await trust.keep_still(tx)
            loaded.places = await _admitted(tx, sorted(wanted))
        ids = {c.id for d in drafts for c in d.claims if c.kind == PRESALE}
        if ids:
            loaded.deposits = {d.id: d for d in await presale.find(tx, sorted(ids))}
        return loaded

    def decide(self, loaded: Any, draft: Draft) -> None:
        state: Loaded = loaded
        for claim in draft.claims:
            if claim.kind == PRESALE:
                draft.refusal = _balance(state, draft, claim.id)
                if draft.refusal is not None:
                    return
        pays_balance = draft.id in state.balances
        claimed = {c.id for c in draft.claims if c.kind == QUEUE}
        for line in draft.lines:
            for deal in state.book.get(line.offer_id, ()):
                if deal.holds_at(state.now, draft.market) and not pays_balance:
                    self._guard(state, draft, deal, claimed)
        admitted = {place.id for place, _ in state.admitted.get(draft.id, ())}
        if claimed - admitted:  # somebody else's, not admitted yet, over, or for something else
            event_id = next(
                (
                    deal.event_id
                    for line in draft.lines
                    for deal in state.book.get(line.offer_id, ())
                ),
                None,
            )
            draft.refusal = NotAdmitted(event_id) if event_id else NotFound(what="place")

    def _guard(self, state: Loaded, draft: Draft, deal: Guarded, claimed: set[uuid.UUID]) -> None:
        if deal.holds_out(draft.person_id):
            draft.claimed.add(deal.offer_id)
            return
        if not deal.queue_on:
            return
        place = state.places.get((deal.event_id, draft.person_id)) if draft.person_id else None
        if place is not None:
            state.admitted.setdefault(draft.id, []).append((place, deal))
            return
        draft.claimed.add(deal.offer_id)  # to be had at its normal price meanwhile
        refusal = NotAdmitted(deal.event_id)
        draft.hints.append(
            orders.Hint(
                kind="queue",
                en=refusal.sentence("en"),
                zh=refusal.sentence("zh-CN"),
                source_id=deal.promotion_id,
            )
        )

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        state: Loaded = loaded
        standing = {d.id: d for d in drafts}
        guarded = [(standing[i], p, g) for i, mine in state.admitted.items()
                   if i in standing for p, g in mine]  # fmt: skip
        if guarded:
            if await orders.held_revision(tx) != book_of(tx).version:
                raise orders.RulesChanged("a queue changed while an order was being placed")
            await _use(tx, guarded)
        balances = [(standing[i], d) for i, d in state.balances.items() if i in standing]
        if balances:
            answers = await balance.lend(tx, [(d.id, one) for d, one in balances])
            for (draft, _), answer in zip(balances, answers, strict=True):
                if isinstance(answer, Refusal):
                    draft.refusal = BalanceUnderWay()
            tx.emit(
                BalanceAsked(
                    orders=tuple((d.id, one.id) for d, one in balances if d.refusal is None)
                )
            )


def _balance(state: Loaded, draft: Draft, deposit_id: uuid.UUID) -> Refusal | None:
    """The balance of a deposit: its price, and the deposit as a tender."""
    deposit = state.deposits.get(deposit_id)
    if deposit is None or draft.person_id is None or deposit.person_id != draft.person_id:
        return NotFound(what="deposit")
    if deposit.state != "held":
        return BalanceUnderWay() if deposit.state == "paid" else NotFound(what="deposit")
    if not deposit.balance_from <= state.now < deposit.balance_until:
        return BalanceNotNow(
            start=f"{deposit.balance_from:%Y-%m-%d %H:%M}",
            end=f"{deposit.balance_until:%Y-%m-%d %H:%M}",
        )
    if len(draft.lines) != 1 or len(draft.claims) != 1:
        return OneForDeposit()
    line = draft.lines[0]
    if (line.offer_id, line.quantity) != (deposit.offer_id, 1) or draft.market != deposit.market:
        return OneForDeposit()
    off = line.goods_minor - deposit.price_minor
    if off > 0:
        draft.take_off(
            Discount(
                source=SOURCE,
                source_id=deposit.promotion_id,
                offer_id=line.offer_id,
                amount_minor=off,
                en="Pre-sale price",
                zh="预售价",
            )
        )
    # Cheaper by now: the buyer pays what everybody pays.
    draft.claimed.add(line.offer_id)
    draft.take_aside(line.offer_id, deposit.promotion_id, 1)
    draft.waits_for = PRESALE
    if state.placing:
        part = min(deposit.deposit_minor, line.goods_minor - line.discount_minor)
        lent = Tender(payments.STORE_CREDIT, "deposit", part)
        others = [
            t for t in draft.tenders if (t.provider, t.method) != (lent.provider, lent.method)
        ]
        # Last: whoever is declined on the rest was not asked for it.
        draft.tenders = [*others, lent]
        state.balances[draft.id] = msgspec.structs.replace(deposit, lent_minor=part)
    return None


async def _use(tx: Tx, guarded: Sequence[tuple[Draft, QueuePlace, Guarded]]) -> None:
    """An admission is for one order, and one identity buys a queued deal once."""
    once = list({(d.id, p.id): (d, p) for d, p, _ in guarded}.values())
    answers = await ledger.hold(
        tx,
        [
            ledger.Hold(
                document_kind="order",
                document_id=draft.id,
                key=f"admission:{place.id}",
                debit=admissions_account(),
                credit=admission_account(place.id),
                amount=1,
            )
            for draft, place in once
        ],
    )
    for (draft, place), answer in zip(once, answers, strict=True):
        if isinstance(answer, Refusal):
            draft.refusal = NotAdmitted(place.event_id)
    asking = [(d, p, g) for d, p, g in guarded if d.refusal is None]
    uses = await trust.take(
        tx,
        [
            trust.Use(
                person_id=place.person_id,
                purpose=f"bigday:{deal.promotion_id}",
                document_kind="order",
                document_id=draft.id,
            )
            for draft, place, deal in asking
        ],
    )
    for (draft, _, _), use in zip(asking, uses, strict=True):
        if isinstance(use, Refusal) and draft.refusal is None:
            draft.refusal = use


async def _admitted(
    tx: Tx, wanted: Sequence[tuple[uuid.UUID, uuid.UUID]]
) -> dict[tuple[uuid.UUID, uuid.UUID], QueuePlace]:
    """Who of them may order now. 1 statement."""
    rows = await tx.rows(
        QueuePlace,
        """
        select p.id, p.event_id, p.person_id, p.number, p.state, p.until
          from unnest($2::uuid[], $3::uuid[]) as w(event_id, person_id)
          join bigdays.place p on p.cell = $1 and p.event_id = w.event_id
           and p.person_id = w.person_id and p.state = 'admitted' and p.until > $4
        """,
        tx.cell,
        [event_id for event_id, _ in wanted],
        [person_id for _, person_id in wanted],
        tx.now,
    )
    return {(row.event_id, row.person_id): row for row in rows}
