"""Payments: what providers said, refunds, disputes, settlement files, and the sandbox's faults."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, refused, shown, with_query
from pinwheel.kernel import queries
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, NotFound
from pinwheel.kernel.events import Recorded
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import orders, payments
from pinwheel.trade.payments import Difference, PaymentLine, SettlementRow

READ, MONEY = "orders:read", "money"
VIEWS = ("failed", "unanswered", "disputed", "refunds_failed", "captured", "authorised")
MOST_ROWS = 200_000


@get("/console/payments", scope=READ)
async def payment_list(
    call: Call, tx: Tx, view: str = "", after: str | None = None
) -> Answer[Page[PaymentLine]]:
    """Payments, the newest first, or those that need a person."""
    view = view if view in VIEWS else ""
    found = await payments.payment_list(tx, view=view or None, cursor=after)
    since = tx.now - dt.timedelta(days=7)
    return await shown(
        call,
        tx,
        found,
        "payments",
        call.say("Payments"),
        "payments",
        view=view,
        views=VIEWS,
        counts=await payments.attention(tx, since=since),
        numbers=await orders.numbers_of(tx, {p.order_id for p in found.items}),
        next_path=with_query("/console/payments", view=view, after=found.next)
        if found.next
        else None,
        first_path=with_query("/console/payments", view=view) if after else None,
        sandbox=_has_sandbox(call),
    )


def _has_sandbox(call: Call) -> bool:
    return "sandbox" in payments.providers_of(call.db)


class PaymentDesk(msgspec.Struct, frozen=True):
    """One payment with what was asked of the provider, and what came of it."""

    payment: payments.Payment
    instructions: list[payments.Instruction]
    disputes: list[payments.Dispute]
    events: list[Recorded]


@get("/console/payments/{payment_id:uuid}", scope=READ)
async def payment_page(call: Call, tx: Tx, payment_id: UUID) -> Answer[PaymentDesk]:
    """One payment."""
    found = await payments.payments_by_id(tx, [payment_id])
    if not found:
        raise NotFound(what="payment")
    payment = found[0]
    facts = await queries.events(tx, kind="payments.", subject_id=payment.order_id, limit=100)
    mine = [e for e in facts.items if e.data.get("payment_id") == str(payment_id)]
    return await shown(
        call,
        tx,
        PaymentDesk(
            payment,
            [i for i in await payments.instructions_of(tx, [payment.order_id])
             if i.payment_id == payment_id],
            [d for d in await payments.disputes_of(tx, [payment.order_id])
             if d.payment_id == payment_id],
            mine[::-1],
        ),
        "payment",
        call.say("One payment"),
        "payments",
        numbers=await orders.numbers_of(tx, [payment.order_id]),
    )  # fmt: skip


class RefundForm(msgspec.Struct):
    refund_id: UUID


@post("/console/payments/{payment_id:uuid}/retry", scope=MONEY)
async def retry_refund(call: Call, db: Database, payment_id: UUID, data: RefundForm) -> See[Any]:
    """Ask again for a refund that the provider refused."""

    async def verb(tx: Tx) -> None:
        found = await payments.payments_by_id(tx, [payment_id])
        of = await payments.instructions_of(tx, [p.order_id for p in found])
        if data.refund_id not in {i.id for i in of if i.payment_id == payment_id}:
            raise NotFound(what="refund")
        refused([await payments.retry_refund(tx, data.refund_id)])

    here = f"/console/payments/{payment_id}"
    return await attempt(call, db, verb, here, call.say("Asked again."))


class Settlement(msgspec.Struct, frozen=True):
    days: list[payments.Settled]
    differences: Page[Difference]


@get("/console/payments/settlement", scope=READ)
async def settlement(call: Call, tx: Tx, after: str | None = None) -> Answer[Settlement]:
    """The provider's files against the books, and where they differ."""
    found = Settlement(
        await payments.settled_days(tx), await payments.differences(tx, cursor=after)
    )
    path = "/console/payments/settlement"
    return await shown(
        call,
        tx,
        found,
        "settlement",
        call.say("Settlement"),
        "payments",
        providers=sorted(payments.providers_of(call.db).keys() - payments.IN_HOUSE),
        next_path=with_query(path, after=found.differences.next)
        if found.differences.next
        else None,
        first_path=path if after else None,
    )


class Upload(msgspec.Struct):
    """A provider's settlement file: CSV with ``ref, kind, payment, amount_minor, fee_minor,
    currency, at``, one row for each movement. Without a file the provider is asked for it."""

    provider: Annotated[str, Meta(min_length=1, max_length=40)]
    day: dt.date
    file: Any = None


@post("/console/payments/settlement", scope=MONEY, body_bytes=30_000_000)
async def reconcile(call: Call, db: Database, data: Upload) -> See[Any]:
    """Compare a day's file with the books. Safe to repeat: a row counts once."""
    provider = payments.providers_of(db).get(data.provider)
    if provider is None:
        raise Invalid("provider", "there is no such provider", "没有该支付渠道")
    raw = await data.file.read() if hasattr(data.file, "read") else b""
    rows: list[SettlementRow] = []

    async def verb(tx: Tx) -> payments.Reconciliation:
        wanted = rows_of(raw) if raw else rows
        return await payments.reconcile(tx, data.provider, data.day, wanted)

    if not raw:
        rows += await provider.settlement_rows(data.day)

    def message(done: payments.Reconciliation) -> str:
        text = call.say("%(matched)s payments agree, %(n)s differences.")
        return text % {"matched": done.matched, "n": len(done.differences)}

    return await attempt(call, db, verb, "/console/payments/settlement", message)


def rows_of(raw: bytes) -> list[SettlementRow]:
    """The rows of an uploaded file; refuses one that can't be read, with its line."""
    try:
        lines = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Invalid("file", "this is not a CSV file in UTF-8", "不是 UTF-8 编码的 CSV") from error
    if len(lines) > MOST_ROWS:
        raise Invalid("file", f"at most {MOST_ROWS} rows", f"最多 {MOST_ROWS} 行")
    rows = []
    for number, line in enumerate(lines, 2):
        fields = {k: v for k, v in line.items() if k and v not in (None, "")}
        fields["payment_id"] = fields.pop("payment", fields.get("payment_id"))
        try:
            rows.append(msgspec.convert(fields, SettlementRow, strict=False))
        except msgspec.ValidationError as error:
            raise Invalid(
                f"file, line {number}", str(error), f"第 {number} 行无法识别：{error}"
            ) from error
    return rows


@get("/console/sandbox", scope=MONEY)
async def faults_page(call: Call, tx: Tx) -> Answer[payments.sandbox.Faults]:
    """What goes wrong between the simulated provider and the shop."""
    if not _has_sandbox(call):
        raise NotFound(what="sandbox")
    found = await payments.sandbox.faults(tx.connection)
    return await shown(
        call,
        tx,
        found,
        "sandbox",
        call.say("Sandbox faults"),
        "payments",
        tokens=payments.sandbox.TOKENS,
    )


class FaultForm(msgspec.Struct):
    """Rates in per cent."""

    tells_all: bool = False
    is_down: bool = False
    loses_answers: Annotated[float, Meta(ge=0, le=100)] = 0
    drops: Annotated[float, Meta(ge=0, le=100)] = 0
    delays: Annotated[float, Meta(ge=0, le=100)] = 0
    delay_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 60
    duplicates: Annotated[float, Meta(ge=0, le=100)] = 0
    reorders: Annotated[float, Meta(ge=0, le=100)] = 0
    tampers: Annotated[float, Meta(ge=0, le=100)] = 0


@post("/console/sandbox", scope=MONEY)
async def set_faults(call: Call, db: Database, data: FaultForm) -> See[Any]:
    """Break the simulated provider, or mend it. Real providers are never touched."""

    async def verb(tx: Tx) -> None:
        if not _has_sandbox(call):
            raise NotFound(what="sandbox")
        before = await payments.sandbox.faults(tx.connection)
        rates = ("loses_answers", "drops", "delays", "duplicates", "reorders", "tampers")
        given = {name: getattr(data, name) / 100 for name in rates}
        faults = payments.sandbox.Faults(
            tells_all=data.tells_all,
            is_down=data.is_down,
            delay_seconds=data.delay_seconds,
            seed=before.seed,
            **given,
        )
        await payments.sandbox.set_faults(db.pool, faults)

    return await attempt(call, db, verb, "/console/sandbox", call.say("Saved."))
