"""What promotions refuse, each with what to do about it."""

from __future__ import annotations

from pinwheel.kernel.errors import Refusal


class CouponUnknown(Refusal):
    status = 422
    en = "The code {code} is not known here. Check the letters, or leave it out."
    zh = "优惠码 {code} 不存在。请核对字母，或不使用优惠码。"


class CouponExpired(Refusal):
    status = 422
    en = "The coupon {code} has expired. Leave it out to go on."
    zh = "优惠券 {code} 已过期，请移除后继续。"


class CouponNotYet(Refusal):
    status = 422
    en = "The coupon {code} does not hold yet: it starts {starts}."
    zh = "优惠券 {code} 尚未生效：{starts} 开始。"


class CouponNotNow(Refusal):
    status = 422
    en = "The coupon {code} does not hold at this time of the day or week."
    zh = "优惠券 {code} 在当前时段不可用。"


class CouponUsed(Refusal):
    """One coupon, one order: it comes back if that order comes to nothing."""

    status = 422
    en = "The coupon {code} is used already. It comes back if that order is cancelled."
    zh = "优惠券 {code} 已被使用。若该订单取消，优惠券会退回。"


class PromotionUsedUp(Refusal):
    en = "“{name}” has just been used up. Please look at the new total and confirm it."
    zh = "“{name}”刚刚已用完。请查看新的总额并确认。"


class CouponNotForThis(Refusal):
    status = 422
    en = "The coupon {code} is not for the items in this order."
    zh = "优惠券 {code} 不适用于此订单中的商品。"


class CouponNotHere(Refusal):
    status = 422
    en = "The coupon {code} does not hold in this market or currency."
    zh = "优惠券 {code} 不适用于此市场或货币。"


class CouponNotForYou(Refusal):
    status = 422
    en = "The coupon {code} is not for this account ({why})."
    zh = "优惠券 {code} 不适用于此账号（{why_zh}）。"


class SpendMore(Refusal):
    status = 422
    en = "Spend {missing} more to use the coupon {code}."
    zh = "再消费 {missing_zh} 即可使用优惠券 {code}。"


class BuyMore(Refusal):
    status = 422
    en = "Add {missing} more of its items to use the coupon {code}."
    zh = "再加 {missing} 件适用商品即可使用优惠券 {code}。"


class CouponBeaten(Refusal):
    status = 422
    en = "The coupon {code} does not combine with a better price that you get already."
    zh = "优惠券 {code} 不能与您已享受的更优价格叠加。"


class PromotionUnsound(Refusal):
    status = 422
    en = "{where}: {why}"
    zh = "{where}：{why_zh}"

    def __init__(self, where: str, why: str, why_zh: str) -> None:
        super().__init__(where=where, why=why, why_zh=why_zh)


class PromotionFixed(Refusal):
    """What a person may use once it has started is not changed under their hands."""

    en = "“{what}” can't be changed once a promotion has started. Stop it and make a new one."
    zh = "活动开始后不能更改“{what}”。请停止后新建。"


class CodeTaken(Refusal):
    en = "The code {code} belongs to another promotion. Choose another, or stop that one."
    zh = "优惠码 {code} 已属于其他活动。请换一个，或先停止那个活动。"


class NotClaimable(Refusal):
    status = 422
    en = "This coupon can't be taken: it is over, not public, or not a coupon."
    zh = "无法领取此优惠券：活动已结束、未公开或不是优惠券。"


class StillLeft(Refusal):
    en = "There are still {left} of this deal: no need to wait."
    zh = "该特价仍有 {left} 件，无需候补。"


class DealOver(Refusal):
    en = "This deal does not run now."
    zh = "该特价目前未进行。"
