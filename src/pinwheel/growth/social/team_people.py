"""People in teams: a guest becomes somebody, somebody asks for a copy, or is forgotten."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx


async def join_people(tx: Tx, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """(guest, person): the guest's seats and arrivals are the person's."""
    await tx.run(
        """
        with moved as (
          select * from unnest($2::uuid[], $3::uuid[]) as p(guest_id, person_id)
        ), member as (
          update social.team_member m set person_id = moved.person_id
            from moved where m.cell = $1 and m.person_id = moved.guest_id
        ), inviter as (
          delete from social.team_arrival a using moved
           where a.cell = $1 and a.person_id = moved.guest_id
          returning a.claim_id, moved.person_id, a.came_by, a.initials, a.at
        )
        insert into social.team_arrival (cell, claim_id, person_id, came_by, initials, at)
        select $1, claim_id, person_id, came_by, initials, at from inviter
        on conflict (cell, claim_id, person_id) do nothing
        """,
        tx.cell,
        [guest for guest, _ in pairs],
        [person for _, person in pairs],
    )
    await tx.run(
        """
        update social.team_member m set invited_by = moved.person_id
          from unnest($2::uuid[], $3::uuid[]) as moved(guest_id, person_id)
         where m.cell = $1 and m.invited_by = moved.guest_id
        """,
        tx.cell,
        [guest for guest, _ in pairs],
        [person for _, person in pairs],
    )


async def forget_people(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Names go; seats stay in the figures and belong to nobody. Safe to repeat."""
    await tx.run(
        """
        with arrival as (
          delete from social.team_arrival where cell = $1 and person_id = any($2::uuid[])
        )
        update social.team_member
           set initials = case when person_id = any($2::uuid[]) then null else initials end,
               person_id = case when person_id = any($2::uuid[]) then null else person_id end,
               invited_by = case when invited_by = any($2::uuid[]) then null else invited_by end
         where cell = $1 and (person_id = any($2::uuid[]) or invited_by = any($2::uuid[]))
        """,
        tx.cell,
        list(person_ids),
    )


class _Seat(msgspec.Struct, frozen=True):
    team_id: uuid.UUID
    order_id: uuid.UUID
    is_leader: bool
    initials: str | None
    claimed_at: dt.datetime
    paid_at: dt.datetime | None
    left_at: dt.datetime | None


async def export_teams(tx: Tx, person_id: uuid.UUID) -> Any:
    """Every seat this person ever had."""
    return await tx.rows(
        _Seat,
        """
        select team_id, order_id, is_leader, initials, claimed_at, paid_at, left_at
          from social.team_member where cell = $1 and person_id = $2 order by claimed_at
        """,
        tx.cell,
        person_id,
    )
