"""Team purchase: campaigns, their teams as they live, and where the money of each went."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, shown, with_query, words_of
from pinwheel.faces.console.money import minor_of, plain_of
from pinwheel.faces.console.team_queries import offers_of_skus, skus_of_offers
from pinwheel.growth import social
from pinwheel.growth.social import CampaignLine, MoneyStep, TeamCampaign, TeamOffer, TeamTerms
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import budgets, pricing

READ, WRITE = "teams:read", "teams:write"
VIEWS = ("open", "failing", "failed", "formed")
Short = Annotated[str, Meta(max_length=60)]


class CampaignForm(msgspec.Struct):
    """A campaign's terms as people write them. ``offers``: a line each, the SKU and the team price,
    or for tiers ``SKU 2:8.00 3:7.00``."""

    name_en: Annotated[str, Meta(min_length=1, max_length=120)]
    name_zh: Annotated[str, Meta(min_length=1, max_length=120)]
    market: Short
    offers: Annotated[str, Meta(min_length=1, max_length=20_000)]
    policy: social.Policy = "strict"
    seats: Annotated[int, Meta(ge=2, le=100)] = 3
    window_hours: Annotated[float, Meta(gt=0, le=720)] = 24
    new_buyers_only: bool = False
    authorise_only: bool = False
    leads_per_person: Annotated[int, Meta(ge=1, le=1000)] = 3
    joins_per_person: Annotated[int, Meta(ge=1, le=1000)] = 3
    uses_per_identity: Annotated[int, Meta(ge=1, le=1000)] | None = None
    pieces_per_member: Annotated[int, Meta(ge=1, le=1000)] = 1
    open_teams_most: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    pieces_total: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    fill_from: Annotated[int, Meta(ge=1, le=100)] | None = None
    fill: Short = ""
    budget_id: UUID | None = None
    leader_coupon_id: UUID | None = None


async def _terms(tx: Tx, form: CampaignForm) -> TeamTerms:
    market = (await pricing.markets(tx)).get(form.market)
    if market is None:
        raise Invalid("market", "choose one of the shop's markets", "请选择本店的市场")
    return TeamTerms(
        name=words_of(form.name_en, form.name_zh),
        market=market.code,
        currency=market.currency,
        policy=form.policy,
        seats=form.seats,
        window_seconds=max(60, round(form.window_hours * 3600)),
        new_buyers_only=form.new_buyers_only,
        captures_at_once=not form.authorise_only,
        leads_per_person=form.leads_per_person,
        joins_per_person=form.joins_per_person,
        uses_per_identity=form.uses_per_identity,
        pieces_per_member=form.pieces_per_member,
        open_teams_most=form.open_teams_most,
        pieces_total=form.pieces_total,
        fill_from=form.fill_from,
        fill_minor=minor_of(form.fill, market.currency, "fill") if form.fill.strip() else None,
        budget_id=form.budget_id,
        leader_coupon_id=form.leader_coupon_id,
        offers=await _offers(tx, form.offers, market.currency),
    )


async def _offers(tx: Tx, text: str, currency: str) -> list[TeamOffer]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    known = await offers_of_skus(tx, [line[0] for line in lines])
    found = []
    for sku, *prices in lines:
        if sku not in known or not prices:
            raise Invalid(
                "offers", f"{sku} is not sold here, or has no price", f"{sku} 未在售或缺少价格"
            )
        tiers = [_tier(price, currency) for price in prices if ":" in price]
        price = tiers[0][1] if tiers else minor_of(prices[0], currency, "offers")
        found.append(TeamOffer(offer_id=known[sku].offer_id, price_minor=price, tiers=tiers))
    return found


def _tier(text: str, currency: str) -> tuple[int, int]:
    size, _, price = text.partition(":")
    if not size.isdigit() or len(size) > 3:
        raise Invalid("offers", "write tiers as 2:8.00 3:7.00", "阶梯价请写作 2:8.00 3:7.00")
    return int(size), minor_of(price, currency, "offers")


def _written(campaign: TeamCampaign, offers: list[TeamOffer], skus: dict[UUID, Any]) -> str:
    """The offers as the form takes them."""
    lines = []
    for offer in offers:
        sku = skus[offer.offer_id].sku if offer.offer_id in skus else str(offer.offer_id)
        prices = [f"{s}:{plain_of(p, campaign.currency)}" for s, p in offer.tiers]
        lines.append(" ".join([sku, *(prices or [plain_of(offer.price_minor, campaign.currency)])]))
    return "\n".join(lines)


@get("/console/teams", scope=READ)
async def campaign_list(call: Call, tx: Tx, after: str | None = None) -> Answer[Page[CampaignLine]]:
    """Campaigns with what has become of their teams, and a form for a new one."""
    found = await social.team_campaigns(tx, cursor=after, limit=50)
    return await shown(
        call,
        tx,
        found,
        "teams",
        call.say("Teams"),
        "teams",
        markets=await pricing.markets(tx),
        budgets=await budgets.budgets(tx),
        next_path=with_query("/console/teams", after=found.next) if found.next else None,
        first_path="/console/teams" if after else None,
    )


class CampaignPage(msgspec.Struct, frozen=True):
    campaign: TeamCampaign
    offers: list[TeamOffer]
    teams: Page[social.TeamLine]


@get("/console/teams/{campaign_id:uuid}", scope=READ)
async def campaign_page(
    call: Call, tx: Tx, campaign_id: UUID, view: str = "", after: str | None = None
) -> Answer[CampaignPage]:
    """One campaign: its terms, its teams, and what may be done now."""
    campaign, offers = await social.team_campaign(tx, campaign_id)
    state = view if view in VIEWS else None
    teams = await social.teams(tx, campaign_id=campaign_id, state=state, cursor=after, limit=50)
    path = with_query(f"/console/teams/{campaign_id}", view=state)
    skus = await skus_of_offers(tx, [o.offer_id for o in offers])
    joint = "&" if "?" in path else "?"
    return await shown(
        call,
        tx,
        CampaignPage(campaign, offers, teams),
        "team_campaign",
        said(campaign.name, call.language),
        "teams",
        view=state or "",
        views=VIEWS,
        skus=skus,
        written=_written(campaign, offers, skus),
        fill=plain_of(campaign.fill_minor, campaign.currency),
        markets=await pricing.markets(tx),
        budgets=await budgets.budgets(tx),
        next_path=f"{path}{joint}after={teams.next}" if teams.next else None,
        first_path=path if after else None,
    )


@get("/console/teams/team/{team_id:uuid}", scope=READ)
async def team_page(call: Call, tx: Tx, team_id: UUID) -> Answer[list[MoneyStep]]:
    """A team's money: what came in for each seat, what went back, and what is on its way."""
    trail = await social.money_trail(tx, team_id)
    team = await social.team_line(tx, team_id)
    return await shown(call, tx, trail, "team", call.say("Team"), "teams", team=team, trail=trail)


@post("/console/teams", scope=WRITE)
async def make(call: Call, db: Database, data: CampaignForm) -> See[Any]:
    """Write a campaign down."""

    async def verb(tx: Tx) -> UUID:
        return await social.save_team_campaign(tx, await _terms(tx, data))

    return await attempt(
        call, db, verb, "/console/teams", call.say("The campaign is a draft."), ahead=_path
    )


def _path(campaign_id: UUID) -> str:
    return f"/console/teams/{campaign_id}"


@post("/console/teams/{campaign_id:uuid}", scope=WRITE)
async def change(call: Call, db: Database, campaign_id: UUID, data: CampaignForm) -> See[Any]:
    """Change a draft's terms."""

    async def verb(tx: Tx) -> None:
        await social.team_campaign(tx, campaign_id)
        await social.save_team_campaign(tx, await _terms(tx, data), campaign_id=campaign_id)

    return await attempt(call, db, verb, _path(campaign_id), call.say("Saved."))


@post("/console/teams/{campaign_id:uuid}/start", scope=WRITE)
async def start(call: Call, db: Database, campaign_id: UUID) -> See[Any]:
    """From now on teams may be opened."""

    async def verb(tx: Tx) -> None:
        await social.start_team_campaign(tx, campaign_id)

    return await attempt(call, db, verb, _path(campaign_id), call.say("The campaign runs."))


class StopForm(msgspec.Struct):
    teams: Literal["go_on", "fail"] = "go_on"


@post("/console/teams/{campaign_id:uuid}/stop", scope=WRITE)
async def stop(call: Call, db: Database, campaign_id: UUID, data: StopForm) -> See[Any]:
    """No new team; the open ones go on, or fail and are refunded."""

    async def verb(tx: Tx) -> int:
        return await social.stop_team_campaign(tx, campaign_id, teams=data.teams)

    def told(failing: int) -> str:
        return call.say("Stopped. %(num)s teams are being refunded.") % {"num": failing}

    return await attempt(call, db, verb, _path(campaign_id), told)
