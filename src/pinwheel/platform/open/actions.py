"""Endpoints: who is told, what, and under which secret."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Sequence

from pinwheel.kernel import outbound
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.platform.open.model import (
    OVERLAP_SECONDS,
    SECRET_BYTES,
    Endpoint,
    EndpointDisabled,
    EndpointTested,
    NewEndpoint,
    Secret,
    secret_of,
)
from pinwheel.platform.open.public import KINDS, known

SEALED_AS = "open.endpoint.secret"
MOST_REPLAYED = 10_000


async def add_endpoint(tx: Tx, new: NewEndpoint) -> Secret:
    """Tell ``new.url`` of every fact from this moment on. The secret is in the answer alone.

    ``AddressRefused`` for an address that is not public, ``UnknownKind``."""
    kinds = known(new.kinds)
    outbound.of(tx.db).checked(new.url)
    endpoint_id, secret = tx.new_id(), secret_of(secrets.token_bytes(SECRET_BYTES))
    await tx.run(
        """
        with follower as (
          insert into open.follower (cell, xid, id)
          values ($1, pg_snapshot_xmin(pg_current_snapshot()), $8) on conflict (cell) do nothing
        )
        insert into open.endpoint (id, url, label, kinds, secret, since_xid, created_at)
        values ($2, $3, $4, $5, $6, pg_snapshot_xmin(pg_current_snapshot()), $7)
        """,
        tx.cell,
        endpoint_id,
        new.url,
        new.label,
        kinds,
        tx.db.vault.seal(secret, SEALED_AS),
        tx.now,
        uuid.UUID(int=0),
    )
    return Secret(endpoint_id, secret, None)


async def change_endpoint(tx: Tx, endpoint_id: uuid.UUID, new: NewEndpoint) -> Endpoint:
    """Another address, label or choice of kinds. What already waits goes to the new address."""
    kinds = known(new.kinds)
    outbound.of(tx.db).checked(new.url)
    return await tx.the(
        "webhook",
        Endpoint,
        """
        update open.endpoint set url = $2, label = $3, kinds = $4 where id = $1
        returning id, url, label, kinds, enabled, previous_until, failing_since, disabled_at,
                  disabled_reason, created_at
        """,
        endpoint_id,
        new.url,
        new.label,
        kinds,
    )


async def remove_endpoint(tx: Tx, endpoint_id: uuid.UUID) -> None:
    if not await tx.run("delete from open.endpoint where id = $1", endpoint_id):
        raise NotFound(what="webhook")


async def rotate_secret(tx: Tx, endpoint_id: uuid.UUID) -> Secret:
    """A new secret. For a day both sign, so that the receiver can change over without a gap."""
    secret = secret_of(secrets.token_bytes(SECRET_BYTES))
    until = tx.later_than(OVERLAP_SECONDS)
    found = await tx.run(
        """
        update open.endpoint set previous_secret = secret, previous_until = $2, secret = $3
         where id = $1
        """,
        endpoint_id,
        until,
        tx.db.vault.seal(secret, SEALED_AS),
    )
    if not found:
        raise NotFound(what="webhook")
    return Secret(endpoint_id, secret, until)


async def enable_endpoint(tx: Tx, endpoint_id: uuid.UUID) -> None:
    """Go on telling: what still waits is sent, and what happens from now on. What happened
    between can be replayed."""
    found = await tx.run(
        """
        update open.endpoint
           set enabled = true, disabled_at = null, disabled_reason = null, failing_since = null,
               since_xid = case when enabled then since_xid
                           else pg_snapshot_xmin(pg_current_snapshot()) end
         where id = $1
        """,
        endpoint_id,
    )
    if not found:
        raise NotFound(what="webhook")


async def disable_endpoint(tx: Tx, endpoint_id: uuid.UUID, reason: str) -> None:
    """Stop telling. Safe to repeat; the event is told once."""
    stopped = await tx.run(
        """
        update open.endpoint set enabled = false, disabled_at = $2, disabled_reason = $3
         where id = $1 and enabled
        """,
        endpoint_id,
        tx.now,
        reason,
    )
    if stopped:
        tx.emit(EndpointDisabled(endpoint_id=endpoint_id, reason=reason))


async def try_endpoint(tx: Tx, endpoint_id: uuid.UUID) -> None:
    """Have a test message sent, as any other is."""
    if not await tx.value("select enabled from open.endpoint where id = $1", endpoint_id):
        raise NotFound(what="webhook")
    tx.emit(EndpointTested(endpoint_id=endpoint_id))


async def retry(tx: Tx, endpoint_id: uuid.UUID, event_ids: Sequence[uuid.UUID]) -> int:
    """Send these again now, also those that have arrived; how many there are."""
    return await tx.run(
        """
        update open.delivery set state = 'waiting', next_at = $4, ended_at = null,
               leased_until = null
         where cell = $1 and endpoint_id = $2 and event_id = any($3::uuid[])
        """,
        tx.cell,
        endpoint_id,
        list(event_ids),
        tx.now,
    )


async def replay(tx: Tx, endpoint_id: uuid.UUID, since: dt.datetime) -> int:
    """Send everything again that the endpoint asks for and that happened since then, the oldest
    first and at most 10,000; how many there are. A receiver tells repeats by ``webhook-id``."""
    if not await tx.value("select true from open.endpoint where id = $1", endpoint_id):
        raise NotFound(what="webhook")
    # Ids are time-ordered (RFC 9562): the smallest one of that millisecond bounds the index.
    first = uuid.UUID(int=max(0, int(since.timestamp() * 1000)) << 80)
    return await tx.run(
        """
        insert into open.delivery (cell, endpoint_id, event_id, kind, next_at, created_at)
        select $1, p.id, e.id, e.kind, $4, $4
          from open.endpoint p
          join open.v_event e on e.cell = $1 and e.id >= $3 and e.kind = any($5::text[])
           and (p.kinds = '{}' or e.kind = any(p.kinds))
         where p.id = $2 order by e.id limit $6
        on conflict (cell, endpoint_id, event_id) do update
           set state = 'waiting', next_at = excluded.next_at, ended_at = null, leased_until = null
        """,
        tx.cell,
        endpoint_id,
        first,
        tx.now,
        list(KINDS),
        MOST_REPLAYED,
    )
