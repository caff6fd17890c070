"""Stock follows what becomes of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during
from pinwheel.trade import catalogue
from pinwheel.trade.inventory.actions import follow_merge


@during(catalogue.VariantsMerged)
async def move_stock(tx: Tx, events: Sequence[catalogue.VariantsMerged]) -> None:
    """Free stock follows its variant in the transaction that merges it. A merge that is taken back
    leaves the pieces where they are: a count says whose they were."""
    for event in events:
        await follow_merge(tx, event.pairs, document_id=tx.new_id())
