"""What the marketplace does when the catalogue changes."""

from collections.abc import Sequence

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during
from pinwheel.trade import catalogue
from pinwheel.trade.marketplace.actions import follow_merge, follow_split


@during(catalogue.VariantsMerged)
async def move_offers(tx: Tx, events: Sequence[catalogue.VariantsMerged]) -> None:
    """Offers follow their variant in the transaction that merges it."""
    for event in events:
        await follow_merge(tx, event)


@during(catalogue.VariantsSplit)
async def move_offers_back(tx: Tx, events: Sequence[catalogue.VariantsSplit]) -> None:
    """And back in the one that takes the merge back."""
    for event in events:
        await follow_split(tx, event)
