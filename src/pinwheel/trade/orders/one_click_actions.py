"""One-click orders: switching it on, the tap, and the undo."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.ground import identity
from pinwheel.kernel.caller import Caller
from pinwheel.kernel.db import Tx
from pinwheel.trade.orders.actions import cancel, locked
from pinwheel.trade.orders.cart_buying import (
    chosen_address,
    chosen_tender,
    kept_address,
    sealed_address,
)
from pinwheel.trade.orders.draft import (
    Draft,
    Item,
)
from pinwheel.trade.orders.model import (
    NoTender,
    Order,
)
from pinwheel.trade.orders.one_click import (
    CHANNEL,
    OneClickOff,
    OneClickSwitched,
    SignInAgain,
    Switch,
    Tap,
    Terms,
    TooManyTaps,
    UndoOver,
)


async def switch(
    tx: Tx,
    person_id: uuid.UUID,
    is_on: bool,
    *,
    market: str,
    wording: str,
    most_minor: int | None = None,
) -> None:
    """Switch one-click ordering on (the person agreed to ``wording``) or off. ``most_minor``: the
    person's own limit, beside the shop's."""
    await tx.run(
        """
        insert into orders.one_click_consent
               (cell, person_id, is_on, market, most_minor, wording, changed_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (cell, person_id)
        do update set is_on = excluded.is_on, market = excluded.market, wording = excluded.wording,
                      most_minor = excluded.most_minor, changed_at = excluded.changed_at
        """,
        tx.cell,
        person_id,
        is_on,
        market,
        most_minor,
        wording,
        tx.now,
    )
    tx.emit(OneClickSwitched(person_id=person_id, is_on=is_on, wording=wording))


async def set_terms(tx: Tx, market: str, terms: Terms) -> None:
    """What the shop allows in one market."""
    await tx.run(
        """
        insert into orders.one_click_terms
               (market, undo_seconds, most_minor, per_hour, session_seconds, join_seconds)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (market)
        do update set undo_seconds = excluded.undo_seconds, most_minor = excluded.most_minor,
                      per_hour = excluded.per_hour, session_seconds = excluded.session_seconds,
                      join_seconds = excluded.join_seconds
        """,
        market,
        *msgspec.structs.astuple(terms),
    )


async def terms_of(tx: Tx, market: str) -> Terms:
    """The terms of a market; the house's own where none were set."""
    found = await tx.row(
        Terms,
        """
        select undo_seconds, most_minor, per_hour, session_seconds, join_seconds
          from orders.one_click_terms where market = $1
        """,
        market,
    )
    return found or Terms()


async def switch_of(tx: Tx, person_id: uuid.UUID) -> Switch | None:
    """What the person has chosen; None for never."""
    return await tx.row(
        Switch,
        """
        select is_on, market, most_minor, changed_at from orders.one_click_consent
         where cell = $1 and person_id = $2
        """,
        tx.cell,
        person_id,
    )


async def drafted(tx: Tx, caller: Caller, tap: Tap) -> Draft:
    """What a tap asks for: the default address, the default method, the first delivery there is.

    Refuses ``OneClickOff``, ``SignInAgain``, ``NoAddress`` and ``NoTender``."""
    person_id = caller.person()
    chosen = await switch_of(tx, person_id)
    if chosen is None or not chosen.is_on:
        raise OneClickOff()
    terms = await terms_of(tx, chosen.market)
    await _fresh_enough(tx, caller, person_id, terms)
    address = await chosen_address(tx, person_id, None)
    ship_to = kept_address(address)
    tender = await chosen_tender(tx, person_id, None)
    if tender is None:
        raise NoTender()
    person = await identity.person_of(tx, person_id)
    return Draft(
        id=tx.new_id(),
        items=[Item(tap.offer_id, tap.quantity)],
        market=chosen.market,
        country=address.country,
        region=address.region,
        city=address.city,
        postal_code=address.postal_code,
        person_id=person_id,
        contact=tx.db.vault.seal(person.email or "", "orders.contact"),
        ship_to=sealed_address(tx, ship_to),
        tenders=[tender],
        expected=tap.expected,
        channel=CHANNEL,
        scope=scope_of(person_id),
        key=tap.key,
        undo_seconds=terms.undo_seconds,
        return_url=tap.return_url,
        most_minor=min(terms.most_minor, chosen.most_minor or terms.most_minor),
        address_id=address.id,
        join_seconds=terms.join_seconds,
        device=tap.device,
    )


def scope_of(person_id: uuid.UUID) -> str:
    """Whose idempotency keys a tap's are."""
    return f"{CHANNEL}:{person_id}"


async def count_tap(tx: Tx, person_id: uuid.UUID, tap: Tap) -> None:
    """Count a tap, once however often it arrives; ``TooManyTaps`` beyond the hour's number.

    Taps of one person wait here for each other, so that the number holds under any rush."""
    chosen = await tx.row(
        Switch,
        """
        select is_on, market, most_minor, changed_at from orders.one_click_consent
         where cell = $1 and person_id = $2 for update
        """,
        tx.cell,
        person_id,
    )
    if chosen is None or not chosen.is_on:
        raise OneClickOff()
    fresh = await tx.run(
        """
        insert into orders.one_click_tap (cell, person_id, key, at) values ($1, $2, $3, $4)
        on conflict (cell, person_id, key) do nothing
        """,
        tx.cell,
        person_id,
        tap.key,
        tx.now,
    )
    if not fresh:
        return
    counted = await tx.value(
        """
        select count(*) from orders.one_click_tap
         where cell = $1 and person_id = $2 and at > $3
        """,
        tx.cell,
        person_id,
        tx.later_than(-3600),
    )
    most = (await terms_of(tx, chosen.market)).per_hour
    if counted > most:
        raise TooManyTaps(most=most)


async def undo(tx: Tx, person_id: uuid.UUID, order_id: uuid.UUID) -> Order:
    """Take a one-click order back: nothing of it has left, stock and money go back. Safe to
    repeat. Refuses ``UndoOver``, and ``CarriesOthers`` while a later one travels with it."""
    order, _ = await locked(tx, order_id, person_id=person_id)
    if order.state == "placed" and (order.held_until is None or order.held_until <= tx.now):
        until = order.held_until.isoformat(timespec="minutes") if order.held_until else "-"
        raise UndoOver(number=order.number, until=until)
    return await cancel(tx, order_id, reason="undone by the buyer", person_id=person_id)


async def forget(tx: Tx, person_ids: list[uuid.UUID]) -> None:
    """Whoever is erased has agreed to nothing any more."""
    await tx.run(
        """
        with tap as (
          delete from orders.one_click_tap where cell = $1 and person_id = any($2::uuid[])
        )
        delete from orders.one_click_consent where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        person_ids,
    )


async def forget_taps(tx: Tx) -> None:
    """Taps that no limit counts any more; a repeat of one finds its order without them."""
    await tx.run(
        "delete from orders.one_click_tap where cell = $1 and at < $2",
        tx.cell,
        tx.later_than(-86_400),
    )


async def _fresh_enough(tx: Tx, caller: Caller, person_id: uuid.UUID, terms: Terms) -> None:
    oldest = tx.now - dt.timedelta(seconds=terms.session_seconds)
    sessions = await identity.sessions_of(tx, person_id)
    if not any(s.id == caller.session_id and s.created_at >= oldest for s in sessions):
        raise SignInAgain()
