"""The sandbox's settlement file: one CSV a day with what moved, its fees, and what was paid out."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid

import asyncpg

from pinwheel.trade.payments.model import SettlementRow

FEE_BASIS_POINTS = 60
DISPUTE_FEE_MINOR = 1500
COLUMNS = ("ref", "kind", "payment", "amount_minor", "fee_minor", "currency", "at")


async def settlement_file(connection: asyncpg.Connection, day: dt.date) -> str:
    """The CSV of ``day`` (UTC): each movement with its fee, then one payout per currency of all
    that is left."""
    rows = await connection.fetch(
        """
        select 'cap_' || c.key as ref, 'capture' as kind, c.key as payment,
               c.amount_minor, c.currency, c.captured_at as at
          from sandbox.charge c
         where c.captured_at >= $1 and c.captured_at < $2
        union all
        select 'op_' || o.key, o.kind, o.charge_key, o.amount_minor, c.currency, o.at
          from sandbox.operation o join sandbox.charge c on c.key = o.charge_key
         where o.at >= $1 and o.at < $2 and o.state = 'done' and o.kind <> 'dispute_lost'
         order by 6, 1
        """,
        dt.datetime.combine(day, dt.time(), dt.UTC),
        dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC),
    )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    net: dict[str, int] = {}
    for row in rows:
        fee = _fee(row["kind"], row["amount_minor"])
        sign = 1 if row["kind"] in ("capture", "dispute_won") else -1
        net[row["currency"]] = net.get(row["currency"], 0) + sign * row["amount_minor"] - fee
        moved = (row["ref"], row["kind"], row["payment"], row["amount_minor"], fee)
        writer.writerow((*moved, row["currency"], row["at"].isoformat()))
    midnight = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC)
    for currency, amount in sorted(net.items()):
        ref = f"po_{day.isoformat()}_{currency}"
        writer.writerow((ref, "payout", "", amount, 0, currency, midnight.isoformat()))
    return out.getvalue()


def _fee(kind: str, amount: int) -> int:
    if kind == "capture":
        return (amount * FEE_BASIS_POINTS + 5000) // 10_000
    return DISPUTE_FEE_MINOR if kind == "dispute" else 0


def parse(text: str) -> list[SettlementRow]:
    """The rows of a file as ``settlement_file`` writes it."""
    return [
        SettlementRow(
            ref=row["ref"],
            kind=row["kind"],
            payment_id=uuid.UUID(row["payment"]) if row["payment"] else None,
            amount_minor=int(row["amount_minor"]),
            fee_minor=int(row["fee_minor"]),
            currency=row["currency"],
            at=dt.datetime.fromisoformat(row["at"]),
        )
        for row in csv.DictReader(io.StringIO(text))
    ]
