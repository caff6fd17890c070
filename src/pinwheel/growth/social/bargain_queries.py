"""Questions about bargains: a bargain as its people see it, campaigns, lists."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.growth.social.bargain import BargainCampaign
from pinwheel.kernel import listing
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page


class HelpSight(msgspec.Struct, frozen=True):
    """One valid help; ``initials`` with the helper's consent."""

    number: int
    initials: str | None
    cut_minor: int
    at: dt.datetime


class BargainSight(msgspec.Struct, frozen=True, kw_only=True):
    """A bargain as its owner and whoever has its link see it. ``left_minor``: what is above the
    floor still. ``nonce`` and ``cuts`` are told when it has ended, for anybody to verify."""

    id: uuid.UUID
    campaign_id: uuid.UUID
    token: str
    name: dict[str, str]
    market: str
    offer_id: uuid.UUID
    stock: str
    state: str
    currency: str
    list_minor: int
    floor_minor: int
    cut_minor: int
    left_minor: int
    price_minor: int
    helps: int
    helped: int
    initials: str | None
    is_mine: bool
    my_help: str | None
    my_cut_minor: int | None
    order_id: uuid.UUID | None  # to its owner alone
    commitment: str
    nonce: str | None
    cuts: list[int] | None
    started_at: dt.datetime
    ends_at: dt.datetime
    ended_at: dt.datetime | None
    why: str | None
    helpers: list[HelpSight] = []


async def bargain_seen(tx: Tx, token: str, *, person_id: uuid.UUID | None = None) -> BargainSight:
    """A bargain by its address; ``NotFound``. Two statements."""
    sight = await tx.the(
        "bargain",
        BargainSight,
        """
        select b.id, b.campaign_id, b.token, c.name, c.market, c.offer_id, c.stock, b.state,
               b.currency,
               b.list_minor, b.floor_minor, b.cut_minor,
               b.list_minor - b.floor_minor - b.cut_minor as left_minor,
               b.list_minor - b.cut_minor as price_minor, cardinality(b.cuts) as helps,
               b.helped, b.initials, coalesce(b.person_id = $3, false) as is_mine,
               h.state as my_help, h.cut_minor as my_cut_minor,
               case when b.person_id = $3 then b.order_id end as order_id, b.commitment,
               case when b.ended_at is not null then encode(b.nonce, 'hex') end as nonce,
               case when b.ended_at is not null then b.cuts end as cuts,
               b.started_at, b.ends_at, b.ended_at, b.why, '{}'::jsonb[] as helpers
          from social.bargain b
          join social.bargain_campaign c on c.cell = b.cell and c.id = b.campaign_id
          left join social.bargain_help h on h.cell = b.cell and h.bargain_id = b.id
               and h.person_id = $3
         where b.cell = $1 and b.token = $2
        """,
        tx.cell,
        token,
        person_id,
    )
    helpers = await tx.rows(
        HelpSight,
        """
        select number, initials, cut_minor, at from social.bargain_help
         where cell = $1 and bargain_id = $2 and number is not null order by number
        """,
        tx.cell,
        sight.id,
    )
    return msgspec.structs.replace(sight, helpers=helpers)


class BargainLine(msgspec.Struct, frozen=True, kw_only=True):
    """A bargain in a list."""

    id: uuid.UUID
    token: str
    campaign_id: uuid.UUID
    name: dict[str, str]
    state: str
    currency: str
    list_minor: int
    cut_minor: int
    left_minor: int
    helps: int
    helped: int
    in_review: int
    denied: int
    started_at: dt.datetime
    ends_at: dt.datetime
    why: str | None


async def bargains(
    tx: Tx,
    *,
    campaign_id: uuid.UUID | None = None,
    person_id: uuid.UUID | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[BargainLine]:
    """Bargains of a campaign or of a person, newest first."""
    before = listing.after(cursor, uuid.UUID)
    rows = await tx.rows(
        BargainLine,
        """
        select b.id, b.token, b.campaign_id, c.name, b.state, b.currency, b.list_minor,
               b.cut_minor, b.list_minor - b.floor_minor - b.cut_minor as left_minor,
               cardinality(b.cuts) as helps, b.helped,
               (select count(*) from social.bargain_help h where h.cell = b.cell
                   and h.bargain_id = b.id and h.state = 'review')::int as in_review,
               (select count(*) from social.bargain_help h where h.cell = b.cell
                   and h.bargain_id = b.id and h.state = 'denied')::int as denied,
               b.started_at, b.ends_at, b.why
          from social.bargain b
          join social.bargain_campaign c on c.cell = b.cell and c.id = b.campaign_id
         where b.cell = $1 and ($2::uuid is null or b.campaign_id = $2)
           and ($3::uuid is null or b.person_id = $3) and ($4::text is null or b.state = $4)
           and ($5::uuid is null or b.id < $5)
         order by b.id desc limit $6
        """,
        tx.cell,
        campaign_id,
        person_id,
        state,
        before[0] if before else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda row: (row.id,))


class BargainCampaignLine(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with what has become of its bargains."""

    campaign: BargainCampaign
    started: int
    open: int
    bought: int
    expired: int
    given_minor: int
    reserved_minor: int


class _Counts(msgspec.Struct, frozen=True):
    campaign_id: uuid.UUID
    started: int
    open: int
    bought: int
    expired: int
    given_minor: int
    reserved_minor: int


async def bargain_campaigns(
    tx: Tx, *, ids: Sequence[uuid.UUID] | None = None, limit: int = 100
) -> list[BargainCampaignLine]:
    """Campaigns, newest first, with their figures. Two statements."""
    found = await tx.rows(
        BargainCampaign,
        """
        select id, name, market, currency, offer_id, list_minor, floor_minor, helps,
               least_cut_minor, window_seconds, budget_id, pieces_total, stock, per_identity,
               helps_per_identity, state, starts_at, ends_at
          from social.bargain_campaign
         where cell = $1 and ($2::uuid[] is null or id = any($2)) order by id desc limit $3
        """,
        tx.cell,
        None if ids is None else list(ids),
        limit,
    )
    counts = await tx.rows(
        _Counts,
        """
        select campaign_id, count(*) as started,
               count(*) filter (where state in ('running', 'reached')) as open,
               count(*) filter (where state = 'bought') as bought,
               count(*) filter (where state = 'expired') as expired,
               coalesce(sum(order_cut_minor) filter (where state = 'bought'), 0)::bigint
                 as given_minor,
               coalesce(sum(list_minor - floor_minor)
                        filter (where state in ('running', 'reached')), 0)::bigint
                 as reserved_minor
          from social.bargain where cell = $1 and campaign_id = any($2::uuid[])
         group by campaign_id
        """,
        tx.cell,
        [c.id for c in found],
    )
    by_id = {c.campaign_id: c for c in counts}
    return [_line(campaign, by_id.get(campaign.id)) for campaign in found]


def _line(campaign: BargainCampaign, counts: Any) -> BargainCampaignLine:
    figures = counts or _Counts(campaign.id, 0, 0, 0, 0, 0, 0)
    return BargainCampaignLine(
        campaign=campaign,
        started=figures.started,
        open=figures.open,
        bought=figures.bought,
        expired=figures.expired,
        given_minor=figures.given_minor,
        reserved_minor=figures.reserved_minor,
    )


async def running_bargain_campaigns(
    tx: Tx, market: str | None = None, *, offer_ids: Sequence[uuid.UUID] | None = None
) -> list[BargainCampaign]:
    """What may be bargained for now, in a market or in any."""
    return await tx.rows(
        BargainCampaign,
        """
        select id, name, market, currency, offer_id, list_minor, floor_minor, helps,
               least_cut_minor, window_seconds, budget_id, pieces_total, stock, per_identity,
               helps_per_identity, state, starts_at, ends_at
          from social.bargain_campaign
         where cell = $1 and ($2::text is null or market = $2)
           and state = 'running' and starts_at <= $3 and (ends_at is null or ends_at > $3)
           and ($4::uuid[] is null or offer_id = any($4))
         order by id desc limit 100
        """,
        tx.cell,
        market,
        tx.now,
        None if offer_ids is None else list(offer_ids),
    )
