"""Questions about newcomer offers; they take no lock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import trust
from pinwheel.growth.newcomers.model import (
    BOUGHT,
    FIRST_ORDER,
    Contribution,
    PayBack,
    Pool,
    PoolOffer,
    pay_back,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.trade import marketplace

HORIZON_DAYS = 120
MOST_PEOPLE = 20_000


async def offers(
    tx: Tx,
    *,
    ids: Sequence[uuid.UUID] | None = None,
    market: str | None = None,
    pool_id: uuid.UUID | None = None,
) -> list[PoolOffer]:
    """Newcomer offers with what is left of each, those that are on first. 1 statement."""
    return await tx.rows(
        PoolOffer,
        """
        select o.id, o.pool_id, p.name as pool_name, p.budget_id, p.per_identity, p.per_home,
               o.offer_id, o.market, o.currency, o.price_minor, o.free_delivery, o.quantity,
               coalesce(l.available, 0) as left,
               o.is_open and p.is_open and p.starts_at <= $2
                 and (p.ends_at is null or p.ends_at > $2) as is_on
          from newcomers.offer o
          join newcomers.pool p on p.cell = o.cell and p.id = o.pool_id
          left join ledger.v_balance l on l.cell = o.cell and l.account_id = o.left_account
         where o.cell = $1 and ($3::uuid[] is null or o.id = any($3))
           and ($4::text is null or o.market = $4) and ($5::uuid is null or o.pool_id = $5)
         order by is_on desc, o.place, o.price_minor, o.id limit 500
        """,
        tx.cell,
        tx.now,
        None if ids is None else list(ids),
        market,
        pool_id,
    )


async def pools(tx: Tx, *, pool_id: uuid.UUID | None = None) -> list[Pool]:
    """Every pool (at most 200), the newest first. 1 statement."""
    return await tx.rows(
        Pool,
        """
        select p.id, p.name, p.budget_id, p.per_identity, p.per_home, p.cost_percent, p.is_open,
               p.starts_at, p.ends_at,
               (select count(*) from newcomers.offer o
                 where o.cell = p.cell and o.pool_id = p.id)::int as offers,
               w.wins, w.called_back, w.subsidy_minor
          from newcomers.pool p
          cross join lateral (
            select count(*) filter (where w.state = 'won')::int as wins,
                   count(*) filter (where w.state = 'called_back')::int as called_back,
                   coalesce(sum(w.subsidy_minor) filter (where w.state = 'won'), 0)::bigint
                     as subsidy_minor
              from newcomers.win w where w.cell = p.cell and w.pool_id = p.id) w
         where p.cell = $1 and ($2::uuid is null or p.id = $2)
         order by p.id desc limit 200
        """,
        tx.cell,
        pool_id,
    )


async def pool(tx: Tx, pool_id: uuid.UUID) -> Pool:
    """``NotFound``."""
    found = await pools(tx, pool_id=pool_id)
    if not found:
        raise NotFound(what="pool")
    return found[0]


async def not_new(tx: Tx, person_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Who of these has a paid order already, under this account or another of the same identity
    (device, card, telephone, mailbox) or home; an order that was cancelled does not count. 3
    statements."""
    if not person_ids:
        return set()
    found = await trust.marked(tx, BOUGHT, person_ids)
    kin = await trust.kin_of(tx, person_ids)
    bought = set(
        await tx.values(
            """
            select distinct person_id from orders.v_line
             where cell = $1 and person_id = any($2::uuid[])
               and state in ('placed', 'shipped', 'delivered') and quantity > cancelled
            """,
            tx.cell,
            sorted({k.near_id for k in kin}),
        )
    )
    return found | {k.person_id for k in kin if k.near_id in bought}


async def set_aside(tx: Tx, person_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Whose refusal a person took back and who, under this very account, has ordered nothing yet:
    they have their first order, whatever others of their device or home had. 2 statements."""
    found = await trust.pardoned(tx, FIRST_ORDER.rule, person_ids)
    if not found:
        return found
    ordered = await tx.values(
        """
        select distinct person_id from orders.v_line
         where cell = $1 and person_id = any($2::uuid[])
           and state in ('pending_payment', 'placed', 'shipped', 'delivered')
        """,
        tx.cell,
        sorted(found),
    )
    return found - set(ordered)


async def had(tx: Tx, person_id: uuid.UUID, pool_id: uuid.UUID) -> int:
    """How many offers of a pool this identity has had or has under way. 1 statement."""
    [clusters] = [(await trust.cluster_of(tx, [person_id]))[person_id]]
    account = trust.identity_account(clusters, f"newcomer:{pool_id}")
    found: int | None = await tx.value(
        "select -available from ledger.v_balance where cell = $1 and account_id = $2",
        tx.cell,
        account.id,
    )
    return found or 0


async def pool_pay_back(tx: Tx, pool_id: uuid.UUID, *, horizon: int = HORIZON_DAYS) -> PayBack:
    """What the pool's newcomers brought by days since their first order: what they paid without
    tax, less what went back, less what the goods cost where the pool says so, else less the
    subsidy. The newest 20,000 newcomers; in the currency most of them paid in. 2 statements."""
    of = await pool(tx, pool_id)
    known = of.cost_percent is not None
    rows = await tx.rows(
        _Row,
        """
        with main as (
          select w.currency from newcomers.win w
           where w.cell = $1 and w.pool_id = $2 and w.state = 'won'
           group by w.currency order by count(*) desc, w.currency limit 1
        ), win as materialized (
          select w.order_id, w.person_id, w.won_at, w.subsidy_minor, w.currency,
                 row_number() over (order by w.won_at desc, w.order_id)::int as person
            from newcomers.win w join main on main.currency = w.currency
           where w.cell = $1 and w.pool_id = $2 and w.state = 'won' and w.person_id is not null
           order by w.won_at desc, w.order_id limit $3
        ), line as (
          select w.person, w.won_at, l.placed_at,
                 (l.total_minor - l.tax_minor) * (l.quantity - l.cancelled - l.returned)
                   / l.quantity as net,
                 l.unit_price_minor * (l.quantity - l.cancelled - l.returned) as full_price
            from win w
            join orders.v_line l on l.cell = $1 and l.person_id = w.person_id
                 and l.currency = w.currency and l.state in ('placed', 'shipped', 'delivered')
                 and l.placed_at >= w.won_at - interval '1 day'
        )
        select w.currency, w.person, least($5, extract(day from $4 - w.won_at))::int as age,
               greatest(0, extract(day from m.at - w.won_at))::int as day,
               sum(m.amount)::bigint as amount_minor
          from win w
          join (select person, placed_at as at,
                       (net - case when $6::int is null then 0
                                   else full_price * $6 / 100 end)::bigint as amount
                  from line
                union all
                select person, won_at, case when $6::int is null then -subsidy_minor else 0 end
                  from win) m on m.person = w.person
         group by w.currency, w.person, w.won_at, day
        having greatest(0, extract(day from min(m.at) - w.won_at)) <= $5
         order by w.person, day
        """,
        tx.cell,
        pool_id,
        MOST_PEOPLE,
        tx.now,
        horizon,
        of.cost_percent,
    )
    return pay_back(
        pool_id,
        rows[0].currency if rows else "",
        [Contribution(r.person, r.age, r.day, r.amount_minor) for r in rows],
        horizon=horizon,
        cost_known=known,
    )


class _Row(msgspec.Struct, frozen=True):
    currency: str
    person: int
    age: int
    day: int
    amount_minor: int


class _OwnWin(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    state: str
    price_minor: int
    currency: str
    held_at: str


async def export(tx: Tx, person_id: uuid.UUID) -> list[dict[str, object]]:
    """A person's newcomer orders, for their copy."""
    rows = await tx.rows(
        _OwnWin,
        """
        select order_id, state, price_minor, currency, held_at::text as held_at
          from newcomers.win where cell = $1 and person_id = $2 order by order_id
        """,
        tx.cell,
        person_id,
    )
    found: list[dict[str, object]] = msgspec.to_builtins(rows)
    return found


class Paid(msgspec.Struct, frozen=True):
    """What an order gives away of who ordered; contact and address are sealed."""

    order_id: uuid.UUID
    person_id: uuid.UUID
    contact: str | None
    ship_to: str | None
    tenders: list[tuple[str, str]]


async def addressed(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[Paid]:
    """1 statement."""
    return await tx.rows(
        Paid,
        """
        select o.order_id, o.person_id, o.contact, o.ship_to,
               coalesce((select jsonb_agg(jsonb_build_array(p.provider, p.method))
                           from payments.v_paid_with p
                          where p.cell = o.cell and p.order_id = o.order_id), '[]') as tenders
          from orders.v_addressed o
         where o.cell = $1 and o.order_id = any($2::uuid[]) and o.person_id is not null
         order by o.order_id
        """,
        tx.cell,
        list(order_ids),
    )


class Goods(msgspec.Struct, frozen=True):
    """What a newcomer offer sells, and where it is found."""

    offer_id: uuid.UUID
    variant_id: uuid.UUID
    product_id: uuid.UUID
    sku: str
    slug: str
    title: dict[str, str]


async def goods_of(tx: Tx, offer_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Goods]:
    """By marketplace offer. 1 statement."""
    rows = await tx.rows(
        Goods,
        """
        select o.offer_id, v.variant_id, v.product_id, v.sku, v.slug, v.title
          from marketplace.v_offer o
          join catalogue.v_variant v on v.variant_id = o.variant_id
         where o.offer_id = any($1::uuid[])
        """,
        list(offer_ids),
    )
    return {r.offer_id: r for r in rows}


async def offer_of_sku(tx: Tx, sku: str) -> uuid.UUID:
    """The marketplace offer by which an article is sold, the shop's own first. ``NotFound``."""
    found: uuid.UUID | None = await tx.value(
        """
        select o.offer_id from catalogue.v_variant v
          join marketplace.v_offer o on o.variant_id = v.variant_id and o.active
         where v.sku = $1 order by o.seller_id <> $2, o.offer_id limit 1
        """,
        sku,
        marketplace.OWN_SELLER_ID,
    )
    if found is None:
        raise NotFound(what="article")
    return found
