"""What is left of somebody who is erased: that they must not be written to, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.kernel.db import Tx

KEPT_SECONDS = 30 * 86_400
CODE_SECONDS = 86_400
AT_ONCE = 5_000


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Words and addresses go; the keyed hash stays as a no, so that an old list that is read in
    again does not reach them. Consent rows are proof and carry no address. Safe to repeat."""
    ids = list(person_ids)
    hashes = await tx.values(
        """
        select hash from messages.address
         where cell = $1 and person_id = any($2::uuid[]) order by hash for update
        """,
        tx.cell,
        ids,
    )
    await tx.run(
        """
        with no as (
          insert into messages.suppression (cell, id, address_hash, reason, source, at)
          select $1, n.id, a.hash, 'erased', 'erasure', greatest($3::timestamptz, a.handed_at)
            from unnest($4::bytea[], $5::uuid[]) as n(hash, id)
            join messages.address a on a.cell = $1 and a.hash = n.hash
          on conflict (cell, address_hash, reason) where lifted_at is null do nothing
        ), said as (
          update messages.message
             set content = null, person_id = null, note = '', opened_at = null, clicked_at = null,
                 state = case state when 'waiting' then 'suppressed' else state end,
                 ended_at = case state when 'waiting' then $3 else ended_at end
           where cell = $1 and (address_hash = any($4::bytea[]) or person_id = any($2::uuid[]))
        )
        update messages.address
           set email = null, person_id = null, domain = '', language = null, zone = null,
               subscribed_at = null
         where cell = $1 and hash = any($4::bytea[])
        """,
        tx.cell,
        ids,
        tx.now,
        hashes,
        [tx.new_id() for _ in hashes],
    )


async def forget_words(tx: Tx) -> None:
    """The words of letters have served: sign-in codes after a day, others after thirty."""
    await tx.run(
        """
        update messages.message m set content = null from (
          select id from messages.message
           where cell = $1 and content is not null and created_at < $2
             and state not in ('waiting', 'handing')
             and (created_at < $3 or scope = 'identity.code')
           limit $4) old
         where m.cell = $1 and m.id = old.id
        """,
        tx.cell,
        tx.later_than(-CODE_SECONDS),
        tx.later_than(-KEPT_SECONDS),
        AT_ONCE,
    )
    await tx.run(
        "delete from messages.pace where cell = $1 and at < $2",
        tx.cell,
        tx.later_than(-KEPT_SECONDS),
    )
