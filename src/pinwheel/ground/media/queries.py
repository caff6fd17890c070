"""Questions about pictures."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from pinwheel.ground.media.model import Picture
from pinwheel.kernel.db import Tx


async def pictures(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Picture]:
    """Pictures that are there, by id; one statement."""
    rows = await tx.rows(
        Picture,
        """
        select picture_id as id, digest, width, height, bytes from media.v_picture
         where cell = $1 and picture_id = any($2::uuid[])
        """,
        tx.cell,
        list(ids),
    )
    return {row.id: row for row in rows}


async def export(tx: Tx, person_id: uuid.UUID) -> Any:
    """What a person has sent, for their copy."""
    return await tx.rows(
        Picture,
        """
        select picture_id as id, digest, width, height, bytes from media.v_picture
         where cell = $1 and owner_id = $2 order by picture_id
        """,
        tx.cell,
        person_id,
    )
