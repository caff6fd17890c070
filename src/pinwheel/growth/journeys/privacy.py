"""What a person may have of what was done to them."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx


class _Own(msgspec.Struct, frozen=True):
    part: str
    name: str
    state: str
    at: dt.datetime
    facts: dict[str, Any]


async def export(tx: Tx, person_id: uuid.UUID) -> Any:
    """The journeys and campaigns somebody was in, for their copy."""
    return await tx.rows(
        _Own,
        """
        select 'journey' as part, j.name, e.state, e.entered_at as at, e.facts
          from journeys.enrolment e join journeys.journey j on j.id = e.journey_id
         where e.cell = $1 and e.person_id = $2
        union all
        select 'campaign', c.name, m.state, m.at, '{}'
          from journeys.member m join journeys.campaign c on c.id = m.campaign_id
         where m.cell = $1 and m.person_id = $2
        order by at
        """,
        tx.cell,
        person_id,
    )
