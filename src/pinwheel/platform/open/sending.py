"""Sending: claim under a lease, send with no transaction open, record what came back.

A process that dies between sending and recording leaves a lease that runs out: the message is sent
again under the same ``webhook-id``. So every message arrives at least once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from typing import Any

import msgspec

from pinwheel.kernel import outbound
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.outbound import AddressRefused, Outbound, Unreachable
from pinwheel.kernel.vault import Unsealable
from pinwheel.platform.open.actions import SEALED_AS, disable_endpoint
from pinwheel.platform.open.model import (
    GIVE_UP_SECONDS,
    GONE,
    MEDIA_TYPE,
    cloud_event,
    is_success,
    note_of,
    signed,
    wait_seconds,
)

AT_ONCE = 8
LEASE_SECONDS = 60
ROUND_SECONDS = 30.0
ANSWER_BYTES = 2_000


class Claimed(msgspec.Struct, frozen=True):
    """One message to send now, with all that sending it takes."""

    event_id: uuid.UUID
    attempts: int
    created_at: dt.datetime
    kind: str
    subject_id: uuid.UUID | None
    at: dt.datetime
    data: dict[str, Any]
    url: str
    secret: str
    previous_secret: str | None


class Outcome(msgspec.Struct, frozen=True):
    """What became of one try. ``status`` None: nobody answered."""

    claimed: Claimed
    status: int | None
    note: str
    took_ms: int
    retry_after: int | None = None


async def send_due(db: Database, endpoint_id: uuid.UUID) -> None:
    """Send what is due to this endpoint, several at a time, until there is no more or it is the
    others' turn."""
    until = time.monotonic() + ROUND_SECONDS
    while time.monotonic() < until:
        async with db.transaction(actor="webhooks") as tx:
            claimed = await claim(tx, endpoint_id)
        if not claimed:
            return
        outcomes = await asyncio.gather(*(send(db, one) for one in claimed))
        async with db.transaction(actor="webhooks") as tx:
            await record(tx, endpoint_id, outcomes)


async def claim(tx: Tx, endpoint_id: uuid.UUID) -> list[Claimed]:
    """Take a handful of what is due, so that nobody else sends it meanwhile. A try is counted when
    it begins."""
    return await tx.rows(
        Claimed,
        """
        with due as (
          select d.event_id from open.delivery d
            join open.endpoint p on p.id = d.endpoint_id and p.enabled
           where d.cell = $1 and d.endpoint_id = $2 and d.state = 'waiting' and d.next_at <= $3
             and (d.leased_until is null or d.leased_until <= $3)
           order by d.next_at, d.event_id limit $5 for update of d skip locked
        )
        update open.delivery d set leased_until = $4, attempts = d.attempts + 1
          from due, open.v_event e, open.endpoint p
         where d.cell = $1 and d.endpoint_id = $2 and d.event_id = due.event_id
           and e.cell = $1 and e.id = due.event_id and p.id = $2
        returning d.event_id, d.attempts, d.created_at, e.kind, e.subject_id, e.at, e.data, p.url,
                  p.secret, case when p.previous_until > $3 then p.previous_secret end
                  as previous_secret
        """,
        tx.cell,
        endpoint_id,
        tx.now,
        tx.later_than(LEASE_SECONDS),
        AT_ONCE,
    )


async def send(db: Database, claimed: Claimed) -> Outcome:
    """One try. Whatever goes wrong out there is an outcome, not an error here."""
    guard: Outbound = outbound.of(db)
    began = time.monotonic()
    try:
        sealed = [s for s in (claimed.secret, claimed.previous_secret) if s is not None]
        secrets = [db.vault.open(s, SEALED_AS) for s in sealed]
        body = msgspec.json.encode(
            cloud_event(
                claimed.event_id, claimed.kind, claimed.subject_id, claimed.at, claimed.data
            )
        )
        headers = signed(str(claimed.event_id), db.clock.now(), body, secrets)
        reply = await guard.send(
            "POST",
            claimed.url,
            body=body,
            headers={"content-type": MEDIA_TYPE, **headers},
            most_bytes=ANSWER_BYTES,
        )
    except (AddressRefused, Unreachable, Unsealable) as error:
        took = round((time.monotonic() - began) * 1000)
        return Outcome(claimed, None, f"{type(error).__name__}: {error}"[:300], took)
    asked = reply.headers.get("retry-after", "")
    return Outcome(
        claimed,
        reply.status,
        note_of(reply.body),
        reply.took_ms,
        int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else None,
    )


async def record(tx: Tx, endpoint_id: uuid.UUID, outcomes: list[Outcome]) -> None:
    """Write down what came back. After three days a message is given up; after three days without
    a single success, or at a 410, so is the endpoint."""
    give_up = dt.timedelta(seconds=GIVE_UP_SECONDS)
    states = [
        "delivered"
        if is_success(o.status)
        else "failed"
        if tx.now - o.claimed.created_at >= give_up
        else "waiting"
        for o in outcomes
    ]
    waits = [wait_seconds(o.claimed.attempts, tx.random.random(), o.retry_after) for o in outcomes]
    await tx.run(
        """
        update open.delivery d
           set state = o.state, status = o.status, note = o.note, took_ms = o.took_ms,
               next_at = o.next_at, leased_until = null,
               ended_at = case when o.state <> 'waiting' then $3::timestamptz end
          from unnest($4::uuid[], $5::text[], $6::int[], $7::text[], $8::int[], $9::timestamptz[])
               as o(event_id, state, status, note, took_ms, next_at)
         where d.cell = $1 and d.endpoint_id = $2 and d.event_id = o.event_id
           and d.state = 'waiting'
        """,
        tx.cell,
        endpoint_id,
        tx.now,
        [o.claimed.event_id for o in outcomes],
        states,
        [o.status for o in outcomes],
        [o.note for o in outcomes],
        [o.took_ms for o in outcomes],
        [tx.later_than(wait) for wait in waits],
    )
    await _judge(tx, endpoint_id, outcomes)


async def _judge(tx: Tx, endpoint_id: uuid.UUID, outcomes: list[Outcome]) -> None:
    if any(is_success(o.status) for o in outcomes):
        await tx.run(
            "update open.endpoint set failing_since = null"
            " where id = $1 and failing_since is not null",
            endpoint_id,
        )
        return
    failing_since: dt.datetime | None = await tx.value(
        """
        update open.endpoint set failing_since = coalesce(failing_since, $2) where id = $1
        returning failing_since
        """,
        endpoint_id,
        tx.now,
    )
    if any(o.status == GONE for o in outcomes):
        await disable_endpoint(tx, endpoint_id, "the receiver answered 410 Gone")
    elif failing_since and (tx.now - failing_since).total_seconds() >= GIVE_UP_SECONDS:
        await disable_endpoint(tx, endpoint_id, "no message has arrived for three days")
