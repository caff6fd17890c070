"""Which column is what: published layouts name the same thing differently from version to
version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pinwheel.trade.imports.model import ColumnsMissing, MappingUnsound, Note


class Field(msgspec.Struct, frozen=True):
    """What a source can use. ``aliases``: the names it goes by, compared without case, blanks and
    signs."""

    name: str
    aliases: tuple[str, ...] = ()
    required: bool = False


def normal(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def matches(
    columns: Iterable[str], fields: Sequence[Field], mapping: Mapping[str, str] | None = None
) -> bool:
    """Do ``columns`` hold everything ``fields`` require? Tells the files of a set apart."""
    there = {normal(c) for c in columns}
    mapped = mapping or {}
    return all(
        any(normal(a) in there for a in (mapped.get(f.name, f.name), *f.aliases))
        for f in fields
        if f.required
    )


def recognise(
    file: str, columns: Sequence[str], fields: Sequence[Field], mapping: Mapping[str, str]
) -> dict[str, str]:
    """Field → column. The mapping goes first. Refuses ``MappingUnsound`` and ``ColumnsMissing``,
    which names what is missing and what is there."""
    by_normal: dict[str, str] = {}
    for column in columns:
        by_normal.setdefault(normal(column), column)
    taken: dict[str, str] = {}
    names = {f.name for f in fields}
    for field, column in mapping.items():
        if field not in names:
            known = ", ".join(sorted(names))
            raise MappingUnsound(
                field=field,
                column=column,
                why=f"the fields are {known}",
                why_zh=f"可用字段：{known}",
            )
        actual = column if column in columns else by_normal.get(normal(column))
        if actual is None:
            there = _listed(columns)
            raise MappingUnsound(
                field=field,
                column=column,
                why=f"{file} has {there}",
                why_zh=f"{file} 的列为：{there}",
            )
        taken[field] = actual
    used = set(taken.values())
    for one in fields:
        for alias in (one.name, *one.aliases):
            column_there = by_normal.get(normal(alias))
            if one.name not in taken and column_there is not None and column_there not in used:
                taken[one.name] = column_there
                used.add(column_there)
    missing = [f.name for f in fields if f.required and f.name not in taken]
    if missing:
        raise ColumnsMissing(
            file=file, missing=", ".join(missing), found=_listed(columns), field=missing[0]
        )
    return taken


def told(file: str, taken: Mapping[str, str], columns: Sequence[str]) -> Note:
    """What was taken for what, and what was left."""
    pairs = ", ".join(f"{field} = {column}" for field, column in taken.items())
    left = [c for c in columns if c not in set(taken.values())]
    en = f"{file}: columns taken: {pairs}."
    zh = f"{file}：已识别的列：{pairs}。"
    if left:
        en += f" Not used: {_listed(left)}."
        zh += f"未使用：{_listed(left)}。"
    return Note(en, zh)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(c[:40] for c in columns[:30]) + (" …" if len(columns) > 30 else "")
