"""The ledger's promises, each with the case that would break it."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import uuid

import asyncpg
import pytest

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Hold, Journal, Transfer
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.jobs import Worker

GBP = ledger.money("GBP")
SALES = Account("sales:GBP", GBP, "credit")
CASH = Account("cash:GBP", GBP)
BUDGET = Account("budget:GBP", GBP, "debit", floor=0)
WALLET = Account("wallet:GBP", GBP, "credit", floor=0)


def journal(key: str, *transfers: Transfer, document: uuid.UUID = uuid.UUID(int=1)) -> Journal:
    return Journal(
        document_kind="test", document_id=document, key=key, reason="test", transfers=transfers
    )


def held(key: str, amount: int, until: dt.datetime | None = None) -> Hold:
    return Hold(
        document_kind="test",
        document_id=uuid.UUID(int=1),
        key=key,
        debit=CASH,
        credit=BUDGET,
        amount=amount,
        expires_at=until,
    )


async def fund(db: Database, amount: int, account: Account = BUDGET) -> None:
    async with db.transaction() as tx:
        transfer = (
            Transfer(account, SALES, amount)
            if account.side == "debit"
            else Transfer(CASH, account, amount)
        )
        [answer] = await ledger.post(tx, [journal(f"fund {account.code}", transfer)])
    assert isinstance(answer, ledger.Posted)


async def balance(db: Database, account: Account, at: dt.datetime | None = None) -> int:
    async with db.reading() as tx:
        return (await ledger.balances(tx, [account], at=at))[account.code].posted


async def clean(db: Database) -> None:
    broken = [c for c in await audit.run(db, ["pinwheel.ground.ledger"]) if c.broken]
    assert not broken


async def test_a_journal_is_posted_once_per_document_and_key(db: Database) -> None:
    for fresh in (True, False):
        async with db.transaction() as tx:
            [posted] = await ledger.post(tx, [journal("sale", Transfer(CASH, SALES, 500))])
        assert isinstance(posted, ledger.Posted) and posted.fresh is fresh
    assert await balance(db, CASH) == await balance(db, SALES) == 500
    await clean(db)


async def test_twins_within_one_call_and_in_two_transactions_at_once(db: Database) -> None:
    async def once() -> list[object]:
        async def verb(tx: Tx) -> list[object]:
            return list(await ledger.post(tx, [journal("x", Transfer(CASH, SALES, 7))] * 2))

        return await db.attempt(verb)

    answers = [a for pair in await asyncio.gather(*(once() for _ in range(6))) for a in pair]
    assert sum(a.fresh for a in answers) == 1  # type: ignore[attr-defined]
    assert await balance(db, SALES) == 7
    await clean(db)


async def test_many_open_one_account_at_the_same_moment(db: Database) -> None:
    """The window is some microseconds wide: a target on one key was lost here about once in a
    hundred."""

    async def opened(account: Account, start: asyncio.Event) -> None:
        async with db.transaction() as tx:
            await tx.value("select 1")  # everybody has a transaction before anybody begins
            await start.wait()
            await ledger.open_accounts(tx, [account])

    for n in range(120):
        start = asyncio.Event()
        account = Account(f"new.{n}:GBP", GBP)
        writers = [asyncio.create_task(opened(account, start)) for _ in range(8)]
        await asyncio.sleep(0.01)
        start.set()
        await asyncio.gather(*writers)
    await clean(db)


async def test_a_floor_refuses_one_and_leaves_its_neighbours(db: Database) -> None:
    await fund(db, 100)
    async with db.transaction() as tx:
        answers = await ledger.post(
            tx,
            [
                journal("a", Transfer(CASH, BUDGET, 60)),
                journal("b", Transfer(CASH, BUDGET, 60)),
                journal("c", Transfer(CASH, BUDGET, 40)),
            ],
        )
    assert [type(a).__name__ for a in answers] == ["Posted", "Insufficient", "Posted"]
    assert await balance(db, BUDGET) == 0
    await clean(db)


async def test_a_credit_side_floor_is_kept_too(db: Database) -> None:
    await fund(db, 100, WALLET)
    async with db.transaction() as tx:
        answers = await ledger.post(
            tx,
            [
                journal("spend", Transfer(WALLET, SALES, 100)),
                journal("again", Transfer(WALLET, SALES, 1)),
            ],
        )
    assert isinstance(answers[1], ledger.Insufficient)
    await clean(db)


@pytest.mark.parametrize("writers", [20])
async def test_parallel_writers_never_overspend(db: Database, writers: int) -> None:
    await fund(db, 50)

    async def spend(n: int) -> int:
        async with db.transaction() as tx:
            answers = await ledger.post(
                tx,
                [
                    journal(f"{n}.{i}", Transfer(CASH, BUDGET, 1), document=uuid.UUID(int=n))
                    for i in range(5)
                ],
            )
        return sum(isinstance(a, ledger.Posted) for a in answers)

    assert sum(await asyncio.gather(*(spend(n) for n in range(writers)))) == 50
    assert await balance(db, BUDGET) == 0
    await clean(db)


async def test_a_hold_takes_room_commits_in_part_and_gives_the_rest_back(db: Database) -> None:
    await fund(db, 100)
    async with db.transaction() as tx:
        first, second = await ledger.hold(tx, [held("one", 70), held("two", 70)])
    assert isinstance(first, ledger.Held) and isinstance(second, ledger.Insufficient)
    async with db.transaction() as tx:
        answers = await ledger.post(
            tx,
            [
                journal("part", Transfer(CASH, BUDGET, 30, hold=first.hold_id, closes=False)),
                journal("elsewhere", Transfer(CASH, BUDGET, 31)),
                journal("rest", Transfer(CASH, BUDGET, 10, hold=first.hold_id)),
                journal("late", Transfer(CASH, BUDGET, 1, hold=first.hold_id)),
            ],
        )
    assert [type(a).__name__ for a in answers] == ["Posted", "Insufficient", "Posted", "HoldClosed"]
    async with db.reading() as tx:
        left = (await ledger.balances(tx, [BUDGET]))[BUDGET.code]
    assert (left.posted, left.held) == (60, 0)
    await clean(db)


async def test_release_is_safe_to_repeat_and_frees_the_room(db: Database) -> None:
    await fund(db, 10)
    async with db.transaction() as tx:
        [one] = await ledger.hold(tx, [held("one", 10)])
        assert isinstance(one, ledger.Held)
    for expected in (1, 0):
        async with db.transaction() as tx:
            assert await ledger.release(tx, [one.hold_id]) == expected
    async with db.transaction() as tx:
        [again] = await ledger.hold(tx, [held("again", 10)])
    assert isinstance(again, ledger.Held)
    await clean(db)


async def test_commit_and_expiry_race_and_exactly_one_wins(db: Database, clock: SetClock) -> None:
    await fund(db, 100)
    async with db.transaction() as tx:
        holds = await ledger.hold(
            tx, [held(str(i), 10, clock.now() + dt.timedelta(minutes=5)) for i in range(10)]
        )
    clock.travel(minutes=6)

    async def commit(n: int, hold_id: uuid.UUID) -> bool:
        async with db.transaction() as tx:
            [answer] = await ledger.post(
                tx, [journal(f"c{n}", Transfer(CASH, BUDGET, 10, hold=hold_id))]
            )
        return isinstance(answer, ledger.Posted)

    async def expire() -> int:
        async with db.transaction() as tx:
            return await ledger.expire(tx)

    committed, expired = 0, 0
    for result in await asyncio.gather(
        *(commit(i, h.hold_id) for i, h in enumerate(holds)),  # type: ignore[union-attr]
        expire(),
        expire(),
    ):
        if isinstance(result, bool):
            committed += result
        else:
            expired += result
    assert committed + expired == 10
    assert await balance(db, BUDGET) == 100 - 10 * committed
    await clean(db)


async def test_expiry_is_told(db: Database, clock: SetClock, worker: Worker) -> None:
    await fund(db, 10)
    async with db.transaction() as tx:
        await ledger.hold(tx, [held("one", 4, clock.now() + dt.timedelta(minutes=5))])
    clock.travel(minutes=5)
    await worker.drain()
    async with db.reading() as tx:
        kinds = await tx.values("select kind from kernel.event where kind ~ '^ledger' order by id")
        left = (await ledger.balances(tx, [BUDGET]))[BUDGET.code]
    assert kinds == ["ledger.hold_expired"] and left.held == 0


async def test_reversal_happens_once_and_keeps_floors(db: Database) -> None:
    await fund(db, 10)
    async with db.transaction() as tx:
        [sent] = await ledger.post(tx, [journal("out", Transfer(CASH, BUDGET, 10))])
        assert isinstance(sent, ledger.Posted)
        [back] = await ledger.reverse(tx, [sent.journal_id], reason="mistake")
        [twice] = await ledger.reverse(tx, [sent.journal_id], reason="mistake")
    assert isinstance(back, ledger.Posted) and back.fresh
    assert isinstance(twice, ledger.Posted) and not twice.fresh
    assert await balance(db, BUDGET) == 10
    await clean(db)


async def test_a_closed_period_stays_closed_and_past_balances_stand(
    db: Database, clock: SetClock
) -> None:
    await fund(db, 100)
    monday = clock.now()
    clock.travel(days=1)
    async with db.transaction() as tx:
        await ledger.post(tx, [journal("tuesday", Transfer(CASH, BUDGET, 30))])
    tuesday = clock.now()
    clock.travel(days=1)
    async with db.transaction() as tx:
        await ledger.close_period(tx, tuesday)
    late = Journal(
        document_kind="test",
        document_id=uuid.UUID(int=9),
        key="late",
        reason="late",
        transfers=(Transfer(CASH, SALES, 5),),
        posted_at=monday,
    )
    async with db.transaction() as tx:
        [refused] = await ledger.post(tx, [late])
        await ledger.post(tx, [journal("wednesday", Transfer(CASH, SALES, 5))])
    assert isinstance(refused, ledger.PeriodClosed)
    assert [await balance(db, BUDGET, at) for at in (monday, tuesday, None)] == [100, 70, 70]
    assert [await balance(db, CASH, at) for at in (monday, tuesday, None)] == [0, 30, 35]
    await clean(db)


async def test_the_database_itself_refuses_what_python_should_have(db: Database) -> None:
    await fund(db, 10)
    for sql in (
        "update ledger.transfer set amount = 1",
        "delete from ledger.journal",
        "update ledger.balance set posted = -1",
        "insert into ledger.transfer values (0, gen_random_uuid(), 0, 1, 2, 3, 4, now())",
    ):
        with pytest.raises(asyncpg.PostgresError):
            async with db.transaction() as tx:
                await tx.connection.execute(sql)


@pytest.mark.parametrize("n", [1, 300])
async def test_statements_do_not_grow_with_the_list(db: Database, n: int) -> None:
    await fund(db, 10**6)
    async with db.transaction() as tx:
        await ledger.post(tx, [journal("open", Transfer(CASH, BUDGET, 1))])
    async with db.transaction() as tx:
        await ledger.post(tx, [journal(f"p{i}", Transfer(CASH, BUDGET, 1)) for i in range(n)])
        assert tx.statements == 3
    async with db.transaction() as tx:
        holds = await ledger.hold(tx, [held(f"h{i}", 1) for i in range(n)])
        assert tx.statements == 3
    async with db.transaction() as tx:
        await ledger.release(tx, [h.hold_id for h in holds])  # type: ignore[union-attr]
        assert tx.statements == 3


async def test_exchange_balances_in_each_unit(db: Database) -> None:
    eur = Account("cash:EUR", ledger.money("EUR"))
    async with db.transaction() as tx:
        [done] = await ledger.post(tx, [journal("fx", *ledger.exchange(CASH, eur, 100, 117))])
    assert isinstance(done, ledger.Posted)
    assert (await balance(db, CASH), await balance(db, eur)) == (-100, 117)
    async with db.reading() as tx:
        assert all(line.debits == line.credits for line in await ledger.trial_balance(tx))
    await clean(db)


@pytest.mark.parametrize("seed", range(6))
async def test_a_plain_model_agrees_after_random_traffic(
    db: Database, clock: SetClock, seed: int
) -> None:
    """Random posts, holds, commits, releases and expiries; a dict of numbers is the auditor."""
    chance = random.Random(seed)
    names = [Account(f"a{i}", GBP, "debit", floor=0) for i in range(4)]
    posted = {a.code: 0 for a in names}
    taken = {a.code: 0 for a in names}
    open_holds: dict[uuid.UUID, tuple[Account, Account, int, dt.datetime]] = {}
    for step in range(60):
        source, target = chance.sample(names, 2)
        amount = chance.randint(1, 60)
        async with db.transaction() as tx:
            match chance.randrange(6):
                case 0:
                    await ledger.post(tx, [journal(f"in{step}", Transfer(source, SALES, amount))])
                    posted[source.code] += amount
                case 1:
                    [answer] = await ledger.post(
                        tx, [journal(f"mv{step}", Transfer(target, source, amount))]
                    )
                    fits = posted[source.code] - taken[source.code] >= amount
                    assert isinstance(answer, ledger.Posted) is fits
                    if fits:
                        posted[source.code] -= amount
                        posted[target.code] += amount
                case 2:
                    until = clock.now() + dt.timedelta(minutes=chance.randint(1, 9))
                    [answer] = await ledger.hold(
                        tx,
                        [
                            Hold(
                                document_kind="t",
                                document_id=uuid.UUID(int=2),
                                key=f"h{step}",
                                debit=target,
                                credit=source,
                                amount=amount,
                                expires_at=until,
                            )
                        ],
                    )
                    fits = posted[source.code] - taken[source.code] >= amount
                    assert isinstance(answer, ledger.Held) is fits
                    if isinstance(answer, ledger.Held):
                        taken[source.code] += amount
                        open_holds[answer.hold_id] = (source, target, amount, until)
                case 3 if open_holds:
                    hold_id = chance.choice(sorted(open_holds))
                    gone_from, to, whole, _ = open_holds.pop(hold_id)
                    part = chance.randint(1, whole)
                    await ledger.post(
                        tx, [journal(f"c{step}", Transfer(to, gone_from, part, hold=hold_id))]
                    )
                    posted[gone_from.code] -= part
                    posted[to.code] += part
                    taken[gone_from.code] -= whole
                case 4 if open_holds:
                    hold_id = chance.choice(sorted(open_holds))
                    gone_from, _, whole, _ = open_holds.pop(hold_id)
                    await ledger.release(tx, [hold_id])
                    taken[gone_from.code] -= whole
                case _:
                    clock.travel(minutes=2)
                    tx.now = clock.now()
                    await ledger.expire(tx)
                    for hold_id, (gone_from, _, whole, until) in list(open_holds.items()):
                        if until <= clock.now():
                            taken[gone_from.code] -= whole
                            del open_holds[hold_id]
    async with db.reading() as tx:
        now = await ledger.balances(tx, names)
    assert {c: (b.posted, b.held) for c, b in now.items()} == {
        c: (posted[c], taken[c]) for c in posted
    }
    await clean(db)
