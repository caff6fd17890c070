"""Bargain campaigns, and a bargain's beginning and end."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Sequence
from random import Random

import msgspec

from pinwheel.ground import ledger, trust
from pinwheel.ground.ledger import Hold, Journal, Transfer
from pinwheel.ground.trust import Use
from pinwheel.growth.social.bargain import (
    GIVEN,
    NONCE_BYTES,
    SOLD,
    BargainCampaign,
    BargainTerms,
    commitment_of,
    faults,
    pieces_of,
    plan_of_cuts,
    start_purpose,
)
from pinwheel.growth.social.bargain_stock import free_stock, put_aside_stock
from pinwheel.growth.social.model import (
    BargainExpired,
    BargainNotOffered,
    BargainStarted,
    BargainsUsedUp,
    CampaignNotDraft,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.trade import budgets, pricing
from pinwheel.trade.budgets import Reservation


class Begun(msgspec.Struct, frozen=True):
    """A bargain that was started, or the one that this person has running (``fresh`` False)."""

    id: uuid.UUID
    token: str
    commitment: str
    ends_at: dt.datetime
    fresh: bool = True


class _Open(msgspec.Struct, frozen=True):
    id: uuid.UUID
    token: str
    commitment: str
    ends_at: dt.datetime


async def save_bargain_campaign(
    tx: Tx, terms: BargainTerms, *, campaign_id: uuid.UUID | None = None
) -> uuid.UUID:
    """Write a campaign down as a draft, or change one that has not started; its id.

    Refuses ``Invalid`` (a gap too small for so many helps, a list price that is not the offer's,
    a budget in another currency or one that ends first), ``CampaignNotDraft``."""
    wrong = faults(terms)
    if wrong is not None:
        raise Invalid(*wrong)
    await _check_terms(tx, terms)
    key = campaign_id or tx.new_id()
    written = await tx.value(
        """
        insert into social.bargain_campaign as c (cell, id, name, market, currency, offer_id,
               list_minor, floor_minor, helps, least_cut_minor, window_seconds, budget_id,
               pieces_total, per_identity, helps_per_identity, starts_at, ends_at, created_at,
               stock)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19)
        on conflict (cell, id) do update set name = excluded.name, market = excluded.market,
               currency = excluded.currency, offer_id = excluded.offer_id,
               list_minor = excluded.list_minor, floor_minor = excluded.floor_minor,
               helps = excluded.helps, least_cut_minor = excluded.least_cut_minor,
               window_seconds = excluded.window_seconds, budget_id = excluded.budget_id,
               pieces_total = excluded.pieces_total, per_identity = excluded.per_identity,
               helps_per_identity = excluded.helps_per_identity, starts_at = excluded.starts_at,
               ends_at = excluded.ends_at, stock = excluded.stock
         where c.state = 'draft'
        returning id
        """,
        tx.cell,
        key,
        terms.name,
        terms.market,
        terms.currency,
        terms.offer_id,
        terms.list_minor,
        terms.floor_minor,
        terms.helps,
        terms.least_cut_minor,
        terms.window_seconds,
        terms.budget_id,
        terms.pieces_total,
        terms.per_identity,
        terms.helps_per_identity,
        terms.starts_at or tx.now,
        terms.ends_at,
        tx.now,
        terms.stock,
    )
    if written is None:
        raise CampaignNotDraft()
    return key


async def _check_terms(tx: Tx, terms: BargainTerms) -> None:
    market = (await pricing.markets(tx)).get(terms.market)
    if market is None or not market.active or market.currency != terms.currency:
        raise Invalid("market", "choose a market that sells in this currency", "请选择该币种的市场")
    price = (await pricing.prices(tx, [terms.offer_id], terms.currency)).get(terms.offer_id)
    if price is None or price.price_minor != terms.list_minor:
        raise Invalid(
            "list_minor", "this is not what the offer costs now", "标价须与该商品当前售价一致"
        )
    budget = await budgets.budget(tx, terms.budget_id)
    if budget.currency != terms.currency:
        raise Invalid("budget_id", "the budget is in another currency", "预算币种不一致")
    last = terms.ends_at and terms.ends_at + dt.timedelta(seconds=terms.window_seconds)
    if budget.ends_at is not None and (last is None or budget.ends_at < last):
        raise Invalid(
            "budget_id", "the budget ends before the last bargain", "预算在最后一个砍价结束前到期"
        )


async def start_bargain_campaign(tx: Tx, campaign_id: uuid.UUID) -> None:
    """From now on (or from ``starts_at``) bargains may be started; the terms are promised, and with
    ``stock`` reserved its pieces are put aside. Safe to repeat; ``CampaignNotDraft`` for one that
    was stopped, ``inventory.TooFewToPutAside``."""
    campaign = await _locked_campaign(tx, campaign_id)
    if campaign.state == "running":
        return
    if campaign.state != "draft":
        raise CampaignNotDraft()
    await _set_state(tx, campaign_id, "running")
    if campaign.pieces_total is not None:
        given = Journal(
            document_kind="bargain_campaign",
            document_id=campaign_id,
            key="given",
            reason="given to a bargain campaign",
            transfers=(Transfer(pieces_of(campaign_id), GIVEN, campaign.pieces_total),),
        )
        [posted] = await ledger.post(tx, [given])
        if isinstance(posted, Refusal):
            raise posted
    await put_aside_stock(tx, campaign)


async def stop_bargain_campaign(tx: Tx, campaign_id: uuid.UUID) -> None:
    """No bargain is started any more; those that run go on to their deadline. Safe to repeat."""
    campaign = await _locked_campaign(tx, campaign_id)
    await _set_state(tx, campaign_id, "stopped")
    if campaign.stock == "reserved":
        await free_stock(tx, campaign_id)


async def _set_state(tx: Tx, campaign_id: uuid.UUID, state: str) -> None:
    await tx.run(
        "update social.bargain_campaign set state = $3 where cell = $1 and id = $2",
        tx.cell,
        campaign_id,
        state,
    )


async def _locked_campaign(tx: Tx, campaign_id: uuid.UUID) -> BargainCampaign:
    return await tx.the(
        "bargain campaign",
        BargainCampaign,
        """
        select id, name, market, currency, offer_id, list_minor, floor_minor, helps,
               least_cut_minor, window_seconds, budget_id, pieces_total, stock, per_identity,
               helps_per_identity, state, starts_at, ends_at
          from social.bargain_campaign where cell = $1 and id = $2 for update
        """,
        tx.cell,
        campaign_id,
    )


async def start_bargain(
    tx: Tx,
    campaign_id: uuid.UUID,
    person_id: uuid.UUID,
    *,
    device: str = "",
    initials: str | None = None,
) -> Begun:
    """A person's bargain: its whole gap is put aside in the budget, the plan of every cut drawn
    and committed. Who has one running in this campaign gets that one.

    Refuses ``BargainNotOffered``, ``trust.AlreadyUsed`` (the limit of one identity: account,
    device, card), ``BargainsUsedUp`` (budget or pieces); then nothing is held."""
    campaign = await _open_campaign(tx, campaign_id)
    running = await _running(tx, campaign_id, person_id)
    if running is not None:
        return Begun(running.id, running.token, running.commitment, running.ends_at, fresh=False)
    await trust.note(tx, trust.seen_device(person_id, device))
    bargain_id = tx.new_id()
    use = Use(
        person_id=person_id,
        purpose=start_purpose(campaign_id),
        document_kind="bargain",
        document_id=bargain_id,
        most=campaign.per_identity,
    )
    [used] = await trust.take(tx, [use])
    if isinstance(used, Refusal):
        raise used
    await _put_aside(tx, campaign, bargain_id)
    return await _write(tx, campaign, bargain_id, person_id, initials)


async def _put_aside(tx: Tx, campaign: BargainCampaign, bargain_id: uuid.UUID) -> None:
    """The gap in the budget, and a piece of the campaign's."""
    gap = Reservation(
        budget_id=campaign.budget_id,
        document_kind="bargain",
        document_id=bargain_id,
        key="gap",
        amount_minor=campaign.gap_minor,
        currency=campaign.currency,
    )
    answers: list[ledger.Held | Refusal] = await budgets.reserve(tx, [gap])
    if campaign.pieces_total is not None:
        piece = Hold(
            document_kind="bargain",
            document_id=bargain_id,
            key="piece",
            debit=SOLD,
            credit=pieces_of(campaign.id),
            amount=1,
        )
        answers += await ledger.hold(tx, [piece])
    if any(isinstance(answer, Refusal) for answer in answers):
        raise BargainsUsedUp()


async def _write(
    tx: Tx,
    campaign: BargainCampaign,
    bargain_id: uuid.UUID,
    person_id: uuid.UUID,
    initials: str | None,
) -> Begun:
    # Drawn from the installation's secret: nobody can tell the next cut from ids that are public.
    seed = tx.db.vault.blind(str(bargain_id), "social.bargain.plan")
    cuts = plan_of_cuts(campaign.gap_minor, campaign.helps, campaign.least_cut_minor, Random(seed))
    nonce = tx.db.vault.blind(str(bargain_id), "social.bargain.nonce")[:NONCE_BYTES]
    begun = Begun(
        bargain_id,
        secrets.token_urlsafe(12),
        commitment_of(bargain_id, nonce, cuts),
        tx.later_than(campaign.window_seconds),
    )
    await tx.run(
        """
        insert into social.bargain (cell, id, campaign_id, token, person_id, initials, currency,
               list_minor, floor_minor, commitment, nonce, cuts, started_at, ends_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        """,
        tx.cell,
        bargain_id,
        campaign.id,
        begun.token,
        person_id,
        initials,
        campaign.currency,
        campaign.list_minor,
        campaign.floor_minor,
        begun.commitment,
        nonce,
        cuts,
        tx.now,
        begun.ends_at,
    )
    tx.emit(
        BargainStarted(
            bargain_id=bargain_id,
            campaign_id=campaign.id,
            person_id=person_id,
            commitment=begun.commitment,
        )
    )
    return begun


async def _open_campaign(tx: Tx, campaign_id: uuid.UUID) -> BargainCampaign:
    """Kept running until this transaction ends."""
    campaign = await tx.row(
        BargainCampaign,
        """
        select id, name, market, currency, offer_id, list_minor, floor_minor, helps,
               least_cut_minor, window_seconds, budget_id, pieces_total, stock, per_identity,
               helps_per_identity, state, starts_at, ends_at
          from social.bargain_campaign where cell = $1 and id = $2 for share
        """,
        tx.cell,
        campaign_id,
    )
    if campaign is None:
        raise NotFound(what="bargain campaign")
    if not campaign.opens_at(tx.now):
        raise BargainNotOffered()
    return campaign


async def _running(tx: Tx, campaign_id: uuid.UUID, person_id: uuid.UUID) -> _Open | None:
    return await tx.row(
        _Open,
        """
        select id, token, commitment, ends_at from social.bargain
         where cell = $1 and person_id = $2 and campaign_id = $3 and state in ('running', 'reached')
         order by id desc limit 1
        """,
        tx.cell,
        person_id,
        campaign_id,
    )


class Live(msgspec.Struct, frozen=True):
    """A bargain under lock. ``order_state``: of the order at its price, None without one."""

    id: uuid.UUID
    campaign_id: uuid.UUID
    budget_id: uuid.UUID
    currency: str
    person_id: uuid.UUID | None
    state: str
    cuts: list[int]
    helped: int
    cut_minor: int
    gap_minor: int
    order_id: uuid.UUID | None
    order_state: str | None
    ends_at: dt.datetime

    @property
    def is_open(self) -> bool:
        return self.state in ("running", "reached")

    @property
    def is_ordered(self) -> bool:
        return self.order_state not in (None, "cancelled")


async def locked_bargains(tx: Tx, bargain_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Live]:
    """Bargains under lock, in the order of their ids. Two statements: the order of a bargain is
    looked at once its lock is held, not before."""
    ids = sorted(set(bargain_ids))
    if not ids:
        return {}
    await tx.run(
        """
        select from social.bargain where cell = $1 and id = any($2::uuid[]) order by id for update
        """,
        tx.cell,
        ids,
    )
    rows = await tx.rows(
        Live,
        """
        select b.id, b.campaign_id, c.budget_id, b.currency, b.person_id, b.state, b.cuts,
               b.helped, b.cut_minor, b.list_minor - b.floor_minor as gap_minor, b.order_id,
               (select l.state from orders.v_line l
                 where l.cell = b.cell and l.order_id = b.order_id limit 1) as order_state,
               b.ends_at
          from social.bargain b
          join social.bargain_campaign c on c.cell = b.cell and c.id = b.campaign_id
         where b.cell = $1 and b.id = any($2::uuid[]) order by b.id
        """,
        tx.cell,
        ids,
    )
    return {row.id: row for row in rows}


async def free_reserved(tx: Tx, bargain_ids: Sequence[uuid.UUID], *, pieces: bool) -> None:
    """What bargains have put aside in budgets (and of the campaign's pieces) is free again."""
    ids = await tx.values(
        """
        select hold_id from ledger.v_hold
         where cell = $1 and document_id = any($2::uuid[]) and state = 'open'
           and (starts_with(key, 'budget:') or ($3 and key = 'piece'))
        """,
        tx.cell,
        list(bargain_ids),
        pieces,
    )
    await ledger.release(tx, ids)


async def end_bargain(tx: Tx, bargain: Live, why: str) -> None:
    """The end of a bargain under lock that nobody bought: budget and piece are free again."""
    await free_reserved(tx, [bargain.id], pieces=True)
    await tx.run(
        """
        update social.bargain set state = 'expired', why = $3, ended_at = $4
         where cell = $1 and id = $2
        """,
        tx.cell,
        bargain.id,
        why,
        tx.now,
    )
    tx.emit(
        BargainExpired(
            bargain_id=bargain.id,
            campaign_id=bargain.campaign_id,
            person_id=bargain.person_id,
            why=why,
        )
    )
