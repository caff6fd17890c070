"""Routes of newcomer offers, for programs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.growth.newcomers import actions, queries
from pinwheel.growth.newcomers.model import NewOffer, NewPool, PayBack, Pool, PoolOffer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.web import Answer, Call, get, post

SCOPE = "newcomers"
TAGS = ("newcomers",)
Market = Annotated[str, Meta(min_length=1, max_length=20)]


class Shown(msgspec.Struct, frozen=True):
    """The offers of a market; ``is_new``: this caller has no paid order that we know of."""

    offers: list[PoolOffer]
    is_new: bool


class Made(msgspec.Struct, frozen=True):
    id: UUID


class Switch(msgspec.Struct, forbid_unknown_fields=True):
    is_open: bool


@get("/api/v1/newcomer-offers", tags=TAGS)
async def list_offers(call: Call, tx: Tx, market: Market) -> Answer[Shown]:
    """What newcomers may have here now. Order with the claim ``{"kind": "newcomer", "id": …}``."""
    found = [o for o in await queries.offers(tx, market=market) if o.is_on]
    person = call.caller.person_id
    old = await queries.not_new(tx, [person]) if person is not None else set[UUID]()
    return Answer(Shown(found, person not in old))


@get("/api/v1/newcomer-pools", scope=SCOPE, tags=TAGS)
async def list_pools(tx: Tx) -> Answer[list[Pool]]:
    """Every pool with what it gave."""
    return Answer(await queries.pools(tx))


@post("/api/v1/newcomer-pools", scope=SCOPE, tags=TAGS, once=True, status=201)
async def make_pool(tx: Tx, data: NewPool) -> Answer[Made]:
    """Open a pool; its limits stay as they are."""
    return Answer(Made(await actions.open_pool(tx, data)), status=201)


@post("/api/v1/newcomer-pools/{pool_id:uuid}/offers", scope=SCOPE, tags=TAGS, once=True, status=201)
async def make_offer(tx: Tx, pool_id: UUID, data: NewOffer) -> Answer[Made]:
    """Put an offer into a pool; the same one again adds to its quantity."""
    return Answer(Made(await actions.put_up(tx, pool_id, data)), status=201)


@post("/api/v1/newcomer-pools/{pool_id:uuid}/open", scope=SCOPE, tags=TAGS, status=204)
async def switch_pool(tx: Tx, pool_id: UUID, data: Switch) -> Answer[None]:
    """Stop or open a pool; orders that are placed keep their price."""
    await actions.set_pool_open(tx, pool_id, data.is_open)
    return Answer(None)


@get("/api/v1/newcomer-pools/{pool_id:uuid}/pay-back", scope=SCOPE, tags=TAGS)
async def see_pay_back(tx: Tx, pool_id: UUID) -> Answer[PayBack]:
    """What the pool's newcomers brought by days since their first order, and when it breaks
    even."""
    return Answer(await queries.pool_pay_back(tx, pool_id))
