"""What holds for marketing letters, as the staff set it."""

from __future__ import annotations

import msgspec

from pinwheel.ground.messages.model import Rules
from pinwheel.kernel import kept
from pinwheel.kernel.db import Tx

NAME = "messages.rules"


async def rules(tx: Tx) -> Rules:
    """1 statement. What is kept and can't be read counts as nothing said."""
    found = (await kept.kept(tx, NAME)).get(NAME)
    try:
        return msgspec.convert(found.value, Rules) if found is not None else Rules()
    except msgspec.ValidationError:
        return Rules()


async def set_rules(tx: Tx, said: Rules) -> None:
    """From the next letter on."""
    await kept.keep(tx, NAME, msgspec.to_builtins(said))
