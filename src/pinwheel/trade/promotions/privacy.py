"""What becomes of coupons and places when a guest signs in, or somebody is erased."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.kernel.db import Tx


async def join(tx: Tx, joined: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """(guest, person): coupons and places move; what the account has already stays single. 1
    statement."""
    await tx.run(
        """
        with pair as (
          select * from unnest($2::uuid[], $3::uuid[]) as p(guest_id, person_id)
        ), place as (
          update promotions.waiting w set person_id = p.person_id from pair p
           where w.cell = $1 and w.person_id = p.guest_id
             and not exists (select from promotions.waiting o
                              where o.cell = $1 and o.promotion_id = w.promotion_id
                                and o.person_id = p.person_id)
        )
        update promotions.coupon c set person_id = p.person_id from pair p
         where c.cell = $1 and c.person_id = p.guest_id
           and not exists (select from promotions.coupon o
                            where o.cell = $1 and o.promotion_id = c.promotion_id
                              and o.person_id = p.person_id and o.key = c.key)
        """,
        tx.cell,
        [guest_id for guest_id, _ in joined],
        [person_id for _, person_id in joined],
    )


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Coupons and places go; uses stay nameless in the books. A turn that runs ends now, nameless
    too, and its piece goes on. 1 statement."""
    await tx.run(
        """
        with coupon as (
          delete from promotions.coupon where cell = $1 and person_id = any($2::uuid[])
        ), place as (
          delete from promotions.waiting
           where cell = $1 and person_id = any($2::uuid[]) and state <> 'called'
        ), turn as (
          update promotions.waiting set person_id = id, until = $3
           where cell = $1 and person_id = any($2::uuid[]) and state = 'called'
        )
        update promotions.use set person_id = null where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        list(person_ids),
        tx.now,
    )
