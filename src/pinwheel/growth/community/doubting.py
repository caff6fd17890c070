"""Signals: what the figures around a new review give away. Rules decide purely; one statement
brings them what they need."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.growth.community.model import DOUBT, Signal, Trace
from pinwheel.growth.community.wording import bands, nearest, wording_signals
from pinwheel.kernel.db import Tx

LOOK_BACK_DAYS = 90
HABIT_DAYS = 60
BURST_CHANCE = 1e-6
DEVICE, NETWORK, BURST, DUPLICATE = 1.0, 0.4, 0.4, 1.0


class Around(msgspec.Struct, frozen=True):
    """What surrounds a review: ``likely`` are texts of others (id, text) that may be the same."""

    same_device: int  # other people who reviewed this product or seller from this device
    same_network: int  # other people who reviewed this product from this network
    last_day: int  # reviews of this product in the last 24 hours
    before: int  # and in the 60 days before
    likely: list[tuple[str, str]]


async def signals_around(
    tx: Tx,
    *,
    person_id: uuid.UUID,
    product_id: uuid.UUID,
    seller_id: uuid.UUID,
    text: str,
    trace: Trace,
) -> list[Signal]:
    """Every reason to doubt what this person writes of this product now. One statement."""
    around = await tx.the(
        "review",
        Around,
        """
        select (select count(distinct r.person_id) from community.review r
                 where r.cell = $1 and r.device = $5 and r.person_id <> $2 and r.created_at > $8
                   and (r.product_id = $3 or r.seller_id = $4))::int as same_device,
               (select count(distinct r.person_id) from community.review r
                 where r.cell = $1 and r.network = $6 and r.person_id <> $2 and r.created_at > $8
                   and r.product_id = $3)::int as same_network,
               (select count(*) from community.review r
                 where r.cell = $1 and r.product_id = $3 and r.created_at > $9)::int as last_day,
               (select count(*) from community.review r
                 where r.cell = $1 and r.product_id = $3 and r.created_at between $10 and $9)::int
               as before,
               coalesce((select jsonb_agg(jsonb_build_array(f.id, f.title || ' ' || f.body))
                  from (select r.id, r.title, r.body from community.review r
                         where r.cell = $1 and r.bands && $7::bigint[] and r.person_id <> $2
                           and r.state = 'published' limit 20) f), '[]') as likely
        """,
        tx.cell,
        person_id,
        product_id,
        seller_id,
        trace.device,
        trace.network,
        bands(text),
        tx.later_than(-LOOK_BACK_DAYS * 86_400),
        tx.later_than(-86_400),
        tx.later_than(-(HABIT_DAYS + 1) * 86_400),
    )
    return [*wording_signals(text), *judged(text, around)]


def judged(text: str, around: Around) -> list[Signal]:
    """The rules. A lone weak sign publishes and is kept; two of them, or one strong one, wait for
    a person."""
    found = []
    if around.same_device:
        found.append(Signal("device", DEVICE, {"other_people": around.same_device}))
    if around.same_network >= 2:
        found.append(Signal("network", NETWORK, {"other_people": around.same_network}))
    usual = max(around.before / HABIT_DAYS, 1.0)
    chance = poisson_tail(around.last_day + 1, usual)
    if chance < BURST_CHANCE:
        figures = {"last_day": around.last_day + 1, "usual_a_day": round(usual, 2)}
        found.append(Signal("burst", BURST, {**figures, "chance": float(f"{chance:.1e}")}))
    if (twin := nearest(text, around.likely)) is not None:
        found.append(Signal("duplicate", DUPLICATE, {"of": twin[0], "likeness": round(twin[1], 2)}))
    return found


def poisson_tail(count: int, mean: float) -> float:
    """The chance of ``count`` or more where ``mean`` is usual (Poisson). ``mean`` > 0."""
    if count > mean + 40 * math.sqrt(mean) + 40:
        return 0.0
    below = sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count))
    return max(0.0, 1.0 - below)


def is_doubted(signals: Sequence[Signal]) -> bool:
    return sum(signal.weight for signal in signals) >= DOUBT


async def keep_signals(tx: Tx, found: Sequence[tuple[uuid.UUID, Signal]]) -> None:
    """Keep the reasons; a rule's later finding replaces its earlier one."""
    latest = {(subject, signal.kind): signal for subject, signal in found}
    if not latest:
        return
    await tx.run(
        """
        insert into community.signal (cell, subject_id, kind, weight, facts, at)
        select $1, s.subject_id, s.kind, s.weight, s.facts::jsonb, $2
          from unnest($3::uuid[], $4::text[], $5::real[], $6::text[])
               as s(subject_id, kind, weight, facts)
        on conflict (cell, subject_id, kind) do update
           set weight = excluded.weight, facts = excluded.facts, at = excluded.at
        """,
        tx.cell,
        tx.now,
        [subject for subject, _ in latest],
        [kind for _, kind in latest],
        [signal.weight for signal in latest.values()],
        [msgspec.json.encode(signal.facts).decode() for signal in latest.values()],
    )
