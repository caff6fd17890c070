"""The ledger of marketing spend, by program or file: each day of a channel's campaign once."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.growth.measurement.model import (
    DOCUMENT,
    MOST_ROWS,
    OLDEST_DAYS,
    NewSpend,
    Recorded,
    Source,
    SpendRecorded,
    SpendUnclear,
    owed_for_marketing,
    spent_on,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal

COLUMNS = ("channel", "campaign", "day", "amount", "currency")
MOST_SAID = 8
Fault = tuple[int, str, str]  # the row, what is wrong, in English and in Chinese


class _Kept(msgspec.Struct, frozen=True):
    id: uuid.UUID
    channel: str
    campaign: str
    day: dt.date
    currency: str
    amount_minor: int
    version: int


async def record_spend(tx: Tx, rows: Sequence[NewSpend], source: Source = "api") -> Recorded:
    """Take what was spent: all rows or none. A (channel, campaign, day) that is there already is
    corrected: the difference is posted. 6 statements, whatever the length.

    Refuses ``SpendUnclear`` with the rows and what is wrong with each: a day to come or in a closed
    period, another currency than before, the same day twice."""
    faults = _faults(rows, tx.now.date())
    if faults:
        raise refusal_of(faults)
    kept = await _locked(tx, rows, source)
    changes = []
    for n, row in enumerate(rows, 1):
        before = kept[row.channel, row.campaign, row.day]
        if before.version and before.currency != row.currency:
            faults.append((n, f"was in {before.currency} before", f"此前币种为 {before.currency}"))
        elif before.amount_minor != row.amount_minor or not before.version:
            changes.append((n, row, before))
    if faults:
        raise refusal_of(faults)
    posting = [(n, _journal(row, before)) for n, row, before in changes]
    journals = [(n, journal) for n, journal in posting if journal is not None]
    answers = await ledger.post(tx, [journal for _, journal in journals])
    for (n, _), answer in zip(journals, answers, strict=True):
        if isinstance(answer, Refusal):
            faults.append((n, answer.sentence("en"), answer.sentence("zh-CN")))
    if faults:
        raise refusal_of(faults)
    await _write(tx, [(row, before) for _, row, before in changes], source)
    fresh = sum(1 for _, _, before in changes if not before.version)
    if changes:
        tx.emit(SpendRecorded(rows=len(changes), source=source))
    return Recorded(fresh, len(changes) - fresh, len(rows) - len(changes))


def _faults(rows: Sequence[NewSpend], today: dt.date) -> list[Fault]:
    if not rows or len(rows) > MOST_ROWS:
        return [(0, f"1 to {MOST_ROWS} rows", f"须为 1 至 {MOST_ROWS} 行")]
    faults: list[Fault] = []
    seen: dict[tuple[str, str, dt.date], int] = {}
    for n, row in enumerate(rows, 1):
        key = (row.channel, row.campaign, row.day)
        if row.day > today:
            faults.append((n, f"{row.day} is still to come", f"{row.day} 尚未到来"))
        elif (today - row.day).days > OLDEST_DAYS:
            faults.append((n, f"{row.day} is too long ago", f"{row.day} 过于久远"))
        if key in seen:
            faults.append((n, f"the same day as row {seen[key]}", f"与第 {seen[key]} 行重复"))
        seen.setdefault(key, n)
    return faults


def refusal_of(faults: Sequence[Fault]) -> SpendUnclear:
    said = faults[:MOST_SAID]
    more = len(faults) - len(said)
    en = "; ".join(f"row {n}: {text}" if n else text for n, text, _ in said)
    zh = "；".join(f"第 {n} 行：{text}" if n else text for n, _, text in said)
    return SpendUnclear(
        rows=en + (f"; and {more} more" if more else "") + ".",
        rows_zh=zh + (f"；另有 {more} 处" if more else "") + "。",
    )


async def _locked(
    tx: Tx, rows: Sequence[NewSpend], source: Source
) -> dict[tuple[str, str, dt.date], _Kept]:
    """Each day's row, made where it is not there yet, locked in one order."""
    ordered = sorted(rows, key=lambda r: (r.channel, r.campaign, r.day))
    columns = (
        [r.channel for r in ordered],
        [r.campaign for r in ordered],
        [r.day for r in ordered],
    )
    await tx.run(
        """
        insert into measurement.spend
               (cell, id, channel, campaign, day, currency, source, changed_at, changed_by)
        select $1, s.id, s.channel, s.campaign, s.day, s.currency, $7, $8, $9
          from unnest($2::uuid[], $3::text[], $4::text[], $5::date[], $6::text[])
               as s(id, channel, campaign, day, currency)
        on conflict (cell, channel, campaign, day) do nothing
        """,
        tx.cell,
        [tx.new_id() for _ in ordered],
        *columns,
        [r.currency for r in ordered],
        source,
        tx.now,
        tx.actor,
    )
    found = await tx.rows(
        _Kept,
        """
        select s.id, s.channel, s.campaign, s.day, s.currency, s.amount_minor, s.version
          from measurement.spend s
          join unnest($2::text[], $3::text[], $4::date[]) as k(channel, campaign, day)
            on k.channel = s.channel and k.campaign = s.campaign and k.day = s.day
         where s.cell = $1 order by s.channel, s.campaign, s.day for update of s
        """,
        tx.cell,
        *columns,
    )
    return {(k.channel, k.campaign, k.day): k for k in found}


def _journal(row: NewSpend, before: _Kept) -> Journal | None:
    more = row.amount_minor - before.amount_minor
    if not more:
        return None
    expense, owed = spent_on(row.channel, row.currency), owed_for_marketing(row.currency)
    return Journal(
        document_kind=DOCUMENT,
        document_id=before.id,
        key=f"v{before.version + 1}",
        reason="marketing: spent" if more > 0 else "marketing: corrected",
        transfers=(Transfer(expense, owed, more) if more > 0 else Transfer(owed, expense, -more),),
        posted_at=dt.datetime.combine(row.day, dt.time(), dt.UTC),
    )


async def _write(tx: Tx, changes: Sequence[tuple[NewSpend, _Kept]], source: Source) -> None:
    if changes:
        await tx.run(
            """
            update measurement.spend s
               set amount_minor = c.amount_minor, currency = c.currency, version = s.version + 1,
                   source = $5, changed_at = $6, changed_by = $7
              from unnest($2::uuid[], $3::bigint[], $4::text[]) as c(id, amount_minor, currency)
             where s.cell = $1 and s.id = c.id
            """,
            tx.cell,
            [before.id for _, before in changes],
            [row.amount_minor for row, _ in changes],
            [row.currency for row, _ in changes],
            source,
            tx.now,
            tx.actor,
        )


def read_csv(text: str) -> list[NewSpend]:
    """A file with the columns channel, campaign, day, amount, currency (a header, any order;
    campaign may be missing), amounts as ``12.50``. Refuses ``SpendUnclear`` with every row that
    can't be read."""
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff").strip())))
    if not rows:
        raise refusal_of([(0, "the file is empty", "文件为空")])
    header = [c.strip().lower() for c in rows[0]]
    missing = [c for c in COLUMNS if c not in header and c != "campaign"]
    if missing:
        names = ", ".join(missing)
        raise refusal_of([(0, f"the column {names} is missing", f"缺少列 {names}")])
    if len(rows) > MOST_ROWS + 1:
        raise refusal_of([(0, f"1 to {MOST_ROWS} rows", f"须为 1 至 {MOST_ROWS} 行")])
    found, faults = list[NewSpend](), list[Fault]()
    for n, cells in enumerate(rows[1:], 1):
        if not any(c.strip() for c in cells):
            continue
        by = dict(zip(header, (c.strip() for c in cells), strict=False))
        read = _row_of(by)
        if isinstance(read, NewSpend):
            found.append(read)
        else:
            faults.append((n, *read))
    if faults:
        raise refusal_of(faults)
    return found


def _row_of(by: dict[str, str]) -> NewSpend | tuple[str, str]:
    currency = by.get("currency", "").upper()
    try:
        day = dt.date.fromisoformat(by.get("day", ""))
    except ValueError:
        return "write the day as 2026-01-31", "日期格式应为 2026-01-31"
    try:
        exponent = ledger.money(currency).exponent if currency.isalpha() else 2
        amount = Decimal(by.get("amount", "")).scaleb(exponent)
    except (InvalidOperation, ValueError):
        return "write the amount as 12.50", "金额格式应为 12.50"
    if not amount.is_finite() or amount != amount.to_integral_value() or amount < 0:
        return "the amount is no sum of money", "金额无效"
    row = {
        "channel": by.get("channel", "").lower(),
        "campaign": by.get("campaign", ""),
        "day": day.isoformat(),
        "amount_minor": int(amount),
        "currency": currency,
    }
    try:
        return msgspec.convert(row, NewSpend)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("$.")[2].strip("`") or "row"
        return f"{field} can't be read", f"{field} 无法识别"
