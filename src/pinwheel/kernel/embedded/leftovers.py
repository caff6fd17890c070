"""What an earlier server left behind: a live postmaster, orphaned children, stale files."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pinwheel.kernel.embedded.refusals import WontStop

FAST_SECONDS = 60.0  # a fast shutdown writes a checkpoint first
QUIT_SECONDS = 10.0
ORPHAN_SECONDS = 3.0
POLL_SECONDS = 0.05


def recorded_postmaster(data: Path) -> int | None:
    """The process id in ``postmaster.pid``; None when there is none or it can't be read as one."""
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def works_in(pid: int, data: Path) -> bool:
    """Whether a process is a PostgreSQL process of this data directory.

    A process id alone says nothing: after a reboot or in a new container it is somebody else's.
    What this says yes to may be killed, so program, directory and owner must all agree. A zombie
    has no working directory any more, so it counts as gone.
    """
    if sys.platform == "linux":
        try:
            if os.stat(f"/proc/{pid}").st_uid != data.stat().st_uid:
                return False
            program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            return program.startswith("postgres") and os.path.samefile(f"/proc/{pid}/cwd", data)
        except OSError:
            return False
    listed = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "postgres" in listed.stdout and f"-D {data}" in listed.stdout


def processes_in(data: Path) -> list[int]:
    """Every PostgreSQL process of this data directory (without /proc: the postmaster only)."""
    if sys.platform == "linux":
        everyone = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    else:
        recorded = recorded_postmaster(data)
        everyone = [recorded] if recorded else []
    return [pid for pid in everyone if works_in(pid, data)]


async def clear(data: Path, sockets: Path, progress: Callable[[str], None]) -> None:
    """Leave no process and no stale lock in a data directory, so that a new server can start.

    Refuses ``WontStop`` when a left-over server belongs to an account that we may not signal.
    """
    postmaster = recorded_postmaster(data)
    if postmaster and works_in(postmaster, data):
        progress("Stopping a left-over database server · 正在停止遗留的数据库进程")
        await shut_down(postmaster, data, lambda: works_in(postmaster, data))
    await end_orphans(data)
    _remove_stale_locks(data, sockets)


def _remove_stale_locks(data: Path, sockets: Path) -> None:
    # PostgreSQL removes them itself unless their process id now belongs to somebody else.
    (data / "postmaster.pid").unlink(missing_ok=True)
    for stale in sockets.glob(".s.PGSQL.*"):
        stale.unlink(missing_ok=True)


async def end_orphans(data: Path) -> None:
    """End the children of a postmaster that is gone.

    They leave by themselves, except one that is busy computing; it holds the shared memory that a
    new server must not share. Its session is lost, so nothing it does is missed by anybody.
    """
    if await _gone(lambda: bool(processes_in(data)), ORPHAN_SECONDS):
        return
    for pid in processes_in(data):
        _signal(pid, data, signal.SIGKILL)
    await _gone(lambda: bool(processes_in(data)), QUIT_SECONDS)


async def shut_down(pid: int, data: Path, alive: Callable[[], bool]) -> None:
    """Fast shutdown (sessions end, a checkpoint is written), then immediate, then kill."""
    for how, seconds in (
        (signal.SIGINT, FAST_SECONDS),
        (signal.SIGQUIT, QUIT_SECONDS),
        (signal.SIGKILL, QUIT_SECONDS),
    ):
        if not alive():
            return
        _signal(pid, data, how)
        if await _gone(alive, seconds):
            return


async def _gone(alive: Callable[[], bool], seconds: float) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds
    while alive():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


def _signal(pid: int, data: Path, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise WontStop(pid=pid, data=data) from error
