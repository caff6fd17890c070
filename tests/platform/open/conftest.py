"""A receiver of webhooks as there are out there: it answers by a script, drops, or is slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest

from pinwheel.kernel.db import Database
from pinwheel.kernel.outbound import Outbound


class Message(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """``answer(message, tries)`` gives what to do with the try of that number (from 1) of one
    message: a status, a status with more (headers, body), ``"drop"`` or ``"silent"``."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.answer: Callable[[Message, int], Any] = lambda message, tries: 200
        self.came = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [message.headers["webhook-id"] for message in self.messages]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value
                for name, _, value in (line.partition(": ") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            message = Message(head[0].split(" ")[1], headers, body)
            self.messages.append(message)
            tries = self.ids.count(headers.get("webhook-id", ""))
            answer = self.answer(message, tries)
            self.came.set()
            if answer == "silent":
                await reader.read()
            elif answer != "drop":
                status, more, said = answer if isinstance(answer, tuple) else (answer, {}, b"")
                lines = "".join(f"{name}: {value}\r\n" for name, value in more.items())
                writer.write(
                    f"HTTP/1.1 {status} -\r\n{lines}content-length: {len(said)}\r\n\r\n".encode()
                )
                writer.write(said)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def receiver(db: Database) -> AsyncIterator[Receiver]:
    """A receiver on this machine, which this test's house may call."""
    db.given[Outbound] = Outbound(allow_loopback=True, seconds=60)
    found = Receiver()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
