"""The tap, from the thumb to the placed order: counted, drafted, bought with whoever buys now."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.kernel.caller import Caller
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.trade.orders.buying import Bought, Buying
from pinwheel.trade.orders.cart_buying import repeated
from pinwheel.trade.orders.cart_queries import known_order
from pinwheel.trade.orders.draft import (
    Quote,
)
from pinwheel.trade.orders.one_click import Tap, Tapped
from pinwheel.trade.orders.one_click_actions import count_tap, drafted, scope_of
from pinwheel.trade.orders.stock_stage import HOLD_SECONDS


async def one_click_quote(
    tx: Tx, caller: Caller, offer_id: uuid.UUID, quantity: int = 1, *, device: str = ""
) -> Quote:
    """What a tap would cost now: the page puts its token into the button."""
    tap = Tap(key="", offer_id=offer_id, quantity=quantity, device=device)
    draft = await drafted(tx, caller, tap)
    buying: Buying = tx.db.given[Buying]
    [answer] = await buying.checkout.quote(tx, [draft])
    if isinstance(answer, Refusal):
        raise answer
    return answer


async def tap_once(db: Database, caller: Caller, tap: Tap) -> Tapped:
    """One tap, one order, however often it arrives.

    Refuses ``OneClickOff``, ``SignInAgain``, ``TooManyTaps``, ``AboveLimit``, ``NoAddress``,
    ``NoTender``, ``StaleQuote`` (with the new quote, to be confirmed), ``PaymentDeclined`` and
    what the stages refuse. A payment the bank wants confirmed keeps its stock until
    ``waits_until`` and answers with where to confirm it."""
    if not tap.key:
        raise Invalid("key", "each tap has a key of its own", "每次点击需要唯一的幂等键")
    person_id = caller.person()
    async with db.transaction(actor=caller.actor) as tx:
        before = await known_order(tx, scope_of(person_id), tap.key)
        if before is not None:
            return await _tapped(tx, repeated(before))
        draft = await drafted(tx, caller, tap)
        await count_tap(tx, person_id, tap)
    buying: Buying = db.given[Buying]
    bought = await buying.buy(draft)
    async with db.reading() as tx:
        return await _tapped(tx, bought)


class _Seen(msgspec.Struct, frozen=True):
    held_until: dt.datetime | None
    placed_at: dt.datetime
    leader: str | None


async def _tapped(tx: Tx, bought: Bought) -> Tapped:
    seen = await tx.the(
        "order",
        _Seen,
        """
        select o.held_until, o.placed_at, leader.number as leader from orders."order" o
          left join orders.travel t on t.cell = o.cell and t.order_id = o.id
                                   and t.leader_id <> t.order_id
          left join orders."order" leader on leader.cell = t.cell and leader.id = t.leader_id
         where o.cell = $1 and o.id = $2
        """,
        tx.cell,
        bought.order_id,
    )
    waiting = bought.state == "pending_payment"
    undo_until = seen.held_until
    if bought.state != "placed" or (undo_until is not None and undo_until <= tx.now):
        undo_until = None
    return Tapped(
        order_id=bought.order_id,
        number=bought.number,
        state=bought.state,
        total_minor=bought.total_minor,
        currency=bought.currency,
        action_url=bought.action_url,
        waits_until=seen.placed_at + dt.timedelta(seconds=HOLD_SECONDS) if waiting else None,
        undo_until=undo_until,
        travels_with=seen.leader,
        fresh=bought.fresh,
    )
