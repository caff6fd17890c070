"""The open API keeps to its own document: thousands of made-up requests against the real thing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import world
from test_run import House

pytestmark = [pytest.mark.slow]
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,unsupported_method,response_headers_conformance"
)


def operators_key(house: House) -> str:
    person = {"email": "ann@example.com", "password": "correct horse battery"}
    welcome = house.http.post("/api/v1/sign-in", json=person).json()
    made = house.http.post(
        "/api/v1/keys",
        json={"label": "fuzz", "scopes": ["*"]},
        headers={"x-csrf-token": welcome["csrf_token"]},
    )
    return str(made.json()["key"])


def test_it_answers_as_it_says(url: str, tmp_path: Path) -> None:
    port = world.free_port()
    settings = {
        "PINWHEEL_DATABASE_URL": url,
        "PINWHEEL_OPERATOR_PASSWORD": "correct horse battery",
        "PINWHEEL_RATE_LIMIT_PER_SECOND": "0",
        "PINWHEEL_LOG_LEVEL": "error",
    }
    made = House(tmp_path / "var", port, "operator", "ann@example.com", **settings)
    assert made.process.wait(240) == 0, made.said()
    house = House(tmp_path / "var", port, "serve", **settings)
    house.wait_until_ready()
    try:
        run = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run"),
                f"{house.url}/api/v1/openapi.json",
                *("-H", f"Authorization: Bearer {operators_key(house)}"),
                *("--phases", "coverage", "-w", "1", "--request-timeout", "120"),
                *("--checks", CHECKS, "--continue-on-failure", "--seed", "20260105"),
                *("--exclude-path-regex", "/account/erase|/sessions|/sign-out|/account/password"),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=1800,
            preexec_fn=world.die_with_parent,
        )
    finally:
        house.end(signal.SIGTERM)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
