"""What the ledger does by the clock."""

from pinwheel.ground.ledger.holding import expire
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import every


@every(seconds=5)
async def expire_holds(tx: Tx) -> None:
    """Give back what was reserved past its deadline."""
    await expire(tx)
