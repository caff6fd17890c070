"""Migrations: one forward-only sequence of plain SQL. Safe to run twice and by two processes at
once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import asyncpg

LOCK = 0x50494E5748454C  # "PINWHEL": one migrating process at a time


class MigrationChanged(Exception):
    """A migration that was applied has other content now: a release must add a file, never edit
    one."""


def folder() -> Path:
    """Where the SQL files are: in the installed package, or beside ``src`` in a checkout."""
    packaged = Path(str(resources.files("pinwheel"))) / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "migrations"


def sequence(path: Path | None = None) -> list[tuple[str, str]]:
    """(name, SQL) of every migration, in order."""
    return [
        (file.stem, file.read_text(encoding="utf-8"))
        for file in sorted((path or folder()).glob("[0-9]*.sql"))
    ]


async def migrate(
    url: str, *, progress: Callable[[str], None] = lambda _: None, path: Path | None = None
) -> list[str]:
    """Apply what is missing, each file in a transaction of its own; the names applied now."""
    connection = await asyncpg.connect(url)
    applied: list[str] = []
    try:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        await connection.execute(
            "create schema if not exists kernel;"
            "create table if not exists kernel.migration ("
            " name text primary key, digest text not null,"
            " applied_at timestamptz not null default now())"
        )
        known = dict(await connection.fetch("select name, digest from kernel.migration"))
        for name, sql in sequence(path):
            digest = hashlib.sha256(sql.encode()).hexdigest()
            if name in known:
                if known[name] != digest:
                    raise MigrationChanged(
                        f"migration {name} was applied with other content;"
                        " restore the file and add a new one"
                    )
                continue
            progress(name)
            async with connection.transaction():
                await connection.execute(sql)
                await connection.execute(
                    "insert into kernel.migration (name, digest) values ($1, $2)", name, digest
                )
            applied.append(name)
    finally:
        await connection.close()  # also lets go of the lock
    return applied
