"""What is given to whom: lists, a promoter's statement, payouts, sums for the tax office."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.growth.social.invite import owed_back, paid_out, promoter_due
from pinwheel.growth.social.model import NothingToPay, PayoutChanged
from pinwheel.kernel import kept, listing
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.listing import Page

TAX = "social.tax_threshold_minor"
TAX_THRESHOLD_MINOR = 80_000
LEAST_PAYOUT_MINOR = 1000
NOBODY = uuid.UUID(int=0)


class RewardLine(msgspec.Struct, frozen=True, kw_only=True):
    """A reward in a list. ``why``: refund, trust, limit, budget, coupon, erased."""

    id: uuid.UUID
    campaign_id: uuid.UUID
    name: dict[str, str]
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    role: str
    level: int
    kind: str
    currency: str
    amount_minor: int
    reversed_minor: int
    rate_basis_points: int
    base_minor: int
    state: str
    why: str | None
    at: dt.datetime
    due_at: dt.datetime | None
    released_at: dt.datetime | None
    reversed_at: dt.datetime | None
    payout_id: uuid.UUID | None
    verdict_id: uuid.UUID | None


async def rewards(
    tx: Tx,
    *,
    person_id: uuid.UUID | None = None,
    campaign_id: uuid.UUID | None = None,
    state: str | None = None,
    kind: str | None = None,
    currency: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[RewardLine]:
    """Rewards of a person, of a campaign, in a state, of a kind, newest first."""
    before = listing.after(cursor, uuid.UUID)
    rows = await tx.rows(
        RewardLine,
        """
        select r.id, r.campaign_id, c.name, r.order_id, r.person_id, r.role, r.level, r.kind,
               r.currency, r.amount_minor, r.reversed_minor, r.rate_basis_points, r.base_minor,
               r.state, r.why, r.at, r.due_at, r.released_at, r.reversed_at, r.payout_id,
               a.verdict_id
          from social.reward r
          join social.invite_campaign c on c.cell = r.cell and c.id = r.campaign_id
          left join social.attribution a on a.cell = r.cell and a.order_id = r.root_order_id
         where r.cell = $1 and ($2::uuid is null or r.person_id = $2)
           and ($3::uuid is null or r.campaign_id = $3) and ($4::text is null or r.state = $4)
           and ($5::uuid is null or r.id < $5) and ($7::text is null or r.kind = $7)
           and ($8::text is null or r.currency = $8)
         order by r.id desc limit $6
        """,
        tx.cell,
        person_id,
        campaign_id,
        state,
        before[0] if before else None,
        limit + 1,
        kind,
        currency,
    )
    return listing.page(rows, limit, lambda row: (row.id,))


class Payout(msgspec.Struct, frozen=True):
    id: uuid.UUID
    currency: str
    amount_minor: int
    at: dt.datetime


class Promoter(msgspec.Struct, frozen=True, kw_only=True):
    """A line of who earns commissions: what waits for its return window or a review, what can be
    paid now, what is to be set off first, what was paid."""

    person_id: uuid.UUID
    currency: str
    rewards: int
    pending_minor: int
    due_minor: int
    owed_minor: int
    paid_minor: int
    last_at: dt.datetime


Standing = Literal["due", "waiting"]


async def promoters(
    tx: Tx,
    currency: str,
    *,
    standing: Standing | None = None,
    person_id: uuid.UUID | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Promoter]:
    """Who earns commissions, the latest reward first; ``due``: with something to pay out,
    ``waiting``: with something that is not due yet. What is due is the ledger's figure. 2
    statements."""
    before = listing.after(cursor, dt.datetime, uuid.UUID)
    rows = await tx.rows(
        Promoter,
        """
        with earner as (
          select r.person_id, count(*) as rewards, max(r.at) as last_at,
                 coalesce(sum(r.amount_minor - r.reversed_minor)
                          filter (where r.state in ('pending', 'review')), 0)::bigint as pending,
                 coalesce(sum(r.amount_minor - r.reversed_minor)
                          filter (where r.released_at is not null), 0)::bigint as earned
            from social.reward r
           where r.cell = $1 and r.kind = 'commission' and r.currency = $2
             and r.person_id is not null and ($7::uuid is null or r.person_id = $7)
           group by r.person_id)
        select e.person_id, $2::text as currency, e.rewards, e.pending as pending_minor,
               0::bigint as due_minor, 0::bigint as owed_minor, p.paid as paid_minor, e.last_at
          from earner e
         cross join lateral (
           select coalesce(sum(amount_minor), 0)::bigint as paid from social.payout
            where cell = $1 and person_id = e.person_id and currency = $2) p
         where ($3::timestamptz is null or (e.last_at, e.person_id) < ($3, $4::uuid))
           and case $5::text when 'due' then e.earned > p.paid when 'waiting' then e.pending > 0
                             else true end
         order by e.last_at desc, e.person_id desc limit $6
        """,
        tx.cell,
        currency,
        before[0] if before else None,
        before[1] if before else None,
        standing,
        limit + 1,
        person_id,
    )
    found = listing.page(rows, limit, lambda row: (row.last_at, row.person_id))
    dues = {row.person_id: promoter_due(row.person_id, currency) for row in found.items}
    owing = {row.person_id: owed_back(row.person_id, currency) for row in found.items}
    stands = await ledger.balances(tx, [*dues.values(), *owing.values()])
    lines = [
        msgspec.structs.replace(
            row,
            due_minor=stands[dues[row.person_id].code].available,
            owed_minor=stands[owing[row.person_id].code].available,
        )
        for row in found.items
    ]
    return Page(lines, found.next)


class PaidOut(msgspec.Struct, frozen=True, kw_only=True):
    """A payout as the desk sees it; no person: erased since."""

    id: uuid.UUID
    person_id: uuid.UUID | None
    currency: str
    amount_minor: int
    at: dt.datetime
    made_by: str


async def payouts(
    tx: Tx,
    currency: str,
    *,
    person_id: uuid.UUID | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[PaidOut]:
    """What was paid out and by whom, the newest first. 1 statement."""
    before = listing.after(cursor, uuid.UUID)
    rows = await tx.rows(
        PaidOut,
        """
        select id, person_id, currency, amount_minor, at, made_by from social.payout
         where cell = $1 and currency = $2 and ($3::uuid is null or person_id = $3)
           and ($4::uuid is null or id < $4)
         order by id desc limit $5
        """,
        tx.cell,
        currency,
        person_id,
        before[0] if before else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda row: (row.id,))


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A promoter's account: what waits, what is due now, what is owed back, what was paid."""

    person_id: uuid.UUID
    currency: str
    pending_minor: int
    due_minor: int
    owed_minor: int
    paid_minor: int
    payouts: list[Payout]
    lines: list[RewardLine]


async def promoter_statement(tx: Tx, person_id: uuid.UUID, currency: str) -> Statement:
    """A constant number of statements; the newest 100 lines and payouts, sums of all."""
    due, owing = promoter_due(person_id, currency), owed_back(person_id, currency)
    stands = await ledger.balances(tx, [due, owing])
    lines = await rewards(tx, person_id=person_id, kind="commission", currency=currency, limit=100)
    paid = await payouts(tx, currency, person_id=person_id, limit=100)
    sums = (await promoters(tx, currency, person_id=person_id)).items
    return Statement(
        person_id=person_id,
        currency=currency,
        pending_minor=sums[0].pending_minor if sums else 0,
        due_minor=stands[due.code].available,
        owed_minor=stands[owing.code].available,
        paid_minor=sums[0].paid_minor if sums else 0,
        payouts=[Payout(p.id, p.currency, p.amount_minor, p.at) for p in paid.items],
        lines=lines.items,
    )


async def pay_out(
    tx: Tx,
    person_id: uuid.UUID,
    currency: str,
    *,
    least_minor: int = LEAST_PAYOUT_MINOR,
    agreed_minor: int | None = None,
) -> Payout:
    """Everything that is due to a promoter leaves their account, to be transferred. Two at once
    pay once: the account has a floor. ``agreed_minor`` is the amount that a person has seen and
    agreed to. Refuses ``NothingToPay``, ``PayoutChanged``."""
    account = promoter_due(person_id, currency)
    amount = (await ledger.balances(tx, [account]))[account.code].available
    if amount < max(1, least_minor):
        raise NothingToPay(currency=currency, least=least_minor)
    if agreed_minor is not None and agreed_minor != amount:
        raise PayoutChanged()
    payout = Payout(tx.new_id(), currency, amount, tx.now)
    journal = Journal(
        document_kind="promoter_payout",
        document_id=payout.id,
        key="paid",
        reason="promoter paid out",
        transfers=(Transfer(account, paid_out(currency), amount),),
    )
    [answer] = await ledger.post(tx, [journal])
    if isinstance(answer, Refusal):
        raise NothingToPay(currency=currency, least=least_minor)
    await tx.run(
        """
        with paid as (
          insert into social.payout (cell, id, person_id, currency, amount_minor, at, made_by)
          values ($1, $2, $3, $4, $5, $6, $7)
        )
        update social.reward set payout_id = $2
         where cell = $1 and person_id = $3 and currency = $4 and kind = 'commission'
           and state = 'released' and payout_id is null
        """,
        tx.cell,
        payout.id,
        person_id,
        currency,
        amount,
        tx.now,
        tx.actor,
    )
    return payout


class TaxLine(msgspec.Struct, frozen=True):
    """A person's rewards of a calendar year (UTC), net of what was taken back in it."""

    person_id: uuid.UUID | None
    currency: str
    given_minor: int
    reversed_minor: int
    is_reportable: bool


async def tax_report(tx: Tx, year: int) -> list[TaxLine]:
    """Sums per person and currency, from the ledger's postings; ``is_reportable`` from the
    threshold that the shop has set (``set_tax_threshold``): what the law asks for is its counsel's
    answer. Coupons are no income here."""
    return await _tax_lines(tx, year, None, None)


async def tax_page(
    tx: Tx, year: int, *, cursor: str | None = None, limit: int = 50
) -> Page[TaxLine]:
    """The same, a page at a time, the largest sums first."""
    before = listing.after(cursor, int, uuid.UUID, str)
    rows = await _tax_lines(tx, year, before, limit + 1)
    return listing.page(
        rows, limit, lambda row: (row.given_minor, row.person_id or NOBODY, row.currency)
    )


async def tax_threshold(tx: Tx) -> int:
    found = (await kept.kept(tx, TAX)).get(TAX)
    return int(found.value) if found is not None else TAX_THRESHOLD_MINOR


async def _tax_lines(
    tx: Tx, year: int, before: tuple[Any, ...] | None, most: int | None
) -> list[TaxLine]:
    given_minor, person_id, currency = before or (None, None, None)
    return await tx.rows(
        TaxLine,
        """
        select person_id, currency, given_minor, reversed_minor,
               given_minor - reversed_minor >= $4 as is_reportable
          from (
            select r.person_id, r.currency,
                   coalesce(sum(p.amount) filter (where p.debit = 'share-rewards:' || r.currency),
                            0)::bigint as given_minor,
                   coalesce(sum(p.amount) filter (where p.credit = 'share-rewards:' || r.currency),
                            0)::bigint as reversed_minor
              from social.reward r
              join ledger.v_posting p on p.cell = r.cell and p.document_id = r.id
                   and p.document_kind = 'reward'
             where r.cell = $1 and r.released_at is not null and p.posted_at >= $2
               and p.posted_at < $3
             group by r.person_id, r.currency) t
         where $5::bigint is null
            or (given_minor, coalesce(person_id, $9::uuid), currency)
               < ($5::bigint, $6::uuid, $7::text)
         order by given_minor desc, coalesce(person_id, $9::uuid) desc, currency desc
         limit $8::bigint
        """,
        tx.cell,
        dt.datetime(year, 1, 1, tzinfo=dt.UTC),
        dt.datetime(year + 1, 1, 1, tzinfo=dt.UTC),
        await tax_threshold(tx),
        given_minor,
        person_id,
        currency,
        most,
        NOBODY,
    )


async def set_tax_threshold(tx: Tx, minor: int) -> None:
    """From which sum of a year on a person is reported, in minor units of each currency."""
    await kept.keep(tx, TAX, minor)


class Brought(msgspec.Struct, frozen=True):
    """A campaign's tree in figures."""

    campaign_id: uuid.UUID
    brought: int
    refused: int
    in_review: int
    deepest: int


async def brought(tx: Tx, campaign_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Brought]:
    rows = await tx.rows(
        Brought,
        """
        select campaign_id, count(*) filter (where decision <> 'deny') as brought,
               count(*) filter (where decision = 'deny') as refused,
               count(*) filter (where decision = 'review') as in_review, max(depth) as deepest
          from social.attribution where cell = $1 and campaign_id = any($2::uuid[])
         group by campaign_id
        """,
        tx.cell,
        list(campaign_ids),
    )
    return {row.campaign_id: row for row in rows}
