"""What ends or stops a gift card: a block, a chargeback, its last day, a return; and what brings it
back."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound
from pinwheel.trade.payments import gifts
from pinwheel.trade.payments.gift_cards import hash_of, post
from pinwheel.trade.payments.gift_queries import card_of, with_balances
from pinwheel.trade.payments.gifts import (
    CHARGED_BACK,
    GiftCard,
    GiftCardBlocked,
    GiftCardEnded,
    GiftCardIs,
    GiftCardsIssued,
    GiftCardUnblocked,
    GiftCardUsed,
    MadeCard,
)
from pinwheel.trade.payments.model import chargebacks, gift_card


async def block_gift_card(tx: Tx, card_id: uuid.UUID, reason: str) -> bool:
    """Nobody can pay with it until it is unblocked or replaced; what is on it stays. Payments that
    hold a part of it already go on. False: it was blocked before. Refuses ``Invalid``,
    ``GiftCardIs``, ``NotFound``."""
    if not reason.strip():
        raise Invalid("reason", "say why", "请填写原因")
    card = await card_of(tx, card_id, locks=True)
    if card.state == "blocked":
        return False
    if card.state != "open":
        raise GiftCardIs(last4=card.last4, state=card.state)
    await _set(tx, [card_id], "blocked", reason.strip())
    tx.emit(GiftCardBlocked(card_id=card_id, reason=reason.strip()))
    return True


async def unblock_gift_card(tx: Tx, card_id: uuid.UUID, reason: str) -> bool:
    """It can be paid with again. False: it was not blocked. Refuses ``Invalid``, ``NotFound``."""
    if not reason.strip():
        raise Invalid("reason", "say why", "请填写原因")
    card = await card_of(tx, card_id, locks=True)
    if card.state != "blocked":
        return False
    await _set(tx, [card_id], "open", "")
    tx.emit(GiftCardUnblocked(card_id=card_id, reason=reason.strip()))
    return True


async def replace_gift_card(tx: Tx, card_id: uuid.UUID, reason: str) -> MadeCard:
    """A stolen or lost card's balance on a new card, whose code is shown this once. Refuses
    ``Invalid``, ``GiftCardIs`` (it must be blocked first, not for a chargeback, and not empty)."""
    if not reason.strip():
        raise Invalid("reason", "say why", "请填写原因")
    card = (await with_balances(tx, [await card_of(tx, card_id, locks=True)]))[0]
    if card.state != "blocked" or card.reason == CHARGED_BACK or not card.balance_minor:
        raise GiftCardIs(last4=card.last4, state=card.state)
    code = gifts.code_of(secrets.randbits(5 * gifts.RANDOM_LETTERS))
    letters = code.replace("-", "")
    new_id = tx.new_id()
    await tx.run(
        """
        insert into payments.gift_card (cell, id, face_minor, currency, market, state, code_hash,
               last4, expires_on, replaces, buyer_id, created_at)
        select cell, $3, $4, currency, market, 'open', $5, $6, expires_on, id, buyer_id, $7
          from payments.gift_card where cell = $1 and id = $2
        """,
        tx.cell,
        card_id,
        new_id,
        card.balance_minor,
        hash_of(tx, letters),
        letters[-4:],
        tx.now,
    )
    old, new = gift_card(card_id, card.currency), gift_card(new_id, card.currency)
    moved = [Transfer(old, new, card.balance_minor)]
    await post(tx, card_id, "replaced", f"gift card replaced: {reason.strip()}", moved)
    await _set(tx, [card_id], "ended", reason.strip())
    tx.emit(
        GiftCardEnded(
            card_id=card_id, why="replaced", amount_minor=card.balance_minor, currency=card.currency
        ),
        GiftCardsIssued(
            source_id=card_id,
            card_ids=(new_id,),
            face_minor=card.balance_minor,
            currency=card.currency,
            reason=f"replaces …{card.last4}",
        ),
    )
    return MadeCard(new_id, code)


async def expire_gift_cards(tx: Tx, *, most: int = 200) -> int:
    """Cards past their last day: what is left is booked as breakage, card by card; how many ended.
    One that an open order holds a part of waits until that has ended."""
    due: list[uuid.UUID] = await tx.values(
        """
        select id from payments.gift_card
         where cell = $1 and state = 'open' and expires_on < $2
         order by expires_on limit $3 for update skip locked
        """,
        tx.cell,
        tx.now.date(),
        most,
    )
    ended = [c for i in due if (c := await _ended(tx, i, "expired", gifts.breakage)) is not None]
    if ended:
        await _set(tx, [c.id for c in ended], "expired", "")
    return len(ended)


async def charge_back(tx: Tx, order_ids: Sequence[uuid.UUID]) -> int:
    """The money that bought these orders' cards is being taken back: they are blocked with what is
    left on them; how many."""
    blocked: list[uuid.UUID] = await tx.values(
        """
        update payments.gift_card set state = 'blocked', reason = $3
         where cell = $1 and order_id = any($2::uuid[]) and state = 'open' returning id
        """,
        tx.cell,
        list(order_ids),
        CHARGED_BACK,
    )
    tx.emit(*(GiftCardBlocked(card_id=i, reason=CHARGED_BACK) for i in blocked))
    return len(blocked)


async def settle_chargeback(tx: Tx, order_id: uuid.UUID, *, won: bool) -> None:
    """Won: the cards can be used again, unless another chargeback of the order is open. Lost: what
    is left on them lowers the loss, and they end."""
    ids: list[uuid.UUID] = await tx.values(
        """
        select c.id from payments.gift_card c
         where c.cell = $1 and c.order_id = $2 and c.state = 'blocked' and c.reason = $3
           and not ($4 and exists (
                 select from payments.payment p
                   join payments.dispute d on d.cell = p.cell and d.payment_id = p.id
                  where p.cell = $1 and p.order_id = $2 and d.state in ('open', 'lost')))
         order by c.id for update of c
        """,
        tx.cell,
        order_id,
        CHARGED_BACK,
        won,
    )
    if won:
        await _set(tx, ids, "open", "")
        tx.emit(*(GiftCardUnblocked(card_id=i, reason="chargeback won") for i in ids))
        return
    for card_id in ids:
        if await _ended(tx, card_id, CHARGED_BACK, chargebacks) is not None:
            await _set(tx, [card_id], "ended", CHARGED_BACK)


async def _ended(
    tx: Tx, card_id: uuid.UUID, why: str, into: Callable[[str], Account]
) -> GiftCard | None:
    """Book what is left on a locked card; None while an open payment holds a part of it."""
    card = await card_of(tx, card_id)
    account = gift_card(card_id, card.currency)
    balance = (await ledger.balances(tx, [account]))[account.code]
    if balance.held:
        return None
    if balance.posted:
        transfer = Transfer(account, into(card.currency), balance.posted)
        # A card can end more than once: what comes back to it lives again for a while.
        key = f"{why}:{tx.now.isoformat()}"
        await post(tx, card_id, key, f"gift card {why}", [transfer])
    tx.emit(
        GiftCardEnded(card_id=card_id, why=why, amount_minor=balance.posted, currency=card.currency)
    )
    return card


async def prolong_refunded(tx: Tx, payment_ids: Sequence[uuid.UUID]) -> int:
    """Money came back to cards: one that has expired, or soon will, is good for ``GRACE_DAYS``
    more, so that what was given back can be spent. How many. 1 statement."""
    return await tx.run(
        """
        update payments.gift_card c
           set state = case when c.state = 'expired' then 'open' else c.state end, expires_on = $3
          from payments.payment p
         where p.cell = $1 and p.id = any($2::uuid[]) and p.provider = 'gift_card'
           and c.cell = p.cell and c.id = p.method::uuid and c.expires_on < $3
        """,
        tx.cell,
        list(payment_ids),
        tx.later_than(gifts.GRACE_DAYS * 86400).date(),
    )


class _Stranded(msgspec.Struct, frozen=True):
    id: uuid.UUID
    currency: str
    successor: uuid.UUID | None


async def pass_on_refunded(tx: Tx, payment_ids: Sequence[uuid.UUID]) -> None:
    """Money came back to cards that have ended: it goes on to the card that took the balance over,
    or lowers the loss of the chargeback that ended it."""
    ended = await tx.rows(
        _Stranded,
        """
        select distinct on (c.id) c.id, c.currency, n.id as successor
          from payments.payment p
          join payments.gift_card c on c.cell = p.cell and c.id = p.method::uuid
          left join payments.gift_card n on n.cell = c.cell and n.replaces = c.id
         where p.cell = $1 and p.id = any($2::uuid[]) and p.provider = 'gift_card'
           and c.state = 'ended' order by c.id
        """,
        tx.cell,
        list(payment_ids),
    )
    for card in ended:
        account = gift_card(card.id, card.currency)
        left = (await ledger.balances(tx, [account]))[account.code].available
        if left:
            into = (
                gift_card(card.successor, card.currency)
                if card.successor is not None
                else chargebacks(card.currency)
            )
            key = f"passed on:{tx.new_id()}"
            await post(tx, card.id, key, "refund of an ended card", [Transfer(account, into, left)])


async def take_back_gift_cards(
    tx: Tx, order_id: uuid.UUID, line: int, count: int, into: Account
) -> None:
    """``count`` cards of an order's line are returned: whole ones end, and their worth goes back to
    ``into``, the account that they were paid for from. Refuses ``GiftCardUsed``."""
    ids: list[uuid.UUID] = await tx.values(
        """
        select id from payments.gift_card
         where cell = $1 and order_id = $2 and line = $3 and state in ('open', 'blocked')
         order by id for update
        """,
        tx.cell,
        order_id,
        line,
    )
    cards = await with_balances(tx, [await card_of(tx, i) for i in ids])
    cards.sort(key=lambda c: -c.balance_minor)
    if len(cards) < count or any(c.balance_minor < c.face_minor for c in cards[:count]):
        short = min(cards[:count], key=lambda c: c.balance_minor, default=None)
        left, face = (short.balance_minor, short.face_minor) if short else (0, 0)
        raise GiftCardUsed(left=left, face=face, currency=short.currency if short else "")
    for card in cards[:count]:
        moved = [Transfer(gift_card(card.id, card.currency), into, card.face_minor)]
        await post(tx, card.id, "returned", "gift card returned", moved)
        tx.emit(
            GiftCardEnded(
                card_id=card.id,
                why="returned",
                amount_minor=card.face_minor,
                currency=card.currency,
            )
        )
    await _set(tx, [c.id for c in cards[:count]], "ended", "returned")


async def _set(tx: Tx, card_ids: Sequence[uuid.UUID], state: str, reason: str) -> None:
    if card_ids:
        await tx.run(
            "update payments.gift_card set state = $3, reason = $4"
            " where cell = $1 and id = any($2::uuid[])",
            tx.cell,
            list(card_ids),
            state,
            reason,
        )


async def set_gift_policy(tx: Tx, market: str, valid_days: int | None) -> None:
    """How long cards of a market that are given out from now on are good for; None: for ever."""
    if valid_days is None:
        await tx.run(
            "delete from payments.gift_policy where cell = $1 and market = $2", tx.cell, market
        )
        return
    if not 1 <= valid_days <= 36500:
        raise Invalid("valid_days", "between 1 and 36500 days", "请填写 1 到 36500 天")
    await tx.run(
        """
        insert into payments.gift_policy (cell, market, valid_days) values ($1, $2, $3)
        on conflict (cell, market) do update set valid_days = excluded.valid_days
        """,
        tx.cell,
        market,
        valid_days,
    )


async def mark_gift_product(tx: Tx, variant_id: uuid.UUID, *, is_gift: bool = True) -> None:
    """A piece of this variant is a gift card worth its price, or no more from now on.
    ``NotFound`` for a variant that isn't there."""
    if not is_gift:
        await tx.run(
            "delete from payments.gift_product where cell = $1 and variant_id = $2",
            tx.cell,
            variant_id,
        )
        return
    if not await tx.value(
        "select exists (select from catalogue.v_variant where variant_id = $1)", variant_id
    ):
        raise NotFound(what="variant")
    await tx.run(
        "insert into payments.gift_product (cell, variant_id, made_at) values ($1, $2, $3)"
        " on conflict do nothing",
        tx.cell,
        variant_id,
        tx.now,
    )


async def forget_gift_cards(tx: Tx, person_id: uuid.UUID) -> None:
    """The person is erased: nobody keeps their cards for them; a code that is known still works."""
    await tx.run(
        "delete from payments.gift_holder where cell = $1 and person_id = $2", tx.cell, person_id
    )
    await tx.run(
        "update payments.gift_card set buyer_id = null where cell = $1 and buyer_id = $2",
        tx.cell,
        person_id,
    )


async def join_gift_cards(tx: Tx, guest_id: uuid.UUID, person_id: uuid.UUID) -> None:
    """A guest signed in: what they kept and bought is the account's."""
    await tx.run(
        """
        with gone as (
          delete from payments.gift_holder where cell = $1 and person_id = $2
          returning card_id, kept_at)
        insert into payments.gift_holder (cell, person_id, card_id, kept_at)
        select $1, $3, card_id, kept_at from gone on conflict do nothing
        """,
        tx.cell,
        guest_id,
        person_id,
    )
    await tx.run(
        "update payments.gift_card set buyer_id = $3 where cell = $1 and buyer_id = $2",
        tx.cell,
        guest_id,
        person_id,
    )
