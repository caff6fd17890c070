"""Routes of the account: signing in and out, one's addresses, sessions, consents, keys and data."""

from __future__ import annotations

import uuid
from typing import Annotated

import msgspec
from msgspec import Meta

from pinwheel.ground.identity import accounts, addresses, privacy, queries
from pinwheel.ground.identity.model import (
    Address,
    Channel,
    Consent,
    Email,
    EmailTaken,
    KeyLine,
    Letter,
    Line,
    NewAddress,
    NewKey,
    Password,
    Person,
    Proof,
    Purpose,
    ScopeNotHeld,
    SessionLine,
    WrongCode,
    WrongPassword,
)
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Answer, Call, File, Limit, See, delete, get, post

SIGN_IN = ("storefront/sign_in.html", "Sign in")
CODE = ("storefront/sign_in_code.html", "Sign in with a code")
REGISTER = ("storefront/register.html", "Make an account")
TRIES = (("sign-in", Limit(20, 15)),)
CODES = (("code", Limit(6, 60)),)
NEW_ACCOUNTS = (("register", Limit(10, 120)),)


class SignIn(msgspec.Struct):
    email: Email
    password: Password
    next: str = "/account"


class CodeRequest(msgspec.Struct):
    email: Email
    next: str = "/account"


class CodeSignIn(msgspec.Struct):
    email: Email
    code: Annotated[str, Meta(max_length=20)]
    next: str = "/account"


class Registration(msgspec.Struct):
    email: Email
    password: Password
    name: Annotated[str, Meta(max_length=200)] = ""
    next: str = "/account"


class Welcome(msgspec.Struct):
    """``csrf_token`` is for programs that go on with the session's cookie."""

    person: Person
    csrf_token: str


class Entry(msgspec.Struct):
    next: str
    email: str = ""


@get("/sign-in")
async def sign_in_page(call: Call, next: str = "/account") -> Answer[Entry]:
    return Answer(Entry(next), page=SIGN_IN[0], more={"title": call.say(SIGN_IN[1])})


@post("/sign-in", "/api/v1/sign-in", again=SIGN_IN, limits=TRIES, refusals=(WrongPassword,))
async def sign_in(call: Call, db: Database, data: SignIn) -> See[Welcome]:
    """Sign in with a password."""
    proof = await accounts.prove_password(db, data.email, data.password)
    return await _welcomed(call, db, proof, data.next)


async def _welcomed(call: Call, db: Database, proof: Proof, next_path: str) -> See[Welcome]:
    token = call.new_token()
    agent = call.headers.get("user-agent", "")
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        signed_in = await accounts.sign_in(tx, proof, call.caller, token, agent)
    return See(next_path, Welcome(signed_in.person, call.csrf_token(token)), session=token)


@get("/sign-in/code")
async def code_page(call: Call, next: str = "/account", email: str = "") -> Answer[Entry]:
    return Answer(Entry(next, email), page=CODE[0], more={"title": call.say(CODE[1])})


@post("/sign-in/code", "/api/v1/sign-in/code", again=CODE, limits=CODES)
async def request_code(call: Call, tx: Tx, data: CodeRequest) -> Answer[Entry]:
    """Have a sign-in code sent. The answer is the same whether there is an account or not."""
    await accounts.request_code(tx, data.email, call.language)
    entry = Entry(data.next, data.email)
    return Answer(entry, page=CODE[0], more={"title": call.say(CODE[1]), "sent": True})


@post(
    "/sign-in/code/check", "/api/v1/sign-in/code/check", again=CODE, limits=TRIES,
    refusals=(WrongCode,),
)  # fmt: skip
async def sign_in_by_code(call: Call, db: Database, data: CodeSignIn) -> See[Welcome]:
    """Sign in with a code; an address without an account gets one."""
    proof = await accounts.prove_code(db, data.email, data.code)
    return await _welcomed(call, db, proof, data.next)


@get("/reset")
async def forgotten() -> See[None]:
    """A forgotten password: sign in with a code, then set a new one."""
    return See("/sign-in/code")


@get("/register")
async def register_page(call: Call, next: str = "/account") -> Answer[Entry]:
    return Answer(Entry(next), page=REGISTER[0], more={"title": call.say(REGISTER[1])})


@post(
    "/register", "/api/v1/register", again=REGISTER, limits=NEW_ACCOUNTS, refusals=(EmailTaken,),
    status=201,
)  # fmt: skip
async def register(call: Call, db: Database, data: Registration) -> See[Welcome]:
    """Open an account. A visitor's cart stays theirs."""
    password_hash = await accounts.hashed(data.password, data.email)
    token = call.new_token()
    guest_id = call.caller.person_id if call.caller.kind == "guest" else None
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        person = await accounts.register(
            tx,
            data.email,
            password_hash=password_hash,
            name=data.name,
            language=call.language,
            guest_id=guest_id,
        )
        proof = Proof(data.email, person.id, "password")
        agent = call.headers.get("user-agent", "")
        await accounts.sign_in(tx, proof, call.caller, token, agent)
    return See(data.next, Welcome(person, call.csrf_token(token)), session=token)


@post("/sign-out", "/api/v1/sign-out")
async def sign_out(call: Call, tx: Tx) -> See[None]:
    """End this session."""
    if call.caller.session_id is not None:
        await accounts.end_sessions(tx, [call.caller.session_id])
    return See("/", session="")


class Profile(msgspec.Struct):
    name: Annotated[str, Meta(max_length=200)]
    language: Annotated[str, Meta(pattern="^(en|zh-CN)$")] | None = None


@get("/api/v1/account")
async def account(call: Call, tx: Tx) -> Answer[Person]:
    """Whose account this is."""
    return Answer(await queries.person_of(tx, call.caller.person()))


@post("/account", "/api/v1/account", again="/account")
async def change_account(call: Call, tx: Tx, data: Profile) -> See[Person]:
    """Change one's name or language."""
    person = await accounts.rename(tx, call.caller.person(), data.name, data.language)
    return See("/account", person)


class PasswordChange(msgspec.Struct):
    """Who has forgotten the old password has a code sent."""

    new: Password
    old: Password = ""
    code: Annotated[str, Meta(max_length=20)] = ""


async def _proven_again(db: Database, email: str, password: str, code: str) -> None:
    """A session that was left open must not be enough for what can't be undone."""
    if code:
        await accounts.prove_code(db, email, code)
    else:
        await accounts.prove_password(db, email, password)


@post("/account/password", "/api/v1/account/password", again="/account/privacy", limits=TRIES)
async def change_password(call: Call, db: Database, data: PasswordChange) -> See[None]:
    """Change the password; every other session ends."""
    person_id = call.caller.person()
    async with db.reading(actor=call.caller.actor) as tx:
        email = (await queries.person_of(tx, person_id)).email or ""
    await _proven_again(db, email, data.old, data.code)
    password_hash = await accounts.hashed(data.new, email)
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        await accounts.set_password(tx, call.caller, password_hash)
    return See("/account")


@get("/api/v1/account/addresses")
async def address_list(call: Call, tx: Tx) -> Answer[list[Address]]:
    """One's addresses, the default one first."""
    return Answer(await queries.addresses_of(tx, call.caller.person()))


@post(
    "/account/addresses", "/api/v1/account/addresses", again="/account/addresses", status=201,
    once=True,
)  # fmt: skip
async def add_address(call: Call, tx: Tx, data: NewAddress) -> See[Address]:
    """Keep an address."""
    person_id = call.caller.person()
    address_id = await addresses.add_address(tx, person_id, data)
    return See("/account/addresses", await queries.address_of(tx, person_id, address_id))


@post(
    "/account/addresses/{address_id:uuid}/default",
    "/api/v1/account/addresses/{address_id:uuid}/default",
    again="/account/addresses",
)
async def make_default(call: Call, tx: Tx, address_id: uuid.UUID) -> See[None]:
    """Deliver here unless said otherwise."""
    await addresses.make_default(tx, call.caller.person(), address_id)
    return See("/account/addresses")


@post("/account/addresses/{address_id:uuid}/remove", again="/account/addresses")
async def remove_address(call: Call, tx: Tx, address_id: uuid.UUID) -> See[None]:
    await addresses.remove_address(tx, call.caller.person(), address_id)
    return See("/account/addresses")


@delete("/api/v1/account/addresses/{address_id:uuid}")
async def delete_address(call: Call, tx: Tx, address_id: uuid.UUID) -> See[None]:
    """Remove an address; orders keep their own copy."""
    await addresses.remove_address(tx, call.caller.person(), address_id)
    return See("/account/addresses")


@get("/api/v1/account/sessions")
async def session_list(call: Call, tx: Tx) -> Answer[list[SessionLine]]:
    """Where one is signed in."""
    return Answer(await queries.sessions_of(tx, call.caller.person()))


@post(
    "/account/sessions/{session_id:uuid}/end",
    "/api/v1/account/sessions/{session_id:uuid}/end",
    again="/account/sessions",
)
async def end_session(call: Call, tx: Tx, session_id: uuid.UUID) -> See[None]:
    """End one of one's sessions."""
    await accounts.end_sessions(tx, [session_id], of=call.caller.person())
    return See("/account/sessions")


@post(
    "/account/sessions/end-others", "/api/v1/account/sessions/end-others", again="/account/sessions"
)
async def end_other_sessions(call: Call, tx: Tx) -> See[None]:
    """End every session but this one."""
    await accounts.end_other_sessions(tx, call.caller.person(), call.caller.session_id)
    return See("/account/sessions")


class ConsentChoice(msgspec.Struct):
    purpose: Purpose
    channel: Channel
    is_granted: bool
    wording: Annotated[str, Meta(max_length=1000)] = ""


@get("/api/v1/account/consents")
async def consent_list(call: Call, tx: Tx) -> Answer[list[Consent]]:
    """What one has agreed to."""
    return Answer(await queries.consents_of(tx, call.caller.person()))


@get("/api/v1/account/accesses")
async def access_list(call: Call, tx: Tx) -> Answer[list[privacy.AccessLine]]:
    """Who looked at one's data."""
    return Answer(await privacy.access_to(tx, call.caller.person()))


@post("/account/consents", "/api/v1/account/consents", again="/account/privacy")
async def choose(call: Call, tx: Tx, data: ConsentChoice) -> See[None]:
    """Grant or withdraw consent for one purpose on one channel."""
    proof = {
        "words": data.wording,
        "language": call.language,
        "path": call.exchange.path,
        "request_id": call.request_id,
    }
    person_id = call.caller.person()
    await privacy.record_consent(tx, person_id, data.purpose, data.channel, data.is_granted, proof)
    return See("/account/privacy")


@get("/account/export", "/api/v1/account/export")
async def export(call: Call, db: Database) -> File:
    """Everything the shop knows of one, as a file."""
    contributions = call.app.state["exports"]
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        found = await privacy.export_person(tx, call.caller.person(), contributions)
    return File(msgspec.json.encode(found), "application/json", name="my-data.json")


class Erasure(msgspec.Struct):
    """The password is asked for once more, because this can't be undone; ``code`` does, too."""

    password: Password = ""
    code: Annotated[str, Meta(max_length=20)] = ""


@post("/account/erase", "/api/v1/account/erase", again="/account/privacy", limits=TRIES)
async def erase(call: Call, db: Database, data: Erasure) -> See[None]:
    """Be forgotten: the account is made nameless at once and for good."""
    person_id = call.caller.person()
    async with db.reading(actor=call.caller.actor) as tx:
        email = (await queries.person_of(tx, person_id)).email or ""
    await _proven_again(db, email, data.password, data.code)
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        await privacy.erase_person(tx, person_id)
    return See("/", session="")


class KeyRequest(msgspec.Struct):
    label: Line
    scopes: Annotated[list[Annotated[str, Meta(max_length=60)]], Meta(max_length=50)] = []


@get("/api/v1/keys")
async def key_list(call: Call, tx: Tx) -> Answer[list[KeyLine]]:
    """One's API keys; the keys themselves are never shown again."""
    return Answer(await queries.keys_of(tx, call.caller.person()))


@post("/api/v1/keys", status=201, refusals=(ScopeNotHeld,))
async def make_key(call: Call, tx: Tx, data: KeyRequest) -> Answer[NewKey]:
    """Make an API key. It is shown this once."""
    return Answer(await addresses.make_key(tx, call.caller, data.label, data.scopes))


@delete("/api/v1/keys/{key_id:uuid}")
async def revoke_key(call: Call, tx: Tx, key_id: uuid.UUID) -> See[None]:
    """Revoke a key: at once here, within seconds in every process."""
    await addresses.revoke_key(tx, call.caller.person(), key_id)
    return See("/account")


@get("/api/v1/mailbox", scope="operate")
async def mailbox(tx: Tx) -> Answer[list[Letter]]:
    """Letters that wait; where no mail server is set, this is where they are read."""
    return Answer(await queries.letters(tx))


@post("/api/v1/breaches", scope="operate", status=201)
async def record_breach(tx: Tx, data: privacy.NewBreach) -> Answer[uuid.UUID]:
    """Write a breach of personal data down."""
    return Answer(await privacy.record_breach(tx, data))
