"""Who gets what: pure, so that the web, jobs, another process and the lab say the same.

A place is the first eight bytes of BLAKE2b (digest size 8) over ``salt ":" id``, the id as its
32 hexadecimal digits, read as a big-endian number n; the place is ``n * 10000 >> 64``, 0 to 9,999.
Every question has a salt of its own (``salt/variation``, ``salt/rollout`` …), so that the answers
are independent of each other and of every other experiment."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import msgspec

from pinwheel.insight.experiments.model import (
    WHOLE,
    Assignment,
    Phase,
    Reason,
    Subject,
    Variation,
)

GLOBAL_SALT = "pinwheel/global-holdout"


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """All that an assignment needs to know of one experiment. ``batch`` and ``weights``: the
    newest of a bandit. ``forced``: for looking at a variation (QA)."""

    phase: Phase
    is_running: bool
    winner: str | None = None
    batch: int = 0
    weights: Mapping[str, int] = {}
    forced: Mapping[uuid.UUID, str] = {}


def place(salt: str, unit_id: uuid.UUID) -> int:
    """0 to 9,999, the same everywhere and for good."""
    digest = blake2b(f"{salt}:{unit_id.hex}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") * WHOLE >> 64


def pick(at: int, variations: Sequence[Variation], weights: Mapping[str, int]) -> str:
    """The variation in whose stretch of the 10,000 places ``at`` lies."""
    end = 0
    for variation in variations:
        end += weights.get(variation.key, variation.weight)
        if at < end:
            return variation.key
    return variations[-1].key


def left_out(subject: Subject) -> Assignment:
    """For an experiment that was never started."""
    return Assignment(
        experiment_id=uuid.UUID(int=0),
        phase=0,
        batch=0,
        subject_id=subject.id,
        cluster_id=None,
        person_id=None,
        variation=None,
        reason="not_running",
    )


def assign(definition: Definition, subject: Subject, sticky: str | None = None) -> Assignment:
    """What ``subject`` gets. ``sticky``: the variation they were first exposed to in this phase;
    who is in stays in, whatever a segment or a bandit's weights have become."""
    phase = definition.phase
    plan = phase.plan
    unit = subject.cluster_id if plan.unit == "cluster" and subject.cluster_id else subject.id

    def answer(variation: str | None, reason: Reason) -> Assignment:
        return Assignment(
            experiment_id=phase.experiment_id,
            phase=phase.number,
            batch=definition.batch,
            subject_id=subject.id,
            cluster_id=unit if plan.unit == "cluster" else None,
            person_id=subject.person_id or (None if plan.unit == "visitor" else subject.id),
            variation=variation,
            reason=reason,
        )

    if subject.id in definition.forced:
        return answer(definition.forced[subject.id], "forced")
    if definition.winner is not None:
        return answer(definition.winner, "decided")
    if not definition.is_running:
        return answer(None, "not_running")
    if sticky is not None:
        return answer(sticky, "sticky")
    if plan.segments and not subject.segments.intersection(plan.segments):
        return answer(None, "segment")
    if place(GLOBAL_SALT, subject.id) < phase.global_holdout:
        return answer(None, "global_holdout")
    if plan.layer:
        at = place(phase.layer_salt, unit)
        if not any(s.first <= at < s.end for s in phase.slots):
            return answer(None, "layer")
    if place(f"{phase.salt}/holdout", unit) < plan.holdout:
        return answer(None, "holdout")
    if place(f"{phase.salt}/rollout", unit) >= phase.rollout:
        return answer(None, "rollout")
    at = place(f"{phase.salt}/variation", unit)
    return answer(pick(at, plan.variations, definition.weights), "assigned")
