"""Returns: what was sent comes back, is looked at, finds its place; the buyer is refunded.

Words: a *return* (RMA) is a buyer's wish to send pieces of one order back, with a number that is
the drop-off code; a *policy* says who may, until when, who pays the way; an *advance* is a refund
before the goods are here; a *grade* is the state a piece came back in (A as new, B opened, C
damaged, D worthless); the *outlet* sells B and what was mended, as used, apart from the new.

An *exchange* is a return with a replacement: a line of the same order, held from the wish on and
let go when the old piece is here, paid with what the old one was paid with. A *way* is how it comes
back (own post, label, drop-off by code, pick-up) at a freight shown before. A *trial* is an order
that is authorised, lent, and charged for what is kept when its days are over.

requested → approved → received → refunded; or rejected, cancelled, expired.

Promises: no more comes back than was sent, however many ask at once; what is refunded is what the
pieces were paid with, to the minor unit, in whatever order they come back; an advance is returned
for or owed; a replacement is held, let go or free, and what was paid for it kept, used or back;
what is tried is back, paid for or within its days; every piece waits for its grade or has found its
place; each step may be repeated.
"""

from pinwheel.trade.returns.exchange_queries import (
    Waiting,
    choices,
    exchange_list,
    exchanges_of,
)
from pinwheel.trade.returns.exchanges import (
    Asked,
    Choice,
    DifferenceChanged,
    Exchange,
    ExchangeIs,
    ExchangeNotOffered,
    NewExchange,
    NotExchangeable,
    paid_ahead,
)
from pinwheel.trade.returns.exchanging import ask_exchange, end_exchanges, exchange
from pinwheel.trade.returns.looking import policy_of
from pinwheel.trade.returns.model import (
    CategoryPolicy,
    ExchangeAsked,
    ExchangeEnded,
    ExchangeReleased,
    Graded,
    GradesDontFit,
    Grading,
    NewReturn,
    NotAnnounced,
    NotSent,
    Policy,
    Receipt,
    Return,
    ReturnApproved,
    ReturnClosed,
    ReturnHandedIn,
    ReturnIs,
    ReturnLine,
    ReturnOverdue,
    ReturnReceived,
    ReturnRefunded,
    ReturnRequested,
    TrialCharged,
    WindowOver,
    WithholdTooMuch,
)
from pinwheel.trade.returns.policies import set_policy, stored_policies
from pinwheel.trade.returns.printing import code_picture, draw_label
from pinwheel.trade.returns.queries import (
    Returnable,
    ReturnSight,
    export,
    returnable,
    returns,
    see,
)
from pinwheel.trade.returns.receiving import expire, receive
from pinwheel.trade.returns.requesting import approve, cancel, reject, request
from pinwheel.trade.returns.resale import Mended, refurbish
from pinwheel.trade.returns.sending import (
    Roads,
    hand_in,
    points,
    return_by_code,
    roads,
    save_point,
    set_way_offer,
    set_window,
    way_prices,
    ways_of,
)
from pinwheel.trade.returns.settling import grade_and_refund
from pinwheel.trade.returns.trials import (
    TRIAL,
    NotForTrial,
    Trial,
    TrialNotByThisPayment,
    TrialNotOffered,
    TrialRule,
    TrialStage,
    TrialTooDear,
    rule_for,
    set_trial_rule,
    trial_rules,
    trials_of,
)
from pinwheel.trade.returns.trying import end_trials
from pinwheel.trade.returns.ways import KINDS as WAYS
from pinwheel.trade.returns.ways import (
    Carrier,
    HandedElsewhere,
    Kind,
    Label,
    LabelWish,
    Point,
    SandboxCarrier,
    Slot,
    SlotFull,
    UnknownPoint,
    Way,
    WayClosed,
    WayOffer,
    WayPrice,
    Window,
    use_carrier,
)

__all__ = [
    "TRIAL",
    "WAYS",
    "Asked",
    "Carrier",
    "CategoryPolicy",
    "Choice",
    "DifferenceChanged",
    "Exchange",
    "ExchangeAsked",
    "ExchangeEnded",
    "ExchangeIs",
    "ExchangeNotOffered",
    "ExchangeReleased",
    "Graded",
    "GradesDontFit",
    "Grading",
    "HandedElsewhere",
    "Kind",
    "Label",
    "LabelWish",
    "Mended",
    "NewExchange",
    "NewReturn",
    "NotAnnounced",
    "NotExchangeable",
    "NotForTrial",
    "NotSent",
    "Point",
    "Policy",
    "Receipt",
    "Return",
    "ReturnApproved",
    "ReturnClosed",
    "ReturnHandedIn",
    "ReturnIs",
    "ReturnLine",
    "ReturnOverdue",
    "ReturnReceived",
    "ReturnRefunded",
    "ReturnRequested",
    "ReturnSight",
    "Returnable",
    "Roads",
    "SandboxCarrier",
    "Slot",
    "SlotFull",
    "Trial",
    "TrialCharged",
    "TrialNotByThisPayment",
    "TrialNotOffered",
    "TrialRule",
    "TrialStage",
    "TrialTooDear",
    "UnknownPoint",
    "Waiting",
    "Way",
    "WayClosed",
    "WayOffer",
    "WayPrice",
    "Window",
    "WindowOver",
    "WithholdTooMuch",
    "approve",
    "ask_exchange",
    "cancel",
    "choices",
    "code_picture",
    "draw_label",
    "end_exchanges",
    "end_trials",
    "exchange",
    "exchange_list",
    "exchanges_of",
    "expire",
    "export",
    "grade_and_refund",
    "hand_in",
    "paid_ahead",
    "points",
    "policy_of",
    "receive",
    "refurbish",
    "reject",
    "request",
    "return_by_code",
    "returnable",
    "returns",
    "roads",
    "rule_for",
    "save_point",
    "see",
    "set_policy",
    "set_trial_rule",
    "set_way_offer",
    "set_window",
    "stored_policies",
    "trial_rules",
    "trials_of",
    "use_carrier",
    "way_prices",
    "ways_of",
]
