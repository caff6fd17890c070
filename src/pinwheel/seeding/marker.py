"""How far seeding has come: one row in the settings, written with each step."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.ground import identity
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.kept import keep, kept

NAME = "demonstration.seeding"
ACTOR = "demonstration"


class Opened(msgspec.Struct, kw_only=True):
    """The campaigns that run in a market. ``newcomers``: the newcomer offer of each SKU."""

    market: str
    currency: str
    budgets: dict[str, uuid.UUID]
    team_id: uuid.UUID
    newcomers: dict[str, uuid.UUID]
    bargain_id: uuid.UUID | None = None
    invite_id: uuid.UUID | None = None
    promoter_id: uuid.UUID | None = None
    programme_id: uuid.UUID | None = None


class Marker(msgspec.Struct):
    """``began_at`` fixes what "now" means for the whole shop; ``steps`` is how much of each step is
    done."""

    began_at: dt.datetime
    steps: dict[str, int] = {}
    is_done: bool = False
    opened: dict[str, Opened] = {}  # campaigns by market
    deal_id: uuid.UUID | None = None  # of the big day, while its deposits are being paid

    def at(self, step: str) -> int:
        return self.steps.get(step, 0)

    async def reach(self, tx: Tx, step: str, done: int) -> None:
        """Note, in the step's own transaction, how far it has come."""
        self.steps[step] = done
        await self._write(tx)

    async def finish(self, db: Database) -> None:
        self.is_done = True
        async with db.transaction(actor=ACTOR) as tx:
            await self._write(tx)

    async def _write(self, tx: Tx) -> None:
        await keep(tx, NAME, msgspec.to_builtins(self))


async def begun(db: Database) -> Marker | None:
    """The marker of a shop that was seeded, or a new one for a shop that is empty; None when the
    shop is somebody's own."""
    async with db.transaction(actor=ACTOR) as tx:
        await tx.run("select pg_advisory_xact_lock(hashtextextended($1, 0))", NAME)
        found = await kept(tx, NAME)
        if NAME in found:
            return msgspec.convert(found[NAME].value, Marker)
        taken = await tx.value(
            "select exists (select from catalogue.v_product)"
            " or exists (select from catalogue.v_category)"
        )
        if taken or (await identity.people_page(tx, limit=1)).items:
            return None
        marker = Marker(began_at=tx.now.replace(microsecond=0))
        await marker.reach(tx, "begun", 1)
        return marker
