"""Idempotency keys: a repeat gets the first answer, in the transaction of the effect.

A key belongs to a scope (the caller), is kept with a hash of its input, and refuses another input.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import KeyReused


class Claim(msgspec.Struct, frozen=True):
    """``scope`` is who asks, ``key`` what they named the request, ``input`` what they asked for."""

    scope: str
    key: str
    input: Any

    def digest(self) -> bytes:
        return hashlib.blake2b(
            msgspec.json.encode(self.input, order="deterministic"), digest_size=16
        ).digest()


class Kept(msgspec.Struct, frozen=True):
    """What was answered before."""

    answer: Any


async def claim(tx: Tx, claims: Sequence[Claim]) -> list[Kept | KeyReused | None]:
    """For each claim: None (new: do it, then ``keep``), ``Kept`` (repeat: answer this), or
    ``KeyReused``.

    Two transactions with one key: the second waits here for the first to end. A repeat within
    one call, too, is told from the first (``Kept(None)``: its answer is the first one's). Two
    statements for any number."""
    first: dict[tuple[str, str], int] = {}
    for position, one in enumerate(claims):
        first.setdefault((one.scope, one.key), position)
    digests = [one.digest() for one in claims]
    own = sorted(first.values(), key=lambda p: (claims[p].scope, claims[p].key))
    fresh = set(
        await tx.values(
            """
            insert into kernel.idempotency (cell, scope, key, input_hash, created_at)
            select $1, c.scope, c.key, c.input_hash, $2
              from unnest($3::text[], $4::text[], $5::bytea[]) as c(scope, key, input_hash)
            on conflict (cell, scope, key) do nothing
            returning scope || chr(10) || key
            """,
            tx.cell,
            tx.now,
            [claims[p].scope for p in own],
            [claims[p].key for p in own],
            [digests[p] for p in own],
        )
    )
    rows = {
        (r.scope, r.key): r
        for r in await tx.rows(
            _Found,
            """
            select i.scope, i.key, i.input_hash, i.answer from kernel.idempotency i
              join unnest($2::text[], $3::text[]) as c(scope, key)
                on c.scope = i.scope and c.key = i.key
             where i.cell = $1
            """,
            tx.cell,
            [claims[p].scope for p in own],
            [claims[p].key for p in own],
        )
    }
    answers: list[Kept | KeyReused | None] = []
    for position, one in enumerate(claims):
        row = rows[one.scope, one.key]
        if row.input_hash != digests[position]:
            answers.append(KeyReused(key=one.key))
        elif f"{one.scope}\n{one.key}" in fresh and first[one.scope, one.key] == position:
            answers.append(None)
        else:
            answers.append(Kept(row.answer))
    return answers


class _Found(msgspec.Struct, frozen=True):
    scope: str
    key: str
    input_hash: bytes
    answer: Any


async def keep(tx: Tx, answers: Sequence[tuple[Claim, Any]]) -> None:
    """Keep what was answered, for the repeats to come."""
    await tx.run(
        """
        update kernel.idempotency i set answer = a.answer::jsonb
          from unnest($2::text[], $3::text[], $4::text[]) as a(scope, key, answer)
         where i.cell = $1 and i.scope = a.scope and i.key = a.key
        """,
        tx.cell,
        [c.scope for c, _ in answers],
        [c.key for c, _ in answers],
        [msgspec.json.encode(a).decode() for _, a in answers],
    )
