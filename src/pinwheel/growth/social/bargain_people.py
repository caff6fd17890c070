"""People in bargains: a guest becomes somebody, somebody asks for a copy, or is forgotten."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx


async def join_bargainers(tx: Tx, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """(guest, person): the guest's bargains and helps are the person's. A help that both gave
    stays counted and belongs to nobody."""
    await tx.run(
        """
        with moved as (
          select * from unnest($2::uuid[], $3::uuid[]) as p(guest_id, person_id)
        ), owner as (
          update social.bargain b set person_id = moved.person_id
            from moved where b.cell = $1 and b.person_id = moved.guest_id
        )
        update social.bargain_help h
           set person_id = case when exists (
                 select from social.bargain_help o
                  where o.cell = h.cell and o.bargain_id = h.bargain_id
                    and o.person_id = moved.person_id) then null else moved.person_id end
          from moved where h.cell = $1 and h.person_id = moved.guest_id
        """,
        tx.cell,
        [guest for guest, _ in pairs],
        [person for _, person in pairs],
    )


async def forget_bargainers(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Names go; cuts stay in the figures and belong to nobody. Safe to repeat."""
    await tx.run(
        """
        with owner as (
          update social.bargain set person_id = null, initials = null
           where cell = $1 and person_id = any($2::uuid[])
        )
        update social.bargain_help set person_id = null, initials = null
         where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        list(person_ids),
    )


class _Part(msgspec.Struct, frozen=True):
    bargain_id: uuid.UUID
    part: str
    initials: str | None
    cut_minor: int | None
    currency: str
    at: dt.datetime


async def export_bargains(tx: Tx, person_id: uuid.UUID) -> Any:
    """Every bargain this person started or helped."""
    return await tx.rows(
        _Part,
        """
        select id as bargain_id, 'started' as part, initials, cut_minor, currency, started_at as at
          from social.bargain where cell = $1 and person_id = $2
        union all
        select h.bargain_id, 'helped', h.initials, h.cut_minor, b.currency, h.at
          from social.bargain_help h
          join social.bargain b on b.cell = h.cell and b.id = h.bargain_id
         where h.cell = $1 and h.person_id = $2
         order by at
        """,
        tx.cell,
        person_id,
    )
