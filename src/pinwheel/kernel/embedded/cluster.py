"""The data directory: where its pieces lie, how it is made, how it is set for this machine."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pinwheel.kernel.embedded.programs import Account, account_name, major, run
from pinwheel.kernel.embedded.refusals import (
    NotADatabase,
    NotMade,
    NotOurs,
    NotWritable,
    Unreachable,
    WrongVersion,
)

SOCKET_PATH_BYTES = 107
SOCKET_NAME = "/.s.PGSQL.65535"
MIB = 1024 * 1024
PORTS = range(20_000, 30_000)  # below the range that the kernel hands to outgoing connections

OPEN_PLACE = Path("/var/lib/pinwheel")

HBA = """\
# Made by Pinwheel. Passwords over loopback and the private socket; the account that owns these
# files may also be the superuser: psql -h SOCKET_DIRECTORY -p PORT -U postgres
local all         postgres              peer map=owner
local replication postgres              peer map=owner
local all         all                   scram-sha-256
host  all         all      127.0.0.1/32 scram-sha-256
"""
CONFIGURATION = """\
# pinwheel.conf is written anew at every start, sized for the machine. What stands below it, or is
# set with ALTER SYSTEM, wins over it.
include 'pinwheel.conf'
"""


class Places(msgspec.Struct, frozen=True):
    """One data directory and what lies beside it."""

    data: Path

    def beside(self, ending: str) -> Path:
        return self.data.with_name(f"{self.data.name}.{ending}")

    @property
    def lock(self) -> Path:
        return self.beside("lock")

    @property
    def password(self) -> Path:
        return self.beside("password")

    @property
    def port(self) -> Path:
        return self.beside("port")

    @property
    def log(self) -> Path:
        return self.beside("log")


def prepare(places: Places, who: Account) -> None:
    """Make the parent directory and check what is there.

    Refuses ``NotWritable``, ``Unreachable``, ``NotOurs``, ``NotADatabase``.
    """
    data = places.data
    missing = [d for d in (data.parent, *data.parent.parents) if not d.exists()]
    with writing(data.parent):
        data.parent.mkdir(parents=True, exist_ok=True)
        for directory in missing:  # whatever the umask: the account has to pass through
            directory.chmod(0o755)
    if who.switch:
        _check_way(data.parent, who)
    if not data.exists():
        return
    owner = data.stat().st_uid
    if owner != who.uid and not who.switch:
        raise NotOurs(data=data, owner=account_name(owner), account=who.name)
    if not data.is_dir() or any(data.iterdir()):
        if not exists(data):
            raise NotADatabase(data=data)
        if owner != who.uid:  # restored from a backup by root: the files are root's
            who.give(data, *data.rglob("*"))


def settle(data: Path, who: Account) -> Path:
    """Where the data really lies: at ``data``, or where a symbolic link at ``data`` points.

    Root's home is often closed to the account that the database runs as. Then the data goes below
    ``OPEN_PLACE`` and ``data`` becomes a link to it. Refuses ``Unreachable`` when it can't be.
    """
    resolved = Path(os.path.realpath(data))
    try:
        prepare(Places(resolved), who)
        return resolved
    except Unreachable:
        if os.path.lexists(data) or not _link_to_open_place(data):
            raise
    resolved = Path(os.path.realpath(data))
    prepare(Places(resolved), who)
    return resolved


def _link_to_open_place(data: Path) -> bool:
    try:
        OPEN_PLACE.mkdir(mode=0o755, parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f"{data.name}-", dir=OPEN_PLACE))
        place.chmod(0o755)
    except OSError:
        return False
    try:
        data.symlink_to(place / data.name)
    except FileExistsError:  # another start was quicker: its place is the one
        place.rmdir()
    return True


@contextmanager
def writing(parent: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWritable(parent=parent, why=error.strerror) from error


def _check_way(directory: Path, who: Account) -> None:
    for step in (*reversed(directory.parents), directory):
        code, _ = run(["/bin/sh", "-c", 'test -x "$0"', step], who, Path("/"))
        if code:
            raise Unreachable(account=who.name, closed=step)


def check_version(data: Path, bin_: Path) -> None:
    """Refuse ``WrongVersion`` when the data was made by another major version."""
    made_by, present = (data / "PG_VERSION").read_text().strip(), major(bin_)
    if made_by != str(present):
        raise WrongVersion(data=data, made_by=made_by, bin=bin_, present=present)


def exists(data: Path) -> bool:
    return (data / "PG_VERSION").exists()


def make(places: Places, bin_: Path, who: Account, *, durable: bool = True) -> None:
    """initdb, the role and the database ``pinwheel``, all beside the final place, then one rename.

    A run that dies half-way leaves only a ``.new-`` directory, which the next run removes. Refuses
    ``NotMade`` with the last lines that PostgreSQL said, ``NotWritable``.
    """
    data = places.data
    for half in data.parent.glob(f"{data.name}.new-*"):
        shutil.rmtree(half, ignore_errors=True)
    with writing(data.parent):
        fresh = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
        who.give(fresh)
    try:
        _initdb(fresh, data, bin_, who, durable)
        _finish(fresh, who)
        set_password(fresh, places, bin_, who, create=True)
        with writing(data.parent):
            if data.exists():
                data.rmdir()
            fresh.rename(data)
            if durable:
                _sync(data.parent)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _initdb(fresh: Path, data: Path, bin_: Path, who: Account, durable: bool) -> None:
    command: list[str | Path] = [bin_ / "initdb", "-D", fresh, "-U", "postgres"]
    command += ["--encoding=UTF8", "--locale=C", "--data-checksums"]
    # The superuser has no password at all: it is let in only by being the files' owner (peer).
    command += ["--auth-local=peer", "--auth-host=scram-sha-256", "--no-instructions"]
    if major(bin_) >= 17:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not durable:
        command += ["--no-sync"]
    code, said = run(command, who, Path("/"))
    if code:
        raise NotMade(data=data, tail=tail(said))


def _finish(fresh: Path, who: Account) -> None:
    with writing(fresh.parent):
        (fresh / "pg_hba.conf").write_text(HBA)
        (fresh / "pg_ident.conf").write_text(f'owner "{who.name}" postgres\n')
        (fresh / "postgresql.conf").write_text(CONFIGURATION)
        (fresh / "pinwheel.conf").write_text("")
        for name in ("pg_hba.conf", "pg_ident.conf", "postgresql.conf", "pinwheel.conf"):
            (fresh / name).chmod(0o600)
            who.give(fresh / name)


def set_password(
    data: Path, places: Places, bin_: Path, who: Account, *, create: bool = False
) -> None:
    """Give the role ``pinwheel`` a new random password; write it, readable by us alone.

    Runs PostgreSQL in single-user mode, with the statement on its standard input: a password never
    stands on a command line or in a log. The server must not be running.
    """
    password = secrets.token_urlsafe(24)
    verb = "create role pinwheel login createdb" if create else "alter role pinwheel"
    statements = f"{verb} password '{password}';\n"
    if create:
        statements += "create database pinwheel owner pinwheel;\n"
    command: list[str | Path] = [
        bin_ / "postgres",
        "--single",
        "-D",
        data,
        "-c",
        "exit_on_error=on",
    ]
    command += ["-c", "log_min_error_statement=panic", "-c", "password_encryption=scram-sha-256"]
    code, said = run([*command, "postgres"], who, Path("/"), stdin=None, input=statements)
    if code:
        raise NotMade(data=places.data, tail=tail(said))
    with writing(data.parent):
        replace(places.password, password + "\n", mode=0o600)


def replace(path: Path, text: str, *, mode: int) -> None:
    """Write a small file whole or not at all, never readable by more than ``mode`` says."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def socket_directory(data: Path, who: Account) -> Path:
    """A private directory for the socket: the data's, or a short one when its path is too long."""
    if len(os.fsencode(f"{data}{SOCKET_NAME}")) <= SOCKET_PATH_BYTES:
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    short = Path("/tmp") / f"pinwheel-{name}"  # noqa: S108 - owner and mode are checked below
    try:
        short.mkdir(mode=0o700)
        who.give(short)
    except FileExistsError:
        found = short.lstat()
        if found.st_uid != who.uid or found.st_mode & 0o170077 != 0o040000:
            short = Path(tempfile.mkdtemp(prefix="pinwheel-", dir="/tmp"))
            who.give(short)
    return short


def configure(data: Path, who: Account) -> None:
    """Write ``pinwheel.conf``, sized for this machine as it is today."""
    settings = sized(_memory_bytes(), data, _shared_bytes())
    lines = [f"{name} = '{value}'" for name, value in settings.items()]
    with writing(data):
        replace(data / "pinwheel.conf", "\n".join(lines) + "\n", mode=0o600)
        who.give(data / "pinwheel.conf")


def sized(memory_bytes: int, data: Path, shared_bytes: int | None = None) -> Mapping[str, str]:
    """PostgreSQL's settings for a machine that runs Pinwheel beside it. Durability stays on.

    ``shared_bytes``: the room for memory that processes share, where the system limits it."""
    free_bytes = shutil.disk_usage(data).free
    shared = min(max(memory_bytes // 8, 64 * MIB), 2048 * MIB)
    log = min(max(free_bytes // 20, 256 * MIB), 4096 * MIB)
    # A container has 64 MB of it; two big joins at once want more and would end in an error.
    is_narrow = shared_bytes is not None and shared_bytes < 256 * MIB
    return ({"dynamic_shared_memory_type": "mmap"} if is_narrow else {}) | {
        "max_connections": "100",
        "shared_buffers": f"{shared // MIB}MB",
        "effective_cache_size": f"{max(memory_bytes // 2, 128 * MIB) // MIB}MB",
        "maintenance_work_mem": f"{min(max(memory_bytes // 32, 32 * MIB), 256 * MIB) // MIB}MB",
        "work_mem": "8MB",
        "max_wal_size": f"{log // MIB}MB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        # A table that fills fast is looked at soon: plans made without statistics read it whole.
        "autovacuum_naptime": "10s",
        "fsync": "on",
        "synchronous_commit": "on",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "password_encryption": "scram-sha-256",
        # A constraint's DETAIL line quotes the row, and rows hold people's addresses.
        "log_error_verbosity": "terse",
        "log_checkpoints": "off",
        "log_line_prefix": "%m [%p] ",
    }


def _memory_bytes() -> int:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return min(machine, int((Path("/sys/fs/cgroup") / limit).read_text()))
        except (OSError, ValueError):
            continue
    return machine


def _shared_bytes() -> int | None:
    try:
        return shutil.disk_usage("/dev/shm").total  # noqa: S108 - nothing is written there
    except OSError:
        return None


def choose_port(places: Places) -> int:
    """The port of last time when it is free, else another one, which is remembered."""
    try:
        remembered = int(places.port.read_text())
    except (OSError, ValueError):
        remembered = 0
    if remembered and port_is_free(remembered):
        return remembered
    first = secrets.randbelow(len(PORTS))
    for offset in range(len(PORTS)):
        port = PORTS[(first + offset) % len(PORTS)]
        if port_is_free(port):
            break
    with writing(places.data.parent):
        replace(places.port, f"{port}\n", mode=0o644)
    return port


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def tail(said: str, lines: int = 12) -> str:
    return "\n".join(said.strip().splitlines()[-lines:])
