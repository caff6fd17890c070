"""Group commit: concurrent calls of one hot verb become one call with a list, in one transaction.

A caller that comes when nothing runs is served at once. While a batch is in flight the next one
gathers, so a statement's cost is shared exactly when there is something to share it with. A
refusal answers its own caller; an unexpected error splits the batch until the one that raises
is alone; a full queue refuses."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from pinwheel.kernel import observe
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Overloaded, Refusal

C = TypeVar("C")
R = TypeVar("R")
Verb = Callable[[Tx, Sequence[C]], Awaitable[Sequence[R | Refusal]]]
OutsideVerb = Callable[[Database, Sequence[C]], Awaitable[Sequence[R | Exception]]]


class Together(Generic[C, R]):
    """``await together(command)`` answers as the verb would for this command alone.

    most: commands in a batch · in_flight: batches at once · waiting: commands that may queue before
    ``Overloaded`` · linger_seconds: how long a batch gathers while another is in flight.
    """

    def __init__(
        self,
        db: Database,
        verb: Verb[C, R],
        *,
        actor: str = "system",
        most: int = 256,
        in_flight: int = 1,
        waiting: int = 4096,
        linger_seconds: float = 0.003,
    ) -> None:
        self.db = db
        self.verb = verb
        self.actor = actor
        self.most = most
        self.in_flight = in_flight
        self.waiting = waiting
        self.linger_seconds = linger_seconds
        self._queue: deque[tuple[C, asyncio.Future[R], float]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._outside: OutsideVerb[C, R] | None = None
        self._seconds_each = 0.001  # a moving average, for Retry-After

    @classmethod
    def outside(cls, db: Database, verb: OutsideVerb[C, R], **how: Any) -> Together[C, R]:
        """The same for a verb that talks to the network: it is called with no transaction open."""
        one: Together[C, R] = cls(db, _never, **how)
        one._outside = verb
        return one

    async def __call__(self, command: C) -> R:
        if len(self._queue) >= self.waiting:
            raise Overloaded(max(1, round(len(self._queue) * self._seconds_each)))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._queue.append((command, answer, loop.time()))
        if len(self._queue) == 1 or len(self._queue) >= self.most:
            loop.call_soon(self._start)
        # A caller that goes away cancels only its own wait: the command stays in its batch.
        return await answer

    def _start(self) -> None:
        while self._queue and len(self._running) < self.in_flight:
            if self._running and len(self._queue) < self.most:
                loop = asyncio.get_running_loop()
                left = self._queue[0][2] + self.linger_seconds - loop.time()
                if left > 0:
                    if self._timer is None:
                        self._timer = loop.call_later(left, self._elapsed)
                    return
            batch = [self._queue.popleft() for _ in range(min(self.most, len(self._queue)))]
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _elapsed(self) -> None:
        self._timer = None
        self._start()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    async def _run(self, batch: list[tuple[C, asyncio.Future[R], float]]) -> None:
        began = time.monotonic()
        await self._answer(batch)
        each = (time.monotonic() - began) / len(batch)
        self._seconds_each += 0.2 * (each - self._seconds_each)

    async def _answer(self, batch: list[tuple[C, asyncio.Future[R], float]]) -> None:
        commands = [command for command, _, _ in batch]
        if self._outside is not None:
            results = await _apart(commands, self._call_outside)
        else:
            results = await apart(self.db, self.verb, commands, actor=self.actor)
        for (_, answer, _), result in zip(batch, results, strict=True):
            _settle(answer, result)

    async def _call_outside(self, commands: Sequence[C]) -> Sequence[R | Exception]:
        assert self._outside is not None
        return await self._outside(self.db, commands)


async def apart(
    db: Database, verb: Verb[C, R], commands: Sequence[C], *, actor: str = "system"
) -> list[R | Exception]:
    """One transaction for all ``commands``; if it raises, halves in their own, down to the one that
    raises alone: that one's answer is its exception, and no neighbour fails with it."""
    name = getattr(verb, "__name__", "verb").strip("_")

    async def attempt(part: Sequence[C]) -> Sequence[R | Refusal]:
        async def whole(tx: Tx) -> tuple[Tx, Sequence[R | Refusal]]:
            return tx, await verb(tx, part)

        tx, results = await db.attempt(whole, actor=actor)
        observe.batched(name, len(part), tx.statements)
        return results

    return await _apart(commands, attempt)


async def _apart(
    commands: Sequence[C], attempt: Callable[[Sequence[C]], Awaitable[Sequence[R | Exception]]]
) -> list[R | Exception]:
    try:
        return list(await attempt(commands))
    except Exception as error:
        if len(commands) == 1:
            return [error]
    half = len(commands) // 2
    return [
        *await _apart(commands[:half], attempt),
        *await _apart(commands[half:], attempt),
    ]


async def _never(tx: Tx, commands: Sequence[Any]) -> Sequence[Any]:
    raise AssertionError("this verb runs outside a transaction")


def _settle(answer: asyncio.Future[Any], result: Any) -> None:
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
