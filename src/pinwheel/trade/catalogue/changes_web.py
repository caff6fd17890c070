"""The routes of changes for programs: the same edit for many products, and taking one back."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, Refused, get, post, refused
from pinwheel.trade.catalogue import changes, desk
from pinwheel.trade.catalogue.desk import ChangeLine, ChangeSet
from pinwheel.trade.catalogue.model import BulkEdit, Reverted
from pinwheel.trade.catalogue.refusals import ChangeReverted, ChangeUnknown, FieldUnknown
from pinwheel.trade.catalogue.schema import Language

READ, WRITE = "catalogue:read", "catalogue:write"
TAGS = ("catalogue",)
Limit = Annotated[int, Meta(ge=1, le=200)]
Cursor = Annotated[str, Meta(max_length=500)]
Field = Annotated[str, Meta(min_length=1, max_length=80)]
Value = (
    Annotated[str, Meta(max_length=200_000)]
    | Annotated[int, Meta(ge=-(2**53), le=2**53)]
    | float
    | bool
    | Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=200)]
    | dict[Language, Annotated[str, Meta(max_length=20_000)]]
    | None
)


class EditInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same change to many products. ``set``: field to value; a field is ``brand``,
    ``category_id``, ``channels``, ``title.LANGUAGE``, ``description.LANGUAGE``,
    ``attributes.CODE`` (null takes it away), ``tax_class`` or ``weight_grams`` (of every
    variant)."""

    product_ids: Annotated[list[UUID], Meta(min_length=1, max_length=10_000)]
    set: Annotated[dict[Field, Value], Meta(min_length=1, max_length=50)]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class NotEdited(msgspec.Struct, frozen=True):
    product_id: UUID
    refused: Refused


class EditDone(msgspec.Struct, frozen=True):
    """``change_id`` is what a revert takes back; null when nothing was different."""

    change_id: UUID | None
    changed: list[UUID]
    unchanged: int
    refused: list[NotEdited]


class ChangeSight(msgspec.Struct, frozen=True):
    """One act, and what it did product by product."""

    change: ChangeSet
    lines: Page[ChangeLine]


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


@post(
    "/api/v1/catalogue/bulk-edits",
    scope=WRITE,
    once=True,
    refusals=(FieldUnknown,),
    tags=TAGS,
)
async def edit_many(call: Call, tx: Tx, data: EditInput) -> Answer[EditDone]:
    """Make the same change to many products as one act that can be taken back. A product that it
    would break is left alone and named."""
    edit = BulkEdit(product_ids=data.product_ids, set=dict(data.set), reason=data.reason)
    done = await changes.edit_many(tx, edit)
    left = [NotEdited(i, refused(refusal, call.language)) for i, refusal in done.refused]
    return Answer(EditDone(done.change_id, done.changed, done.unchanged, left))


@get("/api/v1/catalogue/changes", scope=READ, tags=TAGS)
async def list_changes(
    tx: Tx, after: Cursor | None = None, limit: Limit = 50
) -> Answer[Page[ChangeSet]]:
    """Every act over products, the latest first: who, when, why, and over how many."""
    return Answer(await desk.change_sets(tx, cursor=after, limit=limit))


@get("/api/v1/catalogue/changes/{change_id:uuid}", scope=READ, tags=TAGS)
async def see_change(
    tx: Tx, change_id: UUID, after: Cursor | None = None, limit: Limit = 50
) -> Answer[ChangeSight]:
    """One act, field by field, before and after. ``after`` goes on with its products."""
    change = await desk.change_set(tx, change_id)
    lines = await desk.change_lines(tx, change_id, cursor=after, limit=limit)
    return Answer(ChangeSight(change, lines))


@post(
    "/api/v1/catalogue/changes/{change_id:uuid}/revert",
    scope=WRITE,
    once=True,
    refusals=(ChangeUnknown, ChangeReverted),
    tags=TAGS,
)
async def revert_change(tx: Tx, change_id: UUID, data: Why) -> Answer[Reverted]:
    """Take an act back: every field gets its old value again, except where it was changed since,
    which ``conflicts`` names."""
    return Answer(await changes.revert(tx, change_id, reason=data.reason))
