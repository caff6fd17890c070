"""Every page of the console in a real browser: axe, the width of a phone, and what no reader should
see. The pages are the app's own list of routes, with the things of a demonstration shop on them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from browser_world import DESK, LANGUAGES, PHONE, look, visiting
from console_shop import addresses, fill_desk
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.seeding import LOGINS

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE_MS = 180_000
RAW = re.compile(
    r"^None$|[=:,(] ?None\b|\bundefined\b|\bNaN\b|\{\}|\[\]|\bTrue\b|\bFalse\b(?! alarms)"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d+|\bdatetime\.|\bUUID\(|<[A-Za-z_.]+ object at"
    r"|%\(\w+\)s|\{\{|\}\}"
)
"""Keys, literals and instants of the program where a person reads; "None yet." is English."""
WORDS = """
() => {
  const seen = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const at = walk.currentNode.parentElement;
    if (!at || at.closest("script, style, pre, code, .code, .mono, textarea, template")) continue;
    if (walk.currentNode.data.trim()) seen.push(walk.currentNode.data.trim());
  }
  for (const at of document.querySelectorAll("[aria-label], [title], [placeholder], [alt]"))
    for (const name of ["aria-label", "title", "placeholder", "alt"])
      if (at.getAttribute(name)) seen.push(at.getAttribute(name));
  return seen;
}
"""


@pytest.fixture(scope="module")
async def pages(
    shop_db: Database, shop_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[str]]:
    """The addresses of all pages, in the shop with one of everything."""
    await fill_desk(shop_db, tmp_path_factory.mktemp("desk"))
    await Worker(shop_db).drain()
    yield list((await addresses(shop_db)).values())


async def sign_in(page: Page, home: str) -> None:
    [login] = [one for one in LOGINS if one.email.startswith("operator")]
    await page.goto(f"{home}/sign-in")
    await page.fill("#email", login.email)
    await page.fill("#password", login.password)
    await page.locator("main form button[type=submit]").click()
    await page.wait_for_load_state()


async def faults_of(page: Page, home: str, path: str, folder: Path, name: str) -> list[str]:
    answer = await page.goto(home + path, wait_until="load")
    status = answer.status if answer else 0
    if status != 200:
        return [f"{name}: status {status}"]
    faults = await look(page, folder, name)
    for text in await page.evaluate(WORDS):
        found = RAW.search(text)
        if found:
            faults.append(f"{name}: {found[0]!r} in {text[:80]!r}")
    return faults


async def walk(
    chromium: Browser, home: str, paths: list[str], folder: Path, size: dict[str, int]
) -> list[str]:
    """What is wrong with these pages, as an operator sees them."""
    language = home.rsplit("/", 1)[1]
    faults: list[str] = []
    async with visiting(chromium, language, size=size) as page:
        page.set_default_timeout(PATIENCE_MS)
        await sign_in(page, home)
        for path in paths:
            short = re.sub(r"[^a-z-]+", "-", re.sub(r"[0-9a-f-]{36}", "one", path).split("?")[0])
            name = f"{short.strip('-')}-{language}-{size['width']}"
            faults += await faults_of(page, home, path, folder, name)
    return faults


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_is_sound_for_whoever_works_here(
    shop_url: str, pages: list[str], chromium: Browser, screenshots: Path, language: str
) -> None:
    """At the width of a desk all of them; at a phone's every second one, the other half in the
    other language."""
    assert len(pages) > 80
    home = f"{shop_url}/{language}"
    half = pages[LANGUAGES.index(language) :: 2]
    found = await asyncio.gather(
        walk(chromium, home, pages[::2], screenshots, DESK),
        walk(chromium, home, pages[1::2], screenshots, DESK),
        walk(chromium, home, half, screenshots, PHONE),
    )
    assert [fault for faults in found for fault in faults] == []
