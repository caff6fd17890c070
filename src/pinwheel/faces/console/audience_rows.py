"""The segment builder's rows: from a form without a script to a rule and back. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from babel.numbers import get_currency_precision

from pinwheel.faces.console.money import minor_of
from pinwheel.insight.audience import RuleUnclear

NUMBERS = ("orders", "cancelled_orders", "pieces", "returned_pieces")
MONEY = ("net_minor", "average_minor")
WITHIN = {"orders_within": "orders", "net_within": "net_minor"}
SINCE = ("last_order", "first_order")
PLACES = ("country", "region", "channel")
CHOICES = ("tier", "prefers", "rfm", "ltv", "segment")
LISTED = (*PLACES, *CHOICES)
MOST_ROWS = 12


class Row(msgspec.Struct):
    """One line of the builder, as text. ``op`` of a listed fact is "=" (is) or "!=" (is not)."""

    what: str = ""
    op: str = ">="
    value: str = ""
    days: str = ""
    market: str = ""


def rows_of(
    what: Sequence[str],
    op: Sequence[str],
    value: Sequence[str],
    days: Sequence[str],
    market: Sequence[str],
) -> list[Row]:
    """The form's columns as rows; lines without a fact are left out."""
    found = []
    for n, fact in enumerate(what[:MOST_ROWS]):
        cells = [
            column[n].strip() if n < len(column) else "" for column in (op, value, days, market)
        ]
        if fact:
            found.append(Row(fact, *cells))
    return found


def rule_of(
    rows: Sequence[Row], join: str, currencies: Mapping[str, str], slugs: Mapping[str, uuid.UUID]
) -> dict[str, Any]:
    """The rule the rows make. ``slugs``: categories by slug. Refuses ``RuleUnclear`` with the
    row."""
    if not rows:
        raise RuleUnclear("1", "choose at least one condition", "请至少选择一个条件")
    made = [_condition(row, str(n), currencies, slugs) for n, row in enumerate(rows, 1)]
    return made[0] if len(made) == 1 else {"if": join, "of": made}


def _condition(
    row: Row, where: str, currencies: Mapping[str, str], slugs: Mapping[str, uuid.UUID]
) -> dict[str, Any]:
    if row.what in LISTED:
        asked = _listed(row, where, slugs)
        return {"if": "not", "of": asked} if row.op in ("!=", "<", ">") else asked
    made: dict[str, Any] = {"op": row.op}
    if row.what in SINCE:
        span = _whole(row.days or row.value, where)
        return made | {"if": "since", "fact": row.what, "days": span}
    if row.what == "did":
        return {"if": "did", "event": row.value, "days": _whole(row.days, where)}
    if row.what in MONEY or row.what == "net_within":
        made |= {"value": _minor(row, where, currencies), "market": row.market}
    else:
        made["value"] = _whole(row.value, where)
    if row.what in WITHIN:
        made |= {"if": "within", "fact": WITHIN[row.what], "days": _whole(row.days, where)}
        return made | ({"market": row.market} if row.market else {})
    return made | {"if": "money" if row.what in MONEY else "number", "fact": row.what}


def _listed(row: Row, where: str, slugs: Mapping[str, uuid.UUID]) -> dict[str, Any]:
    chosen = [part.strip() for part in row.value.replace("，", ",").split(",") if part.strip()]
    if not chosen:
        raise RuleUnclear(where, "say which", "请填写取值")
    if row.what in PLACES:
        return {"if": "place", "fact": row.what, "any_of": chosen}
    if row.what == "tier":
        return {"if": "tier", "any_of": [_whole(one, where) for one in chosen]}
    if row.what in ("rfm", "ltv"):
        names = "names" if row.what == "rfm" else "bands"
        return {"if": row.what, "market": row.market, names: chosen}
    if row.what == "segment":
        return {"if": "segment", "id": chosen[0]}
    if chosen[0] not in slugs:
        raise RuleUnclear(where, f"there is no category {chosen[0]}", f"不存在品类 {chosen[0]}")
    prefers: dict[str, Any] = {"if": "prefers", "category": str(slugs[chosen[0]])}
    return prefers | ({"market": row.market} if row.market else {})


def _whole(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise RuleUnclear(where, "a whole number is needed", "需要整数") from error


def _minor(row: Row, where: str, currencies: Mapping[str, str]) -> int:
    if row.market not in currencies:
        raise RuleUnclear(where, "choose a market for an amount", "金额须选择市场")
    return minor_of(row.value, currencies[row.market], where)


def as_rows(
    rule: Mapping[str, Any], currencies: Mapping[str, str], slugs: Mapping[str, uuid.UUID]
) -> tuple[list[Row], str] | None:
    """The rows a rule is shown by, with how they are joined; None when rows can't say it."""
    join = rule.get("if", "")
    parts = rule["of"] if join in ("all", "any") else [rule]
    names = {str(one): slug for slug, one in slugs.items()}
    rows = [_row(part, currencies, names) for part in parts]
    if any(row is None for row in rows) or len(rows) > MOST_ROWS:
        return None
    return [row for row in rows if row is not None], join if join in ("all", "any") else "all"


def _row(
    part: Mapping[str, Any], currencies: Mapping[str, str], names: Mapping[str, str]
) -> Row | None:
    kind, op = part.get("if"), part.get("op", "=")
    market, days = part.get("market") or "", str(part.get("days", ""))
    if kind == "not":
        inner = _row(part["of"], currencies, names)
        if inner is None or inner.what not in LISTED or inner.op == "!=":
            return None
        inner.op = "!="
        return inner
    if kind == "number":
        return Row(part["fact"], op, str(part["value"]))
    if kind == "since":
        return Row(part["fact"], op, "", days)
    if kind in ("money", "within"):
        value = str(part["value"])
        if part["fact"] != "orders":
            digits = get_currency_precision(currencies.get(market, "USD"))
            value = f"{Decimal(part['value']).scaleb(-digits):f}"
        within = {v: k for k, v in WITHIN.items()}
        what = within[part["fact"]] if kind == "within" else part["fact"]
        return Row(what, op, value, days, market)
    if kind == "place" and part["fact"] in PLACES:
        return Row(part["fact"], "=", ", ".join(part["any_of"]))
    if kind == "tier":
        return Row("tier", "=", ", ".join(map(str, part["any_of"])))
    if kind == "ltv":
        return Row("ltv", "=", ", ".join(part["bands"]), "", market)
    if kind == "rfm" and not (part.get("r") or part.get("f") or part.get("m")):
        return Row("rfm", "=", ", ".join(part["names"]), "", market)
    if kind == "segment":
        return Row("segment", "=", part["id"])
    if kind == "did" and (op, part.get("value", 1)) in ((">=", 1), ("=", 1)) and "op" not in part:
        return Row("did", ">=", part["event"], days)
    if kind == "prefers" and part["category"] in names and "share_basis_points" not in part:
        return Row("prefers", "=", names[part["category"]], "", market)
    return None
