"""What the catalogue does by the clock."""

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import every
from pinwheel.trade.catalogue.actions import publish, unpublish

AT_ONCE = 500


@every(seconds=5)
async def publish_due(tx: Tx) -> None:
    """Publish the drafts whose time has come. One that is no longer complete stays a draft and its
    plan is taken off: the history says so."""
    due = await tx.values(
        """
        select id from catalogue.product
         where status = 'draft' and publish_at <= $1 order by publish_at, id limit $2
        """,
        tx.now,
        AT_ONCE,
    )
    if not due:
        return
    answers = await publish(tx, due, reason="planned publication")
    failed = {i: a for i, a in zip(due, answers, strict=True) if isinstance(a, Refusal)}
    for product_id, refusal in failed.items():
        await unpublish(tx, [product_id], reason=f"planned publication refused: {refusal}")
