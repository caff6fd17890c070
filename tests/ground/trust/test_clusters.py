"""Clusters: who is one, whoever notes at the same moment; crowds, operators, erasure."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import uuid
from collections.abc import Sequence
from itertools import pairwise

import pytest

from pinwheel.ground import identity, ledger, trust
from pinwheel.ground.trust import Because, Seen, Use, normal
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.jobs import Worker

PROMISES = ["pinwheel.ground.trust", "pinwheel.ground.ledger"]


def people(count: int) -> list[uuid.UUID]:
    return sorted(uuid.uuid4() for _ in range(count))


async def noted(db: Database, *seen: Seen) -> None:
    async with db.transaction(actor="test") as tx:
        await trust.note(tx, seen)


async def clusters(db: Database, who: Sequence[uuid.UUID]) -> int:
    """In how many clusters these accounts are."""
    async with db.reading() as tx:
        return len(set((await trust.cluster_of(tx, who)).values()))


async def broken(db: Database) -> list[audit.Check]:
    return [c for c in await audit.run(db, PROMISES) if c.broken]


def use(person: uuid.UUID, *, home_most: int = 0) -> Use:
    return Use(
        person_id=person,
        purpose="newcomer:test",
        document_kind="order",
        document_id=uuid.uuid4(),
        home_most=home_most,
    )


async def test_a_device_makes_two_accounts_one_and_says_why(db: Database) -> None:
    a, b, c = people(3)
    await noted(db, Seen(a, "device", "d1"), Seen(b, "device", "d1"), Seen(c, "device", "d2"))
    async with db.reading() as tx:
        of = await trust.cluster_of(tx, [a, b, c])
        assert of == {a: a, b: a, c: c}
        one, other = await trust.same_identity(tx, [(b, a), (a, c)])
        assert tx.statements == 2
    assert one is not None
    assert one.is_one
    assert one.reasons == [Because("device", 0.9, 2)]
    assert other is None


async def test_nothing_plain_is_kept(db: Database) -> None:
    a, *_ = people(1)
    await noted(
        db,
        *trust.seen_email(a, "Reader+offers@Example.org"),
        *trust.seen_phone(a, "0171 2345678", "DE"),
        *trust.seen_address(a, "DE", "10115", "Invalidenstraße 5", "Whg 3"),
        *trust.seen_device(a, "cookie-of-a-browser"),
        *trust.seen_payment(a, "stripe", "fp_1234"),
        *trust.seen_network(a, "203.0.113.9"),
    )
    async with db.reading() as tx:
        rows = await tx.connection.fetch("select kind, value from trust.sighting order by kind")
    assert [r["kind"] for r in rows] == [
        *("building", "device", "email", "home", "network", "payment", "phone")
    ]
    assert all(len(r["value"]) == 16 for r in rows)
    for plain in (b"reader", b"171", b"invaliden", b"cookie", b"fp_1234", b"203"):
        assert not any(plain in bytes(r["value"]) for r in rows)


async def test_the_chain_of_links_is_shown(db: Database) -> None:
    a, b, c = people(3)
    await noted(db, Seen(a, "device", "d1"), Seen(b, "device", "d1"))
    await noted(db, Seen(b, "payment", "visa"), Seen(c, "payment", "visa"))
    async with db.reading() as tx:
        sight = await trust.cluster(tx, c)
    assert sight.id == a
    chain = trust.path(sight.links, a, c)
    assert [[r.kind for r in link.reasons] for link in chain] == [["device"], ["payment"]]
    assert [c.kind for c in sight.changes] == ["merged", "merged"]


async def test_two_accounts_that_meet_at_the_same_moment_are_one(db: Database) -> None:
    """Ten transactions at once tie a chain of eleven accounts; the order of commits is chance."""
    for turn in range(4):
        who = people(11)
        random.Random(turn).shuffle(who)

        async def tie(a: uuid.UUID, b: uuid.UUID, mark: str) -> None:
            async def verb(tx: Tx) -> None:
                await trust.note(tx, [Seen(a, "device", mark), Seen(b, "device", mark)])

            await db.attempt(verb, actor="test")

        await asyncio.gather(*(tie(a, b, f"{turn}:{n}") for n, (a, b) in enumerate(pairwise(who))))
        assert await clusters(db, who) == 1
    assert await broken(db) == []


async def test_fifty_new_accounts_of_one_device_at_once_are_one(db: Database) -> None:
    who = people(50)

    async def come(person: uuid.UUID) -> None:
        async def verb(tx: Tx) -> None:
            await trust.note(tx, [Seen(person, "device", "one")])

        await db.attempt(verb, actor="test")

    await asyncio.gather(*(come(person) for person in who))
    assert await clusters(db, who) == 1
    assert await broken(db) == []


async def test_the_order_of_notes_does_not_matter(db: Database) -> None:
    for turn in range(4):
        who = people(8)
        seen = [Seen(p, "device", f"{turn}:{n // 2}") for n, p in enumerate(who)]
        seen += [Seen(who[n], "phone", f"44200000{turn}") for n in (1, 2)]
        random.Random(turn).shuffle(seen)
        for one in seen:
            await noted(db, one)
        async with db.reading() as tx:
            of = await trust.cluster_of(tx, who)
        first, second = min(who[:4]), min(who[4:6])
        assert [of[p] for p in who] == [first] * 4 + [second] * 2 + [min(who[6:])] * 2


async def test_room_mates_colleagues_and_neighbours_stay_apart(db: Database) -> None:
    who = people(12)
    for n, person in enumerate(who):
        await noted(
            db,
            Seen(person, "device", f"own-{n}"),
            *trust.seen_address(person, "GB", "SW1A 1AA", f"Flat {n // 3}, 10 High Street"),
            *trust.seen_network(person, "192.0.2.7"),
        )
    assert await clusters(db, who) == len(who)


async def test_a_trait_of_a_crowd_tells_nothing(db: Database) -> None:
    crowd, late = people(61), people(2)
    await noted(db, *(Seen(p, "device", "terminal") for p in crowd))
    assert await clusters(db, crowd) == len(crowd)
    await noted(db, *(Seen(p, "device", "terminal") for p in late))
    assert await clusters(db, late) == 2


async def test_a_known_trait_costs_one_statement(db: Database) -> None:
    who = people(40)
    seen = [Seen(p, "device", f"d{n}") for n, p in enumerate(who)]
    await noted(db, *seen)
    async with db.transaction(actor="test") as tx:
        await trust.note(tx, seen)
        assert tx.statements == 1


async def test_what_an_operator_parted_is_not_made_one_again(db: Database) -> None:
    a, b, c = people(3)
    await noted(db, Seen(a, "device", "shared"), Seen(b, "device", "shared"))
    async with db.transaction(actor="operator:x") as tx:
        await trust.separate(tx, a, [b], "two sisters, one tablet")
    assert await clusters(db, [a, b]) == 2
    await noted(db, Seen(c, "device", "shared"))
    async with db.transaction(actor="test", now=tx.now + dt.timedelta(days=2)) as later:
        await trust.note(later, [Seen(p, "device", "shared") for p in (a, b, c)])
    assert await clusters(db, [a, b]) == 2  # nor over somebody third
    async with db.reading() as tx:
        sight = await trust.cluster(tx, a)
    assert sight.changes[0].kind == "split"
    assert sight.changes[0].reason == "two sisters, one tablet"
    assert sight.traits[0].ignored_because == "operator: two sisters, one tablet"
    async with db.transaction(actor="operator:x") as tx:
        await trust.join(tx, a, b, "it was one after all")
    assert await clusters(db, [a, b]) == 1
    assert await broken(db) == []


async def test_one_use_an_identity_under_fifty_at_once(db: Database) -> None:
    who = people(50)
    answers: list[object] = []

    async def want(person: uuid.UUID) -> None:
        async def verb(tx: Tx) -> object:
            await trust.note(tx, [Seen(person, "device", "one")])
            return (await trust.take(tx, [use(person)]))[0]

        answers.append(await db.attempt(verb, actor="test"))

    await asyncio.gather(*(want(person) for person in who))
    assert sum(isinstance(a, ledger.Held) for a in answers) == 1
    assert sum(isinstance(a, trust.AlreadyUsed) for a in answers) == 49
    assert await broken(db) == []


async def test_a_use_counts_still_when_two_clusters_turn_out_to_be_one(db: Database) -> None:
    a, b = people(2)
    await noted(db, Seen(a, "device", "da"), Seen(b, "device", "db"))
    taken = use(b)
    async with db.transaction(actor="test") as tx:
        assert isinstance((await trust.take(tx, [taken]))[0], ledger.Held)
    await noted(db, Seen(a, "device", "db"))  # a is the older: b's cluster is absorbed
    async with db.transaction(actor="test") as tx:
        assert isinstance((await trust.take(tx, [use(a)]))[0], trust.AlreadyUsed)
    async with db.transaction(actor="test") as tx:  # the order is given up: the chance is back
        await ledger.release_for(tx, [taken.document_id])
        assert isinstance((await trust.take(tx, [use(a)]))[0], ledger.Held)
        assert isinstance((await trust.take(tx, [use(b)]))[0], trust.AlreadyUsed)
    assert await broken(db) == []


async def test_merging_and_using_at_the_same_moment_gives_one_use(db: Database) -> None:
    for turn in range(6):
        a, b = people(2)
        await noted(db, Seen(a, "device", f"a{turn}"), Seen(b, "device", f"b{turn}"))

        async def merge(mark: str, person: uuid.UUID) -> None:
            async def verb(tx: Tx) -> None:
                await trust.note(tx, [Seen(person, "device", mark)])

            await db.attempt(verb, actor="test")

        async def want(person: uuid.UUID) -> object:
            async def verb(tx: Tx) -> object:
                return (await trust.take(tx, [use(person)]))[0]

            return await db.attempt(verb, actor="test")

        first, _, second = await asyncio.gather(want(b), merge(f"b{turn}", a), want(a))
        third = await want(a)
        held = sum(isinstance(x, ledger.Held) for x in (first, second))
        assert isinstance(third, Refusal)
        assert held in (1, 2)  # two where both came before anybody could know
    assert await broken(db) == []


async def test_a_home_may_take_so_many(db: Database) -> None:
    who = people(4)
    for n, person in enumerate(who):
        await noted(
            db,
            Seen(person, "device", f"own-{n}"),
            *trust.seen_address(person, "GB", "N1 9GU", "12 Oak Rd", "Flat 4"),
        )
    assert await clusters(db, who) == 4
    async with db.transaction(actor="test") as tx:
        answers = await trust.take(tx, [use(p, home_most=2) for p in who])
    assert [isinstance(a, ledger.Held) for a in answers] == [True, True, False, False]


async def test_erasing_an_account_frees_no_use(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    async with db.transaction(actor="test") as tx:
        first = await identity.register(tx, "first@shop.test")
        await trust.note(tx, [Seen(first.id, "device", "d"), Seen(first.id, "network", "n")])
        await trust.take(tx, [use(first.id)])
    async with db.transaction(actor="test") as tx:
        await identity.erase_person(tx, first.id)
    async with db.reading() as tx:
        for table in ("sighting", "member", "use"):
            left = await tx.connection.fetchval(
                f"select count(*) from trust.{table} where person_id = $1", first.id
            )
            assert left == 0, table
        kinds = await tx.values("select kind from trust.sighting")
        assert kinds == ["device"]  # the mailbox was not noted yet; networks never stay
    (again,) = people(1)
    await noted(db, Seen(again, "device", "d"))
    async with db.transaction(actor="test") as tx:
        assert isinstance((await trust.take(tx, [use(again)]))[0], trust.AlreadyUsed)
    assert await broken(db) == []
    clock.set(clock.now() + dt.timedelta(days=366))
    await worker.drain()
    async with db.reading() as tx:
        assert await tx.value("select count(*) from trust.member where is_shadow") == 0
        assert await tx.value("select count(*) from trust.sighting") == 0


async def test_an_account_that_used_nothing_leaves_nothing(db: Database) -> None:
    async with db.transaction(actor="test") as tx:
        person = await identity.register(tx, "gone@shop.test")
        await trust.note(tx, [Seen(person.id, "device", "d")])
        await identity.erase_person(tx, person.id)
    async with db.reading() as tx:
        assert await tx.value("select count(*) from trust.sighting") == 0
        assert await tx.value("select count(*) from trust.member") == 0


async def test_the_copy_of_a_person_names_no_hash(db: Database) -> None:
    (a,) = people(1)
    await noted(db, Seen(a, "device", "d"))
    async with db.reading() as tx:
        copy = await trust.export(tx, a)
    assert copy["traits"][0]["kind"] == "device"
    assert copy["traits"][0]["hashes"] == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Some.Body+x@gmail.com", "somebody@googlemail.com", True),
        ("some.body@example.org", "somebody@example.org", False),
        ("a+1@example.org", "A@example.org", True),
    ],
)
def test_mailboxes(one: str, other: str, same: bool) -> None:
    assert (normal.email(one) == normal.email(other)) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("GB", "N1 9GU", "Flat 4, 12 Oak Road"), ("GB", "n19gu", "12 Oak Rd.", "flat 4"), True),
        (("GB", "N1 9GU", "Flat 4, 12 Oak Road"), ("GB", "N1 9GU", "Flat 5, 12 Oak Road"), False),
        (("GB", "N1 9GU", "12 Oak Road"), ("GB", "N1 9GU", "14 Oak Road"), False),
        (("US", "10001", "5 W 30th St Apt 2B"), ("US", "10001", "5 West 30th Street #2b"), True),
        (
            ("CN", "100000", "长安街1号3单元502室"),
            ("CN", "100000", "长安街１号 3单元 502 室"),
            True,
        ),
        (("CN", "100000", "长安街1号3单元502室"), ("CN", "100000", "长安街1号3单元503室"), False),
        (("CN", "100000", "长安街1号3单元502室"), ("CN", "100000", "长安街1号2单元502室"), False),
    ],
)
def test_homes(one: tuple[str, ...], other: tuple[str, ...], same: bool) -> None:
    assert (normal.address(*one) == normal.address(*other)) is same


def test_telephones() -> None:
    assert normal.phone("+44 20 7946 0123") == normal.phone("020 7946 0123", "GB")
    assert normal.phone("0044 20 7946 0123") == normal.phone("+442079460123")
    assert normal.phone("123") == ""
