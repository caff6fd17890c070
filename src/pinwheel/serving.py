"""The commands that keep running: ``run`` (everything in one process), ``serve``, ``work``; and
``migrate``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import granian
import msgspec
import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

from pinwheel import app
from pinwheel.ground import identity
from pinwheel.kernel import embedded, observe
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.migrate import migrate as migrate_database
from pinwheel.kernel.settings import Settings, completed, from_environment

Say = Callable[[str], None]
STOP_SECONDS = 15


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def run(arguments: argparse.Namespace) -> int:
    """Database, jobs and web in one process, until Ctrl-C."""
    uvloop.run(_run(settings_of(arguments)))
    return 0


def serve(arguments: argparse.Namespace) -> int:
    """Web processes on a database that is already there."""
    settings = _with_database(settings_of(arguments))
    workers: int = arguments.workers
    os.environ.update(
        PINWHEEL_HOST=settings.host,
        PINWHEEL_PORT=str(settings.port),
        PINWHEEL_DATA_DIR=str(settings.data_dir),
    )
    if workers > 1:
        _count_together(settings.data_dir / "metrics")
    granian.Granian(
        "pinwheel.app:create",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=workers,
        websockets=False,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
    ).serve()
    return 0


def _count_together(folder: Path) -> None:
    """Worker processes count in one folder. The metrics library reads its name when it is loaded,
    so this process begins anew with the name set.
    """
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR") == str(folder):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    again = [sys.executable, "-m", "pinwheel.cli", *sys.argv[1:]]
    os.execv(sys.executable, again)  # noqa: S606


def work(arguments: argparse.Namespace) -> int:
    """Jobs on a database that is already there."""
    uvloop.run(_work(_with_database(settings_of(arguments))))
    return 0


def migrate(arguments: argparse.Namespace) -> int:
    """Bring the schema up to date."""
    settings = _with_database(settings_of(arguments))
    applied = uvloop.run(migrate_database(settings.database_url, progress=say))
    say(f"{len(applied)} migrations applied / 已应用 {len(applied)} 个迁移")
    return 0


def operator(arguments: argparse.Namespace) -> int:
    """Make somebody an operator: an account that may do everything."""
    password = os.environ.get("PINWHEEL_OPERATOR_PASSWORD") or getpass.getpass(
        "Password, 10 characters or more / 密码（至少 10 个字符）: "
    )
    uvloop.run(_operator(_with_database(settings_of(arguments)), arguments.email, password))
    return 0


async def _operator(settings: Settings, email: str, password: str) -> None:
    password_hash = await identity.hashed(password, email)
    db = await app.open_database(settings)
    try:
        async with db.transaction(actor="command line") as tx:
            person = await identity.person_with_email(tx, email)
            if person is None:
                person = await identity.register(tx, email, password_hash=password_hash)
            await identity.appoint(tx, person.id, "operator", [])
        say(f"{email} is an operator. / {email} 已是管理员。")
    finally:
        await db.close()


def settings_of(arguments: argparse.Namespace) -> Settings:
    given = {
        name: value
        for name in ("host", "port", "data_dir", "database_url")
        if (value := getattr(arguments, name, None)) is not None
    }
    return completed(from_environment(**given))


def _with_database(settings: Settings) -> Settings:
    if not settings.database_url:
        raise SystemExit(
            "Set PINWHEEL_DATABASE_URL, or use `pinwheel run`, which brings its own database.\n"
            "请设置 PINWHEEL_DATABASE_URL，或使用自带数据库的 `pinwheel run`。"
        )
    return settings


async def _run(settings: Settings) -> None:
    stopping = _stopping()
    async with database_of(settings, alone=True) as url:
        settings = msgspec.structs.replace(settings, database_url=url)
        await migrate_database(url, progress=lambda name: say(f"migration {name}"))
        logins = await _seed(settings)
        db = await app.open_database(settings)
        try:
            await _until_stopped(settings, db, stopping, logins)
        finally:
            await db.close()
    say("Stopped. / 已停止。")


@contextlib.asynccontextmanager
async def database_of(settings: Settings, *, alone: bool = False) -> AsyncIterator[str]:
    """The address of PostgreSQL: the one that is set, the one that a running shop of this data
    directory has (unless ``alone``), or our own, which is stopped last of all."""
    if settings.database_url:
        yield settings.database_url
        return
    data = settings.data_dir.resolve() / "postgres"
    try:
        server = await embedded.start(data, progress=say)
    except embedded.AlreadyRunning:
        url = None if alone else embedded.running(data)
        if url is None:
            raise
        yield url
        return
    watcher = asyncio.create_task(server.wait())
    try:
        yield server.url
    finally:
        await server.stop()
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


async def _seed(settings: Settings) -> list[str]:
    """Fill an empty shop; the lines that say how to sign in there. After a crash it is gone on with
    from the last day that reached the disk, so that no commit has to wait for it."""
    if app.SEED is None or not settings.demonstration:
        return []
    db = await app.open_database(settings, durable=False)
    try:
        return await app.SEED(db, say)
    finally:
        await db.close()


async def _until_stopped(
    settings: Settings, db: Database, stopping: asyncio.Event, logins: list[str]
) -> None:
    with _log_file(settings) as lines:
        worker = Worker(db)
        server = Server(
            app.edge(settings, db, lines=lines),
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            websockets=False,
            log_enabled=False,
        )
        serving = asyncio.create_task(server.serve())
        working = asyncio.create_task(worker.run())
        waiting = asyncio.create_task(stopping.wait())
        where = settings.public_url or f"http://{settings.host}:{settings.port}"
        say(
            f"\n  Pinwheel  {where}/   console  {where}/console   (Ctrl-C stops / 按 Ctrl-C 停止)\n"
        )
        for line in logins:
            say(f"  {line}")
        async with app.at_work(db):
            done, _ = await asyncio.wait(
                {serving, working, waiting}, return_when=asyncio.FIRST_COMPLETED
            )
        say("Stopping … / 正在停止 …")
        server.stop()  # type: ignore[no-untyped-call]
        worker.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.gather(serving, working, return_exceptions=True)
        waiting.cancel()
        for task in done - {waiting}:
            task.result()  # what ended by itself says why


@contextlib.contextmanager
def _log_file(settings: Settings) -> Iterator[observe.Lines]:
    """Request lines go to a file: the terminal belongs to the person who started us."""
    observe.set_up_logs("warning")
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with Path(settings.data_dir / "requests.log").open("ab") as opened:
        lines = observe.Lines(opened)
        try:
            yield lines
        finally:
            lines.flush()


async def _work(settings: Settings) -> None:
    observe.set_up_logs(settings.log_level)
    stopping = _stopping()
    db = await app.open_database(settings)
    worker = Worker(db)
    working = asyncio.create_task(worker.run())
    waiting = asyncio.create_task(stopping.wait())
    say("Working. / 正在处理后台任务。")
    try:
        async with app.at_work(db):
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        worker.stop()
        await working
    finally:
        waiting.cancel()
        await db.close()


def _stopping() -> asyncio.Event:
    """Set by Ctrl-C or SIGTERM."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stopping.set)
    return stopping
