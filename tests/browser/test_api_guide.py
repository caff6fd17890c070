"""The guide to the API does what it says."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import httpx2
import pytest

import world
from pinwheel.seeding import LOGINS

pytestmark = [pytest.mark.slow]
GUIDE = Path(__file__).parents[2] / "docs" / "api.md"


async def operators_key(shop_url: str) -> str:
    [login] = [one for one in LOGINS if one.email.startswith("operator")]
    async with httpx2.AsyncClient(base_url=shop_url, timeout=world.PATIENCE_SECONDS) as http:
        person = {"email": login.email, "password": login.password}
        welcome = (await http.post("/api/v1/sign-in", json=person)).json()
        made = await http.post(
            "/api/v1/keys",
            json={"label": "guide", "scopes": ["orders:read", "orders:write", "events:read"]},
            headers={"x-csrf-token": welcome["csrf_token"]},
        )
    return str(made.json()["key"])


async def test_the_guide_places_its_order(shop_url: str) -> None:
    [program] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        env={
            **os.environ,
            "PINWHEEL_URL": shop_url,
            "PINWHEEL_KEY": await operators_key(shop_url),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await asyncio.wait_for(run.communicate(), world.PATIENCE_SECONDS)
    assert run.returncode == 0, wrong.decode()
    lines = said.decode().splitlines()
    assert lines[-2].endswith(" placed") and "orders.order_placed" in lines[-1]
