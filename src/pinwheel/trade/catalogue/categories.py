"""Verbs over categories and their attributes: opening a category needs data, not a release."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.catalogue.model import SLUG, CategoriesChanged, Category, CategoryDraft
from pinwheel.trade.catalogue.refusals import (
    AttributeInUse,
    AttributeUnsound,
    CategoryCycle,
    CategoryElsewhere,
    CategoryMoveLoses,
    CategoryUnknown,
    CategoryUnsound,
)
from pinwheel.trade.catalogue.schema import Attribute
from pinwheel.trade.catalogue.writing import CATALOGUE_LOCK

_CODE_RULE = "its code is small letters, digits and _, and begins with a letter"


async def save_categories(tx: Tx, drafts: Sequence[CategoryDraft]) -> list[Category | Refusal]:
    """Open each category or rename the one with its slug; a parent may come earlier in the list.

    Refuses ``CategoryUnsound``, ``CategoryUnknown`` (its parent) and ``CategoryElsewhere``. 3
    statements."""
    if not drafts:
        return []
    known = {c.slug: c for c in await _all_locked(tx)}
    answers: list[Category | Refusal] = []
    changed: dict[uuid.UUID, Category] = {}
    for draft in drafts:
        old, parent = known.get(draft.slug), known.get(draft.parent)
        refusal = _unsound(draft, old, parent)
        if refusal is not None:
            answers.append(refusal)
            continue
        made_id = old.id if old else tx.new_id()
        path = [*(parent.path if parent else []), made_id]
        parent_id = parent.id if parent else None
        made = Category(made_id, parent_id, draft.slug, draft.name, path, draft.position)
        if made != old:
            known[draft.slug] = changed[made_id] = made
        answers.append(made)
    await _write(tx, list(changed.values()))
    return answers


def _unsound(draft: CategoryDraft, old: Category | None, parent: Category | None) -> Refusal | None:
    if not SLUG.fullmatch(draft.slug) or len(draft.slug) > 80:
        why, why_zh = "use small letters, digits and hyphens", "只能使用小写字母、数字和连字符"
        return CategoryUnsound(category=draft.slug, why=why, why_zh=why_zh)
    if not any(text.strip() for text in draft.name.values()):
        return CategoryUnsound(category=draft.slug, why="it has no name", why_zh="没有名称")
    if draft.parent and parent is None:
        return CategoryUnknown(category=draft.parent)
    if old is not None and old.parent_id != (parent.id if parent else None):
        return CategoryElsewhere(category=draft.slug)
    return None


async def move_category(tx: Tx, slug: str, parent: str) -> Category:
    """Put a category with everything below it under ``parent`` ('': the top).

    Refuses ``CategoryUnknown``, ``CategoryCycle``, and ``CategoryMoveLoses`` when products would
    hold values of attributes that no longer hold for them. 4 statements."""
    everything = await _all_locked(tx)
    known = {c.slug: c for c in everything}
    if slug not in known or (parent and parent not in known):
        raise CategoryUnknown(category=parent if slug in known else slug)
    moved, above = known[slug], known.get(parent)
    if above is not None and moved.id in above.path:
        raise CategoryCycle(category=slug)
    before = len(moved.path) - 1
    start = above.path if above else []
    changed = [
        msgspec.structs.replace(
            c,
            path=[*start, *c.path[before:]],
            parent_id=c.parent_id if c is not moved else (above.id if above else None),
        )
        for c in everything
        if moved.id in c.path
    ]
    async with tx.savepoint():
        await _write(tx, changed)
        lost = await tx.value(
            """
            select count(*) from catalogue.product p
             where p.category_id = any($1::uuid[]) and exists (
               select from jsonb_object_keys(p.attributes) as k(code)
                where not exists (select from catalogue.v_attribute a
                                   where a.category_id = p.category_id and a.code = k.code))
            """,
            [c.id for c in changed],
        )
        if lost:
            raise CategoryMoveLoses(count=lost)
    return next(c for c in changed if c.id == moved.id)


async def _all_locked(tx: Tx) -> list[Category]:
    """Every category: some thousands at the most, so that a tree is judged in memory."""
    await tx.run("select pg_advisory_xact_lock($1)", CATALOGUE_LOCK)
    return await tx.rows(
        Category,
        "select id, parent_id, slug, name, path, position from catalogue.category order by slug",
    )


async def _write(tx: Tx, changed: Sequence[Category]) -> None:
    if not changed:
        return
    await tx.run(
        """
        insert into catalogue.category (id, parent_id, slug, name, path, position, created_at,
          updated_at)
        select r.*, $2, $2
          from jsonb_to_recordset($1::jsonb) as r(id uuid, parent_id uuid, slug text, name jsonb,
               path uuid[], position int)
        on conflict (id) do update
           set parent_id = excluded.parent_id, name = excluded.name, path = excluded.path,
               position = excluded.position, updated_at = excluded.updated_at
        """,
        changed,
        tx.now,
    )
    tx.emit(CategoriesChanged(category_ids=tuple(c.id for c in changed)))


class _Kin(msgspec.Struct, frozen=True):
    """An attribute of one code in a category above or below, or the same one as it was."""

    asked: int
    category_id: uuid.UUID
    kind: str
    unit: str
    many: bool
    choices: list[str]
    used: int


async def save_attributes(tx: Tx, attributes: Sequence[Attribute]) -> list[Attribute | Refusal]:
    """Give each category its attribute, or change the one it has.

    Refuses ``CategoryUnknown``, ``AttributeUnsound`` (also: another kind or unit than the same code
    has above or below), and ``AttributeInUse`` when products hold values that a changed kind, unit
    or a dropped choice would break. 3 statements."""
    if not attributes:
        return []
    known = {c.id: c for c in await _all_locked(tx)}
    kin: dict[int, list[_Kin]] = {}
    for row in await _kin(tx, attributes):
        kin.setdefault(row.asked, []).append(row)
    answers: list[Attribute | Refusal] = []
    for position, attribute in enumerate(attributes, 1):
        if attribute.category_id not in known:
            answers.append(CategoryUnknown(category=attribute.category_id))
        else:
            answers.append(
                _flawed(attribute) or _unkind(attribute, kin.get(position, [])) or attribute
            )
    sound = {(a.category_id, a.code): a for a in answers if isinstance(a, Attribute)}
    if sound:
        await _write_attributes(tx, list(sound.values()))
    return answers


async def _kin(tx: Tx, attributes: Sequence[Attribute]) -> list[_Kin]:
    return await tx.rows(
        _Kin,
        """
        select w.asked, a.category_id, a.kind, a.unit, a.many,
               array(select c ->> 'code' from jsonb_array_elements(a.choices) as c) as choices,
               case when a.category_id = w.category_id then (
                 select count(*) from catalogue.product p
                  join catalogue.category pc on pc.id = p.category_id
                 where a.category_id = any (pc.path) and p.attributes ? a.code) else 0 end as used
          from unnest($1::uuid[], $2::text[]) with ordinality as w(category_id, code, asked)
          join catalogue.category c on c.id = w.category_id
          join catalogue.attribute a on a.code = w.code
          join catalogue.category ac on ac.id = a.category_id
         where a.category_id = any (c.path) or c.id = any (ac.path)
        """,
        [a.category_id for a in attributes],
        [a.code for a in attributes],
    )


def _flawed(attribute: Attribute) -> AttributeUnsound | None:
    code = attribute.code
    if not (code[:1].isalpha() and code.isascii() and code == code.lower() and len(code) <= 63) or (
        not code.replace("_", "").isalnum()
    ):
        zh = "编码须以小写字母开头，只含小写字母、数字和下划线"
        return AttributeUnsound(attribute=code, why=_CODE_RULE, why_zh=zh)
    if not any(attribute.label.values()):
        return AttributeUnsound(attribute=code, why="it has no label", why_zh="没有名称")
    codes = [choice.code for choice in attribute.choices]
    if (attribute.kind == "choice") != bool(codes) or len(set(codes)) < len(codes):
        why = "a choice has choices with different codes, and nothing else has"
        return AttributeUnsound(
            attribute=code, why=why, why_zh="只有选项类型需要且必须有互不相同的选项"
        )
    if attribute.kind != "number" and (attribute.unit, attribute.minimum, attribute.maximum) != (
        "",
        None,
        None,
    ):
        why = "only a number has a unit and bounds"
        return AttributeUnsound(attribute=code, why=why, why_zh="只有数字类型可以有单位和范围")
    return None


def _unkind(attribute: Attribute, kin: Sequence[_Kin]) -> Refusal | None:
    for other in kin:
        same = (other.kind, other.unit, other.many) == (
            attribute.kind,
            attribute.unit,
            attribute.many,
        )
        if other.category_id != attribute.category_id and not same:
            why = f"a category above or below has it as {other.kind} {other.unit}".rstrip()
            zh = f"上级或下级类目中该属性的类型为 {other.kind} {other.unit}".rstrip()
            return AttributeUnsound(attribute=attribute.code, why=why, why_zh=zh)
        dropped = set(other.choices) - {choice.code for choice in attribute.choices}
        if other.category_id == attribute.category_id and other.used and (not same or dropped):
            return AttributeInUse(attribute=attribute.code, count=other.used)
    return None


async def _write_attributes(tx: Tx, attributes: Sequence[Attribute]) -> None:
    await tx.run(
        """
        insert into catalogue.attribute (category_id, code, label, kind, unit, choices, minimum,
          maximum, many, required, facet, searchable, position)
        select r.*
          from jsonb_to_recordset($1::jsonb) as r(category_id uuid, code text, label jsonb,
               kind text, unit text, choices jsonb, minimum double precision,
               maximum double precision, many boolean, required boolean, facet boolean,
               searchable boolean, position int)
        on conflict (category_id, code) do update
           set label = excluded.label, kind = excluded.kind, unit = excluded.unit,
               choices = excluded.choices, minimum = excluded.minimum, maximum = excluded.maximum,
               many = excluded.many, required = excluded.required, facet = excluded.facet,
               searchable = excluded.searchable, position = excluded.position
        """,
        attributes,
    )
    tx.emit(CategoriesChanged(category_ids=tuple(sorted({a.category_id for a in attributes}))))


async def remove_attribute(tx: Tx, category_id: uuid.UUID, code: str) -> None:
    """Take an attribute from a category. Refuses ``AttributeInUse`` while products hold it and no
    category above or below defines it for them. 3 statements."""
    await tx.run("select pg_advisory_xact_lock($1)", CATALOGUE_LOCK)
    async with tx.savepoint():
        await tx.run(
            "delete from catalogue.attribute where category_id = $1 and code = $2",
            category_id,
            code,
        )
        used = await tx.value(
            """
            select count(*) from catalogue.product p
              join catalogue.category c on c.id = p.category_id
             where $1 = any (c.path) and p.attributes ? $2
               and not exists (select from catalogue.v_attribute a
                                where a.category_id = c.id and a.code = $2)
            """,
            category_id,
            code,
        )
        if used:
            raise AttributeInUse(attribute=code, count=used)
        tx.emit(CategoriesChanged(category_ids=(category_id,)))
