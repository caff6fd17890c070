"""People and invitations: a guest becomes somebody, somebody asks for a copy, or is forgotten."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx


async def join_inviters(tx: Tx, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """(guest, person): by which links the guest came, and whose buyer they are, is the person's,
    unless the person was somebody's already."""
    await tx.run(
        """
        with moved as (
          select * from unnest($2::uuid[], $3::uuid[]) as p(guest_id, person_id)
        ), gone as (
          delete from social.share_touch t using moved
           where t.cell = $1 and t.person_id = moved.guest_id
          returning moved.person_id, t.link_id, t.channel, t.at, t.last_at, t.accepted_at
        ), came as (
          insert into social.share_touch as t
                 (cell, person_id, link_id, channel, at, last_at, accepted_at)
          select $1, person_id, link_id, channel, at, last_at, accepted_at from gone
          on conflict (cell, person_id, link_id) do update
             set last_at = greatest(t.last_at, excluded.last_at),
                 at = least(t.at, excluded.at),
                 accepted_at = coalesce(excluded.accepted_at, t.accepted_at)
        )
        update social.attribution a
           set child_person_id = case when exists (
                 select from social.attribution o
                  where o.cell = $1 and o.child_person_id = moved.person_id)
                 or a.parent_person_id = moved.person_id
               then null else moved.person_id end
          from moved where a.cell = $1 and a.child_person_id = moved.guest_id
        """,
        tx.cell,
        [guest for guest, _ in pairs],
        [person for _, person in pairs],
    )
    await tx.run(
        """
        update social.reward r set person_id = moved.person_id
          from unnest($2::uuid[], $3::uuid[]) as moved(guest_id, person_id)
         where r.cell = $1 and r.person_id = moved.guest_id and r.released_at is null
        """,
        tx.cell,
        [guest for guest, _ in pairs],
        [person for _, person in pairs],
    )


async def forget_inviters(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Names go; the tree, the figures and the books stay and belong to nobody. Safe to repeat."""
    await tx.run(
        """
        with touch as (
          delete from social.share_touch where cell = $1 and person_id = any($2::uuid[])
        ), member as (
          delete from social.invite_member where cell = $1 and person_id = any($2::uuid[])
        ), link as (
          update social.share_link set person_id = null
           where cell = $1 and person_id = any($2::uuid[])
        ), edge as (
          update social.attribution
             set parent_person_id = case when parent_person_id = any($2::uuid[]) then null
                                    else parent_person_id end,
                 child_person_id = case when child_person_id = any($2::uuid[]) then null
                                   else child_person_id end
           where cell = $1 and (parent_person_id = any($2::uuid[])
                                or child_person_id = any($2::uuid[]))
        ), payout as (
          update social.payout set person_id = null
           where cell = $1 and person_id = any($2::uuid[])
        )
        update social.reward set person_id = null
         where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        list(person_ids),
    )


class _Part(msgspec.Struct, frozen=True):
    part: str
    role: str
    state: str
    amount_minor: int
    reversed_minor: int
    currency: str
    at: dt.datetime


async def export_invites(tx: Tx, person_id: uuid.UUID) -> Any:
    """Rewards, payouts and invitations of this person."""
    return await tx.rows(
        _Part,
        """
        select 'reward' as part, role, state, amount_minor, reversed_minor, currency, at
          from social.reward where cell = $1 and person_id = $2
        union all
        select 'payout', '', '', amount_minor, 0, currency, at
          from social.payout where cell = $1 and person_id = $2
        union all
        select 'link', target, target_key, 0, 0, '', made_at
          from social.share_link where cell = $1 and person_id = $2
        union all
        select case when child_person_id = $2 then 'invited' else 'brought' end, channel,
               decision, 0, 0, '', at
          from social.attribution
         where cell = $1 and (child_person_id = $2 or parent_person_id = $2)
         order by at
        """,
        tx.cell,
        person_id,
    )
