"""Pages that hear of changes by themselves: server-sent events (WHATWG HTML, section 9.2), with a
limit on open connections, a sign of life, and an end after which the browser asks again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from pinwheel.kernel.errors import RateLimited
from pinwheel.kernel.web.call import File

Look = Callable[[], Awaitable[bytes]]


class Live:
    """The open streams of one process.

    most: open at once · each: open at once for one address · look_seconds: how often it looks for
    a change; who watches the same shares one look · beat_seconds: a sign of life while nothing
    changes · longest_seconds: then the stream ends and the browser comes back by itself.
    """

    def __init__(
        self,
        *,
        most: int = 500,
        each: int = 12,
        look_seconds: float = 2.0,
        beat_seconds: float = 15.0,
        longest_seconds: float = 600.0,
    ) -> None:
        self.most, self.each = most, each
        self.look_seconds = look_seconds
        self.beat_seconds = beat_seconds
        self.longest_seconds = longest_seconds
        self._open: Counter[str] = Counter()
        self._seen: dict[str, tuple[float, bytes]] = {}

    @property
    def open(self) -> int:
        return self._open.total()

    def watch(self, subject: str, look: Look, *, address: str) -> File:
        """A stream with ``look()`` now and whenever it has become something else: one line of text.

        Refuses ``RateLimited`` when too many are open; a page then goes on by reloading."""
        if self.open >= self.most or self._open[address] >= self.each:
            raise RateLimited(30)
        return File(
            self._events(subject, look, address),
            "text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _events(self, subject: str, look: Look, address: str) -> AsyncIterator[bytes]:
        self._open[address] += 1
        try:
            began = beat = time.monotonic()
            last = b""
            yield b"retry: 5000\n\n"
            while time.monotonic() - began < self.longest_seconds:
                found = await self._shared(subject, look)
                if found != last:
                    last, beat = found, time.monotonic()
                    yield b"data: " + found.replace(b"\n", b" ") + b"\n\n"
                elif time.monotonic() - beat >= self.beat_seconds:
                    beat = time.monotonic()
                    yield b": still here\n\n"
                await asyncio.sleep(self.look_seconds)
        finally:
            self._open[address] -= 1
            self._open += Counter()  # forget addresses without a stream
            if not self.open:
                self._seen.clear()

    async def _shared(self, subject: str, look: Look) -> bytes:
        at, found = self._seen.get(subject, (0.0, b""))
        if time.monotonic() - at >= self.look_seconds / 2:
            found = await look()
            self._seen[subject] = (time.monotonic(), found)
        return found
