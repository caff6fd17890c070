"""The routes of customers for programs. Every look at a person is recorded, as in the console.

They stand with the orders because a customer is seen with what they bought."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.ground import identity
from pinwheel.ground.identity import AccessLine, Address, Consent, Person
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, get, post
from pinwheel.trade import payments
from pinwheel.trade.orders import desk
from pinwheel.trade.orders.desk import InboxLine
from pinwheel.trade.payments import ShownMethod

READ = "orders:read"
TAGS = ("customers",)
Limit = Annotated[int, Meta(ge=1, le=200)]
Cursor = Annotated[str, Meta(max_length=500)]
LATEST = 20


class Customer(msgspec.Struct, frozen=True):
    """What the house knows of somebody, as far as the staff need it: ``orders`` and ``access`` (who
    looked, and why) are the latest; ``methods`` come without their tokens."""

    person: Person
    addresses: list[Address]
    consents: list[Consent]
    orders: list[InboxLine]
    methods: list[ShownMethod]
    access: list[AccessLine]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole address, exactly: it travels in the body because addresses of people don't belong
    in logs of URLs."""

    email: Annotated[str, Meta(min_length=3, max_length=254)]


@get("/api/v1/customers", scope=READ, tags=TAGS)
async def list_customers(
    call: Call,
    db: Database,
    kind: Literal["buyer", "clerk", "operator"] | None = None,
    after: Cursor | None = None,
    limit: Limit = 50,
) -> Answer[Page[Person]]:
    """Everybody with an account, the newest first. Who asks is recorded with each person."""
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        found = await identity.people_page(tx, kind=kind, cursor=after, limit=limit)
        await identity.record_access(tx, [p.id for p in found.items], "list", "api")
    return Answer(found)


@post("/api/v1/customers/search", scope=READ, tags=TAGS)
async def find_customer(call: Call, db: Database, data: Wanted) -> Answer[Person]:
    """Whoever has this e-mail address. Who asks is recorded with the person."""
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        person = await identity.person_with_email(tx, data.email)
        if person is None:
            raise NotFound(what="person")
        await identity.record_access(tx, [person.id], "search", "api")
    return Answer(person)


@get("/api/v1/customers/{person_id:uuid}", scope=READ, tags=TAGS)
async def see_customer(call: Call, db: Database, person_id: UUID) -> Answer[Customer]:
    """One person with addresses, consents, latest orders and stored methods. Looking is recorded,
    and the record is shown."""
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        person = await identity.person_of(tx, person_id)
        await identity.record_access(tx, [person_id], "customer", "api")
        found = Customer(
            person=person,
            addresses=await identity.addresses_of(tx, person_id),
            consents=await identity.consents_of(tx, person_id),
            orders=(await desk.inbox(tx, person_id=person_id, limit=LATEST)).items,
            methods=[payments.without_token(m) for m in await payments.methods_of(tx, person_id)],
            access=(await identity.access_to(tx, person_id))[:LATEST],
        )
    return Answer(found)
