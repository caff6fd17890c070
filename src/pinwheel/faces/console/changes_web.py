"""Bulk edits: seen before they are made, kept as one act, taken back with one press."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.catalogue_web import become
from pinwheel.faces.console.frame import attempt, names_of, shown, with_query
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import catalogue
from pinwheel.trade.catalogue import BulkEdit, ChangeLine, ChangeSet, Status

READ, WRITE = "catalogue:read", "catalogue:write"
FIELDS = (
    *("brand", "category_id", "title.en", "title.zh-CN", "description.en", "description.zh-CN"),
    *("tax_class", "weight_grams", "attributes", "state"),
)
PREVIEWED = 30
STATES: tuple[Status, ...] = ("published", "draft", "archived")


class BulkForm(msgspec.Struct):
    """Which products (chosen ones, or all of a category and state), which field, which value.
    ``attribute``: the code when ``field`` is attributes. ``do`` is preview or apply."""

    product: Annotated[list[UUID], Meta(max_length=50_000)] = []
    whole: bool = False
    category: UUID | None = None
    status: str = ""
    field: str = ""
    attribute: Annotated[str, Meta(max_length=63)] = ""
    value: Annotated[str, Meta(max_length=20_000)] = ""
    reason: Annotated[str, Meta(max_length=200)] = ""
    do: str = "choose"
    back: str = "/console/catalogue"


class BulkDesk(msgspec.Struct, frozen=True):
    """What a bulk edit would do: the first lines of it, how many it leaves alone, and whom it
    refuses with why."""

    products: int
    changed: int
    unchanged: int
    lines: list[ChangeLine]
    refused: list[tuple[UUID, str]]


class _NotNow(Exception):
    """Ends a transaction that was only to show what it would do."""

    def __init__(self, desk: BulkDesk) -> None:
        self.desk = desk


@post("/console/catalogue/bulk", scope=WRITE, body_bytes=4_000_000)
async def bulk(call: Call, db: Database, data: BulkForm) -> Any:
    """Choose a change, see what it would do, then do it as one act."""
    async with db.reading(actor=call.caller.actor) as tx:
        ids = await _chosen(tx, data)
    if not ids:
        raise Invalid("product", "choose at least one product", "请至少选择一个商品")
    if data.do == "apply":
        return await _apply(call, db, ids, data)
    desk, error = BulkDesk(len(ids), 0, 0, [], []), None
    if data.do == "preview":
        try:
            desk = await _tried(call, db, ids, data)
        except Refusal as refusal:
            if not call.wants_page:
                raise
            error = refusal.sentence(call.language)
    async with db.reading(actor=call.caller.actor) as tx:
        return await shown(
            call,
            tx,
            desk,
            "bulk",
            call.say("Change several products"),
            "catalogue",
            asked=data,
            ids=ids if not data.whole else [],
            fields=FIELDS,
            states=STATES,
            categories_all=await catalogue.categories(tx),
            error=error,
            seen=data.do == "preview" and error is None,
        )


async def _chosen(tx: Tx, data: BulkForm) -> list[UUID]:
    if not data.whole:
        return list(dict.fromkeys(data.product))
    status = next((s for s in STATES if s == data.status), None)
    return await catalogue.product_ids(tx, category_id=data.category, status=status)


def edit_of(ids: list[UUID], data: BulkForm) -> BulkEdit:
    """The edit that the form asks for; an empty value takes an attribute away."""
    if data.field not in FIELDS:
        raise Invalid("field", "choose a field", "请选择字段")
    field, value = data.field, data.value.strip()
    wanted: Any = value
    if field == "attributes":
        if not data.attribute:
            raise Invalid("attribute", "give the attribute's code", "请填写属性编码")
        field = f"attributes.{data.attribute}"
        parts = [p.strip() for p in value.split("|") if p.strip()]
        wanted = (parts if len(parts) > 1 else value) or None
    elif field == "weight_grams":
        if value and not value.isdigit():
            raise Invalid("value", "give whole grams", "请填写整数克")
        wanted = int(value) if value else None
    elif field == "category_id":
        wanted = value or None
    return BulkEdit(product_ids=ids, set={field: wanted}, reason=data.reason)


async def _do(tx: Tx, ids: list[UUID], data: BulkForm) -> catalogue.Edited:
    if data.field != "state":
        return await catalogue.edit_many(tx, edit_of(ids, data))
    answers = await become(tx, ids, data.value, None)
    refused = [(i, a) for i, a in zip(ids, answers, strict=True) if isinstance(a, Refusal)]
    changed = [a.product_id for a in answers if isinstance(a, catalogue.Saved) and a.fresh]
    latest = (await catalogue.change_sets(tx, limit=1)).items
    change_id = latest[0].id if changed and latest else None
    return catalogue.Edited(change_id, changed, len(ids) - len(changed) - len(refused), refused)


async def _tried(call: Call, db: Database, ids: list[UUID], data: BulkForm) -> BulkDesk:
    """Do it in a transaction that is then given up."""

    async def verb(tx: Tx) -> None:
        done = await _do(tx, ids, data)
        lines = (
            (await catalogue.change_lines(tx, done.change_id, limit=PREVIEWED)).items
            if done.change_id
            else []
        )
        refused = [(i, r.sentence(call.language)) for i, r in done.refused[:PREVIEWED]]
        raise _NotNow(BulkDesk(len(ids), len(done.changed), done.unchanged, lines, refused))

    try:
        await db.attempt(verb, actor=call.caller.actor)
    except _NotNow as seen:
        return seen.desk
    raise AssertionError


async def _apply(call: Call, db: Database, ids: list[UUID], data: BulkForm) -> See[Any]:
    async def verb(tx: Tx) -> catalogue.Edited:
        return await _do(tx, ids, data)

    def message(done: catalogue.Edited) -> str:
        text = call.say("%(n)s products changed, %(same)s unchanged, %(refused)s refused.")
        facts = {"n": len(done.changed), "same": done.unchanged, "refused": len(done.refused)}
        return text % facts

    def ahead(done: catalogue.Edited) -> str:
        return f"/console/changes/{done.change_id}" if done.change_id else data.back

    return await attempt(call, db, verb, data.back, message, ahead=ahead)


@get("/console/changes", scope=READ)
async def change_list(call: Call, tx: Tx, after: str | None = None) -> Answer[Page[ChangeSet]]:
    """Every change to the catalogue, the latest first."""
    found = await catalogue.change_sets(tx, cursor=after)
    return await shown(
        call,
        tx,
        found,
        "changes",
        call.say("Changes"),
        "catalogue",
        names=await names_of(tx, [c.actor for c in found.items]),
        next_path=with_query("/console/changes", after=found.next) if found.next else None,
        first_path="/console/changes" if after else None,
    )


class ChangeDesk(msgspec.Struct, frozen=True):
    change: ChangeSet
    lines: Page[ChangeLine]


@get("/console/changes/{change_id:uuid}", scope=READ)
async def change_page(
    call: Call, tx: Tx, change_id: UUID, after: str | None = None
) -> Answer[ChangeDesk]:
    """One act: field by field, before and after."""
    desk = ChangeDesk(
        await catalogue.change_set(tx, change_id),
        await catalogue.change_lines(tx, change_id, cursor=after),
    )
    path = f"/console/changes/{change_id}"
    return await shown(
        call,
        tx,
        desk,
        "change",
        call.say("One change"),
        "catalogue",
        names=await names_of(tx, [desk.change.actor]),
        next_path=with_query(path, after=desk.lines.next) if desk.lines.next else None,
        first_path=path if after else None,
    )


@post("/console/changes/{change_id:uuid}/revert", scope=WRITE)
async def revert(call: Call, db: Database, change_id: UUID) -> See[Any]:
    """Take an act back: every field gets its old value, except where it was changed since."""

    async def verb(tx: Tx) -> catalogue.Reverted:
        return await catalogue.revert(tx, change_id, reason="console")

    def message(done: catalogue.Reverted) -> str:
        text = call.say("%(n)s products are as they were; %(left)s fields were left alone.")
        return text % {"n": len(done.reverted), "left": len(done.conflicts)}

    def ahead(done: catalogue.Reverted) -> str:
        return f"/console/changes/{done.change_id or change_id}"

    here = f"/console/changes/{change_id}"
    return await attempt(call, db, verb, here, message, ahead=ahead)
