"""The routes of payments for a shop's own programs: what was paid, what failed, and the
providers' settlement files."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, get, post
from pinwheel.trade import pricing
from pinwheel.trade.payments import queries, reconciling
from pinwheel.trade.payments.instructing import retry_refund
from pinwheel.trade.payments.model import IN_HOUSE, Dispute, Instruction, SettlementRow
from pinwheel.trade.payments.port import providers_of
from pinwheel.trade.payments.queries import Difference, PaymentLine, Settled
from pinwheel.trade.payments.reconciling import Reconciliation

READ, MONEY = "orders:read", "money"
TAGS = ("payments",)
FIRST_DAY = dt.date(2000, 1, 1)
Limit = Annotated[int, Meta(ge=1, le=200)]
Cursor = Annotated[str, Meta(max_length=500)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
View = Literal["failed", "unanswered", "disputed", "refunds_failed", "captured", "authorised"]


class PaymentSight(msgspec.Struct, frozen=True, kw_only=True):
    """One tender of one order, without its token. The amounts are the provider's totals so far."""

    id: UUID
    order_id: UUID
    person_id: UUID | None
    provider: str
    currency: str
    amount_minor: int
    authorised_minor: int
    captured_minor: int
    refunded_minor: int
    disputed_minor: int
    state: str
    reason: str
    provider_ref: str
    created_at: dt.datetime
    instructions: list[Instruction]
    disputes: list[Dispute]


class RowInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a provider's settlement file. ``amount_minor`` counts in the direction of its
    kind; ``fee_minor`` is what the provider kept of it. The payment is named by ``payment_id``, or
    by the provider's own ``provider_ref``."""

    ref: Annotated[str, Meta(min_length=1, max_length=200)]
    kind: Literal["capture", "refund", "dispute", "dispute_won", "fee", "payout"]
    payment_id: UUID | None = None
    amount_minor: Annotated[int, Meta(ge=-(10**15), le=10**15)]
    fee_minor: Annotated[int, Meta(ge=-(10**15), le=10**15)] = 0
    currency: Currency
    at: Annotated[dt.datetime, Meta(tz=True)]
    provider_ref: Annotated[str, Meta(max_length=255)] = ""


class SettlementFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One day of one provider. Without rows the provider is asked for them."""

    provider: Annotated[str, Meta(min_length=1, max_length=40)]
    day: dt.date
    rows: Annotated[list[RowInput], Meta(max_length=50_000)] = []


@get("/api/v1/payments", scope=READ, tags=TAGS)
async def list_payments(
    tx: Tx, view: View | None = None, after: Cursor | None = None, limit: Limit = 50
) -> Answer[Page[PaymentLine]]:
    """Payments, the newest first, or those that need a person: ``failed``, ``unanswered``,
    ``disputed``, ``refunds_failed``."""
    return Answer(await queries.payment_list(tx, view=view, cursor=after, limit=limit))


@get("/api/v1/payments/{payment_id:uuid}", scope=READ, tags=TAGS)
async def see_payment(tx: Tx, payment_id: UUID) -> Answer[PaymentSight]:
    """One payment with what was asked of the provider, and its chargebacks."""
    found = await queries.payments_by_id(tx, [payment_id])
    if not found:
        raise NotFound(what="payment")
    payment = found[0]
    instructions = await queries.instructions_of(tx, [payment.order_id])
    disputes = await queries.disputes_of(tx, [payment.order_id])
    own = {
        name: getattr(payment, name)
        for name in PaymentSight.__struct_fields__
        if name not in ("instructions", "disputes")
    }
    return Answer(
        PaymentSight(
            **own,
            instructions=[i for i in instructions if i.payment_id == payment_id],
            disputes=[d for d in disputes if d.payment_id == payment_id],
        )
    )


@post("/api/v1/refunds/{refund_id:uuid}/retry", scope=MONEY, tags=TAGS)
async def ask_again(tx: Tx, refund_id: UUID) -> Answer[Instruction]:
    """Ask again for a refund that the provider refused. Twice asks once."""
    answer = await retry_refund(tx, refund_id)
    if isinstance(answer, Refusal):
        raise answer
    return Answer(answer)


@get("/api/v1/settlement-files", scope=READ, tags=TAGS)
async def list_settled(tx: Tx) -> Answer[list[Settled]]:
    """The days that were compared with the books, the latest first; 30 at most."""
    return Answer(await queries.settled_days(tx))


@get("/api/v1/settlement-differences", scope=READ, tags=TAGS)
async def list_differences(
    tx: Tx, after: Cursor | None = None, limit: Limit = 50
) -> Answer[Page[Difference]]:
    """Where the providers' files and the books disagree, the latest day first."""
    return Answer(await queries.differences(tx, cursor=after, limit=limit))


@post(
    "/api/v1/settlement-files",
    scope=MONEY,
    body_bytes=30_000_000,
    refusals=(pricing.CurrencyUnknown,),
    tags=TAGS,
)
async def reconcile(call: Call, db: Database, data: SettlementFile) -> Answer[Reconciliation]:
    """Compare a day's file with the books, and post its fees and payouts. Safe to repeat, also with
    a file that has grown: a row counts once."""
    provider = providers_of(db).get(data.provider)
    if provider is None or data.provider in IN_HOUSE:
        raise Invalid("provider", "there is no such provider", "没有该支付渠道")
    if not FIRST_DAY <= data.day <= db.clock.now().date() + dt.timedelta(days=1):
        raise Invalid("day", "choose a day from 2000 until today", "日期须在 2000 年至今天之间")
    for row in data.rows:
        if not pricing.is_currency(row.currency):
            raise pricing.CurrencyUnknown(currency=row.currency)
    rows = [SettlementRow(**msgspec.structs.asdict(row)) for row in data.rows]
    if not rows:
        rows = await provider.settlement_rows(data.day)

    async def verb(tx: Tx) -> Reconciliation:
        return await reconciling.reconcile(tx, data.provider, data.day, rows)

    return Answer(await db.attempt(verb, actor=call.caller.actor, request_id=call.request_id))
