"""Questions about customers: whose accounts, what is known, what happened."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.insight import tracking
from pinwheel.insight.profiles.model import (
    Merge,
    Moment,
    Part,
    Profile,
    Trait,
    TraitKind,
    standing,
)
from pinwheel.insight.profiles.offers import Offers
from pinwheel.kernel.db import Tx

MOMENTS_SHOWN = 100


async def kinds(tx: Tx) -> list[TraitKind]:
    return await tx.rows(
        TraitKind,
        "select name, title, type, is_sensitive, ttl_days from profiles.kind order by name",
    )


async def accounts_of(tx: Tx, person_id: uuid.UUID) -> list[uuid.UUID]:
    """The accounts of the customer that this person is, the one that stands for it first. One that
    was never merged is its own. 1 statement."""
    return await tx.values(
        """
        with recursive up as (
          select $2::uuid as id, 0 as depth
          union all
          select m.kept_id, up.depth + 1 from up
            join profiles.merge m
              on m.cell = $1 and m.joined_id = up.id and m.undone_at is null
        ), down as (
          select id, 0 as depth from (select id from up order by depth desc limit 1) root
          union all
          select m.joined_id, down.depth + 1 from down
            join profiles.merge m
              on m.cell = $1 and m.kept_id = down.id and m.undone_at is null
        )
        select id from down order by depth, id
        """,
        tx.cell,
        person_id,
    )


async def traits_of(
    tx: Tx, accounts: Sequence[uuid.UUID], *, sensitive: bool = False
) -> list[Trait]:
    """All that is kept of these accounts, the newest first; a sensitive one only with the right."""
    return await tx.rows(
        Trait,
        """
        select t.id, t.person_id, t.name, t.value, t.source, t.evidence, t.observed_at,
               t.expires_at, t.replaced_at, t.recorded_by
          from profiles.trait t join profiles.kind k on k.name = t.name
         where t.cell = $1 and t.person_id = any($2::uuid[]) and t.expires_at > $3
           and ($4 or not k.is_sensitive)
         order by t.id desc limit 500
        """,
        tx.cell,
        list(accounts),
        tx.now,
        sensitive,
    )


async def merges_of(tx: Tx, accounts: Sequence[uuid.UUID]) -> list[Merge]:
    """Merges that these accounts are or were part of, the newest first."""
    return await tx.rows(
        Merge,
        """
        select id, kept_id, joined_id, reason, merged_at, merged_by, undone_at, undone_by
          from profiles.merge
         where cell = $1 and (kept_id = any($2::uuid[]) or joined_id = any($2::uuid[]))
         order by id desc limit 100
        """,
        tx.cell,
        list(accounts),
    )


async def profile_of(tx: Tx, person_id: uuid.UUID, *, sensitive: bool = False) -> Profile:
    """Everything that is known of the customer this person is, from every module that offers
    something."""
    accounts = await accounts_of(tx, person_id)
    history = await traits_of(tx, accounts, sensitive=sensitive)
    parts, moments = list[Part](), await _visits(tx, accounts)
    for offer in tx.db.given.get(Offers, Offers()).offers:
        if offer.known is not None:
            known = await offer.known(tx, accounts)
            parts.append(Part(offer.name, offer.en, offer.zh, known))
        if offer.moments is not None:
            moments += await offer.moments(tx, accounts)
    moments += await _orders(tx, accounts)
    moments.sort(key=lambda m: m.at, reverse=True)
    return Profile(
        customer_id=accounts[0],
        accounts=accounts,
        traits=standing(history, tx.now),
        history=history,
        merges=await merges_of(tx, accounts),
        parts=parts,
        timeline=moments[:MOMENTS_SHOWN],
    )


async def _visits(tx: Tx, accounts: Sequence[uuid.UUID]) -> list[Moment]:
    titles = {s.name: s.title for s in await tracking.schemas(tx)}
    found = await tracking.events_of(tx, accounts, limit=MOMENTS_SHOWN)
    moments = []
    for e in found.items:
        if e.name == "revenue_recognised" or e.person_id is None:
            continue
        title = titles.get(e.name, {})
        en = title.get("en", e.name)
        moments.append(
            Moment(e.occurred_at, "visit" if e.source == "web" else "fact", en,
                   title.get("zh-CN", en), e.person_id)
        )  # fmt: skip
    return moments


class _Order(msgspec.Struct, frozen=True):
    number: str
    person_id: uuid.UUID
    placed_at: dt.datetime


async def _orders(tx: Tx, accounts: Sequence[uuid.UUID]) -> list[Moment]:
    rows = await tx.rows(
        _Order,
        """
        select distinct number, person_id, placed_at from orders.v_line
         where cell = $1 and person_id = any($2::uuid[]) and state <> 'pending_payment'
         order by placed_at desc limit $3
        """,
        tx.cell,
        list(accounts),
        MOMENTS_SHOWN,
    )
    return [
        Moment(o.placed_at, "order", f"Order {o.number}", f"订单 {o.number}", o.person_id,
               f"/console/orders/{o.number}")
        for o in rows
    ]  # fmt: skip


async def export(tx: Tx, person_id: uuid.UUID) -> dict[str, Any]:
    """Traits and merges of one account, sensitive ones too: for the person's copy."""
    return {
        "traits": await traits_of(tx, [person_id], sensitive=True),
        "merges": await merges_of(tx, [person_id]),
    }
