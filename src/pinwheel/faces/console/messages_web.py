"""Letters and campaigns: the mailbox, what the staff write, to whom, and what came of it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.choices import segment_choices
from pinwheel.faces.console.frame import attempt, shown, with_query, words_of
from pinwheel.faces.console.moments import in_zone, zone_of
from pinwheel.ground import messages
from pinwheel.ground.messages import LetterLine, LetterSight, Rules, Template
from pinwheel.growth import journeys
from pinwheel.growth.journeys import Campaign, Letters, Measured, Members, NewCampaign
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post

SCOPE, MANY = "messages", "journeys"
STATES = ("waiting", "sent", "suppressed", "unsure", "expired", "dead")
Text = Annotated[str, Meta(max_length=20_000)]
Line = Annotated[str, Meta(max_length=200)]


class MailboxDesk(msgspec.Struct, frozen=True):
    letters: Page[LetterLine]
    rules: Rules


@get("/console/messages", scope=SCOPE)
async def mailbox(
    call: Call, tx: Tx, state: str = "", after: str | None = None
) -> Answer[MailboxDesk]:
    """Every letter; where no mail server is set, this is where letters are read."""
    state = state if state in STATES else ""
    desk = MailboxDesk(
        await messages.letters(tx, state=state or None, cursor=after), await messages.rules(tx)
    )
    path = "/console/messages"
    return await shown(
        call,
        tx,
        desk,
        "messages",
        call.say("Letters"),
        "messages",
        state=state,
        states=STATES,
        is_local=messages.of(tx.db).is_local,
        next_path=with_query(path, state=state, after=desk.letters.next)
        if desk.letters.next
        else None,
        first_path=with_query(path, state=state) if after else None,
    )


@get("/console/messages/{message_id:uuid}", scope=SCOPE)
async def letter(call: Call, tx: Tx, message_id: UUID) -> Answer[LetterSight]:
    """One letter with its words."""
    found = await messages.letter(tx, message_id)
    title = found.line.subject or call.say("Letter")
    ledger = await messages.consent_ledger(tx, found.address_hash)
    said = messages.plain(found.text or "", messages.of(tx.db).base_url)
    return await shown(call, tx, found, "letter", title, "messages", ledger=ledger, said=said)


class RulesForm(msgspec.Struct):
    cap: Annotated[int, Meta(ge=1, le=1000)]
    window_days: Annotated[int, Meta(ge=1, le=90)]
    quiet_from: Annotated[int, Meta(ge=0, le=23)]
    quiet_until: Annotated[int, Meta(ge=0, le=23)]
    per_minute: Annotated[int, Meta(ge=1, le=100_000)]


@post("/console/messages/rules", scope=SCOPE)
async def set_rules(call: Call, db: Database, data: RulesForm) -> See[Any]:
    """What holds for marketing letters."""

    async def verb(tx: Tx) -> None:
        await messages.set_rules(tx, Rules(**msgspec.structs.asdict(data)))

    return await attempt(call, db, verb, "/console/messages", call.say("Saved."))


@get("/console/letters", scope=SCOPE)
async def templates(call: Call, tx: Tx) -> Answer[list[Template]]:
    """What the staff have written."""
    found = await messages.templates(tx)
    return await shown(call, tx, found, "letters", call.say("Letters of the shop"), "letters")


@get("/console/letters/{slug:str}", scope=SCOPE)
async def template(call: Call, tx: Tx, slug: str) -> Answer[Template]:
    """One letter of the shop, to be changed, with a look at both languages."""
    found = await messages.template(tx, slug)
    previews = []
    for language in ("zh-CN", "en"):
        facts = {"name": call.say("Reader")}
        said = messages.preview(found.subject, found.body, language, facts)
        text = messages.plain(said.text, messages.of(tx.db).base_url)
        previews.append((language, said.subject, text))
    return await shown(call, tx, found, "letter_edit", found.name, "letters", previews=previews)


class LetterForm(msgspec.Struct):
    slug: Annotated[str, Meta(min_length=1, max_length=80, pattern="^[a-z0-9][a-z0-9-]*$")]
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    subject_en: Line = ""
    subject_zh: Line = ""
    body_en: Text = ""
    body_zh: Text = ""


@post("/console/letters", scope=SCOPE)
async def save_letter(call: Call, db: Database, data: LetterForm) -> See[Any]:
    """Save a letter as its next version."""

    async def verb(tx: Tx) -> int:
        return await messages.save_template(
            tx,
            data.slug,
            data.name,
            words_of(data.subject_en, data.subject_zh),
            words_of(data.body_en, data.body_zh),
        )

    return await attempt(
        call, db, verb, "/console/letters", call.say("Saved."),
        ahead=lambda _: f"/console/letters/{data.slug}",
    )  # fmt: skip


class CampaignsDesk(msgspec.Struct, frozen=True):
    campaigns: list[Campaign]


@get("/console/campaigns", scope=MANY)
async def campaigns(call: Call, tx: Tx) -> Answer[CampaignsDesk]:
    """One letter to many: drafts, what is under way, and what is over."""
    desk = CampaignsDesk(await journeys.campaigns(tx))
    return await shown(
        call,
        tx,
        desk,
        "campaigns",
        call.say("Campaigns"),
        "campaigns",
        letters=[(t.slug, t.name) for t in await messages.templates(tx)],
        segments=await segment_choices(call, tx),
    )


class CampaignForm(msgspec.Struct):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    template: Annotated[str, Meta(min_length=1, max_length=80)]
    segment_id: UUID | None = None
    holdout_percent: Annotated[int, Meta(ge=0, le=90)] = 10
    window_days: Annotated[int, Meta(ge=1, le=90)] = 14
    most_letters: Annotated[int, Meta(ge=1, le=10_000_000)] = 100_000


@post("/console/campaigns", scope=MANY)
async def make_campaign(call: Call, db: Database, data: CampaignForm) -> See[Any]:
    """A new campaign, as a draft."""

    async def verb(tx: Tx) -> Campaign:
        return await journeys.save_campaign(
            tx,
            NewCampaign(
                name=data.name,
                template=data.template,
                segment_id=data.segment_id,
                holdout_basis_points=data.holdout_percent * 100,
                window_days=data.window_days,
                most_letters=data.most_letters,
            ),
        )

    return await attempt(
        call, db, verb, "/console/campaigns", call.say("Saved."),
        ahead=lambda made: f"/console/campaigns/{made.id}",
    )  # fmt: skip


class CampaignDesk(msgspec.Struct, frozen=True):
    campaign: Campaign
    letters: Letters
    members: list[Members]
    effect: Measured


@get("/console/campaigns/{campaign_id:uuid}", scope=MANY)
async def campaign(call: Call, tx: Tx, campaign_id: UUID) -> Answer[CampaignDesk]:
    """What became of a campaign's letters, and what it has brought in beyond the holdout."""
    desk = CampaignDesk(
        await journeys.campaign(tx, campaign_id),
        await journeys.letters_of(tx, campaign_id),
        await journeys.members_of(tx, campaign_id),
        await journeys.campaign_effect(tx, campaign_id),
    )
    return await shown(call, tx, desk, "campaign", desk.campaign.name, "campaigns")


class CampaignPress(msgspec.Struct):
    """``do``: begin (``at``, or now) or stop."""

    do: str
    at: dt.datetime | None = None


@post("/console/campaigns/{campaign_id:uuid}", scope=MANY)
async def press(call: Call, db: Database, campaign_id: UUID, data: CampaignPress) -> See[Any]:
    """Begin or stop a campaign."""

    async def verb(tx: Tx) -> Campaign:
        if data.do == "stop":
            return await journeys.stop_campaign(tx, campaign_id, call.say("stopped by the staff"))
        return await journeys.schedule(tx, campaign_id, in_zone(data.at, zone_of(call)))

    return await attempt(call, db, verb, f"/console/campaigns/{campaign_id}", call.say("Done."))
