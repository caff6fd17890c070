"""Accounts: guessing, replaying, planting and racing get nobody in."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Any

import pytest

from pinwheel import app
from pinwheel.ground import identity
from pinwheel.ground.identity import accounts, model
from pinwheel.kernel.caller import Caller
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Invalid, NotFound, RateLimited, Unauthenticated
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.web import Edge
from web_world import Browser, client

SECRET = "a secret of the test installation"
PASSWORD = "correct horse battery"
ANN = "ann@example.com"


@pytest.fixture
def edge(db: Database) -> Edge:
    return app.edge(Settings(secret=SECRET, rate_limit_per_second=0), db)


@pytest.fixture
def browser(edge: Edge, db: Database) -> Browser:
    edge.app.state["exports"] = app.EXPORTS
    return Browser(edge, db)


async def ann(db: Database) -> identity.Person:
    password_hash = await identity.hashed(PASSWORD, ANN)
    async with db.transaction() as tx:
        return await identity.register(tx, ANN, password_hash=password_hash, name="Ann")


async def last_code(db: Database) -> str:
    async with db.reading() as tx:
        letters = await identity.letters(tx)
    found = re.search(r"\d{6}", letters[0].body)
    assert found
    return found[0]


async def cookie_of(browser: Browser) -> str:
    return str(browser.http.cookies["pinwheel"])


async def signed_in(browser: Browser, password: str = PASSWORD) -> Any:
    await browser.get("/sign-in")
    return await browser.post("/sign-in", {"email": ANN, "password": password})


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(db: Database) -> None:
    await ann(db)
    refusals = []
    for email, password in ((ANN, "wrong password"), ("nobody@example.com", PASSWORD)):
        with pytest.raises(model.WrongPassword) as refused:
            await identity.prove_password(db, email, password)
        refusals.append(refused.value.sentence())
    assert refusals[0] == refusals[1]


async def test_guessing_one_account_s_password_is_slowed_down_from_everywhere(
    db: Database, clock: SetClock
) -> None:
    await ann(db)
    for _ in range(accounts.TRIES_OF_ONE_ACCOUNT.burst):
        with pytest.raises(model.WrongPassword):
            await identity.prove_password(db, ANN, "a wrong password")
    with pytest.raises(RateLimited):
        await identity.prove_password(db, ANN, PASSWORD)
    clock.travel(minutes=5)
    assert (await identity.prove_password(db, ANN, PASSWORD)).email == ANN


async def test_a_code_works_once(db: Database) -> None:
    async with db.transaction() as tx:
        await identity.request_code(tx, ANN, "en")
    code = await last_code(db)
    proofs = await asyncio.gather(
        *(identity.prove_code(db, ANN, code) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(p, model.Proof) for p in proofs) == 1
    with pytest.raises(model.WrongCode):
        await identity.prove_code(db, ANN, code)


async def test_a_code_dies_of_five_wrong_tries(db: Database) -> None:
    async with db.transaction() as tx:
        await identity.request_code(tx, ANN, "en")
    code = await last_code(db)
    wrong = "000000" if code != "000000" else "000001"
    for _ in range(model.CODE_TRIES):
        with pytest.raises(model.WrongCode):
            await identity.prove_code(db, ANN, wrong)
    with pytest.raises(model.WrongCode):
        await identity.prove_code(db, ANN, code)


async def test_a_code_dies_of_age(db: Database, clock: SetClock) -> None:
    async with db.transaction() as tx:
        await identity.request_code(tx, ANN, "en")
    code = await last_code(db)
    clock.travel(seconds=model.CODE_SECONDS)
    with pytest.raises(model.WrongCode):
        await identity.prove_code(db, ANN, code)


async def test_a_code_belongs_to_its_address(db: Database) -> None:
    async with db.transaction() as tx:
        await identity.request_code(tx, ANN, "en")
    with pytest.raises(model.WrongCode):
        await identity.prove_code(db, "bob@example.com", await last_code(db))


async def test_no_code_stands_in_an_event_or_in_clear_in_a_table(db: Database) -> None:
    async with db.transaction() as tx:
        await identity.request_code(tx, ANN, "en")
    code = await last_code(db)
    async with db.reading() as tx:
        events = await tx.value("select string_agg(data::text, '') from kernel.event")
        outbox = await tx.value("select string_agg(o::text, '') from identity.outbox o")
        codes = await tx.value("select string_agg(c::text, '') from identity.code c")
    for text in (events, outbox):
        assert code not in text
        assert ANN not in text
    assert code.encode().hex() not in codes


async def test_one_address_one_account_also_in_a_race(db: Database) -> None:
    async def one() -> identity.Person:
        async with db.transaction() as tx:
            return await identity.register(tx, " Ann@Example.com ")

    results = await asyncio.gather(*(one() for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(r, identity.Person) for r in results) == 1
    assert sum(isinstance(r, model.EmailTaken) for r in results) == 3


async def test_signing_in_makes_a_planted_session_worthless(
    browser: Browser, edge: Edge, db: Database
) -> None:
    await ann(db)
    mallory = Browser(edge, db)
    await mallory.get("/sign-in")
    planted = await cookie_of(mallory)
    browser.http.cookies.set("pinwheel", planted, domain="shop.test")
    answer = await signed_in(browser)
    assert answer.status_code == 303
    assert await cookie_of(browser) != planted
    assert (await mallory.http.get("/api/v1/account")).status_code == 401
    assert (await browser.http.get("/api/v1/account")).json()["email"] == ANN


async def test_a_session_ends_by_itself_and_by_signing_out(
    browser: Browser, db: Database, clock: SetClock
) -> None:
    await ann(db)
    await signed_in(browser)
    clock.travel(days=59)
    assert (await browser.http.get("/api/v1/account")).status_code == 200
    clock.travel(days=59)  # it was used in between, so it goes on
    assert (await browser.http.get("/api/v1/account")).status_code == 200
    clock.travel(days=61)
    assert (await browser.http.get("/api/v1/account")).status_code == 401
    await signed_in(browser)
    token = await cookie_of(browser)
    await browser.get("/sign-in")
    assert (await browser.post("/sign-out")).status_code == 303
    browser.http.cookies.set("pinwheel", token, domain="shop.test")
    assert (await browser.http.get("/api/v1/account")).status_code == 401


async def test_a_new_password_ends_the_other_sessions(
    browser: Browser, edge: Edge, db: Database
) -> None:
    await ann(db)
    elsewhere = Browser(edge, db)
    await signed_in(elsewhere)
    await signed_in(browser)
    await browser.get("/sign-in")
    form = {"old": "not it at all", "new": "another good one"}
    assert (await browser.post("/account/password", form)).status_code == 401
    assert (await browser.post("/account/password", {**form, "old": PASSWORD})).status_code == 303
    assert (await browser.http.get("/api/v1/account")).status_code == 200
    assert (await elsewhere.http.get("/api/v1/account")).status_code == 401
    assert (await signed_in(elsewhere)).status_code == 401


async def test_nobody_ends_somebody_else_s_session_or_sees_their_address(
    browser: Browser, db: Database
) -> None:
    person = await ann(db)
    async with db.transaction() as tx:
        bob = await identity.register(tx, "bob@example.com")
        new = model.NewAddress(recipient_name="Bob", country="CN", city="Suzhou", line1="1 Road")
        address_id = await identity.add_address(tx, bob.id, new)
        with pytest.raises(NotFound):
            await identity.address_of(tx, person.id, address_id)
    with pytest.raises(NotFound):
        async with db.transaction() as tx:
            await identity.remove_address(tx, person.id, address_id)
    await signed_in(browser)
    async with db.reading() as tx:
        (session,) = await identity.sessions_of(tx, person.id)
    async with db.transaction() as tx:
        assert await identity.end_sessions(tx, [session.id], of=bob.id) == 0


async def test_a_guest_keeps_what_is_theirs(db: Database) -> None:
    visitor = Caller(session_id=uuid.uuid4())
    made = set()
    for _ in range(2):
        async with db.transaction() as tx:
            made.add(await identity.guest_of(tx, visitor, "the visitor's token"))
    (guest_id,) = made
    caller = await identity.recognise(db, "the visitor's token", "")
    assert (caller.kind, caller.person_id) == ("guest", guest_id)
    with pytest.raises(Unauthenticated):
        caller.person()
    async with db.transaction() as tx:
        person = await identity.register(tx, ANN, guest_id=guest_id)
    assert person.id == guest_id
    async with db.transaction() as tx:
        other = await identity.guest_of(tx, Caller(session_id=uuid.uuid4()), "another token")
    async with db.transaction() as tx:
        await identity.request_code(tx, ANN, "en")
    proof = await identity.prove_code(db, ANN, await last_code(db))
    async with db.transaction() as tx:
        guest = Caller(person_id=other, session_id=uuid.uuid4())
        await identity.sign_in(tx, proof, guest, "a fresh token")
    async with db.reading() as tx:
        joined = await tx.value("select data from kernel.event where kind like '%guest_joined'")
    assert joined == {"guest_id": str(other), "person_id": str(guest_id)}


async def test_two_first_clicks_at_once_make_one_guest(db: Database) -> None:
    visitor = Caller(session_id=uuid.uuid4())

    async def click() -> uuid.UUID:
        async with db.transaction() as tx:
            return await identity.guest_of(tx, visitor, "token")

    assert len(set(await asyncio.gather(*(click() for _ in range(4))))) == 1


async def test_an_account_s_key_has_no_more_rights_than_its_owner(edge: Edge, db: Database) -> None:
    async with db.transaction() as tx:
        clerk = await identity.register(tx, ANN, kind="clerk")
    caller = Caller(kind="clerk", person_id=clerk.id, scopes=frozenset({"orders:read"}))
    with pytest.raises(model.ScopeNotHeld):
        async with db.transaction() as tx:
            await identity.make_key(tx, caller, "greedy", ["operate"])
    async with db.transaction() as tx:
        key = await identity.make_key(tx, caller, "reports", ["orders:read"])
    program = await identity.recognise(db, "", key.key)
    assert program.scopes == {"orders:read"}
    async with db.transaction() as tx:
        await tx.run("update identity.person set kind = 'buyer' where id = $1", clerk.id)
    db.clock.travel(seconds=10)  # type: ignore[attr-defined]
    assert (await identity.recognise(db, "", key.key)).scopes == frozenset()
    async with db.transaction() as tx:
        await identity.revoke_key(tx, clerk.id, key.id)
    with pytest.raises(Unauthenticated):
        await identity.recognise(db, "", key.key)
    answer = await client(edge, db, authorization=f"Bearer {key.key}").get("/api/v1/account")
    assert answer.status_code == 401


async def test_a_hot_key_costs_no_statement(db: Database, monkeypatch: Any) -> None:
    async with db.transaction() as tx:
        person = await identity.register(tx, ANN)
        caller = Caller(kind="buyer", person_id=person.id)
        key = await identity.make_key(tx, caller, "mine", [])
    first = await identity.recognise(db, "", key.key)
    monkeypatch.setattr(db, "transaction", None)
    assert await identity.recognise(db, "", key.key) is first


async def test_secrets_are_not_stored(browser: Browser, db: Database) -> None:
    await ann(db)
    await signed_in(browser)
    token = await cookie_of(browser)
    async with db.reading() as tx:
        sessions = await tx.value("select string_agg(s::text, '') from identity.session s")
        people = await tx.value("select string_agg(p::text, '') from identity.person p")
    assert token not in sessions
    assert token.encode().hex() not in sessions
    for secret in (PASSWORD, ANN, "Ann"):
        assert secret not in people
    assert "$argon2id$" in people


async def test_the_first_address_is_the_default_and_there_is_always_one(db: Database) -> None:
    person = await ann(db)
    new = model.NewAddress(recipient_name="A", country="CN", city="Suzhou", line1="1", phone="123")
    async with db.transaction() as tx:
        one = await identity.add_address(tx, person.id, new)
        two = await identity.add_address(tx, person.id, new)
        await identity.make_default(tx, person.id, two)
    async with db.transaction() as tx:
        await identity.remove_address(tx, person.id, two)
    async with db.reading() as tx:
        (left,) = await identity.addresses_of(tx, person.id)
        stored = await tx.value("select phone from identity.address")
    assert (left.id, left.is_default, left.phone) == (one, True, "123")
    assert "123" not in stored


async def test_of_many_who_choose_a_default_at_once_one_wins(db: Database) -> None:
    person = await ann(db)
    new = model.NewAddress(recipient_name="A", country="CN", city="Suzhou", line1="1", phone="123")
    async with db.transaction() as tx:
        ids = [await identity.add_address(tx, person.id, new) for _ in range(8)]

    async def choose(address_id: uuid.UUID) -> None:
        async with db.transaction() as tx:
            await identity.make_default(tx, person.id, address_id)

    await asyncio.gather(*(choose(one) for one in ids * 3))
    async with db.reading() as tx:
        kept = await identity.addresses_of(tx, person.id)
    assert [a.is_default for a in kept].count(True) == 1


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", ANN])
async def test_easy_passwords_are_refused(password: str) -> None:
    with pytest.raises(Invalid):
        await identity.hashed(password, ANN)


@pytest.mark.parametrize("email", ["", "a", "a@b", "a b@c.de", "a@b..de", "a@b.c\nd", "a@@b.de"])
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(Invalid):
        model.normal_email(email)


async def test_the_way_in_is_no_open_redirect(browser: Browser, db: Database) -> None:
    await ann(db)
    for target in ("//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example"):
        await browser.get("/sign-in")
        form = {"email": ANN, "password": PASSWORD, "next": target}
        assert (await browser.post("/sign-in", form)).headers["location"] == "/en/"


async def test_registering_in_a_browser(browser: Browser) -> None:
    await browser.get("/register")
    form = {"email": "bad", "password": PASSWORD, "name": "Ann"}
    refused = await browser.post("/register", form)
    assert refused.status_code == 422
    assert 'value="Ann"' in refused.text
    assert PASSWORD not in refused.text
    await browser.get("/register")
    assert (await browser.post("/register", {**form, "email": ANN})).status_code == 303
    account = (await browser.http.get("/api/v1/account")).json()
    assert (account["name"], account["kind"]) == ("Ann", "buyer")


async def test_of_two_operators_who_leave_at_once_one_stays(db: Database) -> None:
    async with db.transaction() as tx:
        people = [
            await identity.register(tx, f"{n}@example.com", kind="operator") for n in ("a", "b")
        ]

    async def leave(person: identity.Person) -> None:
        async with db.transaction() as tx:
            await identity.appoint(tx, person.id, "buyer", [])

    results = await asyncio.gather(*(leave(p) for p in people), return_exceptions=True)
    assert sum(isinstance(r, model.LastOperator) for r in results) == 1


async def test_a_new_role_counts_at_once(browser: Browser, db: Database) -> None:
    person = await ann(db)
    await signed_in(browser)
    async with db.transaction() as tx:
        await identity.appoint(tx, person.id, "operator", [])
    assert (await browser.http.get("/api/v1/account")).status_code == 401
    await signed_in(browser)
    assert (await browser.http.get("/api/v1/mailbox")).status_code == 200
