"""What the sandbox remembers: charges, what was done to them, and the notices it owes."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Iterable, Sequence

import asyncpg
import msgspec

from pinwheel.kernel.clock import new_id


class Charge(msgspec.Struct):
    key: uuid.UUID
    token: str
    amount_minor: int
    currency: str
    captures_at_once: bool
    return_url: str
    state: str
    authorised_minor: int
    captured_minor: int
    refunded_minor: int
    reason: str
    due_at: dt.datetime | None
    captured_at: dt.datetime | None
    created_at: dt.datetime


class Operation(msgspec.Struct):
    """A capture, a refund or a step of a dispute."""

    key: uuid.UUID
    charge_key: uuid.UUID
    kind: str
    amount_minor: int
    state: str
    reason: str
    at: dt.datetime


class Owed(msgspec.Struct):
    """A notice: what was so when it was written, not when it is delivered."""

    id: uuid.UUID
    charge_key: uuid.UUID
    kind: str
    authorised_minor: int
    captured_minor: int
    operation_key: uuid.UUID | None
    amount_minor: int
    currency: str
    reason: str
    due_at: dt.datetime
    attempts: int


class Memory:
    """Charges under lock with what was done to them; changes are written when the block ends."""

    def __init__(
        self, connection: asyncpg.Connection, now: dt.datetime, rng: random.Random
    ) -> None:
        self.connection = connection
        self.now = now
        self.rng = rng
        self.charges: dict[uuid.UUID, Charge] = {}
        self.operations: dict[uuid.UUID, Operation] = {}
        self._changed: dict[uuid.UUID, Charge] = {}
        self._done: list[Operation] = []
        self._owed: list[tuple[object, ...]] = []

    async def load(self, keys: Iterable[uuid.UUID]) -> None:
        wanted = list(keys)
        charges = await self.connection.fetch(
            """
            select key, token, amount_minor, currency, captures_at_once, return_url, state,
                   authorised_minor, captured_minor, refunded_minor, reason, due_at, captured_at,
                   created_at
              from sandbox.charge where key = any($1::uuid[]) order by key for update
            """,
            wanted,
        )
        self.charges = {row[0]: Charge(*row) for row in charges}
        operations = await self.connection.fetch(
            """
            select key, charge_key, kind, amount_minor, state, reason, at
              from sandbox.operation where charge_key = any($1::uuid[]) order by key
            """,
            wanted,
        )
        self.operations = {row[0]: Operation(*row) for row in operations}

    def change(self, charge: Charge) -> None:
        self.charges[charge.key] = self._changed[charge.key] = charge

    def done(self, operation: Operation) -> Operation:
        self.operations[operation.key] = operation
        self._done.append(operation)
        return operation

    def owe(
        self,
        charge: Charge,
        kind: str,
        *,
        operation: Operation | None = None,
        due_at: dt.datetime | None = None,
    ) -> None:
        self._owed.append(
            (
                new_id(self.now, self.rng),
                charge.key,
                kind,
                charge.authorised_minor,
                charge.captured_minor,
                operation.key if operation else None,
                operation.amount_minor if operation else 0,
                charge.currency,
                operation.reason if operation else charge.reason,
                due_at or self.now,
            )
        )

    async def save(self) -> None:
        if self._changed:
            await self._save_charges(list(self._changed.values()))
        if self._done:
            await self._insert_operations()
        if self._owed:
            await self._insert_owed()

    async def _save_charges(self, changed: Sequence[Charge]) -> None:
        await self.connection.execute(
            """
            insert into sandbox.charge (key, token, amount_minor, currency, captures_at_once,
                   return_url, state, authorised_minor, captured_minor, refunded_minor, reason,
                   due_at, captured_at, created_at)
            select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::boolean[],
                   $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[],
                   $12::timestamptz[], $13::timestamptz[], $14::timestamptz[])
            on conflict (key) do update set state = excluded.state,
                   authorised_minor = excluded.authorised_minor,
                   captured_minor = excluded.captured_minor,
                   refunded_minor = excluded.refunded_minor,
                   reason = excluded.reason, due_at = excluded.due_at,
                   captured_at = excluded.captured_at
            """,
            *(
                [getattr(c, name) for c in sorted(changed, key=lambda c: c.key)]
                for name in Charge.__struct_fields__
            ),
        )

    async def _insert_operations(self) -> None:
        await self.connection.execute(
            """
            insert into sandbox.operation (key, charge_key, kind, amount_minor, state, reason, at)
            select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[],
                   $6::text[], $7::timestamptz[])
            """,
            *([getattr(o, name) for o in self._done] for name in Operation.__struct_fields__),
        )

    async def _insert_owed(self) -> None:
        await self.connection.execute(
            """
            insert into sandbox.notice (id, charge_key, kind, authorised_minor, captured_minor,
                   operation_key, amount_minor, currency, reason, due_at)
            select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[],
                   $6::uuid[], $7::bigint[], $8::text[], $9::text[], $10::timestamptz[])
            """,
            *map(list, zip(*self._owed, strict=True)),
        )
