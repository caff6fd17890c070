"""What readers do with a campaign's letter. Both figures are weak: machines open and follow."""

from __future__ import annotations

from urllib.parse import unquote

from pinwheel.ground.messages.model import BadLink, message_in
from pinwheel.kernel.db import Tx


async def note_seen(tx: Tx, token: str) -> None:
    message_id = message_in(tx.db.vault, token, "seen")
    await tx.run(
        """
        update messages.message set opened_at = $3
         where cell = $1 and id = $2 and opened_at is null and person_id is not null
        """,
        tx.cell,
        message_id,
        tx.now,
    )


async def note_click(tx: Tx, token: str, to: str) -> str:
    """The path in the shop that the link leads to; ``BadLink`` for one we did not write."""
    path = unquote(to)
    if not path.startswith("/") or path.startswith(("//", "/\\")):
        raise BadLink()
    message_id = message_in(tx.db.vault, token, f"click {path}")
    await tx.run(
        """
        update messages.message set clicked_at = $3
         where cell = $1 and id = $2 and clicked_at is null and person_id is not null
        """,
        tx.cell,
        message_id,
        tx.now,
    )
    return path
