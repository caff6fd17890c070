"""Coupon codes in the console: batches, and their file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, csv_line
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Call, File, See, get, post
from pinwheel.trade import promotions

SCOPE = "promotions"


class BatchForm(msgspec.Struct):
    size: Annotated[int, Meta(ge=1, le=100_000)]
    note: Annotated[str, Meta(max_length=200)] = ""


@post("/console/promotions/{promotion_id:uuid}/codes", scope=SCOPE)
async def make_codes(call: Call, db: Database, promotion_id: UUID, data: BatchForm) -> See[Any]:
    """A batch of unique codes, each for one order."""

    async def verb(tx: Tx) -> UUID:
        return await promotions.make_codes(tx, promotion_id, data.size, note=data.note)

    back = f"/console/promotions/{promotion_id}"
    return await attempt(call, db, verb, back, call.say("The codes are made."))


@get("/console/codes/{batch_id:uuid}", scope=SCOPE)
async def codes_file(call: Call, tx: Tx, batch_id: UUID) -> File:
    """The codes of a batch as a file."""
    codes = await promotions.codes_of(tx, batch_id)

    async def lines() -> AsyncIterator[bytes]:
        yield csv_line("code")
        for start in range(0, len(codes), 1000):
            yield b"".join(csv_line(code) for code in codes[start : start + 1000])

    return File(lines(), "text/csv; charset=utf-8", name=f"codes-{batch_id}.csv")
