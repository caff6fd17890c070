"""Feature flags: what nobody has said is the default, what somebody has said holds."""

from __future__ import annotations

from pinwheel.kernel.db import Database
from pinwheel.kernel.flags import Flag, flag, flags, turn

NEW = Flag(name="tests.new", default=False, en="Something new", zh="新功能")
OLD = Flag(name="tests.old", default=True, en="Something old", zh="旧功能")


async def test_a_flag_is_what_was_said_last(db: Database) -> None:
    async with db.transaction(actor="operator:ann") as tx:
        assert [await flag(tx, one) for one in (NEW, OLD)] == [False, True]
        await turn(tx, NEW, True)
        await turn(tx, OLD, True)
        await turn(tx, OLD, False)
    async with db.reading() as tx:
        assert await flags(tx, [NEW, OLD]) == {"tests.new": True, "tests.old": False}
        assert tx.statements == 1
        by = await tx.value("select changed_by from kernel.setting where name = 'flag.tests.new'")
    assert by == "operator:ann"


async def test_a_strange_value_counts_as_nothing_said(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.run(
            "insert into kernel.setting values ('flag.tests.old', '\"no\"', $1, 'somebody')", tx.now
        )
        assert await flag(tx, OLD) is True
