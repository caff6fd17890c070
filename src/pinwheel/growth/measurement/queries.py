"""Questions about what was spent, and what a person is told of themselves."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import msgspec

from pinwheel.growth.measurement.model import Spend
from pinwheel.growth.measurement.stepping import moves
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid

MOST_DAYS = 1_100
FIRST, LAST = dt.date(2000, 1, 1), dt.date(2200, 1, 1)


def stretch_of(since: dt.date, until: dt.date) -> tuple[dt.date, dt.date]:
    """A stretch that can be asked for. Refuses ``Invalid``: the end before the start, more than
    three years, or years that no shop has seen."""
    if not (FIRST <= since < until <= LAST) or (until - since).days > MOST_DAYS:
        raise Invalid(
            "until", "1 day to 3 years after the first day", "须在起始日之后 1 天至 3 年内"
        )
    return since, until


async def spend(tx: Tx, since: dt.date, until: dt.date, most: int = 5_000) -> list[Spend]:
    """What was reported, the latest day first. 1 statement."""
    return await tx.rows(
        Spend,
        """
        select id, channel, campaign, day, currency, amount_minor, version, source, changed_at,
               changed_by
          from measurement.spend
         where cell = $1 and day >= $2 and day < $3 and version > 0
         order by day desc, channel, campaign limit $4
        """,
        tx.cell,
        since,
        until,
        most,
    )


class _Own(msgspec.Struct, frozen=True):
    first_at: dt.datetime
    via: str | None
    depth: int


async def export(tx: Tx, person_id: uuid.UUID) -> dict[str, Any]:
    """What is kept of a person here, for their copy: since when they buy, by what they came, and
    their moves in the programme."""
    own = await tx.row(
        _Own,
        "select first_at, via, depth from measurement.buyer where cell = $1 and person_id = $2",
        tx.cell,
        person_id,
    )
    return {"buyer": own, "moves": await moves(tx, person_id)}
