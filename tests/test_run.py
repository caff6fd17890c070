"""The real thing: `pinwheel run` as a process of its own, stopped kindly and unkindly."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

import world

pytestmark = [pytest.mark.crash, pytest.mark.slow]


class House:
    """One `pinwheel` process."""

    def __init__(self, data: Path, port: int, *command: str, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx2.Client(base_url=self.url, timeout=world.PATIENCE_SECONDS)
        data.mkdir(exist_ok=True)
        self.out = data / f"out-{port}-{command[0]}.log"  # a pipe that nobody reads would fill up
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pinwheel.cli", *command],
            env={
                **os.environ,
                "PINWHEEL_DATA_DIR": str(data),
                "PINWHEEL_PORT": str(port),
                "PINWHEEL_DEMONSTRATION": "false",
                **environment,
            },
            stdout=self.out.open("wb"),
            stderr=subprocess.STDOUT,
            preexec_fn=partial(world.die_with_parent, signal.SIGTERM),
        )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + world.PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{self.url}/readyz", timeout=30).status_code == 200:
                    return
            time.sleep(0.1)
        self.process.kill()
        raise AssertionError(self.said())

    def wait_until_said(self, words: str) -> None:
        deadline = time.monotonic() + world.PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if words in self.out.read_text(encoding="utf-8"):
                return
            time.sleep(0.1)
        self.process.kill()
        raise AssertionError(self.said())

    def end(self, sign: signal.Signals) -> str:
        self.process.send_signal(sign)
        return self.said()

    def said(self) -> str:
        try:
            self.process.wait(world.PATIENCE_SECONDS)
        finally:
            self.process.kill()
        return self.out.read_text(encoding="utf-8")


@pytest.fixture
def port() -> int:
    return world.free_port()


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly(data: Path, port: int, sign: signal.Signals) -> None:
    house = House(data, port, "run")
    house.wait_until_ready()
    out = house.end(sign)
    assert house.process.returncode == 0, out
    assert "Stopped." in out
    assert "Traceback" not in out
    assert "Warning" not in out


def test_a_killed_house_opens_again_with_everything_in_it(data: Path, port: int) -> None:
    house = House(data, port, "run")
    house.wait_until_ready()
    person = {"email": "ann@example.com", "password": "correct horse battery"}
    assert house.http.post("/api/v1/register", json=person).status_code == 201
    house.end(signal.SIGKILL)
    again = House(data, port, "run")
    again.wait_until_ready()
    assert again.http.post("/api/v1/sign-in", json=person).status_code == 200
    again.end(signal.SIGTERM)


def test_several_web_processes_share_one_database(url: str, data: Path, port: int) -> None:
    house = House(
        data, port, "serve", "--workers", "2", PINWHEEL_DATABASE_URL=url, PINWHEEL_LOG_LEVEL="info"
    )
    house.wait_until_ready()
    answers = [house.http.get("/healthz").status_code for _ in range(20)]
    assert answers == [200] * 20
    metrics = house.http.get("/metrics").text
    counted = [x for x in metrics.splitlines() if x.startswith("pinwheel_requests_total")]
    assert any('"/healthz"' in x and x.endswith(" 20.0") for x in counted), metrics
    out = house.end(signal.SIGTERM)
    assert "Traceback" not in out


def test_a_worker_process_stops_cleanly(url: str, data: Path, port: int) -> None:
    house = House(data, port, "work", PINWHEEL_DATABASE_URL=url)
    house.wait_until_said("Working.")
    out = house.end(signal.SIGTERM)
    assert (house.process.returncode, "Traceback" in out) == (0, False), out


def test_serving_without_a_database_says_what_to_do(data: Path, port: int) -> None:
    house = House(data, port, "serve")
    out = house.said()
    assert house.process.returncode == 1
    assert "PINWHEEL_DATABASE_URL" in out


def test_the_first_operator_is_made_on_the_command_line(url: str, data: Path, port: int) -> None:
    house = House(
        data, port, "operator", "ann@example.com",
        PINWHEEL_DATABASE_URL=url, PINWHEEL_OPERATOR_PASSWORD="correct horse battery",
    )  # fmt: skip
    out = house.said()
    assert (house.process.returncode, "ann@example.com" in out) == (0, True), out
