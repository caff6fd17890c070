"""What a buyer is worth: questions about lifetime values, and the cap of a reward."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pinwheel.insight.audience.model import ValueDue
from pinwheel.kernel import kept
from pinwheel.kernel.db import Tx

SETTING = "audience.value"
Share = Annotated[int, Meta(ge=0, le=10_000)]
By = Literal["cohort", "channel", "segment", "band"]


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is assumed until an experiment has measured it; an operator may change each.

    ``margin``: contribution of the shop's own goods, of their price without tax.
    ``uplift``: how much a reward raises a buyer's value. ``reward_share``: how much of that uplift
    a reward may cost at most. ``discount``: a year. ``is_on``: off, the baseline stands in."""

    is_on: bool = True
    margin_basis_points: Share = 3_000
    uplift_basis_points: Share = 1_000
    reward_share_basis_points: Share = 3_000
    discount_basis_points: Share = 1_000
    horizon_days: Annotated[int, Meta(ge=28, le=1_825)] = 364


class Value(msgspec.Struct, frozen=True):
    """Expected contribution margin of one buyer in one market over the horizon, discounted;
    ``low`` to ``high`` is the middle 80 % of what may come."""

    person_id: uuid.UUID
    market: str
    currency: str
    value_minor: int
    low_minor: int
    high_minor: int
    orders: float
    alive: float | None
    band: str
    at: dt.datetime


class Group(msgspec.Struct, frozen=True):
    """Lifetime values of a cohort, a channel or a segment, added up."""

    name: str
    people: int
    value_minor: int
    mean_minor: int
    alive: float | None


class Model(msgspec.Struct, frozen=True):
    """A fit with what it was measured by; ``why`` says why it stands, in both languages."""

    id: uuid.UUID
    market: str
    currency: str
    kind: str
    why: dict[str, str]
    parameters: dict[str, Any]
    calibration: dict[str, Any]
    customers: int
    fitted_at: dt.datetime


async def assumptions(tx: Tx) -> Assumptions:
    found = (await kept.kept(tx, SETTING)).get(SETTING)
    return msgspec.convert(found.value, Assumptions) if found else Assumptions()


async def assume(tx: Tx, chosen: Assumptions) -> None:
    """Assume otherwise, from the next reckoning on."""
    await kept.keep(tx, SETTING, msgspec.to_builtins(chosen))


async def reckon_soon(tx: Tx) -> None:
    """Have values reckoned anew at once, not only tomorrow."""
    tx.emit(ValueDue())


async def values_of(tx: Tx, person_ids: Sequence[uuid.UUID]) -> list[Value]:
    """Lifetime values by person and market. 1 statement."""
    return await tx.rows(
        Value,
        """
        select person_id, market, currency, value_minor, low_minor, high_minor, orders, alive, band,
               at
          from audience.ltv where cell = $1 and person_id = any($2::uuid[])
         order by person_id, market
        """,
        tx.cell,
        list(person_ids),
    )


class _Cap(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    value_minor: int


async def reward_cap_minor(
    tx: Tx, person_ids: Sequence[uuid.UUID], currency: str
) -> dict[uuid.UUID, int]:
    """The most a reward may cost for each of these people, in minor units of ``currency``: the
    stated share of the stated uplift of their expected lifetime value. Somebody without an order
    counts as what a new buyer is expected to be worth; 0 where nothing is known. 2 statements.

    The uplift is an assumption until an experiment has measured it (``assumptions``)."""
    how = await assumptions(tx)
    rows = await tx.rows(
        _Cap,
        """
        select a.person_id,
               coalesce((select sum(v.value_minor)::bigint from audience.ltv v
                          where v.cell = $1 and v.person_id = a.person_id and v.currency = $3),
                        (select (m.parameters->>'newcomer_minor')::bigint from audience.ltv_model m
                          where m.cell = $1 and m.currency = $3 order by m.id desc limit 1),
                        0) as value_minor
          from unnest($2::uuid[]) as a(person_id)
        """,
        tx.cell,
        list(person_ids),
        currency,
    )
    share = how.uplift_basis_points * how.reward_share_basis_points
    return {row.person_id: max(0, row.value_minor) * share // 100_000_000 for row in rows}


async def models(tx: Tx) -> list[Model]:
    """The newest fit of each market."""
    return await tx.rows(
        Model,
        """
        select distinct on (market) id, market, currency, kind, why, parameters, calibration,
               customers, fitted_at
          from audience.ltv_model where cell = $1 order by market, id desc
        """,
        tx.cell,
    )


async def value_groups(tx: Tx, market: str, by: By) -> list[Group]:
    """Values by ``cohort`` (month of the first order), ``channel``, ``segment`` or ``band``, the
    greatest 50 (cohorts: the newest)."""
    return await tx.rows(
        Group,
        """
        select g.name, count(*) as people, sum(v.value_minor)::bigint as value_minor,
               (sum(v.value_minor) / count(*))::bigint as mean_minor,
               avg(v.alive)::float8 as alive
          from audience.ltv v
          join lateral (
            select to_char(v.cohort, 'YYYY-MM') as name where $3 = 'cohort'
            union all select v.band where $3 = 'band'
            union all select p.channel from audience.person p
              where $3 = 'channel' and p.cell = v.cell and p.person_id = v.person_id
            union all select m.segment_id::text from audience.membership m
              where $3 = 'segment' and m.cell = v.cell and m.person_id = v.person_id
                and m.left_at is null) g on true
         where v.cell = $1 and v.market = $2
         group by g.name
         order by case when $3 = 'cohort' then g.name end desc, 3 desc limit 50
        """,
        tx.cell,
        market,
        by,
    )
