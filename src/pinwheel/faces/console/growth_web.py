"""Growth: the campaign board, sharing, what a buyer costs, and the rocket."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console import growth_charts as charts
from pinwheel.faces.console.frame import attempt, shown
from pinwheel.faces.console.growth_anyway import Anyway, anyway_of
from pinwheel.growth import journeys, measurement
from pinwheel.growth.measurement import (
    Acquisition,
    Board,
    CategoryValue,
    Lift,
    NextOffer,
    Rocket,
    Sharing,
    Spend,
    Standing,
    Step,
    Trial,
)
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, NotFound
from pinwheel.kernel.web import Answer, Call, See, get, post

SCOPE = "growth"
PATH = "/console/growth"
DAYS = 180
Text = Annotated[str, Meta(max_length=10)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]


def _currency(call: Call, asked: str) -> str:
    return asked or str(call.app.state["edge"].settings.currency)


class BoardSight(msgspec.Struct, frozen=True):
    board: Board
    anyway: list[Anyway]


@get(PATH, scope=SCOPE)
async def board_page(
    call: Call, tx: Tx, currency: Currency | None = None, ended: bool = False
) -> Answer[BoardSight]:
    """Every campaign that runs: what it burns, brings and costs at the margin, warnings first; and
    what its holdouts say would have happened anyway."""
    chosen = _currency(call, currency or "")
    found = await measurement.board(tx, chosen, running_only=not ended)
    anyway = await anyway_of(tx, chosen)
    today = tx.now.date() + dt.timedelta(days=1)
    whole = await measurement.acquisition(tx, today - dt.timedelta(days=DAYS), today, chosen)
    return await shown(
        call,
        tx,
        BoardSight(found, anyway),
        "growth",
        call.say("Campaign board"),
        "growth",
        ended=ended,
        whole=whole,
        cents=_cents(whole),
        benchmark=measurement.BENCHMARK_CENTS,
        spans={x.campaign.id: charts.span(x.k, 1.0) for x in found.lines},
        curves={x.campaign.id: charts.marginal(x.retained_curve) for x in found.lines},
        forest=charts.forest([x.effect.incremental_minor for x in anyway]),
        entry_days=journeys.ENTRY_DAYS,
    )


def _cents(found: Acquisition) -> charts.Plot:
    """Acquisition cost by revenue, month by month, with the benchmark across."""
    rows = [
        (
            c.month.strftime("%Y-%m"),
            measurement.Interval(c.cents, c.cents, c.cents, c.buyers),
            False,
        )
        for c in found.cohorts
        if c.cents is not None
    ]
    return charts.intervals(rows, float(measurement.BENCHMARK_CENTS))


class SharingSight(msgspec.Struct, frozen=True):
    sharing: Sharing
    campaign_id: UUID | None


@get(PATH + "/sharing", scope=SCOPE)
async def sharing_page(
    call: Call, tx: Tx, currency: Currency | None = None, campaign_id: UUID | None = None
) -> Answer[SharingSight]:
    """K by cohort with intervals, how deep and how fast it spreads, and what one more costs."""
    chosen = await measurement.campaign(tx, campaign_id) if campaign_id else None
    if campaign_id and chosen is None:
        raise NotFound(what="campaign")
    in_currency = _currency(call, currency or (chosen.currency if chosen else "") or "")
    found = await measurement.sharing(tx, in_currency, campaign_id)
    return await shown(
        call,
        tx,
        SharingSight(found, campaign_id),
        "growth_sharing",
        call.say("Sharing"),
        "growth",
        chosen=chosen,
        ks=charts.intervals(
            [(c.week.isoformat(), c.k, not c.is_over) for c in found.cohorts[-26:]], 1.0
        ),
        activated=charts.marginal(found.activated),
        retained=charts.marginal(found.retained),
        deepest=max((d.people for d in found.depths), default=0),
    )


class CostSight(msgspec.Struct, frozen=True):
    acquisition: Acquisition
    lifts: list[Lift]
    trials: list[Trial]
    spend: list[Spend]


@get(PATH + "/acquisition", scope=SCOPE)
async def acquisition_page(
    call: Call,
    tx: Tx,
    currency: Currency | None = None,
    since: dt.date | None = None,
    until: dt.date | None = None,
) -> Answer[CostSight]:
    """What a buyer costs, rewards and subsidies in it, by seven rules and by what was measured."""
    last = until or tx.now.date() + dt.timedelta(days=1)
    first, last = measurement.stretch_of(since or last - dt.timedelta(days=DAYS), last)
    chosen = _currency(call, currency or "")
    found = CostSight(
        await measurement.acquisition(tx, first, last, chosen),
        await measurement.lifts(tx, first, last, chosen),
        await measurement.trials(tx),
        await measurement.spend(tx, first, last, 200),
    )
    channels = sorted(
        {x.channel for rows in found.acquisition.models.values() for x in rows},
        key=lambda c: (c in ("unknown", "direct", "programmes"), c),
    )
    return await shown(
        call,
        tx,
        found,
        "growth_acquisition",
        call.say("Cost of winning buyers"),
        "growth",
        cents=_cents(found.acquisition),
        benchmark=measurement.BENCHMARK_CENTS,
        channels=channels,
        by={m: {x.channel: x for x in rows} for m, rows in found.acquisition.models.items()},
    )


class SpendForm(msgspec.Struct):
    """A file, or its lines pasted."""

    file: Any = None
    rows: Annotated[str, Meta(max_length=400_000)] = ""


@post(PATH + "/spend", scope=SCOPE, body_bytes=1_000_000)
async def import_spend(call: Call, db: Database, data: SpendForm) -> See[Any]:
    """Take marketing spend in: all rows, or none and every error."""

    raw = await data.file.read() if hasattr(data.file, "read") else b""

    async def verb(tx: Tx) -> measurement.Recorded:
        try:
            text = raw.decode("utf-8-sig") if raw else data.rows
        except UnicodeDecodeError as error:
            raise Invalid("file", "save it as UTF-8", "请保存为 UTF-8 编码") from error
        return await measurement.record_spend(tx, measurement.read_csv(text), "csv")

    def message(done: measurement.Recorded) -> str:
        text = call.say("%(fresh)s new, %(changed)s corrected, %(same)s as before.")
        return text % msgspec.structs.asdict(done)

    return await attempt(call, db, verb, f"{PATH}/acquisition#spend", message)


class TrialForm(msgspec.Struct):
    channel: Annotated[str, Meta(max_length=40)]
    kind: Literal["days", "regions"]
    starts_on: Text
    ends_on: Text
    off: Annotated[str, Meta(max_length=8000)]


@post(PATH + "/trials", scope=SCOPE)
async def plan_trial(call: Call, db: Database, data: TrialForm) -> See[Any]:
    """Plan to switch a channel off; ``off``: days or regions, one line each."""

    async def verb(tx: Tx) -> UUID:
        off = [line.strip() for line in data.off.split("\n") if line.strip()]
        try:
            new = msgspec.convert(
                {
                    "channel": data.channel.strip().lower(),
                    "kind": data.kind,
                    "starts_on": data.starts_on,
                    "ends_on": data.ends_on,
                    "off_days" if data.kind == "days" else "off_regions": off,
                },
                measurement.NewTrial,
            )
        except msgspec.ValidationError as error:
            raise Invalid(
                "off", "a channel, days as 2026-01-31, one line each",
                "请填写渠道及日期（如 2026-01-31），每行一个",
            ) from error  # fmt: skip
        return await measurement.plan_trial(tx, new)

    return await attempt(
        call, db, verb, f"{PATH}/acquisition#measured", call.say("Planned. Keep to it.")
    )


class StopForm(msgspec.Struct, frozen=True):
    why: Annotated[str, Meta(min_length=3, max_length=500)]


@post(PATH + "/trials/{trial_id:uuid}/stop", scope=SCOPE)
async def stop_trial(call: Call, db: Database, trial_id: UUID, data: StopForm) -> See[Any]:
    """End a trial before its last day."""

    async def verb(tx: Tx) -> None:
        await measurement.stop_trial(tx, trial_id, data.why)

    return await attempt(call, db, verb, f"{PATH}/acquisition#measured", call.say("Stopped."))


class RocketSight(msgspec.Struct, frozen=True):
    rocket: Rocket
    standing: list[Standing]
    funnel: list[Step]
    gradient: list[CategoryValue]


@get(PATH + "/rocket", scope=SCOPE)
async def rocket_page(call: Call, tx: Tx, currency: Currency | None = None) -> Answer[RocketSight]:
    """Stages, the rules that lead on, the funnel by month, and what categories are worth."""
    since = tx.now - dt.timedelta(days=DAYS)
    chosen = _currency(call, currency or "")
    found = RocketSight(
        await measurement.rocket(tx),
        await measurement.standing(tx),
        await measurement.funnel(tx, since.date()),
        await measurement.gradient(tx, chosen, since),
    )
    months: dict[dt.date, dict[str, Step]] = {}
    for step in found.funnel:
        months.setdefault(step.month, {})[step.stage] = step
    return await shown(
        call,
        tx,
        found,
        "growth_rocket",
        call.say("Rocket"),
        "growth",
        months=months,
        currency=chosen,
        campaigns=await measurement.campaigns(tx),
        most=max((c.each_minor for c in found.gradient), default=0),
    )


class OfferForm(msgspec.Struct):
    stage: Annotated[str, Meta(max_length=40)]
    campaign: Annotated[str, Meta(max_length=80)]


@post(PATH + "/rocket/offers", scope=SCOPE)
async def put_offer(call: Call, db: Database, data: OfferForm) -> See[Any]:
    """Show a campaign next to whoever is in a stage: a new version of the programme."""

    async def verb(tx: Tx) -> int:
        kind, _, raw = data.campaign.partition(":")
        plan = (await measurement.rocket(tx)).plan
        try:
            offer = msgspec.convert({"stage": data.stage, "kind": kind, "id": raw}, NextOffer)
        except msgspec.ValidationError as error:
            raise Invalid("campaign", "choose one of the list", "请从列表中选择") from error
        if offer in plan.offers:
            return (await measurement.rocket(tx)).version
        return await measurement.save_rocket(
            tx, msgspec.structs.replace(plan, offers=[*plan.offers, offer])
        )

    return await attempt(call, db, verb, f"{PATH}/rocket", call.say("Saved as a new version."))


@post(PATH + "/rocket/levels", scope=SCOPE)
async def take_levels(call: Call, db: Database) -> See[Any]:
    """Take over the proposed levels of categories as a new version."""

    async def verb(tx: Tx) -> int:
        values = await measurement.gradient(
            tx, _currency(call, ""), tx.now - dt.timedelta(days=DAYS)
        )
        plan = (await measurement.rocket(tx)).plan
        levels = {c.category_id: c.proposed for c in values}
        return await measurement.save_rocket(tx, msgspec.structs.replace(plan, levels=levels))

    return await attempt(call, db, verb, f"{PATH}/rocket", call.say("Saved as a new version."))


@get(PATH + "/people/{person_id:uuid}", scope=SCOPE)
async def moves_of(call: Call, tx: Tx, person_id: UUID) -> Answer[list[measurement.Moved]]:
    """Every move of one person in the rocket, with the rule and the facts it saw."""
    found = await measurement.moves(tx, person_id)
    return await shown(
        call, tx, found, "growth_person", call.say("Moves of a person"), "growth", person=person_id
    )
