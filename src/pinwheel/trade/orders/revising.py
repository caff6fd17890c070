"""The revision of the rules that stages keep in memory: exact over all processes.

Whoever changes such a rule says so in the same transaction (``revise``). Every walk reads the
revision with the prices (``Draft.revision``); a stage that used rules while placing asks for it
once more under a shared lock (``held_revision``), so that no order is committed by a rule whose
end was committed before.
"""

from __future__ import annotations

import asyncpg

from pinwheel.kernel.db import Tx

KEY = 0x70726F6D6F  # of the advisory lock: shared by who places, exclusive for who changes a rule


class RulesChanged(asyncpg.SerializationError):  # type: ignore[misc]
    """A rule changed while the draft walked: tried again with the new rules."""


async def revise(tx: Tx) -> int:
    """Rules have changed in this transaction; the new revision. Waits for orders that are being
    placed by the old ones. 1 statement."""
    version: int = await tx.value(
        """
        with alone as materialized (select pg_advisory_xact_lock($1))
        update orders.revision set version = version + 1 from alone returning version
        """,
        KEY,
    )
    return version


async def held_revision(tx: Tx) -> int:
    """The revision, which stays so until this transaction ends. 1 statement."""
    version: int = await tx.value("select orders.held_revision($1)", KEY)
    return version
