"""A running PostgreSQL: started as our direct child, restarted when it dies, stopped cleanly."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from pinwheel.kernel.embedded import cluster, leftovers, programs
from pinwheel.kernel.embedded.cluster import Places
from pinwheel.kernel.embedded.programs import Account
from pinwheel.kernel.embedded.refusals import AlreadyRunning, DatabaseRefusal, NoPort, NotStarted

log = logging.getLogger(__name__)

LOG_BYTES = 8 * 1024 * 1024
WATCH_SECONDS = 0.2
STILL_STARTING_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
TRIES = 5
PASSING_TROUBLES = ("pre-existing shared memory block", 'lock file "')
PORT_TROUBLES = ("Address already in use", "could not create any TCP/IP sockets")


class PostgresServer:
    """A running server of one data directory, owned by this process until ``stop``.

    ``url`` is what a driver connects to and stays the same over crash restarts; ``bin`` holds the
    programs (``psql``, ``pgbench``, …), ``data`` the data, ``sockets`` the Unix socket.
    """

    def __init__(
        self, places: Places, bin_: Path, who: Account, lock: IO[str], settings: Mapping[str, str]
    ) -> None:
        self.data = places.data
        self.bin = bin_
        self.sockets = cluster.socket_directory(places.data, who)
        self._places = places
        self._who = who
        self._lock = lock
        self._settings = dict(settings)
        self._password = ""
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def url(self) -> str:
        return f"postgresql://pinwheel:{self._password}@127.0.0.1:{self._settings['port']}/pinwheel"

    @property
    def pid(self) -> int:
        """The postmaster's process id; another one after a crash restart."""
        if self._child is None:
            raise ProcessLookupError("the server was stopped")
        return self._child.pid

    def __repr__(self) -> str:
        return f"PostgresServer(data={str(self.data)!r}, port={self._settings['port']})"

    async def wait(self) -> None:
        """Watch the server until ``stop`` was called; start it again whenever it dies."""
        while not self._stopping.is_set():
            async with self._turn:
                if not self._stopping.is_set() and not self._alive():
                    log.error("The database server died; starting it again")
                    await self._restart()
            await self._pause(WATCH_SECONDS)

    async def stop(self) -> None:
        """Fast shutdown, waited for: sessions end, what was committed is on disk."""
        self._stopping.set()
        async with self._turn:
            if self._child is not None:
                await leftovers.shut_down(self._child.pid, self.data, self._alive)
                await leftovers.end_orphans(self.data)
                self._child = None
            if self.sockets != self.data:
                await asyncio.to_thread(_remove_directory, self.sockets)
            self._lock.close()

    async def _know_password(self, progress: Callable[[str], None]) -> None:
        """Read the role's password; set a new one when only the data was restored."""
        if not self._places.password.exists():
            await leftovers.clear(self.data, self.sockets, progress)
            progress("The password file is missing: setting a new one · 密码文件丢失，正在重设")
            await asyncio.to_thread(
                cluster.set_password, self.data, self._places, self.bin, self._who
            )
        self._password = await asyncio.to_thread(self._places.password.read_text)
        self._password = self._password.strip()

    async def _restart(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                await self._bring_up(_to_log)
                return
            except (DatabaseRefusal, OSError) as error:
                log.error("The database server can't be started again yet: %s", error)
            await self._pause(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _bring_up(self, progress: Callable[[str], None]) -> None:
        """Start and wait until it takes connections. Refuses ``NotStarted``, ``NoPort``."""
        for attempt in range(1, TRIES + 1):
            await leftovers.clear(self.data, self.sockets, progress)
            begin = await asyncio.to_thread(self._launch)
            if await self._ready(progress):
                return
            said = await asyncio.to_thread(_read_from, self._places.log, begin)
            if any(trouble in said for trouble in PORT_TROUBLES):
                raise NoPort(port=self._settings["port"])
            if attempt == TRIES or not any(trouble in said for trouble in PASSING_TROUBLES):
                raise NotStarted(data=self.data, log=self._places.log, tail=cluster.tail(said))
            await self._pause(attempt * FIRST_PAUSE_SECONDS)

    def _launch(self) -> int:
        """Start the process; the position in the log where its words begin."""
        cluster.configure(self.data, self._who)
        fixed = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "lc_messages": "C",
            "logging_collector": "off",
        } | self._settings
        command = [str(self.bin / "postgres"), "-D", str(self.data)]
        for name, value in fixed.items():
            command += ["-c", f"{name}={value}"]
        _bound_log(self._places.log)
        descriptor = os.open(self._places.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as output:
            begin = os.fstat(output.fileno()).st_size
            self._child = subprocess.Popen(
                command, **self._who.options(), cwd="/", stdout=output, stderr=output
            )
        return begin

    async def _ready(self, progress: Callable[[str], None]) -> bool:
        """True when it takes connections, False when it ended. Recovery takes what it takes."""
        since = reported = asyncio.get_running_loop().time()
        while self._alive():
            if _says_ready(self.data, self.pid):
                return True
            now = asyncio.get_running_loop().time()
            if now - reported > STILL_STARTING_SECONDS:
                reported = now
                progress(f"The database is recovering · 数据库正在恢复 ({now - since:.0f} s)")
            if self._stopping.is_set():
                await leftovers.shut_down(self.pid, self.data, self._alive)
                return False
            await asyncio.sleep(leftovers.POLL_SECONDS)
        return False

    def _alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def running(data: Path) -> str | None:
    """The address of the server that another process runs in this data directory; None without one.
    What it was told of itself (port, password) lies beside the data, readable by its owner."""
    places = Places(Path(os.path.realpath(data)))
    try:
        port, password = places.port.read_text(), places.password.read_text()
    except OSError:
        return None
    return f"postgresql://pinwheel:{password}@127.0.0.1:{int(port)}/pinwheel"


async def start(
    data: Path,
    *,
    port: int | None = None,
    settings: Mapping[str, str] | None = None,
    progress: Callable[[str], None] | None = None,
    bin: Path | None = None,
) -> PostgresServer:
    """Run the PostgreSQL of a data directory, making it first when there is none.

    ``port`` on 127.0.0.1 (default: the one of last time, else a free one). ``settings`` are
    PostgreSQL's own and win over Pinwheel's. ``progress`` gets one line for each slow step. ``bin``
    is a program directory other than ``binaries()``. A server that a killed process left behind is
    stopped cleanly first. Refuses with a ``DatabaseRefusal`` that says what is wrong.
    """
    say = progress or _to_log
    chosen = dict(settings or {})
    server = await asyncio.to_thread(_open, data, bin or programs.binaries(), chosen, say)
    wanted = port or int(chosen.get("port", 0))
    try:
        await server._know_password(say)
        for _ in range(TRIES):
            server._settings["port"] = str(wanted or cluster.choose_port(server._places))
            try:
                await server._bring_up(say)
                return server
            except NoPort:
                if wanted:
                    raise
        raise NoPort(port=server._settings["port"])
    except BaseException:
        await server.stop()
        raise


def _open(
    data: Path, bin_: Path, settings: Mapping[str, str], progress: Callable[[str], None]
) -> PostgresServer:
    """Everything before the process: account, lock, data directory. Blocks; runs in a thread."""
    who = programs.account(data)
    places = Places(cluster.settle(Path(os.path.abspath(data)), who))
    if os.path.islink(data):
        progress(f"The database lies in · 数据库位于 {places.data}")
    lock = _hold(places)
    try:
        programs.major(bin_)
        reached = programs.reachable(bin_, who, places.data.parent)
        if not cluster.exists(places.data):
            progress("Making a new database · 正在创建数据库")
            durable = settings.get("fsync", "on") not in ("off", "false", "no", "0")
            cluster.make(places, reached, who, durable=durable)
        cluster.check_version(places.data, reached)
        return PostgresServer(places, reached, who, lock, settings)
    except BaseException:
        lock.close()
        raise


def _hold(places: Places) -> IO[str]:
    """The lock on a data directory. The kernel frees it when this process ends, however it ends."""
    with cluster.writing(places.data.parent):
        lock = os.fdopen(os.open(places.lock, os.O_RDWR | os.O_CREAT, 0o644), "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = lock.read().strip() or "?"
        lock.close()
        raise AlreadyRunning(pid=holder, data=places.data) from error
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _says_ready(data: Path, pid: int) -> bool:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _bound_log(path: Path) -> None:
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))


def _read_from(path: Path, begin: int) -> str:
    with path.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace")


def _remove_directory(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        return


def _to_log(line: str) -> None:
    log.info("%s", line)
