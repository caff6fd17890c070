"""Campaigns: one letter to many, in parts, with a holdout that is drawn before anybody is written
to."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from pinwheel.ground import messages
from pinwheel.ground.messages import NewMessage
from pinwheel.growth.journeys.model import CampaignIs, LettersDue, Name, NobodyToWriteTo
from pinwheel.insight import audience
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import budgets

AT_ONCE = 500
LIVES_SECONDS = 7 * 86_400


class NewCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A letter of the staff (``template``, in its newest version) to the members of a segment or to
    ``people``; ``holdout_basis_points`` of them get none and are measured against for
    ``window_days``. At most ``most_letters``; ``letter_minor`` is spent from ``budget_id`` for
    each."""

    name: Name
    template: Annotated[str, Meta(min_length=1, max_length=80)]
    segment_id: uuid.UUID | None = None
    people: Annotated[list[uuid.UUID], Meta(max_length=10_000)] = []
    holdout_basis_points: Annotated[int, Meta(ge=0, le=9_000)] = 1_000
    window_days: Annotated[int, Meta(ge=1, le=90)] = 14
    most_letters: Annotated[int, Meta(ge=1, le=10_000_000)] = 100_000
    budget_id: uuid.UUID | None = None
    letter_minor: Annotated[int, Meta(ge=0, le=10**9)] = 0


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    id: uuid.UUID
    name: str
    state: str
    template: str
    template_version: int
    segment_id: uuid.UUID | None
    holdout_basis_points: int
    window_days: int
    most_letters: int
    budget_id: uuid.UUID | None
    letter_minor: int
    scheduled_at: dt.datetime | None
    gathered_to: uuid.UUID | None
    began_at: dt.datetime | None
    ended_at: dt.datetime | None
    why: str
    created_at: dt.datetime
    created_by: str


async def save_campaign(tx: Tx, new: NewCampaign) -> Campaign:
    """A draft. ``UnknownTemplate``, ``NobodyToWriteTo``."""
    letter = await messages.template(tx, new.template)
    if new.segment_id is None and not new.people:
        raise NobodyToWriteTo()
    if new.segment_id is not None:
        await audience.segment(tx, new.segment_id)
    campaign_id = tx.new_id()
    await tx.run(
        """
        insert into journeys.campaign (id, name, state, template, template_version, segment_id,
               people, holdout_basis_points, window_days, most_letters, budget_id, letter_minor,
               created_at, created_by)
        values ($1, $2, 'draft', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        """,
        campaign_id,
        new.name,
        new.template,
        letter.version,
        new.segment_id,
        sorted(set(new.people)),
        new.holdout_basis_points,
        new.window_days,
        new.most_letters,
        new.budget_id,
        new.letter_minor,
        tx.now,
        tx.actor,
    )
    return await campaign(tx, campaign_id)


async def schedule(tx: Tx, campaign_id: uuid.UUID, at: dt.datetime | None = None) -> Campaign:
    """Begin at ``at``, or now. ``CampaignIs`` unless it is a draft or scheduled."""
    before = await _locked(tx, campaign_id)
    if before.state not in ("draft", "scheduled"):
        raise CampaignIs(name=before.name, state=before.state)
    await tx.run(
        "update journeys.campaign set state = 'scheduled', scheduled_at = $2 where id = $1",
        campaign_id,
        at or tx.now,
    )
    if at is None or at <= tx.now:
        tx.emit(LettersDue(campaign_id=campaign_id))
    return await campaign(tx, campaign_id)


async def stop_campaign(tx: Tx, campaign_id: uuid.UUID, why: str) -> Campaign:
    """Nobody else is written to. What was handed over is gone; letters that wait still go."""
    before = await _locked(tx, campaign_id)
    if before.state in ("sent", "stopped"):
        raise CampaignIs(name=before.name, state=before.state)
    await _end(tx, campaign_id, "stopped", why)
    return await campaign(tx, campaign_id)


async def go_on(tx: Tx, campaign_id: uuid.UUID, at_once: int = AT_ONCE) -> bool:
    """One part of a campaign that has begun: gather people, or write to some. Is there more? A
    crash undoes the part; its letters carry the campaign and the person as their key."""
    found = await tx.row(
        Campaign,
        """
        select id, name, state, template, template_version, segment_id, holdout_basis_points,
               window_days, most_letters, budget_id, letter_minor, scheduled_at, gathered_to,
               began_at, ended_at, why, created_at, created_by
          from journeys.campaign
         where id = $1 and (state in ('gathering', 'sending')
                            or (state = 'scheduled' and scheduled_at <= $2))
           for update skip locked
        """,
        campaign_id,
        tx.now,
    )
    if found is None:
        return False
    if found.state == "sending":
        return await _write_some(tx, found, at_once)
    return await _gather_some(tx, found, at_once)


async def _gather_some(tx: Tx, one: Campaign, at_once: int) -> bool:
    """The draw is made among those who can be written to, before anybody is."""
    if one.segment_id is not None:
        members = await audience.members(tx, one.segment_id, one.gathered_to, at_once)
        people = [(m.person_id, m.is_held) for m in members]
    else:
        listed = await tx.values(
            """
            select p from journeys.campaign c, unnest(c.people) as p
             where c.id = $1 and ($2::uuid is null or p > $2) order by p limit $3
            """,
            one.id,
            one.gathered_to,
            at_once,
        )
        people = [(person_id, False) for person_id in listed]
    open_to = await messages.open_to_marketing(tx, [p for p, _ in people])
    states = [_drawn(one, p, held, p in open_to) for p, held in people]
    await tx.run(
        """
        insert into journeys.member (cell, campaign_id, person_id, state, why, at)
        select $1, $2, m.person_id, m.state,
               case m.state when 'left' then 'not subscribed' else '' end, $3
          from unnest($4::uuid[], $5::text[]) as m(person_id, state)
        on conflict (cell, campaign_id, person_id) do nothing
        """,
        tx.cell,
        one.id,
        tx.now,
        [p for p, _ in people],
        states,
    )
    is_over = len(people) < at_once
    await tx.run(
        """
        update journeys.campaign
           set gathered_to = coalesce($2, gathered_to), state = case when $3 then 'sending'
               else 'gathering' end,
               began_at = case when $3 then $4::timestamptz end,
               people = case when $3 then '{}' else people end
         where id = $1
        """,
        one.id,
        people[-1][0] if people else None,
        is_over,
        tx.now,
    )
    return True


def _drawn(one: Campaign, person_id: uuid.UUID, held: bool, is_open: bool) -> str:
    if not is_open:
        return "left"
    if held or audience.bucket_of(one.id, person_id) < one.holdout_basis_points:
        return "held"
    return "waiting"


async def _write_some(tx: Tx, one: Campaign, at_once: int) -> bool:
    written: int = await tx.value(
        "select count(*) from journeys.member"
        " where cell = $1 and campaign_id = $2 and state = 'written'",
        tx.cell,
        one.id,
    )
    room = min(at_once, one.most_letters - written)
    waiting: list[uuid.UUID] = await tx.values(
        """
        select person_id from journeys.member
         where cell = $1 and campaign_id = $2 and state = 'waiting'
         order by person_id limit $3 for update
        """,
        tx.cell,
        one.id,
        max(room, 1),
    )
    if not waiting:
        await _end(tx, one.id, "sent", "")
        return False
    if room <= 0:
        await _end(tx, one.id, "stopped", "the most letters it may send are sent")
        return False
    refusal = await _pay(tx, one, waiting)
    if refusal is not None:
        await _end(tx, one.id, "stopped", refusal.sentence())
        return False
    answers = await messages.send(tx, [_letter(one, person_id) for person_id in waiting])
    refused = [a.code if isinstance(a, Refusal) else "" for a in answers]
    await tx.run(
        """
        update journeys.member m set state = case n.why when '' then 'written' else 'refused' end,
               why = n.why, at = $3
          from unnest($4::uuid[], $5::text[]) as n(person_id, why)
         where m.cell = $1 and m.campaign_id = $2 and m.person_id = n.person_id
        """,
        tx.cell,
        one.id,
        tx.now,
        waiting,
        refused,
    )
    return True


def _letter(one: Campaign, person_id: uuid.UUID) -> NewMessage:
    return NewMessage(
        scope=f"campaign:{one.id}",
        key=str(person_id),
        purpose="marketing",
        template=one.template,
        version=one.template_version,
        person_id=person_id,
        lives_seconds=LIVES_SECONDS,
    )


async def _pay(tx: Tx, one: Campaign, waiting: Sequence[uuid.UUID]) -> Refusal | None:
    if one.budget_id is None or not one.letter_minor:
        return None
    (answer,) = await budgets.spend(
        tx,
        [
            budgets.Reservation(
                budget_id=one.budget_id,
                document_kind="campaign",
                document_id=one.id,
                key=str(waiting[0]),
                amount_minor=one.letter_minor * len(waiting),
            )
        ],
    )
    return answer if isinstance(answer, Refusal) else None


async def _end(tx: Tx, campaign_id: uuid.UUID, state: str, why: str) -> None:
    await tx.run(
        """
        update journeys.campaign set state = $2, ended_at = $3, why = $4, people = '{}'
         where id = $1
        """,
        campaign_id,
        state,
        tx.now,
        why,
    )


async def campaign(tx: Tx, campaign_id: uuid.UUID) -> Campaign:
    return await tx.the(
        "campaign",
        Campaign,
        """
        select id, name, state, template, template_version, segment_id, holdout_basis_points,
               window_days, most_letters, budget_id, letter_minor, scheduled_at, gathered_to,
               began_at, ended_at, why, created_at, created_by
          from journeys.campaign where id = $1
        """,
        campaign_id,
    )


async def _locked(tx: Tx, campaign_id: uuid.UUID) -> Campaign:
    return await tx.the(
        "campaign",
        Campaign,
        """
        select id, name, state, template, template_version, segment_id, holdout_basis_points,
               window_days, most_letters, budget_id, letter_minor, scheduled_at, gathered_to,
               began_at, ended_at, why, created_at, created_by
          from journeys.campaign where id = $1 for update
        """,
        campaign_id,
    )


async def campaigns(tx: Tx) -> list[Campaign]:
    """All of them, the newest first."""
    return await tx.rows(
        Campaign,
        """
        select id, name, state, template, template_version, segment_id, holdout_basis_points,
               window_days, most_letters, budget_id, letter_minor, scheduled_at, gathered_to,
               began_at, ended_at, why, created_at, created_by
          from journeys.campaign order by id desc limit 200
        """,
    )


async def due_campaigns(tx: Tx) -> list[uuid.UUID]:
    found: list[uuid.UUID] = await tx.values(
        """
        select id from journeys.campaign
         where state in ('gathering', 'sending') or (state = 'scheduled' and scheduled_at <= $1)
         order by id limit 100
        """,
        tx.now,
    )
    return found


class Letters(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a campaign's letters. ``opened`` and ``clicked`` are weak: machines do
    both."""

    written: int
    sent: int
    waiting: int
    unsure: int
    suppressed: int
    lost: int
    bounced: int
    complained: int
    unsubscribed: int
    opened: int
    clicked: int


async def letters_of(tx: Tx, campaign_id: uuid.UUID) -> Letters:
    return await tx.the(
        "campaign",
        Letters,
        """
        select count(*) as written, count(*) filter (where state = 'sent') as sent,
               count(*) filter (where state in ('waiting', 'handing')) as waiting,
               count(*) filter (where state = 'unsure') as unsure,
               count(*) filter (where state = 'suppressed') as suppressed,
               count(*) filter (where state in ('dead', 'expired')) as lost,
               count(bounced_at) as bounced, count(complained_at) as complained,
               count(unsubscribed_at) as unsubscribed, count(opened_at) as opened,
               count(clicked_at) as clicked
          from messages.v_message where cell = $1 and scope = $2
        """,
        tx.cell,
        f"campaign:{campaign_id}",
    )


class Members(msgspec.Struct, frozen=True):
    state: str
    people: int


async def members_of(tx: Tx, campaign_id: uuid.UUID) -> list[Members]:
    return await tx.rows(
        Members,
        """
        select state, count(*) as people from journeys.member
         where cell = $1 and campaign_id = $2 group by state order by state
        """,
        tx.cell,
        campaign_id,
    )
