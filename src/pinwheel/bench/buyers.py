"""Real buyers over HTTP: one process, many keep-alive connections, each orders, waits, and
orders again.

Run as ``python -m pinwheel.bench.buyers`` by the benches, which hand the plan over as one JSON
object on standard input and read one back. It is raw asyncio, so that the load costs as little
as possible of the machine it shares."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from typing import Any

import msgspec


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """``bodies`` are request bodies to choose from at random; ``connections`` buyers order
    until ``seconds`` are over, or ``once`` each."""

    host: str
    port: int
    path: str
    token: str
    bodies: list[str]
    connections: int
    seconds: float = 0.0
    once: bool = False
    seed: int = 0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the buyers saw. Latencies are in milliseconds, of accepted orders."""

    seconds: float
    by_status: dict[str, int]
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_seconds: float


class Buyer(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(
        self, plan: Load, heads: list[tuple[bytes, bytes]], rng: random.Random, seen: Any
    ) -> None:
        self.plan, self.heads, self.rng, self.seen = plan, heads, rng, seen
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.began = 0.0
        self.until = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def order(self) -> None:
        head, tail = self.heads[self.rng.randrange(len(self.heads))]
        self.began = time.perf_counter()
        self.transport.write(head + b"%032x" % self.rng.getrandbits(128) + tail)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self.buffer.lower().find(b"content-length:", 0, end)
        length = int(self.buffer[at + 15 : self.buffer.index(b"\r\n", at)]) if at >= 0 else 0
        if len(self.buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        status = self.buffer[9:12].decode()
        self.seen.append((status, now - self.began))
        self.buffer = b""
        if now < self.until:
            self.order()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.buffer or exc is not None:
            self.seen.append(("lost", 0.0))
        if not self.done.done():
            self.done.set_result(None)


async def buy(plan: Load) -> Told:
    """Drive the load and tell what came of it."""
    heads = []
    for body in plan.bodies:
        raw = body.encode()
        head = (
            f"POST {plan.path} HTTP/1.1\r\nHost: {plan.host}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {plan.token}\r\nContent-Length: {len(raw)}\r\nIdempotency-Key: "
        )
        heads.append((head.encode(), b"\r\n\r\n" + raw))
    rng = random.Random(plan.seed)
    seen: list[tuple[str, float]] = []
    loop = asyncio.get_running_loop()
    buyers: list[Buyer] = []
    for _ in range(plan.connections):
        _, buyer = await loop.create_connection(
            lambda: Buyer(plan, heads, rng, seen), plan.host, plan.port
        )
        buyers.append(buyer)
    began = time.perf_counter()
    for buyer in buyers:
        buyer.until = 0.0 if plan.once else began + plan.seconds
        buyer.order()
    await asyncio.gather(*(b.done for b in buyers))
    took = time.perf_counter() - began
    statuses: dict[str, int] = {}
    for status, _ in seen:
        statuses[status] = statuses.get(status, 0) + 1
    good = sorted(1000 * s for status, s in seen if status == "201") or [0.0]
    times = os.times()
    return Told(
        seconds=took,
        by_status=statuses,
        p50_ms=round(good[len(good) // 2], 2),
        p95_ms=round(good[int(len(good) * 0.95)], 2),
        p99_ms=round(good[int(len(good) * 0.99)], 2),
        cpu_seconds=times.user + times.system,
    )


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(buy(plan))))


if __name__ == "__main__":
    main()
