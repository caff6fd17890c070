"""Orders: a draft walks a row of stages and becomes an order, accounted for to the end.

Words: a *draft* is what a buyer asks for; a *stage* decides one thing for every draft of a batch; a
*quote* is what the draft would cost, with reasons and a *token* that names its figures; an order is
*placed* when it is paid; a *shipment* is one parcel from one node.

Promises: a refused draft changed nothing; an order is placed once per idempotency key; stock is
taken before a payment is asked for and goes back when none comes; every payment ends as an order or
as a refund; the shares of a line sum to the line.
"""

from pinwheel.trade.orders.actions import (
    cancel,
    confirm,
    give_money_back,
    give_up,
    let_go,
    locked,
)
from pinwheel.trade.orders.backorders import (
    Backorder,
    backorders_of,
    cancel_backorders,
    promised,
)
from pinwheel.trade.orders.budget_stage import DiscountUsedUp
from pinwheel.trade.orders.buying import Bought, Buying
from pinwheel.trade.orders.cart import (
    CartChanged,
    CartFull,
    CartLine,
    CartMerged,
    CartSight,
    NoAddress,
    Note,
)
from pinwheel.trade.orders.cart_actions import clear as clear_cart
from pinwheel.trade.orders.cart_actions import put as put_in_cart
from pinwheel.trade.orders.cart_actions import remove as remove_from_cart
from pinwheel.trade.orders.cart_actions import set_coupons as set_cart_coupons
from pinwheel.trade.orders.cart_actions import set_quantities as set_cart_quantities
from pinwheel.trade.orders.cart_buying import AddressedTo, Wish, order_cart
from pinwheel.trade.orders.cart_queries import (
    cart,
    cart_coupons,
    cart_lines,
    known_order,
    pieces_in_cart,
)
from pinwheel.trade.orders.desk import (
    VIEWS,
    DaySum,
    InboxCounts,
    InboxLine,
    Option,
    delivery_options,
    inbox,
    inbox_counts,
    numbers_of,
    placed_by_day,
    save_delivery_option,
)
from pinwheel.trade.orders.draft import (
    Claim,
    DeliveryOption,
    Discount,
    Draft,
    DraftLine,
    Item,
    Placed,
    Quote,
    Reason,
    Tender,
)
from pinwheel.trade.orders.exchanging import Replacement, add_replacement
from pinwheel.trade.orders.fulfil import (
    Sending,
    cancel_lines,
    deliver,
    deliver_parcels,
    delivery_income,
    delivery_money,
    line_money,
    locked_orders,
    sales,
    ship,
    ship_orders,
    tax_payable,
)
from pinwheel.trade.orders.goodwill import give_goodwill
from pinwheel.trade.orders.hints import DeliveryOff, Hint
from pinwheel.trade.orders.later import capture_later
from pinwheel.trade.orders.model import (
    AboveLimit,
    BackorderLate,
    BadQuantity,
    EmptyOrder,
    LinesCancelled,
    LinesReturned,
    LineUnsourced,
    NoDelivery,
    NoTender,
    NotHereYet,
    NothingToShip,
    OfferUnavailable,
    Order,
    OrderCancelled,
    OrderDelivered,
    OrderLine,
    OrderNotCancellable,
    OrderNotReady,
    OrderPlaced,
    OrderShipped,
    OtherSecured,
    PaidFurther,
    PaymentDeclined,
    Shipment,
    StaleQuote,
    TenderMismatch,
    UnknownMarket,
    number_of,
    share,
)
from pinwheel.trade.orders.one_click import (
    OneClickOff,
    OneClickSwitched,
    SignInAgain,
    Tap,
    Tapped,
    Terms,
    TooManyTaps,
    UndoOver,
)
from pinwheel.trade.orders.one_click_actions import set_terms as set_one_click_terms
from pinwheel.trade.orders.one_click_actions import switch as switch_one_click
from pinwheel.trade.orders.one_click_actions import switch_of as one_click_switch
from pinwheel.trade.orders.one_click_actions import undo
from pinwheel.trade.orders.one_click_buying import one_click_quote, tap_once
from pinwheel.trade.orders.one_click_travel import CarriesOthers, together
from pinwheel.trade.orders.placing import Checkout
from pinwheel.trade.orders.price_stages import NotAtThisPrice
from pinwheel.trade.orders.price_trial import Article, SkuResult, articles, results_by_sku, sold
from pinwheel.trade.orders.privacy import export as export_orders
from pinwheel.trade.orders.queries import OrderSight, lines_of, order, orders, shipments_of
from pinwheel.trade.orders.resourcing import source_again
from pinwheel.trade.orders.returning import (
    Back,
    NothingToReturn,
    ReturnTooDear,
    TakenBack,
    note_returned,
    take_back,
)
from pinwheel.trade.orders.revising import RulesChanged, held_revision, revise
from pinwheel.trade.orders.shown import STRANGER, Shown, Step, Viewer
from pinwheel.trade.orders.stages import Stage
from pinwheel.trade.orders.stock_stage import HOLD_SECONDS

__all__ = [
    "HOLD_SECONDS",
    "STRANGER",
    "VIEWS",
    "AboveLimit",
    "AddressedTo",
    "Article",
    "Back",
    "Backorder",
    "BackorderLate",
    "BadQuantity",
    "Bought",
    "Buying",
    "CarriesOthers",
    "CartChanged",
    "CartFull",
    "CartLine",
    "CartMerged",
    "CartSight",
    "Checkout",
    "Claim",
    "DaySum",
    "DeliveryOff",
    "DeliveryOption",
    "Discount",
    "DiscountUsedUp",
    "Draft",
    "DraftLine",
    "EmptyOrder",
    "Hint",
    "InboxCounts",
    "InboxLine",
    "Item",
    "LineUnsourced",
    "LinesCancelled",
    "LinesReturned",
    "NoAddress",
    "NoDelivery",
    "NoTender",
    "NotAtThisPrice",
    "NotHereYet",
    "Note",
    "NothingToReturn",
    "NothingToShip",
    "OfferUnavailable",
    "OneClickOff",
    "OneClickSwitched",
    "Option",
    "Order",
    "OrderCancelled",
    "OrderDelivered",
    "OrderLine",
    "OrderNotCancellable",
    "OrderNotReady",
    "OrderPlaced",
    "OrderShipped",
    "OrderSight",
    "OtherSecured",
    "PaidFurther",
    "PaymentDeclined",
    "Placed",
    "Quote",
    "Reason",
    "Replacement",
    "ReturnTooDear",
    "RulesChanged",
    "Sending",
    "Shipment",
    "Shown",
    "SignInAgain",
    "SkuResult",
    "Stage",
    "StaleQuote",
    "Step",
    "TakenBack",
    "Tap",
    "Tapped",
    "Tender",
    "TenderMismatch",
    "Terms",
    "TooManyTaps",
    "UndoOver",
    "UnknownMarket",
    "Viewer",
    "Wish",
    "add_replacement",
    "articles",
    "backorders_of",
    "cancel",
    "cancel_backorders",
    "cancel_lines",
    "capture_later",
    "cart",
    "cart_coupons",
    "cart_lines",
    "clear_cart",
    "confirm",
    "deliver",
    "deliver_parcels",
    "delivery_income",
    "delivery_money",
    "delivery_options",
    "export_orders",
    "give_goodwill",
    "give_money_back",
    "give_up",
    "held_revision",
    "inbox",
    "inbox_counts",
    "known_order",
    "let_go",
    "line_money",
    "lines_of",
    "locked",
    "locked_orders",
    "note_returned",
    "number_of",
    "numbers_of",
    "one_click_quote",
    "one_click_switch",
    "order",
    "order_cart",
    "orders",
    "pieces_in_cart",
    "placed_by_day",
    "promised",
    "put_in_cart",
    "remove_from_cart",
    "results_by_sku",
    "revise",
    "sales",
    "save_delivery_option",
    "set_cart_coupons",
    "set_cart_quantities",
    "set_one_click_terms",
    "share",
    "ship",
    "ship_orders",
    "shipments_of",
    "sold",
    "source_again",
    "switch_one_click",
    "take_back",
    "tap_once",
    "tax_payable",
    "together",
    "undo",
]
