import asyncio
from pathlib import Path

import asyncpg
import pytest

from pinwheel.kernel import migrate as migrations
from pinwheel.kernel.db import Database


async def test_a_second_run_applies_nothing(url: str) -> None:
    assert await migrations.migrate(url) == []


async def test_two_processes_at_once_apply_each_file_once(empty_url: str) -> None:
    runs = await asyncio.gather(*(migrations.migrate(empty_url) for _ in range(3)))
    applied = [name for run in runs for name in run]
    assert sorted(applied) == [name for name, _ in migrations.sequence()]


async def test_a_failing_file_leaves_nothing_and_the_next_run_goes_on(
    empty_url: str, tmp_path: Path
) -> None:
    (tmp_path / "0001_good.sql").write_text("create table good (id int)")
    (tmp_path / "0002_bad.sql").write_text("create table half (id int); select 1/0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrations.migrate(empty_url, path=tmp_path)
    (tmp_path / "0002_bad.sql").write_text("create table half (id int)")
    assert await migrations.migrate(empty_url, path=tmp_path) == ["0002_bad"]


async def test_an_edited_file_is_refused(empty_url: str, tmp_path: Path) -> None:
    (tmp_path / "0001_good.sql").write_text("create table good (id int)")
    await migrations.migrate(empty_url, path=tmp_path)
    (tmp_path / "0001_good.sql").write_text("create table good (id bigint)")
    with pytest.raises(migrations.MigrationChanged, match="0001_good"):
        await migrations.migrate(empty_url, path=tmp_path)


async def test_tests_have_databases_of_their_own(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.run(
            """
            insert into kernel.setting (name, value, changed_at, changed_by)
            values ('a', 'true', $1, 'me')
            """,
            tx.now,
        )


async def test_tests_have_databases_of_their_own_again(db: Database) -> None:
    async with db.transaction() as tx:
        assert await tx.value("select count(*) from kernel.setting") == 0
