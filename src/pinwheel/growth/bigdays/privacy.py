"""What becomes of places, deposits and reminders when a guest signs in or a person is erased."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.growth.bigdays import presale
from pinwheel.kernel.db import Tx


async def join(tx: Tx, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """A guest's places, deposits and reminders are the account's. Of two places in one queue the
    account's own stays."""
    guests, people = [g for g, _ in pairs], [p for _, p in pairs]
    await tx.run(
        """
        with pair as (select * from unnest($2::uuid[], $3::uuid[]) as p(guest_id, person_id)),
        place as (
          update bigdays.place p set person_id = pair.person_id,
                 state = case when p.state in ('waiting', 'admitted') and exists (
                           select from bigdays.place o where o.cell = p.cell
                              and o.event_id = p.event_id and o.person_id = pair.person_id
                              and o.state in ('waiting', 'admitted')) then 'left'
                         else p.state end
            from pair where p.cell = $1 and p.person_id = pair.guest_id
        ), deposit as (
          update bigdays.deposit d set person_id = pair.person_id
            from pair where d.cell = $1 and d.person_id = pair.guest_id
             and not exists (select from bigdays.deposit o where o.cell = d.cell
                                and o.promotion_id = d.promotion_id
                                and o.person_id = pair.person_id
                                and o.state in ('pending', 'held', 'paid'))
        ), more as (
          insert into bigdays.reminder (cell, event_id, person_id, asked_at, sent)
          select r.cell, r.event_id, pair.person_id, r.asked_at, r.sent
            from bigdays.reminder r join pair on pair.guest_id = r.person_id where r.cell = $1
          on conflict do nothing
        )
        delete from bigdays.reminder r using pair
         where r.cell = $1 and r.person_id = pair.guest_id
        """,
        tx.cell,
        guests,
        people,
    )


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Deposits that are held go back first; then it is known no more whose anything was. A place
    that ended keeps a number that leads to nobody."""
    await presale.return_all(tx, person_ids)
    await tx.run(
        """
        with deposit as (
          update bigdays.deposit set person_id = null
           where cell = $1 and person_id = any($2::uuid[])
        ), place as (
          delete from bigdays.place where cell = $1 and person_id = any($2::uuid[])
        )
        delete from bigdays.reminder where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        list(person_ids),
    )
