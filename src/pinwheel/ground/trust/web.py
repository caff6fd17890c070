"""Routes of trust, for programs: verdicts and clusters for staff, appeals for everybody."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.ground.trust import clusters, queries, reviewing
from pinwheel.ground.trust.model import (
    AppealExists,
    NothingToAppeal,
    NotUnderReview,
    SameCluster,
)
from pinwheel.ground.trust.queries import ClusterSight
from pinwheel.ground.trust.reviewing import Appeal, Judged, View
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, Limit, get, post

SCOPE = "trust"
TAGS = ("trust",)
Note = Annotated[str, Meta(min_length=1, max_length=1000)]
Size = Annotated[int, Meta(ge=1, le=100)]


class DecisionForm(msgspec.Struct, forbid_unknown_fields=True):
    decision: Literal["allow", "deny"]
    note: Note


class Parting(msgspec.Struct, forbid_unknown_fields=True):
    """These accounts are somebody else's."""

    person_ids: Annotated[list[UUID], Meta(min_length=1, max_length=300)]
    reason: Note


class AppealForm(msgspec.Struct, forbid_unknown_fields=True):
    """``verdict_id``: None is the latest refusal."""

    words: Annotated[str, Meta(min_length=1, max_length=2000)]
    verdict_id: UUID | None = None


class AnswerForm(msgspec.Struct, forbid_unknown_fields=True):
    is_granted: bool
    answer: Note


class Parted(msgspec.Struct):
    cluster_id: UUID


@get("/api/v1/trust/verdicts", scope=SCOPE, tags=TAGS)
async def list_verdicts(
    tx: Tx,
    view: View = "open",
    person_id: UUID | None = None,
    document_id: UUID | None = None,
    after: str | None = None,
    limit: Size = 30,
) -> Answer[Page[Judged]]:
    """Verdicts with their reasons: what waits (the oldest first), what was refused, or all."""
    return Answer(
        await reviewing.verdicts(
            tx,
            view=view,
            person_id=person_id,
            document_id=document_id,
            cursor=after,
            limit=limit,
        )
    )


@post(
    "/api/v1/trust/verdicts/{verdict_id:uuid}/decision",
    scope=SCOPE,
    tags=TAGS,
    once=True,
    refusals=(NotUnderReview,),
)
async def decide_verdict(tx: Tx, verdict_id: UUID, data: DecisionForm) -> Answer[Judged]:
    """Say what holds; a later decision takes an earlier one back."""
    await reviewing.decide(tx, verdict_id, data.decision, data.note)
    return Answer(await reviewing.verdict(tx, verdict_id))


@get("/api/v1/trust/clusters/{cluster_id:uuid}", scope=SCOPE, tags=TAGS)
async def see_cluster(tx: Tx, cluster_id: UUID) -> Answer[ClusterSight]:
    """The accounts that count as one person, and why. An account's id finds its cluster."""
    return Answer(await queries.cluster(tx, cluster_id))


@post(
    "/api/v1/trust/clusters/{cluster_id:uuid}/part",
    scope=SCOPE,
    tags=TAGS,
    once=True,
    refusals=(SameCluster,),
)
async def part_cluster(tx: Tx, cluster_id: UUID, data: Parting) -> Answer[Parted]:
    """Part accounts from the others; what both sides showed links nobody any more."""
    return Answer(Parted(await clusters.separate(tx, cluster_id, data.person_ids, data.reason)))


@get("/api/v1/account/appeals", tags=TAGS)
async def own_appeals(call: Call, tx: Tx) -> Answer[list[Appeal]]:
    """One's own appeals and their answers."""
    return Answer(await reviewing.appeals_of(tx, call.caller.person()))


@post(
    "/api/v1/account/appeals",
    tags=TAGS,
    once=True,
    status=201,
    limits=(("appeal", Limit(5, 3600)),),
    refusals=(NothingToAppeal, AppealExists),
)
async def make_appeal(call: Call, tx: Tx, data: AppealForm) -> Answer[Appeal]:
    """Ask a person to look again at what was refused; answered within seven days."""
    made = await reviewing.appeal(tx, call.caller.person(), data.words, data.verdict_id)
    return Answer(made, status=201)


@post(
    "/api/v1/trust/appeals/{appeal_id:uuid}/answer",
    scope=SCOPE,
    tags=TAGS,
    once=True,
    status=204,
    refusals=(NotUnderReview,),
)
async def answer_appeal(tx: Tx, appeal_id: UUID, data: AnswerForm) -> Answer[None]:
    """Grant or refuse, with words for the person."""
    await reviewing.answer(tx, appeal_id, data.is_granted, data.answer)
    return Answer(None)
