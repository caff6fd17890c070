"""The ledger: every scarce thing is an account, everything that happens to it a transfer.

Words: a *unit* is what is counted (a currency's minor unit, pieces of one SKU, points); an
*account* is where it is, with a *side* that adds to it and perhaps a *floor*; a *transfer*
moves an amount from its credit account to its debit account; a *journal* is a set of transfers
that happens whole or not at all, once per (document, key); a *hold* is a pending transfer with
a deadline.

Promises: each unit's debits equal its credits; an account with a floor never goes below it; a
journal is never changed, only reversed; a verb costs a constant number of statements whatever
the length of its list; an account without a floor never makes two writers wait for each other.
"""

from pinwheel.ground.ledger.actions import post, set_floor
from pinwheel.ground.ledger.books import close_period, exchange, reverse
from pinwheel.ground.ledger.holding import expire, hold, keep_for, reduce, release, release_for
from pinwheel.ground.ledger.locking import locked_accounts, open_accounts
from pinwheel.ground.ledger.model import (
    Account,
    AmountNotPositive,
    Held,
    Hold,
    HoldClosed,
    HoldExpired,
    Insufficient,
    Journal,
    PeriodClosed,
    Posted,
    Transfer,
    Unit,
    UnitMismatch,
    money,
    pieces,
)
from pinwheel.ground.ledger.queries import (
    Balance,
    Branch,
    Flow,
    Period,
    Posting,
    TrialLine,
    account_named,
    balances,
    balances_below,
    behind,
    branches,
    flows_by_day,
    periods,
    postings_of,
    statement,
    trial_balance,
)

__all__ = [
    "Account",
    "AmountNotPositive",
    "Balance",
    "Branch",
    "Flow",
    "Held",
    "Hold",
    "HoldClosed",
    "HoldExpired",
    "Insufficient",
    "Journal",
    "Period",
    "PeriodClosed",
    "Posted",
    "Posting",
    "Transfer",
    "TrialLine",
    "Unit",
    "UnitMismatch",
    "account_named",
    "balances",
    "balances_below",
    "behind",
    "branches",
    "close_period",
    "exchange",
    "expire",
    "flows_by_day",
    "hold",
    "keep_for",
    "locked_accounts",
    "money",
    "open_accounts",
    "periods",
    "pieces",
    "post",
    "postings_of",
    "reduce",
    "release",
    "release_for",
    "reverse",
    "set_floor",
    "statement",
    "trial_balance",
]
