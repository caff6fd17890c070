"""Callers for tests of the edge: a browser with its cookies, and a program with its key."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from pinwheel.kernel.db import Database
from pinwheel.kernel.web import Edge

HOST = "http://shop.test"


def client(edge: Edge, db: Database, **headers: str) -> httpx2.AsyncClient:
    """A client that talks to ``edge`` in this process. Redirects are shown, not followed."""
    edge.app.state["db"] = db
    transport = httpx2.ASGITransport(app=edge, raise_app_exceptions=True)  # type: ignore[arg-type]
    return httpx2.AsyncClient(transport=transport, base_url=HOST, headers=headers)


class Browser:
    """A person's browser: it keeps cookies, says where a form comes from and sends its token."""

    def __init__(self, edge: Edge, db: Database, *, language: str = "en") -> None:
        self.http = client(
            edge,
            db,
            **{
                "accept": "text/html,application/xhtml+xml,*/*;q=0.8",
                "accept-language": language,
                "sec-fetch-site": "same-origin",
                "origin": HOST,
            },
        )
        self.language = language
        self.token = ""

    async def get(self, path: str, **how: Any) -> httpx2.Response:
        answer = await self.http.get(f"/{self.language}{path}", **how)
        found = re.search(r'name="csrf_token" value="([^"]+)"', answer.text) or re.search(
            r'"X-CSRF-Token": "([^"]+)"', answer.text
        )
        if found:
            self.token = found[1]
        return answer

    async def post(self, path: str, form: dict[str, Any] | None = None, **how: Any) -> Any:
        """Send a form, with the token of the page seen last."""
        data = {"csrf_token": self.token, **(form or {})}
        return await self.http.post(f"/{self.language}{path}", data=data, **how)


@asynccontextmanager
async def nothing(app: Any) -> AsyncIterator[None]:
    """The life of an edge whose database is given by the test."""
    yield
