"""One clock. Everything that asks for the time asks here, so that tests and the lab can travel."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from typing import Protocol

from asyncpg.pgproto.pgproto import UUID

UTC = dt.UTC


class Clock(Protocol):
    def now(self) -> dt.datetime: ...


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(UTC)


class SetClock:
    """A clock that stands still until it is moved: for tests, replay and the lab."""

    def __init__(self, at: dt.datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("a clock needs an instant with a time zone")
        self._at = at.astimezone(UTC)

    def now(self) -> dt.datetime:
        return self._at

    def set(self, at: dt.datetime) -> None:
        self._at = at.astimezone(UTC)

    def travel(self, **timedelta: float) -> dt.datetime:
        """Move forward by the arguments of ``timedelta`` and return the new time."""
        self._at += dt.timedelta(**timedelta)
        return self._at


def new_id(now: dt.datetime, rng: random.Random) -> uuid.UUID:
    """A time-ordered UUID (RFC 9562, version 7) for ``now``: ids made together lie together in
    an index."""
    millis = int(now.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    bits = rng.getrandbits(74)
    value = (
        (millis << 80) | (0x7 << 76) | ((bits >> 62) << 64) | (0b10 << 62) | (bits & (2**62 - 1))
    )
    # The driver's own class of UUID: made in C, and what every row brings back as well.
    made: uuid.UUID = UUID(value.to_bytes(16))
    return made
