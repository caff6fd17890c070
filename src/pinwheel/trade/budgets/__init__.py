"""Budgets: what may be spent on discounts, rewards and marketing, and who said so.

Words: a *budget* is a ledger account with a floor of zero in one currency; it is *funded* out of
its parent, or out of an authorisation of its funder (platform, seller, brand); an amount is
*reserved* for a document, then *committed* (spent), *released*, or *given back* after it was
spent; *burn* is how fast it is spent, *runway* how many days are left at that pace.

Promises: a budget never goes below zero, however many spend at once; money never crosses
currencies; more than the approval limit takes a second person; left + reserved + spent is what
was funded; every verb costs a constant number of statements whatever the length of its list.

These are memorandum books: they say how much of what was authorised is used. The discount itself
is in the price of the order.
"""

from pinwheel.trade.budgets.actions import (
    commit,
    give_back,
    release,
    reserve,
    spend,
)
from pinwheel.trade.budgets.funding import (
    approve,
    close,
    fund,
    open_budgets,
    refuse,
)
from pinwheel.trade.budgets.model import (
    Budget,
    BudgetClosed,
    BudgetClosing,
    BudgetRanLow,
    BudgetSpent,
    Burn,
    Commitment,
    CurrencyDiffers,
    Funded,
    Funding,
    GivenBack,
    NeedsSecondPerson,
    NewBudget,
    NotWaiting,
    Reservation,
    UnknownBudget,
    ledger_key,
    left_of,
    spent_of,
)
from pinwheel.trade.budgets.queries import (
    available,
    budget,
    budgets,
    burn,
    fundings,
    waiting,
)

__all__ = [
    "Budget",
    "BudgetClosed",
    "BudgetClosing",
    "BudgetRanLow",
    "BudgetSpent",
    "Burn",
    "Commitment",
    "CurrencyDiffers",
    "Funded",
    "Funding",
    "GivenBack",
    "NeedsSecondPerson",
    "NewBudget",
    "NotWaiting",
    "Reservation",
    "UnknownBudget",
    "approve",
    "available",
    "budget",
    "budgets",
    "burn",
    "close",
    "commit",
    "fund",
    "fundings",
    "give_back",
    "ledger_key",
    "left_of",
    "open_budgets",
    "refuse",
    "release",
    "reserve",
    "spend",
    "spent_of",
    "waiting",
]
