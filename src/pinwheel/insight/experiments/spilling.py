"""What clusters cut: people whose friends are in other groups hear of what those got.

Nobody's figure is believed who stands between the ways: counted is who has all other groups that
they are tied to sent their own way, weighted by the inverse of how likely that was (exposure
mapping with full neighbourhood exposure: Ugander, Karrer, Backstrom, Kleinberg 2013; Hájek's
weighted mean and its exactness: Aronow and Samii 2017). So the difference is that of everybody
having it and nobody having it, whatever the spillover's form; it costs width. What remains: ties
that nobody noted, friends of friends, and people with so many groups that hardly ever all agree;
these last are left out of both sides, and counted in ``Leak``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec

from pinwheel.insight.experiments.assigning import Definition, assign
from pinwheel.insight.experiments.clusters import chances, most_others
from pinwheel.insight.experiments.judging import Leak
from pinwheel.insight.experiments.model import Phase, Subject
from pinwheel.kernel.db import Tx


class Ways(msgspec.Struct, frozen=True):
    """Where each known cluster of a phase is ``sent`` (kept out: where the control is), the
    ``chances`` of that, and to how many others somebody may be tied."""

    sent: Mapping[uuid.UUID, str]
    chances: Mapping[str, float]
    most_others: int


async def ways(tx: Tx, phase: Phase) -> Ways:
    """One statement; none of single units."""
    if phase.plan.unit != "cluster":
        return Ways({}, {}, 0)
    ids = await tx.values(
        """
        select cluster_id from experiments.member where cell = $1 and experiment_id = $2
        union -- everybody of a group may be erased: those who are tied to it are so still
        select cluster_id from experiments.tie where cell = $1 and experiment_id = $2
        """,
        tx.cell,
        phase.experiment_id,
    )
    # A group is one by its id alone: who of it came, and from which segment, is not its way.
    plan = msgspec.structs.replace(phase.plan, segments=[])
    definition = Definition(
        phase=msgspec.structs.replace(phase, plan=plan, global_holdout=0), is_running=True
    )
    control = plan.variations[0].key
    sent = {one: assign(definition, Subject(one, cluster_id=one)).variation for one in ids}
    by_way = chances(plan, phase.rollout)
    return Ways({one: to or control for one, to in sent.items()}, by_way, most_others(by_way))


async def leak(tx: Tx, phase: Phase, found: Ways) -> Leak | None:
    """What of the exposed the clusters don't hold together; None of single units, and of clusters
    whose ties nobody noted (teams that come with their own id). One statement."""
    if not found.sent:
        return None
    return await tx.row(
        Leak,
        """
        with sent as (
          select * from unnest($4::uuid[], $5::text[]) as s(cluster_id, variation)
        ), tied as (
          select t.subject_id, count(*) as others, sum(t.ties) as cut,
                 min(s.variation) as variation, min(s.variation) = max(s.variation) as is_one
            from experiments.tie t join sent s on s.cluster_id = t.cluster_id
           where t.cell = $1 and t.experiment_id = $2 group by t.subject_id
        )
        select coalesce(sum(m.ties), 0)::bigint as ties, coalesce(sum(t.cut), 0)::bigint as cut,
               count(*) as units,
               count(*) filter (where t.others is null or (t.others <= $6 and t.is_one
                                and t.variation = x.variation)) as apart,
               count(*) filter (where t.others > $6) as wide
          from experiments.exposure x
          left join experiments.member m on m.cell = x.cell
           and m.experiment_id = x.experiment_id and m.subject_id = x.subject_id
          left join tied t on t.subject_id = x.subject_id
         where x.cell = $1 and x.experiment_id = $2 and x.phase = $3
        """,
        tx.cell,
        phase.experiment_id,
        phase.number,
        list(found.sent),
        list(found.sent.values()),
        found.most_others,
    )
