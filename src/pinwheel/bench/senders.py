"""Senders of event batches over HTTP: one process, a few keep-alive connections, each sends a
batch, waits for its receipt, and sends the next.

Run as ``python -m pinwheel.bench.senders`` by the bench, which hands the plan over as one JSON
object on standard input and reads one back. A batch is made once; each sending gets event ids of
its own by a prefix, so that the load costs as little as possible of the machine it shares.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

import msgspec

PREFIX = b"00000000-"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """``bodies`` hold events whose ids begin with eight zeros; ``events`` is how many in each."""

    host: str
    port: int
    token: str
    bodies: list[str]
    events: int
    connections: int
    seconds: float


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """``accepted`` by the receipts. Latencies in milliseconds, of whole batches."""

    seconds: float
    accepted: int
    batches: int
    by_status: dict[str, int]
    p50_ms: float
    p99_ms: float
    cpu_seconds: float


class _Receipt(msgspec.Struct):
    accepted: int = 0


class _Tally:
    def __init__(self) -> None:
        self.accepted = 0
        self.took: list[float] = []
        self.by_status: dict[str, int] = {}


async def send(plan: Plan) -> Sent:
    """Drive the load and tell what came of it."""
    tally = _Tally()
    began = time.perf_counter()
    until = began + plan.seconds
    await asyncio.gather(*(_sender(plan, n, until, tally) for n in range(plan.connections)))
    seconds = time.perf_counter() - began
    took = sorted(tally.took) or [0.0]
    times = os.times()
    return Sent(
        seconds=seconds,
        accepted=tally.accepted,
        batches=len(tally.took),
        by_status=tally.by_status,
        p50_ms=round(1000 * took[len(took) // 2], 1),
        p99_ms=round(1000 * took[int(len(took) * 0.99)], 1),
        cpu_seconds=times.user + times.system,
    )


async def _sender(plan: Plan, number: int, until: float, tally: _Tally) -> None:
    reader, writer = await asyncio.open_connection(plan.host, plan.port)
    bodies = [body.encode() for body in plan.bodies]
    times = 0
    while time.perf_counter() < until:
        # Eight hexadecimal digits that no other sending has.
        unique = b"%04x%04x-" % (number, times % 65_536)
        body = bodies[times % len(bodies)].replace(PREFIX, unique)
        times += 1
        head = (
            f"POST /api/v1/tracking/events HTTP/1.1\r\nHost: {plan.host}\r\n"
            f"Content-Type: application/json\r\nAuthorization: Bearer {plan.token}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        writer.write(head.encode())
        writer.write(body)
        status, answer = await _answer(reader)
        tally.took.append(time.perf_counter() - began)
        tally.by_status[status] = tally.by_status.get(status, 0) + 1
        if status == "202":
            tally.accepted += msgspec.json.decode(answer, type=_Receipt).accepted
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    length = next((int(x[15:]) for x in lines if x.startswith("content-length:")), 0)
    return head[9:12].decode(), await reader.readexactly(length)


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(send(plan))))


if __name__ == "__main__":
    main()
