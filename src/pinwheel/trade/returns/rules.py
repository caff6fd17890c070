"""The rules of returns, all pure: until when, at whose cost, how much, and where a piece goes."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

from pinwheel.ground.ledger import Account
from pinwheel.trade import inventory
from pinwheel.trade.marketplace import OUTLET_SELLER_ID, OWN_SELLER_ID
from pinwheel.trade.orders import Order, OrderLine, Shipment, line_money, share
from pinwheel.trade.returns.model import (
    FAULTS,
    CategoryPolicy,
    Grade,
    History,
    Policy,
    Reason,
    Return,
    Settled,
    WithholdTooMuch,
)

_EU = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
EU = frozenset(_EU.split(" "))
PARCEL_DAYS = 30  # a parcel nobody reported counts as arrived then
SCORE_ALONE, SCORE_FULL, SCORE_HALF = 75, 25, 50
Loaded = dict[uuid.UUID, tuple[Order, list[OrderLine]]]


def statutory_days(country: str) -> int:
    """Days to withdraw without a reason that the law gives a consumer: 14 in the EU (Directive
    2011/83/EU, article 9) and the United Kingdom, 7 in China (Consumer Protection Law, article
    25)."""
    if country in EU or country == "GB":
        return 14
    return 7 if country == "CN" else 0


def policy_for(
    market: str, path: Sequence[uuid.UUID], stored: Mapping[tuple[str, uuid.UUID], CategoryPolicy]
) -> Policy:
    """The policy of the deepest category that has one, else the market's, else the house's."""
    for category in (*reversed(path), uuid.UUID(int=0)):
        found = stored.get((market, category))
        if found is not None:
            fields = {f: getattr(found, f) for f in Policy.__struct_fields__}
            return Policy(**fields)
    return Policy()


def strictest(policies: Sequence[Policy]) -> Policy:
    """One policy for a parcel of several goods."""
    return Policy(
        window_days=min(p.window_days for p in policies),
        fault_days=min(p.fault_days for p in policies),
        approves_itself=all(p.approves_itself for p in policies),
        refunds_delivery=all(p.refunds_delivery for p in policies),
        freight_minor=max(p.freight_minor for p in policies),
        instant_minor=min(p.instant_minor for p in policies),
        send_days=min(p.send_days for p in policies),
        grade_days=min(p.grade_days for p in policies),
        resale_basis_points=min(p.resale_basis_points for p in policies),
    )


def arrived_at(shipments: Sequence[Shipment], line: int) -> dt.datetime | None:
    """When the last piece of a line was there; None while one is on its way (the window has not
    begun)."""
    mine = [s for s in shipments if any(number == line for number, _ in s.lines)]
    if not mine:
        return None
    return max(s.delivered_at or s.shipped_at + dt.timedelta(days=PARCEL_DAYS) for s in mine)


def window_end(policy: Policy, country: str, reason: str, arrived: dt.datetime) -> dt.datetime:
    """Until when it may be asked for: the law's days at least."""
    days = max(policy.window_days, statutory_days(country))
    if reason in FAULTS:
        days = max(days, policy.fault_days)
    return arrived + dt.timedelta(days=days)


def score(history: History) -> tuple[int, list[Reason]]:
    """How likely a return is abuse, 0 to 100, with its reasons. A start until there is data to
    learn from: the share of pieces that come back, refunds in advance that are owed, and pieces
    that came back worthless."""
    reasons: list[Reason] = []
    if history.bought >= 5 and history.returned:
        percent = 100 * history.returned // history.bought
        points = max(0, min(50, percent - 20))
        en = f"{percent} % of {history.bought} pieces came back within a year"
        reasons.append(Reason(en, f"一年内 {history.bought} 件中退回 {percent}%", points))
    if history.owed:
        en = f"{history.owed} refunds in advance are owed"
        reasons.append(Reason(en, f"{history.owed} 笔提前退款尚未归还", min(80, 40 * history.owed)))
    if history.worthless:
        points = min(45, 15 * history.worthless)
        en = f"{history.worthless} pieces came back worthless"
        reasons.append(Reason(en, f"{history.worthless} 件退回时已无价值", points))
    return min(100, sum(r.points for r in reasons)), reasons


def decided(
    policy: Policy,
    country: str,
    reason: str,
    arrived: dt.datetime | None,
    now: dt.datetime,
    points: int,
) -> Reason | None:
    """Why it is approved without a person; None when one must look.

    A withdrawal within the law's days needs nobody's leave."""  # fmt: skip
    since = (now - arrived).days if arrived is not None else 0
    if reason not in FAULTS and since < statutory_days(country):
        return Reason("Within the days the law gives", "在法定无理由退货期内")
    if policy.approves_itself and reason not in FAULTS and points < SCORE_ALONE:
        return Reason("Within the shop's policy", "符合本店退货政策")
    if policy.approves_itself and points < SCORE_FULL:
        return Reason("Trusted: no inspection before", "信用良好，免预先审核")
    return None


def advance_limit(policy: Policy, history: History, points: int, reason: str) -> int:
    """The most that is refunded before the goods are here: nothing for somebody unknown."""
    if history.orders < 2 or points >= SCORE_HALF or reason in FAULTS:
        return 0
    return policy.instant_minor if points < SCORE_FULL else policy.instant_minor // 2


def advance_of(lines: Sequence[tuple[OrderLine, int]], freight_minor: int) -> int:
    """What the pieces carry at least, whatever else of their lines comes back before: each share
    rounded down."""
    sums = (share(line.total_minor, line.quantity, 0, n) for line, n in lines)
    return max(0, sum(sums) - freight_minor)


def carried(line: OrderLine, before: int, part: int) -> tuple[int, int]:
    """(net, tax) that ``part`` returned pieces carry after ``before`` others. All that was sent
    sums to what was earned by it, to the minor unit, in whatever order it comes back."""
    return line_money(line, before, part)


def settle(
    ret: Return, goods_minor: int, delivery_minor: int, withhold_minor: int
) -> Settled | WithholdTooMuch:
    """Who gets what of the money that the received pieces carried."""
    whole = goods_minor + delivery_minor
    freight = 0 if ret.reason in FAULTS else min(ret.policy.freight_minor, whole)
    due = whole - freight
    if not 0 <= withhold_minor <= due:
        return WithholdTooMuch(
            number=ret.number, most=due, asked=withhold_minor, currency=ret.currency
        )
    due -= withhold_minor
    covered = min(due, ret.advance_minor)
    return Settled(
        carried_minor=whole,
        delivery_minor=delivery_minor,
        freight_minor=freight,
        withheld_minor=withhold_minor,
        covered_minor=covered,
        owed_minor=ret.advance_minor - covered,
        refund_minor=due - covered,
    )


def disposition(seller_id: uuid.UUID, grade: Grade) -> str:
    """What becomes of a piece. The shop's own opened goods are sold by its outlet; a third-party
    seller's stay that seller's, who decides."""
    if grade == "A":
        return "restock"
    if grade == "D":
        return "scrap"
    own = seller_id in (OWN_SELLER_ID, OUTLET_SELLER_ID)
    return "resale" if grade == "B" and own else "damaged"


def goes_to(place: inventory.Place, becomes: str) -> Account:
    """The account that takes a graded piece in."""
    if becomes == "scrap":
        return inventory.written_off(place.variant_id)
    if becomes == "damaged":
        return inventory.damaged(place)
    if becomes == "resale":
        return inventory.available(outlet_place(place))
    return inventory.available(place)


def outlet_place(place: inventory.Place) -> inventory.Place:
    """The same node and variant, as the outlet's."""
    return inventory.Place(OUTLET_SELLER_ID, place.node, place.variant_id)


def is_whole(order: Order, lines: Sequence[OrderLine], back: Mapping[int, int]) -> bool:
    """Has everything that was sent come back with ``back``, and nothing is still to be sent?"""
    return order.delivery_taken and all(
        line.open == 0 and line.shipped == line.returned + back.get(line.line, 0) for line in lines
    )
