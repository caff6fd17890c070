"""Gift cards: given out, kept by whoever knows the code, held when a payment starts.

What a card is good for is an account of its own in the ledger, a debt of the shop until it is
spent; the floor of that account is why two checkouts can't spend one cent twice. A code is drawn by
the system's secure source, shown once and kept as a keyed hash."""

from __future__ import annotations

import datetime as dt
import hmac
import secrets
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Hold, Journal, Transfer
from pinwheel.kernel import rate
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.kernel.rate import Limit
from pinwheel.trade.payments import gifts
from pinwheel.trade.payments.gift_queries import GiftBatch, card_of, valid_days_of, with_balances
from pinwheel.trade.payments.gifts import (
    MOST_IN_BATCH,
    PURPOSE,
    RANDOM_LETTERS,
    GiftBatchExists,
    GiftCard,
    GiftCardBlockedNow,
    GiftCardExpired,
    GiftCardNotKept,
    GiftCardOtherCurrency,
    GiftCardsIssued,
    GiftCardTooLow,
    GiftCodeInUse,
    GiftCodeMistyped,
    GiftCodeShown,
    GiftCodeUnknown,
    MadeCard,
    SoldCard,
    code_of,
    grouped,
    read_code,
)
from pinwheel.trade.payments.model import NewPayment, deposits, gift_card

GUESSES = Limit(10, 60)
"""Ten codes at once, then one a minute: at 75 random bits nobody guesses one in a lifetime, and
what tries is heard early."""


async def count_gift_guess(tx: Tx, address: str, person: str) -> None:
    """A code is about to be looked up: ``RateLimited`` after too many from one address or by one
    person. In a transaction of its own and before the look-up, so that a right guess counts too."""
    await rate.take(tx, f"gift card:person:{person}", GUESSES)
    if address:
        await rate.take(tx, f"gift card:address:{address}", GUESSES)


def hash_of(tx: Tx, letters: str) -> bytes:
    return tx.db.vault.blind(letters, PURPOSE)


def _drawn() -> str:
    return code_of(secrets.randbits(5 * RANDOM_LETTERS)).replace("-", "")


async def make_gift_cards(
    tx: Tx,
    size: int,
    face_minor: int,
    currency: str,
    *,
    market: str,
    reason: str,
    expires_on: dt.date | None = None,
    batch_id: uuid.UUID | None = None,
) -> tuple[uuid.UUID, list[MadeCard]]:
    """``size`` cards that nobody paid for, an expense for a ``reason``: the batch's id and the
    codes, which nobody can see again. Without ``expires_on`` the market's policy holds. A program
    names its batch, so that it makes it once. Refuses ``Invalid``, ``GiftBatchExists``.
    6 statements."""
    if not 1 <= size <= MOST_IN_BATCH:
        raise Invalid("size", f"between 1 and {MOST_IN_BATCH}", f"请填写 1 到 {MOST_IN_BATCH}")
    if face_minor <= 0:
        raise Invalid("face_minor", "an amount must be positive", "金额必须为正")
    if not reason.strip():
        raise Invalid("reason", "say why", "请填写原因")
    if expires_on is not None and expires_on < tx.now.date():
        raise Invalid("expires_on", "this day is over", "该日期已过")
    batch_id = batch_id or tx.new_id()
    codes = [_drawn() for _ in range(size)]
    days = await valid_days_of(tx, market)
    until = expires_on or gifts.usable_until(days, tx.now.date())
    batch = GiftBatch(
        id=batch_id,
        size=size,
        face_minor=face_minor,
        currency=currency,
        market=market,
        reason=reason.strip(),
        made_at=tx.now,
        made_by=tx.actor,
    )
    ids = [tx.new_id() for _ in codes]
    await _write_batch(tx, batch, ids, codes, until)
    transfers = [
        Transfer(gifts.given_away(currency), gift_card(i, currency), face_minor) for i in ids
    ]
    await post(tx, batch_id, "issued", f"gift cards given: {reason.strip()}", transfers)
    tx.emit(
        GiftCardsIssued(
            source_id=batch_id,
            card_ids=tuple(ids),
            face_minor=face_minor,
            currency=currency,
            reason=reason.strip(),
        )
    )
    return batch_id, [MadeCard(i, grouped(c)) for i, c in zip(ids, codes, strict=True)]


async def _write_batch(
    tx: Tx,
    batch: GiftBatch,
    ids: Sequence[uuid.UUID],
    codes: Sequence[str],
    until: dt.date | None,
) -> None:
    fresh = await tx.run(
        """
        insert into payments.gift_batch
          (cell, id, size, face_minor, currency, market, reason, made_at, made_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict do nothing
        """,
        tx.cell,
        batch.id,
        batch.size,
        batch.face_minor,
        batch.currency,
        batch.market,
        batch.reason,
        batch.made_at,
        batch.made_by,
    )
    if not fresh:
        raise GiftBatchExists()
    await tx.run(
        """
        insert into payments.gift_card (cell, id, face_minor, currency, market, state, code_hash,
               last4, expires_on, batch_id, created_at)
        select $1, c.id, $2, $3, $4, 'open', c.code_hash, c.last4, $5, $6, $7
          from unnest($8::uuid[], $9::bytea[], $10::text[]) as c(id, code_hash, last4)
        """,
        tx.cell,
        batch.face_minor,
        batch.currency,
        batch.market,
        until,
        batch.id,
        tx.now,
        ids,
        [hash_of(tx, code) for code in codes],
        gifts.last_letters(codes),
    )


async def post(
    tx: Tx, document_id: uuid.UUID, key: str, reason: str, transfers: Sequence[Transfer]
) -> None:
    """One journal of gift cards; its refusal is raised."""
    [answer] = await ledger.post(
        tx,
        [
            Journal(
                document_kind="gift_card",
                document_id=document_id,
                key=key,
                reason=reason,
                transfers=tuple(transfers),
            )
        ],
    )
    if isinstance(answer, Refusal):
        raise answer


class _Fresh(msgspec.Struct, frozen=True):
    id: uuid.UUID
    state: str


async def sell_gift_cards(tx: Tx, sold: Sequence[SoldCard]) -> int:
    """Cards that orders bought, paid for out of each one's ``source`` (the income that the sending
    booked: a sold card is a debt, not income); how many are new. They have no code until their
    buyer asks for it. A card of an order with a chargeback is born blocked. Safe to repeat."""
    if not sold:
        return 0
    days = {m: await valid_days_of(tx, m) for m in sorted({s.market for s in sold})}
    fresh = await tx.rows(
        _Fresh,
        """
        insert into payments.gift_card (cell, id, face_minor, currency, market, state, reason,
               expires_on, order_id, line, buyer_id, created_at)
        select $1, c.id, c.face_minor, c.currency, c.market,
               case when d.is_disputed then 'blocked' else 'open' end,
               case when d.is_disputed then $11 else '' end,
               c.expires_on, c.order_id, c.line, c.buyer_id, $2
          from unnest($3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::date[], $8::uuid[],
                      $9::smallint[], $10::uuid[])
               as c(id, face_minor, currency, market, expires_on, order_id, line, buyer_id)
         cross join lateral (select exists (
                 select from payments.payment p
                   join payments.dispute d on d.cell = p.cell and d.payment_id = p.id
                  where p.cell = $1 and p.order_id = c.order_id and d.state in ('open', 'lost'))
               as is_disputed) d
        on conflict do nothing
        returning id, state
        """,
        tx.cell,
        tx.now,
        [s.id for s in sold],
        [s.face_minor for s in sold],
        [s.currency for s in sold],
        [s.market for s in sold],
        [gifts.usable_until(days[s.market], tx.now.date()) for s in sold],
        [s.order_id for s in sold],
        [s.line for s in sold],
        [s.buyer_id for s in sold],
        gifts.CHARGED_BACK,
    )
    new = {f.id for f in fresh}
    for one in sold:
        if one.id in new:
            transfer = Transfer(one.source, gift_card(one.id, one.currency), one.face_minor)
            await post(tx, one.id, "sold", "gift card sold", [transfer])
            tx.emit(
                GiftCardsIssued(
                    source_id=one.order_id,
                    card_ids=(one.id,),
                    face_minor=one.face_minor,
                    currency=one.currency,
                    reason="sold",
                )
            )
    return len(new)


async def keep_gift_card(tx: Tx, person_id: uuid.UUID, typed: str) -> GiftCard:
    """The card whose code was typed, kept by this person from now on. Refuses ``GiftCodeMistyped``,
    ``GiftCodeUnknown``, ``GiftCardBlockedNow``, ``GiftCardExpired``. 3 statements."""
    letters = read_code(typed)
    if letters is None:
        raise GiftCodeMistyped()
    wanted = hash_of(tx, letters)
    found = await tx.row(
        _Coded,
        "select id, code_hash from payments.gift_card where cell = $1 and code_hash = $2",
        tx.cell,
        wanted,
    )
    # The index compares keyed hashes, of which nobody outside can choose a part; the last word is
    # still a comparison that takes the same time whatever differs.
    if found is None or not hmac.compare_digest(found.code_hash, wanted):
        raise GiftCodeUnknown()
    card = await card_of(tx, found.id)
    refusal = not_usable(card, tx.now.date())
    if refusal is not None:
        raise refusal
    await tx.run(
        "insert into payments.gift_holder (cell, person_id, card_id, kept_at)"
        " values ($1, $2, $3, $4) on conflict do nothing",
        tx.cell,
        person_id,
        card.id,
        tx.now,
    )
    return (await with_balances(tx, [card]))[0]


class _Coded(msgspec.Struct, frozen=True):
    id: uuid.UUID
    code_hash: bytes


def not_usable(card: GiftCard, today: dt.date) -> Refusal | None:
    """Why this card can't be paid with today."""
    if card.state in ("blocked", "ended"):
        return GiftCardBlockedNow(last4=card.last4)
    if card.state == "expired" or (card.expires_on is not None and card.expires_on < today):
        return GiftCardExpired(last4=card.last4, until=str(card.expires_on))
    return None


async def drop_gift_card(tx: Tx, person_id: uuid.UUID, card_id: uuid.UUID) -> bool:
    """The person keeps this card no more; what is on it stays. False when they did not."""
    return bool(
        await tx.run(
            "delete from payments.gift_holder where cell = $1 and person_id = $2 and card_id = $3",
            tx.cell,
            person_id,
            card_id,
        )
    )


async def show_gift_code(tx: Tx, person_id: uuid.UUID, card_id: uuid.UUID) -> MadeCard:
    """A code for a card that this person bought; one that was shown before works no more. Refuses
    ``NotFound``, ``GiftCodeInUse`` (somebody has typed it), and what ``not_usable`` says."""
    card = await card_of(tx, card_id, locks=True)
    if card.buyer_id != person_id:
        raise NotFound(what="gift card")
    refusal = not_usable(card, tx.now.date())
    if refusal is not None:
        raise refusal
    is_used = await tx.value(
        """
        select exists (select from payments.gift_holder where cell = $1 and card_id = $2)
            or exists (select from payments.payment
                        where cell = $1 and provider = 'gift_card' and method = $2::uuid::text)
        """,
        tx.cell,
        card_id,
    )
    if is_used:
        raise GiftCodeInUse(last4=card.last4)
    code = _drawn()
    await tx.run(
        "update payments.gift_card set code_hash = $3, last4 = $4 where cell = $1 and id = $2",
        tx.cell,
        card_id,
        hash_of(tx, code),
        code[-4:],
    )
    tx.emit(GiftCodeShown(card_id=card_id))
    return MadeCard(card_id, grouped(code))


async def hold_gift_cards(
    tx: Tx, payments: Sequence[NewPayment]
) -> dict[uuid.UUID, uuid.UUID | Refusal]:
    """Hold each payment's amount on its card: the hold, or why not. The cards' rows are locked
    against being blocked or expired in between. 1 statement and the ledger's."""
    wanted = {p.id: _card_id(p.method) for p in payments}
    rows = await tx.rows(
        _Kept,
        """
        select h.person_id, c.id, c.last4, c.state, c.reason, c.face_minor, c.currency, c.market,
               c.expires_on, c.batch_id, c.order_id, c.line, c.buyer_id, c.created_at
          from unnest($2::uuid[], $3::uuid[]) as w(person_id, card_id)
          join payments.gift_holder h
            on h.cell = $1 and h.person_id = w.person_id and h.card_id = w.card_id
          join payments.gift_card c on c.cell = h.cell and c.id = h.card_id
         order by c.id for share of c
        """,
        tx.cell,
        [p.person_id for p in payments],
        [wanted[p.id] for p in payments],
    )
    kept: dict[object, _Kept] = {(r.person_id, r.id): r for r in rows}
    found: dict[uuid.UUID, uuid.UUID | Refusal] = {}
    sound: list[tuple[NewPayment, _Kept]] = []
    for payment in payments:
        card = kept.get((payment.person_id, wanted[payment.id]))
        refusal = _unfit(card, payment, tx.now.date())
        if refusal is not None or card is None:
            found[payment.id] = refusal or GiftCardNotKept()
        else:
            sound.append((payment, card))
    answers = await ledger.hold(tx, [_hold(p, gift_card(c.id, c.currency)) for p, c in sound])
    for (payment, card), answer in zip(sound, answers, strict=True):
        if isinstance(answer, ledger.Held):
            found[payment.id] = answer.hold_id
        elif isinstance(answer, ledger.Insufficient):
            found[payment.id] = GiftCardTooLow(
                last4=card.last4,
                left=answer.facts["left"],
                asked=payment.amount_minor,
                currency=payment.currency,
            )
        else:
            found[payment.id] = answer
    return found


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    person_id: uuid.UUID
    id: uuid.UUID
    last4: str
    state: str
    reason: str
    face_minor: int
    currency: str
    market: str
    expires_on: dt.date | None
    batch_id: uuid.UUID | None
    order_id: uuid.UUID | None
    line: int | None
    buyer_id: uuid.UUID | None
    created_at: dt.datetime

    def card(self) -> GiftCard:
        facts = msgspec.structs.asdict(self)
        facts.pop("person_id")
        return GiftCard(**facts)


def _unfit(kept: _Kept | None, payment: NewPayment, today: dt.date) -> Refusal | None:
    if kept is None:
        return GiftCardNotKept()
    if kept.currency != payment.currency:
        return GiftCardOtherCurrency(
            last4=kept.last4, currency=kept.currency, asked=payment.currency
        )
    return not_usable(kept.card(), today)


def _card_id(method: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(method)
    except ValueError:
        return None


def _hold(payment: NewPayment, account: Account) -> Hold:
    return Hold(
        document_kind="order",
        document_id=payment.order_id,
        key=f"payment:{payment.id}",
        debit=account,
        credit=deposits(payment.currency),
        amount=payment.amount_minor,
    )
