"""Answers as bytes, ready to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from litestar.types import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]


class Ready:
    """A whole answer, or a stream of its pieces as they are made."""

    __slots__ = ("body", "headers", "status_code")

    def __init__(
        self,
        body: bytes | AsyncIterator[bytes] = b"",
        media_type: str = "",
        status_code: int = 200,
        headers: Headers | None = None,
    ) -> None:
        self.body = body
        self.status_code = status_code
        self.headers = headers if headers is not None else []
        if media_type:
            self.headers.append((b"content-type", _with_charset(media_type).encode()))
        if isinstance(body, bytes) and status_code not in (204, 304):
            self.headers.append((b"content-length", str(len(body)).encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Any = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.headers,
        }
        await send(start)
        last = self.body if isinstance(self.body, bytes) else b""
        if not isinstance(self.body, bytes) and scope.get("method") != "HEAD":
            await _pour(self.body, receive, send)
        end: Any = {
            "type": "http.response.body",
            "body": b"" if scope.get("method") == "HEAD" else last,
            "more_body": False,
        }
        await send(end)


async def _pour(pieces: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send piece by piece, until there are no more or nobody listens any more."""
    gone = asyncio.create_task(_left(receive))
    try:
        async for piece in pieces:
            if gone.done():
                break
            part: Any = {"type": "http.response.body", "body": piece, "more_body": True}
            await send(part)
    finally:
        gone.cancel()
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _with_charset(media_type: str) -> str:
    plain = media_type.startswith("text/") and "charset" not in media_type
    return f"{media_type}; charset=utf-8" if plain else media_type
