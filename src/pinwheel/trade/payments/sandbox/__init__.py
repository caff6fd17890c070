"""The sandbox: a payment provider that plays the outside world, with its own memory and its faults.

It writes through connections of its own and commits by itself, so that what it has done stays done
when the shop crashes. What happens to a payment is decided by its token (``TOKENS``); how webhooks
and answers get lost is decided by ``Faults``. No money moves.
"""

from pinwheel.trade.payments.sandbox.outbox import Faults, deliveries, faults, set_faults, settle
from pinwheel.trade.payments.sandbox.provider import TOKENS, Page, Sandbox
from pinwheel.trade.payments.sandbox.settlement import settlement_file

__all__ = [
    "TOKENS",
    "Faults",
    "Page",
    "Sandbox",
    "deliveries",
    "faults",
    "set_faults",
    "settle",
    "settlement_file",
]
