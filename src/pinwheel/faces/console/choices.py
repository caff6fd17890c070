"""What forms let an operator choose by name, so that nobody types an id."""

from __future__ import annotations

from uuid import UUID

from pinwheel.insight import audience
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Call
from pinwheel.kernel.words import said


async def segment_choices(call: Call, tx: Tx) -> list[tuple[str, str]]:
    """Every segment: its id, and its name in the reader's language with how many are in it."""
    return [
        (str(s.id), f"{said(s.name, call.language)} ({s.size})")
        for s in await audience.segments(tx)
    ]


def chosen(where: str, text: str) -> UUID | None:
    """The id that a choice sends; nothing, where nobody was chosen. ``Invalid`` names the field."""
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise Invalid(where, "choose one of the list", "请从列表中选择") from error
