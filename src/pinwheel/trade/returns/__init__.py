"""Returns: what was sent comes back, is looked at, finds its place; the buyer is refunded.

Words: a *return* (RMA) is a buyer's wish to send pieces of one order back, with a number that is
the drop-off code; a *policy* says who may, until when, who pays the way; an *advance* is a refund
before the goods are here; a *grade* is the state a piece came back in (A as new, B opened, C
damaged, D worthless); the *outlet* sells B and what was mended, as used, apart from the new.

requested → approved → received → refunded; or rejected, cancelled, expired.

Promises: no more comes back than was sent, however many ask at once; what is refunded is what the
pieces were paid with, to the minor unit, in whatever order they come back; an advance is returned
for or owed; every piece waits for its grade or has found its place; each step may be repeated.
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
from pinwheel.trade.returns.exchanging import ask_exchange, end_exchanges
from pinwheel.trade.returns.labels import label_svg
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
    WindowOver,
    WithholdTooMuch,
)
from pinwheel.trade.returns.policies import set_policy, stored_policies
from pinwheel.trade.returns.queries import Returnable, ReturnSight, export, returnable, returns, see
from pinwheel.trade.returns.receiving import expire, receive
from pinwheel.trade.returns.requesting import approve, cancel, reject, request
from pinwheel.trade.returns.resale import Mended, refurbish
from pinwheel.trade.returns.sending import (
    hand_in,
    return_by_code,
    save_point,
    set_way_offer,
    set_window,
    way_prices,
    ways_of,
)
from pinwheel.trade.returns.settling import grade_and_refund
from pinwheel.trade.returns.ways import (
    Carrier,
    HandedElsewhere,
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
    "Label",
    "LabelWish",
    "Mended",
    "NewExchange",
    "NewReturn",
    "NotAnnounced",
    "NotExchangeable",
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
    "SandboxCarrier",
    "Slot",
    "SlotFull",
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
    "end_exchanges",
    "exchange_list",
    "exchanges_of",
    "expire",
    "export",
    "grade_and_refund",
    "hand_in",
    "label_svg",
    "paid_ahead",
    "receive",
    "refurbish",
    "reject",
    "request",
    "return_by_code",
    "returnable",
    "returns",
    "save_point",
    "see",
    "set_policy",
    "set_way_offer",
    "set_window",
    "stored_policies",
    "use_carrier",
    "way_prices",
    "ways_of",
]
