"""Profiles: whose word counts and until when, merge and its exact undoing, erasure, rights."""

from __future__ import annotations

import asyncio
import uuid

import pytest

import world
from insight_world import said, send, shown
from pinwheel.ground import identity
from pinwheel.insight import profiles
from pinwheel.insight.profiles import AlreadyMerged, Known, NewTrait, Offer, Offers, Profile
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Forbidden, NotFound
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import orders
from shop import money, open_shop


async def person(db: Database, name: str) -> uuid.UUID:
    async with db.transaction() as tx:
        return (await identity.register(tx, f"{name}@example.org", kind="buyer", name=name)).id


async def tell(db: Database, whose: uuid.UUID, *traits: NewTrait, sensitive: bool = False) -> int:
    async with db.transaction(actor="operator:test") as tx:
        return await profiles.tell(tx, whose, traits, sensitive=sensitive)


def size(value: str, source: str = "staff", **more: object) -> NewTrait:
    return NewTrait(
        name="clothing_size", value=value, source=source, evidence="a letter", **more  # type: ignore[arg-type]
    )  # fmt: skip


async def profile(db: Database, whose: uuid.UUID, *, sensitive: bool = False) -> Profile:
    async with db.transaction() as tx:
        return await profiles.profile_of(tx, whose, sensitive=sensitive)


async def broken(db: Database) -> list[audit.Check]:
    checks = await audit.run(db, ["pinwheel.insight.profiles", "pinwheel.insight.tracking"])
    return [c for c in checks if c.broken]


async def test_of_many_who_tell_the_same_at_once_one_word_stands(db: Database) -> None:
    ada = await person(db, "ada")
    await asyncio.gather(*(tell(db, ada, size(f"{n}")) for n in range(16)))
    assert len((await profile(db, ada)).traits) == 1
    assert await broken(db) == []


async def test_whose_word_counts_and_until_when(db: Database, clock: SetClock) -> None:
    ada = await person(db, "ada")
    await tell(db, ada, size("M", "staff"))
    clock.travel(hours=1)
    await tell(db, ada, size("S", "said", ttl_days=10))
    clock.travel(hours=1)
    await tell(db, ada, size("L", "staff"))
    [counts] = (await profile(db, ada)).traits
    assert (counts.value, counts.source, counts.evidence) == ("S", "said", "a letter")
    assert counts.recorded_by == "operator:test"
    clock.travel(days=10)  # what the person said is over; the staff's newest word stands
    assert [t.value for t in (await profile(db, ada)).traits] == ["L"]
    clock.travel(days=730)  # nothing is known for longer than its kind allows
    assert (await profile(db, ada)).history == []
    assert not await broken(db)


async def test_guesses_need_consent_and_go_with_it(db: Database) -> None:
    ada = await person(db, "ada")
    assert await tell(db, ada, size("M", "inferred"), size("S", "staff")) == 1
    async with db.transaction() as tx:
        await identity.record_consent(tx, ada, "personalisation", "web", True, {"where": "test"})
    assert await tell(db, ada, size("M", "inferred")) == 1
    async with db.transaction() as tx:
        await identity.record_consent(tx, ada, "personalisation", "web", False, {"where": "test"})
    assert [t.source for t in (await profile(db, ada)).history] == ["staff"]


async def test_a_sensitive_trait_takes_the_right(db: Database) -> None:
    ada = await person(db, "ada")
    month = NewTrait(name="birth_month", value=5, source="said", evidence="a form")
    with pytest.raises(Forbidden):
        await tell(db, ada, month)
    await tell(db, ada, month, sensitive=True)
    assert (await profile(db, ada)).history == []
    assert [t.value for t in (await profile(db, ada, sensitive=True)).traits] == [5]
    with pytest.raises(profiles.UnknownTrait):
        await tell(db, ada, NewTrait(name="birth_month", value="May", source="said", evidence="x"))
    with pytest.raises(profiles.UnknownTrait):
        await tell(db, ada, NewTrait(name="religion", value="x", source="said", evidence="x"))


async def test_unmerge_restores_both_histories_exactly(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    ada, second = await person(db, "ada"), await person(db, "ada2")
    await tell(db, ada, size("M"))
    await tell(db, second, size("L", "said"))
    await send(db, said(person_id=str(ada)), said(visitor_id="v2", person_id=str(second)))
    await shown(db, worker)
    before = await profile(db, ada), await profile(db, second)
    async with db.transaction() as tx:
        merge = await profiles.merge(tx, ada, second, "same telephone")
    one, same = await profile(db, ada), await profile(db, second)
    assert one == same
    assert one.customer_id == ada and one.accounts == [ada, second]
    assert [t.value for t in one.traits] == ["L"] and len(one.history) == 2
    assert len(one.timeline) == len(before[0].timeline) + len(before[1].timeline)
    clock.travel(days=1)
    async with db.transaction() as tx:
        await profiles.unmerge(tx, merge.id)
    after = await profile(db, ada), await profile(db, second)
    for was, now in zip(before, after, strict=True):
        assert (was.accounts, was.traits, was.history, was.timeline) == (
            *(now.accounts, now.traits, now.history, now.timeline),
        )
    assert [m.undone_at is not None for m in after[0].merges] == [True]
    with pytest.raises(NotFound):
        async with db.transaction() as tx:
            await profiles.unmerge(tx, merge.id)
    assert not await broken(db)


async def test_what_was_said_while_merged_stays_with_whom_it_was_said_of(db: Database) -> None:
    ada, second = await person(db, "ada"), await person(db, "ada2")
    async with db.transaction() as tx:
        merge = await profiles.merge(tx, ada, second, "same telephone")
    await tell(db, second, size("XL"))
    async with db.transaction() as tx:
        await profiles.unmerge(tx, merge.id)
    assert (await profile(db, ada)).history == []
    assert [t.value for t in (await profile(db, second)).history] == ["XL"]


async def test_merges_make_a_tree_and_never_a_circle(db: Database) -> None:
    a, b, c = [await person(db, name) for name in ("ada", "ben", "cat")]
    async with db.transaction() as tx:
        await profiles.merge(tx, b, c, "one household")
    async with db.transaction() as tx:
        first = await profiles.merge(tx, a, c, "one household")  # b stands for c, so b joins
    assert (first.kept_id, first.joined_id) == (a, b)
    for kept, joined in ((c, a), (a, c), (b, c), (a, a)):
        with pytest.raises(AlreadyMerged):
            async with db.transaction() as tx:
                await profiles.merge(tx, kept, joined, "again")
    assert set((await profile(db, c)).accounts) == {a, b, c}
    async with db.transaction() as tx:
        await profiles.unmerge(tx, first.id)
    assert (await profile(db, a)).accounts == [a]
    assert (await profile(db, c)).accounts == [b, c]
    assert not await broken(db)


async def test_two_merges_at_once_make_no_circle(db: Database) -> None:
    a, b = await person(db, "ada"), await person(db, "ben")

    async def merge(kept: uuid.UUID, joined: uuid.UUID) -> object:
        async with db.transaction() as tx:
            return await profiles.merge(tx, kept, joined, "same telephone")

    async with db.transaction() as tx:
        await profiles.merge(tx, a, b, "same telephone")
        other = asyncio.create_task(merge(b, a))
        await world.waits_or_ends(db.pool, other)
    with pytest.raises(AlreadyMerged):
        await other
    assert not await broken(db)


async def test_others_contribute_and_a_copy_holds_it_all(db: Database) -> None:
    ada = await person(db, "ada")
    await tell(db, ada, size("M"))

    async def known(tx: Tx, accounts: object) -> list[Known]:
        return [Known("Loyal", "忠诚", "0.8", "a model of today")]

    db.given[Offers] = Offers((Offer(name="x", en="X", zh="某", known=known),))
    assert [k.value for p in (await profile(db, ada)).parts for k in p.known] == ["0.8"]
    async with db.transaction() as tx:
        copy = await identity.export_person(tx, ada, [("profile", profiles.export)])
    assert copy["profile"]["traits"][0]["value"] == "M"


async def test_erasing_a_customer_leaves_nothing_and_the_books_as_they_were(
    db: Database, worker: Worker
) -> None:
    shop = await open_shop(db, [999])
    ada, second = await person(db, "ada"), await person(db, "ada2")
    bought = await shop.buying.buy(shop.draft((0, 1), person_id=ada))
    async with db.transaction() as tx:
        await orders.ship(tx, bought.order_id)
        await profiles.merge(tx, ada, second, "same telephone")
    await tell(db, ada, size("M"))
    await tell(db, second, size("L"))
    await send(db, said(person_id=str(second)))
    await shown(db, worker)
    books = await money(db, "sales:own:GBP", "delivery:GBP", "tax:GB:GBP")
    async with db.transaction() as tx:
        assert set(await profiles.erase_customer(tx, second, "asked")) == {ada, second}
    await shown(db, worker)
    assert await money(db, *books) == books and books["sales:own:GBP"] > 0
    async with db.reading() as tx:
        tables = ("profiles.trait", "profiles.merge", "tracking.event", "tracking.revenue")
        left = [str(await tx.connection.fetch(f"select * from {t}")) for t in tables]
    assert not any(str(who) in text for who in (ada, second) for text in left)
    for whose in (ada, second):
        gone = await profile(db, whose)
        assert (gone.accounts, gone.history, gone.merges) == ([whose], [], [])
    assert not await broken(db)
