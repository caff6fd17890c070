"""Retention: what has served its time goes, by the clock."""

from __future__ import annotations

from pinwheel.ground.identity.model import GUEST_SECONDS, GuestsForgotten
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import every

AT_ONCE = 5_000


@every(seconds=3600)
async def forget_what_is_over(tx: Tx) -> None:
    """Sessions and codes that ended, letters of yesterday, guests who came to nothing."""
    await tx.run(
        """
        with session as (
          delete from identity.session where cell = $1 and expires_at < $2
        ), code as (
          delete from identity.code where cell = $1 and expires_at < $2
        )
        delete from identity.outbox where cell = $1 and created_at < $3
        """,
        tx.cell,
        tx.now,
        tx.later_than(-86_400),
    )
    gone = await tx.values(
        """
        delete from identity.person
         where cell = $1 and id in (
           select p.id from identity.person p
            where p.cell = $1 and p.kind = 'guest' and not p.is_kept and p.created_at < $2
              and not exists (select from identity.session s
                               where s.cell = $1 and s.person_id = p.id and s.expires_at >= $3)
            limit $4)
        returning id
        """,
        tx.cell,
        tx.later_than(-GUEST_SECONDS),
        tx.now,
        AT_ONCE,
    )
    if gone:
        tx.emit(GuestsForgotten(person_ids=gone))
