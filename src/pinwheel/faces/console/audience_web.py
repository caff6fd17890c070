"""Audience: segments and who is in them, the builder, RFM, lifetime values."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinwheel.faces.console import audience_charts as charts
from pinwheel.faces.console.audience_rows import MOST_ROWS, Row, as_rows, rows_of, rule_of
from pinwheel.faces.console.frame import attempt, shown, words_of
from pinwheel.ground import identity
from pinwheel.insight import audience
from pinwheel.insight.audience import (
    Day,
    Explanation,
    NewSegment,
    Overlap,
    Preview,
    RuleUnclear,
    Segment,
    SegmentLine,
)
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import catalogue, pricing

RIGHT = "audience"
SECTION = "audience"
HOME = "/console/audience"
Cells = Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=40)]


class Home(msgspec.Struct, frozen=True):
    segments: list[SegmentLine]
    overlap: list[Overlap]


@get(HOME, scope=RIGHT)
async def segment_list(call: Call, tx: Tx) -> Answer[Home]:
    """Every segment with its size, and how many people they share."""
    lines = await audience.segments(tx)
    shared = await audience.overlap(tx, [line.id for line in lines][:12])
    ids = [line.id for line in lines][:12]
    return await shown(
        call,
        tx,
        Home(lines, shared),
        "audience",
        call.say("Audience"),
        SECTION,
        overlaps=charts.overlaps(ids, shared),
        names={line.id: line.name for line in lines},
    )


class BuilderForm(msgspec.Struct, kw_only=True):
    """Rows of the builder, a column a field; ``rule`` is JSON and, when it is given, stands in
    their place."""

    id: uuid.UUID | None = None
    name_en: Annotated[str, Meta(max_length=120)] = ""
    name_zh: Annotated[str, Meta(max_length=120)] = ""
    purpose: audience.Purpose = "message"
    holdout: Annotated[float, Meta(ge=0, le=90)] = 0.0
    join: Annotated[str, Meta(pattern="^(all|any)$")] = "all"
    rule: Annotated[str, Meta(max_length=20_000)] = ""
    what: Cells = []
    op: Cells = []
    value: Cells = []
    days: Cells = []
    market: Cells = []

    @property
    def rows(self) -> list[Row]:
        return rows_of(self.what, self.op, self.value, self.days, self.market)


class Builder(msgspec.Struct, frozen=True):
    """What the builder shows: the form as it was filled in, and what its rule would hold for."""

    form: BuilderForm
    preview: Preview | None = None
    refused: str | None = None


class Known(msgspec.Struct, frozen=True):
    """What the builder offers to choose from."""

    currencies: dict[str, str]
    slugs: dict[str, uuid.UUID]
    segments: list[SegmentLine]


async def _known(tx: Tx) -> Known:
    return Known(
        {m.code: m.currency for m in (await pricing.markets(tx)).values() if m.active},
        {c.slug: c.id for c in await catalogue.categories(tx)},
        await audience.segments(tx),
    )


def _segment_of(form: BuilderForm, known: Known) -> NewSegment:
    """What the form says. Refuses ``RuleUnclear``."""
    if form.rule.strip():
        try:
            rule = msgspec.json.decode(form.rule, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise RuleUnclear("JSON", "it can't be read", "无法解析") from error
    else:
        rule = rule_of(form.rows, form.join, known.currencies, known.slugs)
    name = words_of(form.name_en, form.name_zh)
    return NewSegment(
        name=name or {"en": "Segment", "zh-CN": "人群"},
        rule=rule,
        purpose=form.purpose,
        holdout_basis_points=round(form.holdout * 100),
    )


async def _builder(
    call: Call, tx: Tx, found: Builder, known: Known, *, part: str | None = None, status: int = 200
) -> Answer[Builder]:
    rows = found.form.rows
    return await shown(
        call,
        tx,
        found,
        "audience_edit",
        call.say("Edit a segment") if found.form.id else call.say("New segment"),
        SECTION,
        part=part,
        status=status,
        rows=[*rows, *(Row() for _ in range(min(2, MOST_ROWS - len(rows))))],
        known=known,
    )


@get(f"{HOME}/new", scope=RIGHT)
async def new_segment(call: Call, tx: Tx) -> Answer[Builder]:
    """An empty builder."""
    form = BuilderForm(what=["last_order", "orders"], op=["<", ">="], value=["", "2"],
                       days=["90", ""], market=["", ""])  # fmt: skip
    return await _builder(call, tx, Builder(form), await _known(tx))


@get(HOME + "/{segment_id:uuid}/edit", scope=RIGHT)
async def edit_segment(call: Call, tx: Tx, segment_id: uuid.UUID) -> Answer[Builder]:
    """The builder with a segment's rule; as JSON where rows can't say it."""
    one, known = await audience.segment(tx, segment_id), await _known(tx)
    form = BuilderForm(
        id=one.id,
        name_en=one.name.get("en", ""),
        name_zh=one.name.get("zh-CN", ""),
        purpose=one.purpose,  # type: ignore[arg-type]
        holdout=one.holdout_basis_points / 100,
    )
    said = as_rows(one.rule, known.currencies, known.slugs)
    if said is None:
        form.rule = msgspec.json.format(msgspec.json.encode(one.rule)).decode()
    else:
        rows, form.join = said
        form.what, form.op = [r.what for r in rows], [r.op for r in rows]
        form.value, form.days = [r.value for r in rows], [r.days for r in rows]
        form.market = [r.market for r in rows]
    return await _builder(call, tx, Builder(form), known)


@post(f"{HOME}/preview", scope=RIGHT, limits=(("audience-preview", Limit(120, 60)),))
async def preview(call: Call, db: Database, data: BuilderForm) -> Answer[Builder]:
    """How many the rule holds for now, before anything is saved; also how a row is added without a
    script."""
    async with db.reading(actor=call.caller.actor) as tx:
        known = await _known(tx)
        try:
            found = Builder(data, await audience.preview(tx, _segment_of(data, known)))
        except Refusal as refusal:
            if not call.wants_page:
                raise
            found = Builder(data, refused=refusal.sentence(call.language))
        return await _builder(call, tx, found, known, part="preview")


@post(HOME, scope=RIGHT)
async def save_segment(call: Call, db: Database, data: BuilderForm) -> See[Any] | Answer[Builder]:
    """Save it; members are counted at once."""

    async def verb(tx: Tx) -> Segment:
        return await audience.save_segment(tx, _segment_of(data, await _known(tx)), data.id)

    try:
        saved = await db.attempt(verb, actor=call.caller.actor, request_id=call.request_id)
    except Refusal as refusal:
        if not call.wants_page:
            raise
        async with db.reading(actor=call.caller.actor) as tx:
            found = Builder(data, refused=refusal.sentence(call.language))
            return await _builder(call, tx, found, await _known(tx), status=refusal.status)
    return See(f"{HOME}/{saved.id}", None if call.wants_page else saved)


class SegmentSight(msgspec.Struct, frozen=True):
    segment: Segment
    line: SegmentLine | None  # None: archived
    asks: list[tuple[int, audience.Words]]
    fairness: list[audience.Words]
    history: list[Day]
    members: list[audience.Member]
    why: Explanation | None


@get(HOME + "/{segment_id:uuid}", scope=RIGHT)
async def segment_page(
    call: Call, db: Database, segment_id: uuid.UUID, person: str = ""
) -> Answer[SegmentSight]:
    """One segment: its rule, its size over time, some members, and why somebody is in it. Looking
    at a person is recorded."""
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        one = await audience.segment(tx, segment_id)
        rule = audience.read_rule(one.rule)
        lines = {line.id: line for line in await audience.segments(tx)}
        days = await audience.history(tx, segment_id)
        members = await audience.members(tx, segment_id, None, 8)
        why, missing = None, False
        if person.strip():
            person_id = _id_of(person)
            missing = person_id is None
            if person_id is not None:
                why = await audience.explain(tx, segment_id, person_id)
                await identity.record_access(tx, [person_id], "segment", "console")
        found = SegmentSight(
            segment=one,
            line=lines.get(segment_id),
            asks=audience.outline(rule),
            fairness=audience.fairness(rule, one.purpose),
            history=days,
            members=members,
            why=why,
        )
        return await shown(
            call,
            tx,
            found,
            "audience_segment",
            said(one.name, call.language) or call.say("Segment"),
            SECTION,
            chart=charts.growth(days),
            person=person,
            missing=missing,
            uses={i: lines[i].name for i in one.uses if i in lines},
        )


def _id_of(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text.strip())
    except ValueError:
        return None


@post(HOME + "/{segment_id:uuid}/archive", scope=RIGHT)
async def archive(call: Call, db: Database, segment_id: uuid.UUID) -> See[Any]:
    """Nobody is in it any more."""

    async def verb(tx: Tx) -> None:
        await audience.archive_segment(tx, segment_id)

    here = f"{HOME}/{segment_id}"
    return await attempt(
        call, db, verb, here, call.say("Archived. Nobody is in it any more."), ahead=lambda _: HOME
    )
