"""The sandbox's webhooks: signed by the Standard Webhooks scheme, delivered until they are taken,
and spoiled on the way as ``Faults`` says."""

from __future__ import annotations

import datetime as dt
import hmac
import random
import uuid
from collections.abc import Sequence
from typing import cast

import asyncpg
import msgspec
from standardwebhooks import Webhook

from pinwheel.trade.payments.model import Delivery, Notice, Outcome, Said, WebhookRefused
from pinwheel.trade.payments.sandbox.memory import Owed

TOLERANCE_SECONDS = 300
MOST_ATTEMPTS = 8
RETRY_SECONDS = (5, 30, 120, 600, 1800, 3600, 7200)


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong between the provider and the shop. Rates are parts of 1; ``tells_all``: a
    webhook also for what the direct answer said; ``delay_seconds``: the longest delay."""

    tells_all: bool = False
    is_down: bool = False
    loses_answers: float = 0.0
    drops: float = 0.0
    delays: float = 0.0
    delay_seconds: float = 60.0
    duplicates: float = 0.0
    reorders: float = 0.0
    tampers: float = 0.0
    seed: int = 1


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook's body on the wire."""

    id: uuid.UUID
    type: str
    payment: uuid.UUID
    authorised_minor: int
    captured_minor: int
    operation: uuid.UUID | None
    amount_minor: int
    currency: str
    reason: str


class Sent(msgspec.Struct, frozen=True):
    """A delivery and the notice it is a copy of."""

    notice_id: uuid.UUID
    delivery: Delivery
    attempts: int


async def set_faults(pool: asyncpg.Pool, faults: Faults) -> None:
    await pool.execute(
        """
        update sandbox.setting set tells_all = $1, is_down = $2, loses_answers = $3, drops = $4,
               delays = $5, delay_seconds = $6, duplicates = $7, reorders = $8, tampers = $9,
               seed = $10
        """,
        *msgspec.structs.astuple(faults),
    )


async def faults(connection: asyncpg.Connection) -> Faults:
    row = await connection.fetchrow(
        """
        select tells_all, is_down, loses_answers, drops, delays, delay_seconds, duplicates,
               reorders, tampers, seed from sandbox.setting
        """
    )
    return Faults(**dict(row))


async def deliveries(
    pool: asyncpg.Pool, now: dt.datetime, rng: random.Random, *, most: int = 500
) -> list[Sent]:
    """The webhooks to send now, in the order and number that the faults make of them. Each
    stays owed until ``settle``; one that is dropped is never sent."""
    async with pool.acquire() as connection, connection.transaction():
        secret = Webhook(await connection.fetchval("select secret from sandbox.setting"))
        wrong = await faults(connection)
        rows = await connection.fetch(
            """
            select id, charge_key, kind, authorised_minor, captured_minor, operation_key,
                   amount_minor, currency, reason, due_at, attempts
              from sandbox.notice where ended_at is null and due_at <= $1
             order by due_at, id limit $2 for update skip locked
            """,
            now,
            most,
        )
        sent: list[Sent] = []
        dropped: list[uuid.UUID] = []
        delayed: list[tuple[uuid.UUID, dt.datetime]] = []
        for owed in (Owed(*row) for row in rows):
            if rng.random() < wrong.drops:
                dropped.append(owed.id)
            elif owed.attempts == 0 and rng.random() < wrong.delays:
                later = dt.timedelta(seconds=1 + rng.random() * wrong.delay_seconds)
                delayed.append((owed.id, now + later))
            else:
                copies = 2 if rng.random() < wrong.duplicates else 1
                tampered = rng.random() < wrong.tampers
                sent += [_sent(owed, secret, now, tampered)] * copies
        await _postpone(connection, delayed)
        await settle(connection, dropped, now)
    if rng.random() < wrong.reorders:
        rng.shuffle(sent)
    return sent


def _sent(owed: Owed, secret: Webhook, now: dt.datetime, tampered: bool) -> Sent:
    body = msgspec.json.encode(
        Body(
            id=owed.id,
            type=f"payment.{owed.kind}",
            payment=owed.charge_key,
            authorised_minor=owed.authorised_minor,
            captured_minor=owed.captured_minor,
            operation=owed.operation_key,
            amount_minor=owed.amount_minor,
            currency=owed.currency,
            reason=owed.reason,
        )
    )
    headers = {
        "webhook-id": str(owed.id),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": secret.sign(str(owed.id), now, body.decode()),
    }
    if tampered:
        body = body.replace(b'minor":', b'minor":9')
    return Sent(owed.id, Delivery(headers, body), owed.attempts)


async def settle(
    connection: asyncpg.Connection | asyncpg.Pool, taken: Sequence[uuid.UUID], now: dt.datetime
) -> None:
    """These were taken in (or dropped): they are owed no more."""
    if taken:
        await connection.execute(
            "update sandbox.notice set ended_at = $2, attempts = attempts + 1"
            " where id = any($1::uuid[]) and ended_at is null",
            list(taken),
            now,
        )


async def try_again(
    connection: asyncpg.Connection | asyncpg.Pool, refused: Sequence[Sent], now: dt.datetime
) -> None:
    """These were answered with anything but 2xx: later again, in the end no more."""
    waits = [RETRY_SECONDS[min(s.attempts, len(RETRY_SECONDS) - 1)] for s in refused]
    if refused:
        await connection.execute(
            """
            update sandbox.notice n set attempts = n.attempts + 1, due_at = r.due_at,
                   ended_at = case when n.attempts + 1 >= $4 then $3::timestamptz end
              from unnest($1::uuid[], $2::timestamptz[]) as r(id, due_at)
             where n.id = r.id and n.ended_at is null
            """,
            [s.notice_id for s in refused],
            [now + dt.timedelta(seconds=w) for w in waits],
            now,
            MOST_ATTEMPTS,
        )


async def _postpone(
    connection: asyncpg.Connection, delayed: Sequence[tuple[uuid.UUID, dt.datetime]]
) -> None:
    if delayed:
        await connection.execute(
            """
            update sandbox.notice n set attempts = n.attempts + 1, due_at = d.due_at
              from unnest($1::uuid[], $2::timestamptz[]) as d(id, due_at) where n.id = d.id
            """,
            [key for key, _ in delayed],
            [due for _, due in delayed],
        )


def verified(delivery: Delivery, secret: str, now: dt.datetime) -> list[Notice]:
    """What the webhook says. The signature is the library's; the age is judged by the house's
    clock."""
    headers = delivery.headers
    try:
        key, sent_at = headers["webhook-id"], int(headers["webhook-timestamp"])
        signed = headers["webhook-signature"].split(" ")
        moment = dt.datetime.fromtimestamp(sent_at, dt.UTC)
        expected = Webhook(secret).sign(key, moment, delivery.body.decode())
        body = msgspec.json.decode(delivery.body, type=Body)
    except (KeyError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise WebhookRefused() from error
    if not any(hmac.compare_digest(expected, one) for one in signed):
        raise WebhookRefused()
    if abs((now - moment).total_seconds()) > TOLERANCE_SECONDS:
        raise WebhookRefused()
    return [Notice(key, body.type, _outcome(body))]


def _outcome(body: Body) -> Outcome:
    """A refund's or a dispute's notice says nothing of the charge's own totals."""
    kind = body.type.removeprefix("payment.")
    words = {"canceled": "voided", "declined": "failed"}
    closes = kind in ("dispute_won", "dispute_lost")
    totals = kind in ("authorised", "captured", "canceled")
    return Outcome(
        payment_id=body.payment,
        state=cast(Said, words.get(kind, kind)),
        authorised_minor=body.authorised_minor if totals else 0,
        captured_minor=body.captured_minor if totals else 0,
        amount_minor=body.amount_minor,
        currency=body.currency,
        instruction_id=None if closes or kind == "disputed" else body.operation,
        ref=body.reason if closes else str(body.operation or ""),
        reason="" if closes else body.reason,
    )
