"""The verbs that walk the stages: quote, show prices, place."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import KeyReused, Refusal
from pinwheel.trade import payments
from pinwheel.trade.orders.actions import confirm
from pinwheel.trade.orders.draft import (
    Draft,
    Placed,
    Quote,
    quoted,
)
from pinwheel.trade.orders.model import (
    number_of,
)
from pinwheel.trade.orders.price_stages import Segments
from pinwheel.trade.orders.shown import Shown, Viewer, shown_prices
from pinwheel.trade.orders.stages import Stage, Writes, payments_of, row_of_stages, walk
from pinwheel.trade.orders.writing import insert_orders


class Checkout:
    """The verbs that walk the stages. ``app.py`` makes one with the stages of every floor."""

    def __init__(
        self,
        *higher: Stage,
        after_tax: Sequence[Stage] = (),
        segments: Segments | None = None,
        capture: bool = True,
    ) -> None:
        self.stages = row_of_stages(higher, after_tax, segments)
        self.capture = capture

    async def quote(self, tx: Tx, drafts: Sequence[Draft]) -> list[Quote | Refusal]:
        """What each draft would cost now, and why. Takes nothing. 6 statements whatever the
        carts hold."""
        await walk(tx, self.stages, drafts, placing=False)
        return [d.refusal or quoted(d) for d in drafts]

    async def shown(
        self, tx: Tx, viewer: Viewer, offer_ids: Iterable[uuid.UUID], revision: int
    ) -> dict[uuid.UUID, Shown]:
        """What the quote of one piece of each would say to ``viewer``, where that is not the plain
        price: see ``shown_prices``. ``revision`` of the rules as the page has just read it."""
        return await shown_prices(tx, self.stages, viewer, offer_ids, revision)

    async def place(self, tx: Tx, drafts: Sequence[Draft]) -> list[Placed | Refusal]:
        """Take the stock, write the orders and their payments, still to be asked for: nothing
        is charged yet.

        A repeat of a (scope, key) answers with its order; the same key with other input is
        ``KeyReused``. A draft whose ``expected`` is not its quote is refused with the new one
        (``StaleQuote``). Statements per call: 16, however many drafts; an order's payments are
        asked for after the commit (``payments.charge``)."""
        answers, fresh, twins = await self._repeats(tx, drafts)
        loads = await walk(tx, self.stages, fresh, placing=True)
        walked = {d.id for d in fresh if d.refusal is None}
        for stage, loaded in zip(self.stages, loads, strict=True):
            standing = [d for d in fresh if d.refusal is None]
            if standing:
                await stage.record(tx, loaded, standing)
        fallen = [d.id for d in fresh if d.refusal is not None and d.id in walked]
        if fallen:  # what an earlier stage held for it goes back
            await ledger.release_for(tx, fallen)
        asked = await self._ask(tx, [d for d in fresh if d.refusal is None])
        standing = [d for d in fresh if d.refusal is None]
        if standing:
            await insert_orders(tx, standing)
            for stage, loaded in zip(self.stages, loads, strict=True):
                if isinstance(stage, Writes):
                    await stage.written(tx, loaded, standing)
        for draft in fresh:
            answers[draft.id] = draft.refusal or Placed(
                order_id=draft.id,
                number=number_of(draft.id),
                state="pending_payment" if draft.total_minor else "placed",
                total_minor=draft.total_minor,
                currency=draft.currency,
                payments=asked[draft.id],
            )
        free = [d for d in standing if d.refusal is None and d.total_minor == 0]
        if free:
            await confirm(tx, {d.id: 0 for d in free})
        for twin, first in twins.items():
            answer = answers[first]
            answers[twin] = answer if isinstance(answer, Refusal) else _repeated(answer)
        return [answers[d.id] for d in drafts]

    async def _ask(
        self, tx: Tx, drafts: Sequence[Draft]
    ) -> dict[uuid.UUID, list[payments.Payment]]:
        """Start each draft's payments; one whose payment is refused gives its stock back."""
        asked: dict[uuid.UUID, list[payments.Payment]] = {d.id: [] for d in drafts}
        wanted = [p for d in drafts for p in payments_of(d, tx, capture=self.capture)]
        started = await payments.start(tx, wanted) if wanted else []
        by_id = {d.id: d for d in drafts}
        for payment, answer in zip(wanted, started, strict=True):
            if isinstance(answer, Refusal):
                by_id[payment.order_id].refusal = answer
            else:
                asked[payment.order_id].append(answer)
        refused = [d for d in drafts if d.refusal is not None]
        if refused:
            await ledger.release_for(tx, [d.id for d in refused])
        return asked

    async def _repeats(
        self, tx: Tx, drafts: Sequence[Draft]
    ) -> tuple[dict[uuid.UUID, Placed | Refusal], list[Draft], dict[uuid.UUID, uuid.UUID]]:
        """Answers for repeats, the drafts that are new, and who repeats whom within this call."""
        answers: dict[uuid.UUID, Placed | Refusal] = {}
        keyed = [d for d in drafts if d.key is not None]
        known: dict[tuple[str | None, str | None], _Known] = {}
        if keyed:
            rows = await tx.rows(
                _Known,
                """
                select o.scope, o.key, o.input_hash, o.id, o.number, o.state, o.total_minor,
                       o.currency
                  from unnest($2::text[], $3::text[]) as k(scope, key)
                  join orders."order" o on o.cell = $1 and o.scope = k.scope and o.key = k.key
                 where o.key = any($3::text[])
                """,
                tx.cell,
                [d.scope for d in keyed],
                [d.key for d in keyed],
            )
            known = {(r.scope, r.key): r for r in rows}
        fresh: list[Draft] = []
        twins: dict[uuid.UUID, uuid.UUID] = {}
        for draft in drafts:
            before = known.get((draft.scope, draft.key)) if draft.key is not None else None
            if before is None:
                fresh.append(draft)
                if draft.key is not None:
                    known[draft.scope, draft.key] = _Known.of(draft)
            elif before.input_hash != draft.asked:
                answers[draft.id] = KeyReused(key=draft.key)
            elif before.state == "":
                twins[draft.id] = before.id
            else:
                answers[draft.id] = Placed(
                    order_id=before.id,
                    number=before.number,
                    state=before.state,
                    total_minor=before.total_minor,
                    currency=before.currency,
                    payments=[],
                    fresh=False,
                )
        return answers, fresh, twins


def _repeated(answer: Placed) -> Placed:
    return msgspec.structs.replace(answer, fresh=False, payments=[])


class _Known(msgspec.Struct, frozen=True):
    scope: str | None
    key: str | None
    input_hash: bytes | None
    id: uuid.UUID
    number: str
    state: str
    total_minor: int
    currency: str

    @classmethod
    def of(cls, draft: Draft) -> _Known:
        number = number_of(draft.id)
        return cls(draft.scope, draft.key, draft.asked, draft.id, number, "", 0, "")
