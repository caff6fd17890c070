"""The audit: every module's ``invariants.sql``, run as it stands, in tests and in production."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import msgspec

from pinwheel.kernel.db import Database

SHOWN = 20


class Check(msgspec.Struct, frozen=True):
    """One promise of one module; ``broken`` holds the first rows that break it, none when it is
    kept."""

    module: str
    promise: str
    broken: list[dict[str, Any]]


def promises(package: str) -> list[tuple[str, str]]:
    """(promise, SQL) of each statement in the package's ``invariants.sql``; none without the
    file."""
    file = resources.files(package) / "invariants.sql"
    if not file.is_file():
        return []
    parts = re.split(r"^-- promise: (.*)$", file.read_text(encoding="utf-8"), flags=re.M)
    return [
        (promise.strip(), sql.strip().rstrip(";"))
        for promise, sql in zip(parts[1::2], parts[2::2], strict=True)
    ]


async def run(db: Database, packages: Sequence[str]) -> list[Check]:
    """Every promise of ``packages``, all judged on one snapshot of the database."""
    checks = []
    async with db.reading(actor="audit") as tx:
        await tx.run("set local enable_seqscan = on")  # a promise is judged on every row
        for package in packages:
            for promise, sql in promises(package):
                # The statement is the module's own literal; the clock's time is its one argument.
                wanted = sql.replace("$now", "$1::timestamptz")
                args = [tx.now] if "$now" in sql else []
                rows = await tx.connection.fetch(f"{wanted} limit {SHOWN}", *args)
                broken = [{k: _plain(v) for k, v in row.items()} for row in rows]
                checks.append(Check(package.removeprefix("pinwheel."), promise, broken))
    return checks


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | bool | None) else str(value)
