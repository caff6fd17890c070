"""What a subsidy brought that would not have come without it: from an experiment, or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from pinwheel.growth.subsidy.model import Programme
from pinwheel.growth.subsidy.queries import Spent, spent
from pinwheel.insight import experiments
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound

METRIC = "contribution"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one more person contributed than in the control, after price cuts, with its
    always-valid 95 % interval, in minor units; ``people`` saw the subsidised price."""

    people: int
    point_minor: float
    low_minor: float
    high_minor: float


class Efficiency(msgspec.Struct, frozen=True, kw_only=True):
    """Incremental contribution ÷ subsidy. The figures are None while nothing was measured: what
    the subsidised orders took in all says nothing about that and is not given."""

    spent: Spent
    state: str  # 'not_measured', 'too_little', 'mismatched', 'measured'
    people: int = 0
    incremental_minor: int | None = None
    low_minor: int | None = None
    high_minor: int | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None


Measuring = Callable[[Tx, str], Awaitable[tuple[str, Measured | None]]]
"""Of an experiment's key: a state and, when it is 'measured', the figures."""


async def by_experiment(tx: Tx, key: str) -> tuple[str, Measured | None]:
    """What the experiment found out about the first variation after the control."""
    try:
        found = await experiments.results(tx, key)
    except NotFound:
        return "not_measured", None
    if found.figures is None:
        return "not_measured", None
    if found.figures.is_mismatched:
        return "mismatched", None
    for line in found.figures.lines:
        if line.metric.key == METRIC and len(line.arms) > 1:
            arm = line.arms[1]
            gap = arm.gap
            if gap.point is None or gap.low is None or gap.high is None:
                return "too_little", None
            return "measured", Measured(
                people=arm.n, point_minor=gap.point, low_minor=gap.low, high_minor=gap.high
            )
    return "too_little", None


async def efficiency(
    tx: Tx, programme: Programme, measuring: Measuring = by_experiment
) -> Efficiency:
    """What each unit of subsidy brought that would not have come anyway: the difference per
    person times the people who saw the price, by what was paid. 'not_measured' where no
    experiment holds the programme back from some."""
    paid = await spent(tx, programme)
    if not programme.experiment_key:
        return Efficiency(spent=paid, state="not_measured")
    state, found = await measuring(tx, programme.experiment_key)
    if found is None:
        return Efficiency(spent=paid, state=state)
    total = paid.total_minor
    whole = [
        round(each * found.people)
        for each in (found.point_minor, found.low_minor, found.high_minor)
    ]
    ratios = [amount / total for amount in whole] if total else [None, None, None]
    return Efficiency(
        spent=paid,
        state=state,
        people=found.people,
        incremental_minor=whole[0],
        low_minor=whole[1],
        high_minor=whole[2],
        ratio=ratios[0],
        ratio_low=ratios[1],
        ratio_high=ratios[2],
    )


async def withheld(tx: Tx, key: str, people: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, bool]:
    """Who is in the control of an experiment and sees the regular price. 1 statement."""
    found = await experiments.assigned(tx, key, people)
    return {person: a.variation == "control" for person, a in found.items()}


async def seen(tx: Tx, key: str, people: Sequence[uuid.UUID]) -> None:
    """These people see now what the programme makes of the price (or not, in the control): call it
    where the price is first shown, or nothing can be measured. 2 statements."""
    found = await experiments.assigned(tx, key, people)
    await experiments.expose(tx, list(found.values()))
