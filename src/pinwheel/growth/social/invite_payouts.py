"""What is given to whom: lists, a promoter's statement, payouts, sums for the tax office."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.growth.social.invite import owed_back, paid_out, promoter_due
from pinwheel.growth.social.model import NothingToPay
from pinwheel.kernel import kept, listing
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.listing import Page

TAX = "social.tax_threshold_minor"
TAX_THRESHOLD_MINOR = 80_000
LEAST_PAYOUT_MINOR = 1000


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
    cursor: str | None = None,
    limit: int = 50,
) -> Page[RewardLine]:
    """Rewards of a person, of a campaign or in a state, newest first."""
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
           and ($5::uuid is null or r.id < $5)
         order by r.id desc limit $6
        """,
        tx.cell,
        person_id,
        campaign_id,
        state,
        before[0] if before else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda row: (row.id,))


class Payout(msgspec.Struct, frozen=True):
    id: uuid.UUID
    currency: str
    amount_minor: int
    at: dt.datetime


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
    """A constant number of statements; the newest 100 lines."""
    due, owing = promoter_due(person_id, currency), owed_back(person_id, currency)
    stands = await ledger.balances(tx, [due, owing])
    payouts = await tx.rows(
        Payout,
        """
        select id, currency, amount_minor, at from social.payout
         where cell = $1 and person_id = $2 and currency = $3 order by id desc limit 100
        """,
        tx.cell,
        person_id,
        currency,
    )
    newest = (await rewards(tx, person_id=person_id, limit=100)).items
    lines = [r for r in newest if r.currency == currency and r.kind == "commission"]
    waiting = [r for r in lines if r.state in ("pending", "review")]
    return Statement(
        person_id=person_id,
        currency=currency,
        pending_minor=sum(r.amount_minor - r.reversed_minor for r in waiting),
        due_minor=stands[due.code].available,
        owed_minor=stands[owing.code].available,
        paid_minor=sum(p.amount_minor for p in payouts),
        payouts=payouts,
        lines=lines,
    )


async def pay_out(
    tx: Tx, person_id: uuid.UUID, currency: str, *, least_minor: int = LEAST_PAYOUT_MINOR
) -> Payout:
    """Everything that is due to a promoter leaves their account, to be transferred. Refuses
    ``NothingToPay``. Two at once pay once: the account has a floor."""
    account = promoter_due(person_id, currency)
    amount = (await ledger.balances(tx, [account]))[account.code].available
    if amount < max(1, least_minor):
        raise NothingToPay(currency=currency, least=least_minor)
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
    found = (await kept.kept(tx, TAX)).get(TAX)
    threshold = int(found.value) if found is not None else TAX_THRESHOLD_MINOR
    return await tx.rows(
        TaxLine,
        """
        select r.person_id, r.currency,
               coalesce(sum(p.amount) filter (where p.debit = 'share-rewards:' || r.currency), 0)
                 ::bigint as given_minor,
               coalesce(sum(p.amount) filter (where p.credit = 'share-rewards:' || r.currency), 0)
                 ::bigint as reversed_minor,
               coalesce(sum(case when p.debit = 'share-rewards:' || r.currency then p.amount
                            when p.credit = 'share-rewards:' || r.currency then -p.amount end), 0)
                 >= $4 as is_reportable
          from social.reward r
          join ledger.v_posting p on p.cell = r.cell and p.document_id = r.id
               and p.document_kind = 'reward'
         where r.cell = $1 and r.released_at is not null and p.posted_at >= $2
           and p.posted_at < $3
         group by r.person_id, r.currency order by given_minor desc
        """,
        tx.cell,
        dt.datetime(year, 1, 1, tzinfo=dt.UTC),
        dt.datetime(year + 1, 1, 1, tzinfo=dt.UTC),
        threshold,
    )


async def set_tax_threshold(tx: Tx, minor: int) -> None:
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
