"""What would have happened anyway: every programme with a holdout, in one list."""

from __future__ import annotations

import uuid
from typing import Literal

import msgspec

from pinwheel.growth import journeys
from pinwheel.growth.journeys import Measured
from pinwheel.insight import audience
from pinwheel.kernel.db import Tx

MOST = 30


class Anyway(msgspec.Struct, frozen=True, kw_only=True):
    """A programme against its holdout, by its own module's figures."""

    kind: Literal["journey", "letters", "segment"]
    id: uuid.UUID
    name: dict[str, str]
    effect: Measured

    @property
    def path(self) -> str:
        place = {"journey": "journeys", "letters": "campaigns", "segment": "audience"}[self.kind]
        return f"/console/{place}/{self.id}"

    @property
    def expected_minor(self) -> int:
        """What the people to whom it was done would have spent without it: as much a person as
        the holdout."""
        return round(self.effect.holdout.net_each_minor * self.effect.treated.people)


async def anyway_of(tx: Tx, currency: str) -> list[Anyway]:
    """The newest journeys, campaigns and segments that hold people back, those with the most people
    first. 6 statements."""
    flows = {j.id: {"en": j.name} for j in (await journeys.journeys(tx))[:MOST]}
    letters = {
        c.id: {"en": c.name}
        for c in await journeys.campaigns(tx)
        if c.holdout_basis_points and c.began_at is not None
    }
    kept = {s.id: s.name for s in await audience.segments(tx) if s.holdout_basis_points}
    letters, kept = dict(list(letters.items())[:MOST]), dict(list(kept.items())[:MOST])
    found = [
        *_lines("journey", flows, await journeys.journey_effects(tx, list(flows), currency)),
        *_lines("letters", letters, await journeys.campaign_effects(tx, list(letters), currency)),
        *_lines("segment", kept, await journeys.segment_effects(tx, list(kept), currency)),
    ]
    both = [one for one in found if one.effect.holdout.people and one.effect.treated.people]
    return sorted(both, key=lambda one: -one.effect.treated.people)


def _lines(
    kind: Literal["journey", "letters", "segment"],
    names: dict[uuid.UUID, dict[str, str]],
    effects: dict[uuid.UUID, Measured],
) -> list[Anyway]:
    return [Anyway(kind=kind, id=one, name=names[one], effect=e) for one, e in effects.items()]
