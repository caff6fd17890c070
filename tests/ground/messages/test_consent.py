"""Nobody is written to who did not say yes, and nobody who said no."""

from __future__ import annotations

import asyncio
import random

import asyncpg
import pytest

from ground.messages.mail_server import MailServer
from ground.messages.readers import House, path_in, text_of
from pinwheel.ground import identity, messages
from pinwheel.ground.messages.actions import hash_of
from pinwheel.ground.messages.delivering import deliver_due
from pinwheel.ground.messages.model import BadLink, NotSubscribed, Suppressed
from pinwheel.kernel.errors import RateLimited


async def test_yes_takes_two_steps(house: House, server: MailServer) -> None:
    async with house.db.transaction(actor="visitor") as tx:
        await messages.subscribe(
            tx, "Ann@Example.com", language="en", wording="Write to me", source="/letters"
        )
    (answer,) = await house.send("ann@example.com")
    assert isinstance(answer, NotSubscribed)
    await house.worker.drain()
    (asking,) = server.to("ann@example.com")
    token = path_in(text_of(asking), "/letters/confirm/").rpartition("/")[2]
    async with house.db.transaction(actor="reader") as tx:
        await messages.confirm(tx, token, wording="Confirm", source="the letter")
        await messages.confirm(tx, token, wording="Confirm", source="the letter")
    await house.send("ann@example.com")
    await house.worker.drain()
    assert len(server.to("ann@example.com")) == 2
    async with house.db.reading() as tx:
        standing = await messages.standing_of(tx, "ann@example.com")
        assert standing is not None
        ledger = await messages.consent_ledger(tx, standing.hash)
    assert [(c.step, c.wording) for c in ledger] == [
        ("asked", "Write to me"),
        ("confirmed", "Confirm"),
    ]
    assert await house.broken() == []


async def test_the_consent_ledger_is_only_added_to(house: House) -> None:
    await house.reader("ann@example.com")
    for statement in ("update messages.consent set step = 'asked'", "delete from messages.consent"):
        with pytest.raises(asyncpg.RaiseError):
            async with house.db.transaction() as tx:
                await tx.connection.execute(statement)


async def test_a_made_up_or_old_link_does_nothing(house: House, server: MailServer) -> None:
    async with house.db.transaction() as tx:
        await messages.subscribe(
            tx, "ann@example.com", language="en", wording="News", source="test"
        )
    await house.worker.drain()
    token = path_in(text_of(server.to("ann@example.com")[0]), "confirm/").rpartition("/")[2]
    await house.travel(days=8)
    for wrong in (token, token[:-1] + ("A" if token[-1] != "A" else "B"), "", "x" * 72):
        with pytest.raises(BadLink):
            async with house.db.transaction() as tx:
                await messages.confirm(tx, wrong, wording="", source="test")
    with pytest.raises(BadLink):
        async with house.db.transaction() as tx:
            await messages.unsubscribe(tx, token, source="test")


async def test_asking_is_no_mail_bomb(house: House, server: MailServer) -> None:
    with pytest.raises(RateLimited):
        for _ in range(5):
            async with house.db.transaction() as tx:
                await messages.subscribe(
                    tx, "ann@example.com", language="en", wording="News", source="test"
                )
    await house.worker.drain()
    assert len(server.to("ann@example.com")) == 3


async def test_no_holds_at_once_for_what_waits_and_what_comes(
    house: House, server: MailServer
) -> None:
    await house.reader("ann@example.com")
    server.letters.clear()
    await house.send("ann@example.com")
    await house.unsubscribe("ann@example.com")
    (answer,) = await house.send("ann@example.com")
    assert isinstance(answer, Suppressed)
    await house.worker.drain()
    assert server.letters == []
    assert await house.states() == {"suppressed": 1}
    # One's own orders are told all the same.
    await house.send("ann@example.com", purpose="transactional")
    await house.worker.drain()
    assert len(server.to("ann@example.com")) == 1
    assert await house.broken() == []


async def test_a_letter_whose_recipient_was_named_already_stays_here(
    house: House, server: MailServer
) -> None:
    """The reader says no while the server is being told who it is for: the words don't leave."""
    await house.reader("ann@example.com")
    server.letters.clear()
    server.reached_rcpt.clear()
    server.before_rcpt = asyncio.Event()
    await house.send("ann@example.com")
    delivering = asyncio.create_task(deliver_due(house.db))
    await server.reached_rcpt.wait()
    await house.unsubscribe("ann@example.com")
    server.before_rcpt.set()
    await delivering
    assert server.letters == []
    assert await house.states() == {"suppressed": 1}


async def test_no_letter_after_a_no_however_they_race(house: House, server: MailServer) -> None:
    """Many readers say no while their letters are on the way, by several carriers at once."""
    emails = [f"reader{n}@example.com" for n in range(40)]
    for email in emails:
        await house.reader(email)
    server.letters.clear()
    await house.send(*emails)
    arrived_at_no: dict[str, int] = {}

    async def say_no(email: str, after: int) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        await house.unsubscribe(email)
        async with house.db.reading() as tx:
            arrived_at_no[email] = await tx.value(
                "select count(*) from messages.message m join messages.address a"
                " on a.hash = m.address_hash where m.purpose = 'marketing'"
                " and m.handed_at is not null and a.hash = $1",
                hash_of(house.db, email),
            )

    rng = random.Random(7)
    await asyncio.gather(
        *(deliver_due(house.db) for _ in range(3)),
        *(say_no(email, rng.randrange(400)) for email in emails),
    )
    await house.worker.drain()
    assert {e: len(server.to(e)) for e in emails} == arrived_at_no
    for email in emails:
        (answer,) = await house.send(email)
        assert isinstance(answer, Suppressed)
    assert await house.broken() == []


async def test_the_account_and_the_letter_agree(house: House, server: MailServer) -> None:
    person_id = await house.reader("ann@example.com")
    async with house.db.reading() as tx:
        assert await identity.with_consent(tx, [person_id], "marketing", "email") == {person_id}
    await house.unsubscribe("ann@example.com")
    async with house.db.reading() as tx:
        assert await identity.with_consent(tx, [person_id], "marketing", "email") == set()
    server.letters.clear()
    async with house.db.transaction() as tx:
        await identity.record_consent(tx, person_id, "marketing", "email", True, {})
    assert isinstance((await house.send("ann@example.com"))[0], Suppressed)
    await house.worker.drain()
    token = path_in(text_of(server.to("ann@example.com")[0]), "confirm/").rpartition("/")[2]
    async with house.db.transaction() as tx:
        await messages.confirm(tx, token, wording="", source="the letter")
    await house.send("ann@example.com")
    async with house.db.transaction() as tx:
        await identity.record_consent(tx, person_id, "marketing", "email", False, {})
    server.letters.clear()
    await house.worker.drain()
    assert server.letters == []
    assert await house.broken() == []


async def test_the_erased_are_not_written_to_again(house: House, server: MailServer) -> None:
    person_id = await house.reader("ann@example.com")
    await house.send("ann@example.com")
    async with house.db.transaction() as tx:
        await identity.erase_person(tx, person_id)
    server.letters.clear()
    await house.worker.drain()
    assert server.letters == []
    assert isinstance((await house.send("ann@example.com"))[0], Suppressed)
    async with house.db.reading() as tx:
        left = await tx.value(
            "select count(*) from messages.message where person_id is not null"
            " or content is not null"
        )
        assert left == 0
        assert "ann@" not in await tx.value(
            "select coalesce(string_agg(a::text, ''), '') from messages.address a"
        )
    assert await house.broken() == []
