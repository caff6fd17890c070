"""Competitors' prices as they were seen, and prices that follow them within the guard rails."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.trade.pricing.actions import set_prices
from pinwheel.trade.pricing.guard_actions import guards
from pinwheel.trade.pricing.model import MOST_MINOR, NewPrice, is_currency

Source = Literal["api", "csv", "manual"]
AT_ONCE = 2000


class SeenPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What a competitor asks, delivery included, when and where it was seen."""

    offer_id: uuid.UUID
    competitor: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    price_minor: Annotated[int, msgspec.Meta(ge=1, le=10**15)]
    seen_at: dt.datetime | None = None  # None: now
    url: Annotated[str, msgspec.Meta(max_length=2000)] = ""


class Competing(msgspec.Struct, frozen=True, kw_only=True):
    """The latest price of one competitor for one offer, with where it comes from."""

    offer_id: uuid.UUID
    competitor: str
    currency: str
    price_minor: int
    seen_at: dt.datetime
    url: str
    source: Source
    imported_by: str


class Repricing(msgspec.Struct, frozen=True, kw_only=True):
    """How prices follow the lowest competitor whose price is not older than ``max_age_hours``:
    the same (``match``) or ``by_minor`` less. Never below the floor, never further than
    ``most_change_basis_points`` at once; a change of up to ``publish_within_basis_points`` is
    published by itself, a larger one waits for a person."""

    id: uuid.UUID
    name: str
    currency: str
    offers: list[uuid.UUID]
    kind: Literal["match", "undercut"]
    by_minor: int
    max_age_hours: int
    publish_within_basis_points: int
    most_change_basis_points: int
    is_active: bool


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    id: uuid.UUID
    repricing_id: uuid.UUID
    offer_id: uuid.UUID
    currency: str
    old_minor: int
    new_minor: int
    competitor: str
    competitor_minor: int
    seen_at: dt.datetime
    held_by: str
    state: Literal["asked", "published", "refused", "overtaken"]
    asked_at: dt.datetime
    decided_by: str | None
    decision_reason: str | None


class _Followed(msgspec.Struct, frozen=True):
    offer_id: uuid.UUID
    price_minor: int
    list_price_minor: int | None
    competitor: str
    competitor_minor: int
    seen_at: dt.datetime


async def import_seen_prices(tx: Tx, seen: Sequence[SeenPrice], source: Source) -> int:
    """Keep what competitors ask; how many were new. The same sight again changes nothing. 1
    statement. Refuses ``Invalid``: a price from the future, or an unknown currency."""
    for n, one in enumerate(seen, 1):
        if not 0 < one.price_minor <= MOST_MINOR or not is_currency(one.currency):
            raise Invalid(f"row {n}", "not a price", "价格或币种无效")
        if one.seen_at is not None and one.seen_at > tx.later_than(300):
            raise Invalid(f"row {n}", "seen in the future", "采集时间在未来")
    return await tx.run(
        """
        insert into pricing.competitor_price (offer_id, competitor, currency, seen_at, price_minor,
                                              url, source, imported_by, imported_at)
        select s.offer_id, s.competitor, s.currency, coalesce(s.seen_at, $1), s.price, s.url, $2,
               $3, $1
          from unnest($4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::bigint[],
                      $9::text[]) as s(offer_id, competitor, currency, seen_at, price, url)
        on conflict do nothing
        """,
        tx.now,
        source,
        tx.actor,
        [s.offer_id for s in seen],
        [s.competitor for s in seen],
        [s.currency for s in seen],
        [s.seen_at for s in seen],
        [s.price_minor for s in seen],
        [s.url for s in seen],
    )


async def competing(tx: Tx, offer_id: uuid.UUID, currency: str) -> list[Competing]:
    """Each competitor's latest price for an offer, the lowest first. 1 statement."""
    return await tx.rows(
        Competing,
        """
        select * from (
          select distinct on (competitor) offer_id, competitor, currency, price_minor, seen_at, url,
                 source, imported_by
            from pricing.competitor_price where offer_id = $1 and currency = $2
           order by competitor, seen_at desc) c order by price_minor, competitor
        """,
        offer_id,
        currency,
    )


async def save_repricing(tx: Tx, one: Repricing) -> None:
    """Keep a way of following competitors, or change it. Refuses ``Invalid``."""
    if not one.name.strip() or not is_currency(one.currency):
        raise Invalid("name", "give it a name and a currency", "请填写名称与币种")
    if not (
        1 <= one.max_age_hours <= 8760
        and 0 <= one.publish_within_basis_points <= 10_000
        and 1 <= one.most_change_basis_points <= 10_000
        and one.by_minor >= 0
    ):
        raise Invalid("limits", "a limit is out of its range", "限额超出范围")
    await tx.run(
        """
        insert into pricing.repricing (id, name, currency, offers, kind, by_minor, max_age_hours,
                                       publish_within_basis_points, most_change_basis_points,
                                       is_active, changed_at, changed_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        on conflict (id) do update
           set name = excluded.name, currency = excluded.currency, offers = excluded.offers,
               kind = excluded.kind, by_minor = excluded.by_minor,
               max_age_hours = excluded.max_age_hours, is_active = excluded.is_active,
               publish_within_basis_points = excluded.publish_within_basis_points,
               most_change_basis_points = excluded.most_change_basis_points,
               changed_at = excluded.changed_at, changed_by = excluded.changed_by
        """,
        one.id,
        one.name.strip(),
        one.currency,
        one.offers,
        one.kind,
        one.by_minor,
        one.max_age_hours,
        one.publish_within_basis_points,
        one.most_change_basis_points,
        one.is_active,
        tx.now,
        tx.actor,
    )


async def repricings(tx: Tx, *, active_only: bool = False) -> list[Repricing]:
    return await tx.rows(
        Repricing,
        """
        select id, name, currency, offers, kind, by_minor, max_age_hours,
               publish_within_basis_points, most_change_basis_points, is_active
          from pricing.repricing where is_active or not $1 order by name, id limit 200
        """,
        active_only,
    )


async def propose(tx: Tx, one: Repricing) -> list[Proposal]:
    """Look at the competitors once and say what prices would be: small changes are published at
    once, others wait. What waits already for an offer stays. Statements: 3 and those of
    ``set_prices``."""
    made = await would_propose(tx, one)
    published = await _set(tx, [p for p in made if p.state == "published"])
    kept = [p for p in made if p.state == "asked" or p.id in published]
    await _keep(tx, kept)
    return kept


async def would_propose(tx: Tx, one: Repricing) -> list[Proposal]:
    """What ``propose`` would say now; nothing is kept and no price is set. 2 statements."""
    followed = await _followed(tx, one)
    floors = await guards(tx, [(f.offer_id, one.currency) for f in followed])
    made: list[Proposal] = []
    for found in followed:
        guard = floors.get((found.offer_id, one.currency))
        new, held_by = aim(one, found, guard.floor_minor if guard else None)
        if new == found.price_minor:
            continue
        change = abs(new - found.price_minor) * 10_000
        alone = change <= one.publish_within_basis_points * found.price_minor
        made.append(
            Proposal(
                id=tx.new_id(),
                repricing_id=one.id,
                offer_id=found.offer_id,
                currency=one.currency,
                old_minor=found.price_minor,
                new_minor=new,
                competitor=found.competitor,
                competitor_minor=found.competitor_minor,
                seen_at=found.seen_at,
                held_by=held_by,
                state="published" if alone else "asked",
                asked_at=tx.now,
                decided_by=f"repricing:{one.id}" if alone else None,
                decision_reason="within its limit" if alone else None,
            )
        )
    return made


def aim(one: Repricing, found: _Followed, floor_minor: int | None) -> tuple[int, str]:
    """The price that follows a competitor, and what kept it from going all the way: the ``floor``
    or the ``step``. A price that is below its floor already is not lowered any further."""
    wanted = found.competitor_minor - (one.by_minor if one.kind == "undercut" else 0)
    new, held_by = max(1, wanted), ""
    step = found.price_minor * one.most_change_basis_points // 10_000
    if abs(new - found.price_minor) > step:
        new = found.price_minor + (step if new > found.price_minor else -step)
        held_by = "step"
    if floor_minor is not None and new < floor_minor:
        new, held_by = max(floor_minor, min(new, found.price_minor)), "floor"
        if floor_minor > found.price_minor:
            new = found.price_minor
    return new, held_by


async def decide_proposals(
    tx: Tx, proposal_ids: Sequence[uuid.UUID], *, agree: bool, reason: str
) -> list[Refusal | None]:
    """A person publishes what was proposed, or refuses it; one answer each. One whose price has
    moved since is ``overtaken``. Refuses ``NotFound`` and whatever ``set_prices`` refuses."""
    if not reason.strip():
        raise Invalid("reason", "say why", "请填写原因")
    found = {
        p.id: p
        for p in await tx.rows(
            Proposal,
            """
            select id, repricing_id, offer_id, currency, old_minor, new_minor, competitor,
                   competitor_minor, seen_at, held_by, state, asked_at, decided_by, decision_reason
              from pricing.proposal where id = any($1::uuid[]) and state = 'asked'
             order by id for update
            """,
            list(proposal_ids),
        )
    }
    answers: list[Refusal | None] = [
        None if i in found else NotFound(what="proposal") for i in proposal_ids
    ]
    state = dict.fromkeys(found, "refused")
    if agree:
        now = {o.offer_id: o.price_minor for o in await _now(tx, list(found.values()))}
        fresh = [p for p in found.values() if now.get(p.offer_id) == p.old_minor]
        state = dict.fromkeys(found, "overtaken")
        published = await _set(tx, fresh, answers, proposal_ids)
        state.update(dict.fromkeys(published, "published"))
        for p in fresh:
            if p.id not in published:
                state.pop(p.id)  # its price was refused: it still waits
    await tx.run(
        """
        update pricing.proposal p set state = d.state, decided_at = $1, decided_by = $2,
               decision_reason = $3
          from unnest($4::uuid[], $5::text[]) as d(id, state) where p.id = d.id
        """,
        tx.now,
        tx.actor,
        reason.strip(),
        list(state),
        list(state.values()),
    )
    return answers


async def proposals(tx: Tx, *, waiting_only: bool = False, most: int = 200) -> list[Proposal]:
    """What was proposed, the latest first. 1 statement."""
    return await tx.rows(
        Proposal,
        """
        select id, repricing_id, offer_id, currency, old_minor, new_minor, competitor,
               competitor_minor, seen_at, held_by, state, asked_at, decided_by, decision_reason
          from pricing.proposal where state = 'asked' or not $1 order by id desc limit $2
        """,
        waiting_only,
        most,
    )


async def _set(
    tx: Tx,
    chosen: Sequence[Proposal],
    answers: list[Refusal | None] | None = None,
    ids: Sequence[uuid.UUID] = (),
) -> set[uuid.UUID]:
    """Set the prices; which proposals came through."""
    done = await set_prices(
        tx,
        [
            NewPrice(
                offer_id=p.offer_id,
                currency=p.currency,
                price_minor=p.new_minor,
                reason=f"{p.competitor} asks {p.competitor_minor}",
            )
            for p in chosen
        ],
    )
    published: set[uuid.UUID] = set()
    for p, answer in zip(chosen, done, strict=True):
        if isinstance(answer, Refusal):
            if answers is not None:
                answers[list(ids).index(p.id)] = answer
        else:
            published.add(p.id)
    return published


async def _followed(tx: Tx, one: Repricing) -> list[_Followed]:
    return await tx.rows(
        _Followed,
        """
        select c.offer_id, p.price_minor, p.list_price_minor, c.competitor,
               c.price_minor as competitor_minor, c.seen_at
          from (select distinct on (offer_id) offer_id, competitor, price_minor, seen_at
                  from (select distinct on (offer_id, competitor) offer_id, competitor, price_minor,
                               seen_at
                          from pricing.competitor_price
                         where currency = $1 and seen_at > $2
                           and (cardinality($3::uuid[]) = 0 or offer_id = any($3::uuid[]))
                         order by offer_id, competitor, seen_at desc) latest
                 order by offer_id, price_minor, competitor) c
          join lateral (
            select p.price_minor, p.list_price_minor from pricing.price p
             where p.offer_id = c.offer_id and p.currency = $1 and p.starts_at <= $4
               and (p.ends_at is null or p.ends_at > $4)
             order by p.starts_at desc limit 1) p on true
         where p.price_minor > 0
           and not exists (select from pricing.proposal w
                            where w.offer_id = c.offer_id and w.currency = $1
                              and (w.state = 'asked'
                                   or w.seen_at = c.seen_at and w.state = 'refused'))
         order by c.offer_id limit $5
        """,
        one.currency,
        tx.now - dt.timedelta(hours=one.max_age_hours),
        one.offers,
        tx.now,
        AT_ONCE,
    )


class _Priced(msgspec.Struct, frozen=True):
    offer_id: uuid.UUID
    price_minor: int


async def _now(tx: Tx, of: Sequence[Proposal]) -> list[_Priced]:
    return await tx.rows(
        _Priced,
        """
        select w.offer_id, p.price_minor
          from unnest($1::uuid[], $2::text[]) as w(offer_id, currency)
          join lateral (
            select p.price_minor from pricing.price p
             where p.offer_id = w.offer_id and p.currency = w.currency and p.starts_at <= $3
               and (p.ends_at is null or p.ends_at > $3)
             order by p.starts_at desc limit 1) p on true
        """,
        [p.offer_id for p in of],
        [p.currency for p in of],
        tx.now,
    )


async def _keep(tx: Tx, made: Sequence[Proposal]) -> None:
    await tx.run(
        """
        insert into pricing.proposal (id, repricing_id, offer_id, currency, old_minor, new_minor,
                                      competitor, competitor_minor, seen_at, held_by, state,
                                      asked_at, decided_at, decided_by, decision_reason)
        select p.id, p.repricing_id, p.offer_id, p.currency, p.old_minor, p.new_minor, p.competitor,
               p.competitor_minor, p.seen_at, p.held_by, p.state, $1,
               case when p.state <> 'asked' then $1::timestamptz end, p.decided_by, p.reason
          from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[],
                      $8::text[], $9::bigint[], $10::timestamptz[], $11::text[], $12::text[],
                      $13::text[], $14::text[])
               as p(id, repricing_id, offer_id, currency, old_minor, new_minor, competitor,
                    competitor_minor, seen_at, held_by, state, decided_by, reason)
        """,
        tx.now,
        [p.id for p in made],
        [p.repricing_id for p in made],
        [p.offer_id for p in made],
        [p.currency for p in made],
        [p.old_minor for p in made],
        [p.new_minor for p in made],
        [p.competitor for p in made],
        [p.competitor_minor for p in made],
        [p.seen_at for p in made],
        [p.held_by for p in made],
        [p.state for p in made],
        [p.decided_by for p in made],
        [p.decision_reason for p in made],
    )
