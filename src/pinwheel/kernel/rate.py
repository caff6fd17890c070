"""Token buckets: how often somebody may ask. One kind lives in this process and costs a
microsecond; the other lives in the database and holds over all processes (for sign-in, codes and
the like)."""

from __future__ import annotations

import time
from collections import OrderedDict

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import RateLimited


class Limit(msgspec.Struct, frozen=True):
    """``burst`` at once, then one for each ``seconds_each``."""

    burst: int
    seconds_each: float


class Buckets:
    """Buckets of this process, the least recently used one forgotten first."""

    def __init__(self, limit: Limit, *, most: int = 50_000) -> None:
        self.limit = limit
        self.most = most
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key: (tokens, at)

    def take(self, key: str, now: float | None = None) -> None:
        """One token; ``RateLimited`` when there is none."""
        now = time.monotonic() if now is None else now
        burst, each = self.limit.burst, self.limit.seconds_each
        tokens, at = self._filled.pop(key, (float(burst), now))
        tokens = min(burst, tokens + (now - at) / each)
        refused = tokens < 1
        self._filled[key] = (tokens if refused else tokens - 1, now)
        if len(self._filled) > self.most:
            self._filled.popitem(last=False)
        if refused:
            raise RateLimited(max(1, round((1 - tokens) * each)))


async def take(tx: Tx, key: str, limit: Limit) -> None:
    """One token of a bucket in the database. Take it in a transaction of its own: a refusal that
    follows must not give it back."""
    tokens: float = await tx.value(
        """
        insert into kernel.rate as r (cell, key, tokens, at)
        values ($1, $2, $4::double precision - 1, $3)
        on conflict (cell, key) do update set at = $3,
            tokens = least($4, r.tokens
                       + extract(epoch from $3 - r.at)::double precision / $5::double precision) - 1
        returning tokens
        """,
        tx.cell,
        key,
        tx.now,
        float(limit.burst),
        float(limit.seconds_each),
    )
    if tokens < 0:
        raise RateLimited(max(1, round(-tokens * limit.seconds_each)))
