"""Streams of changes: what is sent, who is refused, and that nobody's place is kept for ever."""

from __future__ import annotations

from typing import Any

import pytest

from pinwheel.kernel.errors import RateLimited
from pinwheel.kernel.web import Live
from pinwheel.kernel.web.ready import Ready


async def test_a_change_is_told_once_and_the_stream_ends() -> None:
    live = Live(look_seconds=0, beat_seconds=1000)
    states = iter([b"a", b"a", b"b\nc"])

    async def look() -> bytes:
        found = next(states, None)
        if found is None:
            live.longest_seconds = 0
        return found or b"b\nc"

    stream = live.watch("x", look, address="1")
    told = [piece async for piece in stream.body]  # type: ignore[union-attr]
    assert told == [b"retry: 5000\n\n", b"data: a\n\n", b"data: b c\n\n"]
    assert live.open == 0


async def test_a_sign_of_life() -> None:
    live = Live(look_seconds=0, beat_seconds=0)
    looked = 0

    async def look() -> bytes:
        nonlocal looked
        looked += 1
        live.longest_seconds = 0 if looked > 2 else 600
        return b"same"

    told = [p async for p in live.watch("x", look, address="1").body]  # type: ignore[union-attr]
    assert told[1:] == [b"data: same\n\n", b": still here\n\n", b": still here\n\n"]


async def test_too_many_are_refused_and_a_place_comes_back() -> None:
    live = Live(most=2, each=1, look_seconds=0)

    async def look() -> bytes:
        return b"same"

    first: Any = live.watch("x", look, address="1").body
    await anext(first)
    with pytest.raises(RateLimited):
        live.watch("x", look, address="1")
    second: Any = live.watch("x", look, address="2").body
    await anext(second)
    with pytest.raises(RateLimited):
        live.watch("x", look, address="3")
    await first.aclose()
    assert live.open == 1
    live.watch("x", look, address="1")


async def test_who_goes_away_gives_the_place_back() -> None:
    live = Live(look_seconds=0, beat_seconds=0)

    async def look() -> bytes:
        return b"same"

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    answer = Ready(live.watch("x", look, address="1").body, "text/event-stream")
    await answer({"type": "http", "method": "GET"}, receive, send)  # type: ignore[arg-type]
    assert live.open == 0
    assert sent[-1]["more_body"] is False
