"""What pricing does by the clock."""

from collections.abc import Sequence

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after
from pinwheel.trade.pricing.model import PriceChanged, PriceDue


@after(PriceDue)
async def announce(tx: Tx, events: Sequence[PriceDue]) -> None:
    """A planned price has come or has ended: tell it."""
    tx.emit(*(PriceChanged(offer_ids=event.offer_ids) for event in events))
