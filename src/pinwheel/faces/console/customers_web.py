"""Customers: found by their exact address, with their orders, addresses, consents; every look is
recorded."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, shown, with_query
from pinwheel.ground import identity
from pinwheel.ground.identity import Address, Person
from pinwheel.insight import profiles
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, File, See, get, post
from pinwheel.trade import orders, payments

READ, PEOPLE = "orders:read", "people"


@get("/console/customers", scope=READ)
async def customer_list(
    call: Call, db: Database, email: str = "", kind: str = "", after: str | None = None
) -> Answer[Page[Person]] | See[None]:
    """Everybody with an account, the newest first; an exact e-mail address leads to its owner."""
    actor, request_id = call.caller.actor, call.request_id
    async with db.transaction(actor=actor, request_id=request_id) as tx:
        missing = False
        if email.strip():
            person = await identity.person_with_email(tx, email)
            if person is not None:
                return See(f"/console/customers/{person.id}")
            missing = True
        found = await identity.people_page(tx, kind=kind or None, cursor=after)
        await identity.record_access(tx, [p.id for p in found.items], "list", "console")
        return await shown(
            call,
            tx,
            found,
            "customers",
            call.say("Customers"),
            "customers",
            email=email,
            kind=kind,
            missing=missing,
            next_path=with_query("/console/customers", kind=kind, after=found.next)
            if found.next
            else None,
            first_path=with_query("/console/customers", kind=kind) if after else None,
        )


class Customer(msgspec.Struct, frozen=True):
    """What the house knows of somebody, as far as the staff need it."""

    person: Person
    addresses: list[Address]
    consents: list[identity.Consent]
    orders: list[orders.InboxLine]
    methods: list[payments.Method]
    access: list[identity.AccessLine]


@get("/console/customers/{person_id:uuid}", scope=READ)
async def customer_page(call: Call, db: Database, person_id: UUID) -> Answer[Customer]:
    """One person. Looking is recorded, and the record is shown."""
    actor, request_id = call.caller.actor, call.request_id
    async with db.transaction(actor=actor, request_id=request_id) as tx:
        person = await identity.person_of(tx, person_id)
        await identity.record_access(tx, [person_id], "customer", "console")
        access = await identity.access_to(tx, person_id)
        found = Customer(
            person=person,
            addresses=await identity.addresses_of(tx, person_id),
            consents=await identity.consents_of(tx, person_id),
            orders=(await orders.inbox(tx, person_id=person_id, limit=20)).items,
            methods=await payments.methods_of(tx, person_id),
            access=access[:20],
        )
        return await shown(
            call,
            tx,
            found,
            "customer",
            person.name or person.email or call.say("Erased person"),
            "customers",
            names=await names_of(tx, [a.actor for a in found.access]),
            accounts=len(await profiles.accounts_of(tx, person_id)),
        )


class Reason(msgspec.Struct):
    reason: Annotated[str, Meta(min_length=3, max_length=200)]


@post("/console/customers/{person_id:uuid}/export", scope=PEOPLE)
async def export(call: Call, tx: Tx, person_id: UUID, data: Reason) -> File:
    """A copy of everything that is known of a customer, as they may ask for; recorded with why."""
    parts = await profiles.export_customer(tx, person_id, data.reason, call.app.state["exports"])
    body = msgspec.json.format(msgspec.json.encode({"accounts": parts}))
    return File(body, "application/json", name=f"person-{person_id}.json")


class EraseForm(msgspec.Struct):
    """``sure`` is the word that the page asks for: erasing can't be undone."""

    reason: Annotated[str, Meta(min_length=3, max_length=200)]
    sure: str = ""


@post("/console/customers/{person_id:uuid}/erase", scope=PEOPLE)
async def erase(call: Call, db: Database, person_id: UUID, data: EraseForm) -> See[Any]:
    """Make a customer nameless, with every account of theirs; the orders and the books stay."""

    async def verb(tx: Tx) -> None:
        if data.sure.strip().upper() not in ("ERASE", "删除"):
            raise Invalid("sure", "write ERASE to confirm", "请输入“删除”以确认")
        await profiles.erase_customer(tx, person_id, data.reason)

    here = f"/console/customers/{person_id}"
    return await attempt(call, db, verb, here, call.say("Erased. The orders and the books stay."))
