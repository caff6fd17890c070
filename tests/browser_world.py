"""Visitors with a real browser, and a look at what they see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

import world

LANGUAGES = ("en", "zh-CN")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@asynccontextmanager
async def visiting(
    chromium: Browser, language: str, *, script: bool = True, size: dict[str, int] = DESK
) -> AsyncIterator[Page]:
    """A fresh visitor. Whatever the page complains about fails the test."""
    context = await chromium.new_context(
        locale=language,
        java_script_enabled=script,
        viewport=size,  # type: ignore[arg-type]
    )
    context.set_default_timeout(1000 * world.PATIENCE_SECONDS)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
    finally:  # a page that is left open goes on asking, and slows down every test after it
        await context.close()
    refused = [c for c in complaints if "status of 4" not in c]
    assert refused == []


OUTSIDE = """
() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
  const over = document.documentElement.scrollWidth - innerWidth;
  const widest = [...document.querySelectorAll("body *")]
    .filter((at) => at.getBoundingClientRect().right > innerWidth + 0.5)
    .map((at) => `<${at.localName} class="${at.getAttribute("class") ?? ""}">`);
  done([over, widest.slice(0, 3).join(" ")]);
})))
"""
"""How far the page sticks out at the side, and by what; two frames after its size was set."""


async def look(page: Page, folder: Path, name: str) -> list[str]:
    """What axe-core finds, and whether anything sticks out at the side; what is looked at on a desk
    is held to the widths of a small laptop and of a tablet too."""
    await page.screenshot(path=folder / f"{name}.png", full_page=True)
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}})
    faults = [
        f"{name}: {v['id']}: {v['nodes'][0]['html'][:160]} ({len(v['nodes'])})"
        for v in found.response["violations"]
    ]
    size = page.viewport_size
    assert size is not None
    desk = size["width"] == DESK["width"]
    for width in (size["width"], 1024, 720) if desk else (size["width"],):
        await page.set_viewport_size({"width": width, "height": size["height"]})
        over, what = await page.evaluate(OUTSIDE)
        if over > 0:
            faults.append(f"{name}: {over} px too wide at {width}: {what}")
    if desk:
        await page.set_viewport_size(size)
    return faults
