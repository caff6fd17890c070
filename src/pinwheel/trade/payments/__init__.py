"""Payments: money that comes in for an order and goes back, whatever the network does.

Words: a *payment* is one tender of one order at one *provider*; an *outcome* is one thing a
provider says of it, by a direct answer, a webhook or a look-up; an *instruction* is a capture, a
void or a refund that was written down before it was sent; a *method* is a provider's token that a
person keeps; *secured* means authorised or captured in full: the order may go on; *unwanted* means
that whatever still comes in is given back.

A payment goes three steps: ``start`` (written down, in the order's transaction), ``charge`` (asked,
with no transaction open), ``record`` (taken in). All that a provider ever says goes through
``record``.

Promises: a copy, a late or an out-of-order word changes nothing that a newer one said; the ledger
holds exactly what the provider has; ``PaymentSecured`` is told once; every payment ends, also when
every answer was lost; never is more refunded than was captured; no card number is stored or logged.
"""

from pinwheel.trade.payments import sandbox
from pinwheel.trade.payments.actions import charge, record, start
from pinwheel.trade.payments.cards import holds_card_number
from pinwheel.trade.payments.instructing import (
    capture,
    refund,
    refund_all,
    refund_order,
    retry_refund,
    void,
)
from pinwheel.trade.payments.methods import (
    Method,
    forget_methods,
    method_of,
    methods_of,
    remove_method,
    save_method,
    set_default_method,
)
from pinwheel.trade.payments.model import (
    STORE_CREDIT,
    CaptureFailed,
    CaptureTooLarge,
    CardNumberRefused,
    Delivery,
    Dispute,
    DisputeClosed,
    Instruction,
    NewPayment,
    NewRefund,
    Outcome,
    Payment,
    PaymentCaptured,
    PaymentDisputed,
    PaymentFailed,
    PaymentIdReused,
    PaymentNeedsAction,
    PaymentSecured,
    PaymentVoided,
    ProviderUnknown,
    Refund,
    RefundCompleted,
    RefundFailed,
    RefundTooLarge,
    SettlementRow,
    StoreCreditTooLow,
    WebhookRefused,
    bank,
    chargebacks,
    clearing,
    deposits,
    provider_fees,
    store_credit,
)
from pinwheel.trade.payments.port import Provider, add, holds_days, providers_of, use
from pinwheel.trade.payments.queries import (
    Attention,
    Difference,
    PaymentLine,
    Settled,
    attention,
    differences,
    disputes_of,
    failed_refunds,
    instructions_of,
    open_disputes,
    payment_list,
    payments_by_id,
    payments_of,
    refundable_of,
    settled_days,
    steps_to_send,
)
from pinwheel.trade.payments.reconciling import Reconciliation, reconcile
from pinwheel.trade.payments.store_credit import grant_store_credit
from pinwheel.trade.payments.webhooks import receive

__all__ = [
    "STORE_CREDIT",
    "Attention",
    "CaptureFailed",
    "CaptureTooLarge",
    "CardNumberRefused",
    "Delivery",
    "Difference",
    "Dispute",
    "DisputeClosed",
    "Instruction",
    "Method",
    "NewPayment",
    "NewRefund",
    "Outcome",
    "Payment",
    "PaymentCaptured",
    "PaymentDisputed",
    "PaymentFailed",
    "PaymentIdReused",
    "PaymentLine",
    "PaymentNeedsAction",
    "PaymentSecured",
    "PaymentVoided",
    "Provider",
    "ProviderUnknown",
    "Reconciliation",
    "Refund",
    "RefundCompleted",
    "RefundFailed",
    "RefundTooLarge",
    "Settled",
    "SettlementRow",
    "StoreCreditTooLow",
    "WebhookRefused",
    "add",
    "attention",
    "bank",
    "capture",
    "charge",
    "chargebacks",
    "clearing",
    "deposits",
    "differences",
    "disputes_of",
    "failed_refunds",
    "forget_methods",
    "grant_store_credit",
    "holds_card_number",
    "holds_days",
    "instructions_of",
    "method_of",
    "methods_of",
    "open_disputes",
    "payment_list",
    "payments_by_id",
    "payments_of",
    "provider_fees",
    "providers_of",
    "receive",
    "reconcile",
    "record",
    "refund",
    "refund_all",
    "refund_order",
    "refundable_of",
    "remove_method",
    "retry_refund",
    "sandbox",
    "save_method",
    "set_default_method",
    "settled_days",
    "start",
    "steps_to_send",
    "store_credit",
    "use",
    "void",
]
