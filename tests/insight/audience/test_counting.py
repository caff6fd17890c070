"""What tracking shows is counted for people by day: each event once, nobody's not at all."""

from __future__ import annotations

import uuid

import pytest

from insight.audience.town import Town
from insight_world import said, send, shown
from pinwheel.ground import identity
from pinwheel.insight.audience import counting
from pinwheel.insight.audience.counting import count_events


async def registered(town: Town, email: str) -> uuid.UUID:
    async with town.db.transaction() as tx:
        return (await identity.register(tx, email, kind="buyer")).id


async def count(town: Town) -> int:
    async with town.db.transaction(actor="clock") as tx:
        return await count_events(tx)


async def count_all(town: Town) -> None:
    while await count(town):
        pass


async def counted(town: Town, name: str = "page_viewed") -> dict[tuple[uuid.UUID, str], int]:
    """By person and day; only of ``name``, since the house tells of other things too."""
    async with town.db.reading() as tx:
        rows = await tx.connection.fetch(
            "select person_id, day, count from audience.activity where name = $1", name
        )
    return {(row["person_id"], row["day"].isoformat()): row["count"] for row in rows}


async def test_each_event_counts_once_on_its_day_for_whom_it_was(town: Town) -> None:
    ada, ben = await registered(town, "ada@example.org"), await registered(town, "b@example.org")
    now = town.clock.now()
    today = now.date().isoformat()
    first = said(at=now, person_id=str(ada))
    await send(town.db, first, said(at=now), said(at=now, visitor_id="nobody"))
    await send(town.db, first, said(at=now, visitor_id="bens", person_id=str(ben)))
    await send(town.db, said(at=now, visitor_id="hidden", person_id=str(ben), consent=False))
    await send(town.db, said(at=now, visitor_id="robot", person_id=str(ben)), bot_reason="agent")
    await shown(town.db, town.worker)
    await count_all(town)
    # The second page of visitor-1 came without a name and is Ada's by the link.
    assert await counted(town) == {(ada, today): 2, (ben, today): 1}
    assert await count(town) == 0
    town.clock.travel(days=1)
    tomorrow = town.clock.now().date().isoformat()
    await send(town.db, said(at=now), said(at=town.clock.now()))
    await shown(town.db, town.worker)
    await count_all(town)
    assert await counted(town) == {(ada, today): 3, (ada, tomorrow): 1, (ben, today): 1}


async def test_it_counts_on_where_the_last_time_ended(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "EVENTS_AT_ONCE", 3)
    ada = await registered(town, "ada@example.org")
    now = town.clock.now()
    for _ in range(4):
        await send(town.db, *(said(at=now, person_id=str(ada)) for _ in range(5)))
    await shown(town.db, town.worker)
    await count_all(town)
    assert list((await counted(town)).values()) == [20]


async def test_who_withdraws_is_not_counted_any_more(town: Town) -> None:
    ada = await registered(town, "ada@example.org")
    await send(town.db, said(at=town.clock.now(), person_id=str(ada)))
    await shown(town.db, town.worker)
    await count_all(town)
    assert len(await counted(town)) == 1
    async with town.db.transaction(actor="test") as tx:
        await identity.record_consent(tx, ada, "analytics", "web", False, {"where": "test"})
    assert await counted(town) == {}
    await send(town.db, said(at=town.clock.now(), person_id=str(ada)))
    await shown(town.db, town.worker)
    await count_all(town)
    assert await counted(town) == {}
