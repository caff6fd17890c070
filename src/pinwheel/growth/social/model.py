"""Facts and refusals of social commerce: what is told of teams, and what is said to who can't
join."""

from __future__ import annotations

import uuid

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

# --- teams: facts


class TeamOpened(Event, frozen=True, kw_only=True):
    """A team stands: its leader has paid. ``closes_at`` is its deadline."""

    subject = "team_id"
    team_id: uuid.UUID
    campaign_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None


class TeamJoined(Event, frozen=True, kw_only=True):
    """A seat was paid for. ``invited_by``: by whose link the member came."""

    subject = "team_id"
    team_id: uuid.UUID
    campaign_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    invited_by: uuid.UUID | None


class TeamLeft(Event, frozen=True, kw_only=True):
    """A member's order ended before the team formed: the seat is free again."""

    subject = "team_id"
    team_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None


class TeamFormed(Event, frozen=True, kw_only=True):
    """The team is complete: its orders may be sent. ``filled`` seats were paid for by a budget;
    nobody sits on them."""

    subject = "team_id"
    team_id: uuid.UUID
    campaign_id: uuid.UUID
    order_ids: list[uuid.UUID]
    person_ids: list[uuid.UUID]
    filled: int


class TeamFailed(Event, frozen=True, kw_only=True):
    """The team has ended without forming: every member's order is cancelled and its money back or
    on its way. ``why``: deadline, stopped, empty, budget."""

    subject = "team_id"
    team_id: uuid.UUID
    campaign_id: uuid.UUID
    order_ids: list[uuid.UUID]
    person_ids: list[uuid.UUID]
    why: str


class TeamCampaignStarted(Event, frozen=True, kw_only=True):
    subject = "campaign_id"
    campaign_id: uuid.UUID


class TeamCampaignStopped(Event, frozen=True, kw_only=True):
    """``teams``: what becomes of open teams: go_on or fail."""

    subject = "campaign_id"
    campaign_id: uuid.UUID
    teams: str


class SeatAsked(msgspec.Struct, frozen=True, kw_only=True):
    """One seat that an order of this batch holds."""

    team_id: uuid.UUID
    campaign_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID
    offer_id: uuid.UUID
    quantity: int
    unit_minor: int
    opens: bool
    uses: list[tuple[str, str, int, int, uuid.UUID]]


class SeatsAsked(Event, frozen=True, kw_only=True):
    """Orders of one batch hold seats; those that stand when the batch ends become members."""

    seats: list[SeatAsked]


class TeamDue(Event, frozen=True, kw_only=True):
    """A team is to be looked at: its deadline has passed, or it is ending."""

    subject = "team_id"
    team_id: uuid.UUID


class MemberOwed(Event, frozen=True, kw_only=True):
    """A member of a failed team gets everything back."""

    subject = "order_id"
    team_id: uuid.UUID
    order_id: uuid.UUID


# --- bargains and invites: facts


class BargainStarted(Event, frozen=True, kw_only=True):
    """Its whole gap is put aside; ``commitment`` is the hash of the plan of cuts."""

    subject = "bargain_id"
    bargain_id: uuid.UUID
    campaign_id: uuid.UUID
    person_id: uuid.UUID | None
    commitment: str


class BargainHelped(Event, frozen=True, kw_only=True):
    """A valid help: the ``number``-th cut of the plan was given."""

    subject = "bargain_id"
    bargain_id: uuid.UUID
    campaign_id: uuid.UUID
    person_id: uuid.UUID | None
    number: int
    cut_minor: int
    left_minor: int


class BargainReached(Event, frozen=True, kw_only=True):
    """The last promised help came: the price is the floor."""

    subject = "bargain_id"
    bargain_id: uuid.UUID
    campaign_id: uuid.UUID
    person_id: uuid.UUID | None


class BargainBought(Event, frozen=True, kw_only=True):
    """Paid for at its price; the plan is open now."""

    subject = "bargain_id"
    bargain_id: uuid.UUID
    campaign_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    cut_minor: int


class BargainExpired(Event, frozen=True, kw_only=True):
    """Ended unbought: what was put aside is free again. ``why``: deadline, stopped, budget."""

    subject = "bargain_id"
    bargain_id: uuid.UUID
    campaign_id: uuid.UUID
    person_id: uuid.UUID | None
    why: str


class BargainDue(Event, frozen=True, kw_only=True):
    """A bargain is past its time."""

    subject = "bargain_id"
    bargain_id: uuid.UUID


class BargainAgain(Event, frozen=True, kw_only=True):
    """A bargain's paid order was cancelled: its gap is to be put aside again."""

    subject = "bargain_id"
    bargain_id: uuid.UUID
    order_id: uuid.UUID


class BargainAsked(Event, frozen=True, kw_only=True):
    """Orders of one batch use what bargains had put aside: (bargain, order, amount, budget,
    currency). What belongs to an order that fell goes back when the batch ends."""

    asked: list[tuple[uuid.UUID, uuid.UUID, int, uuid.UUID, str]]


class RewardPending(Event, frozen=True, kw_only=True):
    """Put aside until the return window of its order is over, or until somebody has looked."""

    subject = "reward_id"
    reward_id: uuid.UUID
    campaign_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    role: str
    amount_minor: int
    currency: str


class RewardReleased(Event, frozen=True, kw_only=True):
    subject = "reward_id"
    reward_id: uuid.UUID
    campaign_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    amount_minor: int
    currency: str


class RewardReversed(Event, frozen=True, kw_only=True):
    """``amount_minor`` of a reward is taken back; ``was_released``: it had been given."""

    subject = "reward_id"
    reward_id: uuid.UUID
    campaign_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    amount_minor: int
    currency: str
    was_released: bool
    why: str


class RewardDue(Event, frozen=True, kw_only=True):
    """The return window of a reward's order is over."""

    subject = "reward_id"
    reward_id: uuid.UUID


# --- bargains: refusals


class BargainNotOffered(Refusal):
    """No such campaign, not running, not in this market or not for this offer."""

    en = "This can't be bargained for here at the moment. You can buy it at its price."
    zh = "此商品目前不支持砍价，可以按原价购买。"


class BargainsUsedUp(Refusal):
    en = "What this campaign can give is taken at the moment. You can buy it at its price."
    zh = "本次砍价活动的名额暂时已满，可以按原价购买。"


class BargainEnded(Refusal):
    en = "This bargain has ended. Nothing was changed."
    zh = "该砍价已结束，未做任何更改。"


class BargainComplete(Refusal):
    en = "The price is at its floor already: thank you, no help is needed any more."
    zh = "已砍至底价，感谢您，无需再助力。"


class BargainNotYours(Refusal):
    status = 403
    en = "Only who started this bargain can buy at its price. You can start your own."
    zh = "仅发起人可按砍后价购买，您可以发起自己的砍价。"


class BargainOrdered(Refusal):
    en = "There is an order at this bargain's price already. Pay for it or cancel it first."
    zh = "该砍价已有订单，请先付款或取消该订单。"


class BargainBuysOne(Refusal):
    status = 422
    en = "A bargain is for one piece of its thing. Order the rest apart."
    zh = "砍价仅限购买一件对应商品，其他商品请分开下单。"


class BargainPriceOver(Refusal):
    en = "The normal price is no higher than the bargain's now. Please buy without it."
    zh = "当前售价已不高于砍后价，请直接购买。"


class BargainNeedsPerson(Refusal):
    status = 422
    en = "A bargain belongs to a person: use the shop, not a program's key."
    zh = "砍价须属于某位用户：请在商店中操作，而不是用程序密钥。"


class OwnBargain(Refusal):
    en = "This is your own bargain: send its link to friends."
    zh = "这是您自己的砍价，请把链接发给朋友。"


class HelpNotCounted(Refusal):
    """The house's verdict on this help, with its reasons; no accusation."""

    en = "This help can't be counted: {why} If that is wrong, ask us to look at it: {appeal}"
    zh = "此次助力无法计入：{why_zh}如有误，可申请复核：{appeal}"


class HelpLooksAgain(Refusal):
    en = "Your help is kept. Somebody looks at it first; if it is fine, it is counted by itself."
    zh = "您的助力已记录，经人工核对无误后会自动计入。"


# --- invites: refusals


class InviteNotOpen(Refusal):
    en = "There is no such invitation at the moment."
    zh = "当前没有此邀请活动。"


class OwnInvite(Refusal):
    en = "This is your own link: send it to friends."
    zh = "这是您自己的链接，请发给朋友。"


class NothingToPay(Refusal):
    en = "Nothing is due to this person in {currency}, or less than the least payout of {least}."
    zh = "该用户没有 {currency} 应付款，或低于最低支付额 {least}。"


class PayoutChanged(Refusal):
    en = "What is due has changed since you looked. Look at the new amount, then confirm it."
    zh = "应付金额在您查看后已变化，请核对新金额后再确认。"


# --- teams: refusals


class TeamFull(Refusal):
    """Every seat is taken. ``link`` leads to other open teams and to a new one."""

    en = "This team is full; nothing was charged. Join another open team or start your own: {link}"
    zh = "该团已满员，未扣款。可以参加其他拼团或自己开团：{link}"


class TeamClosed(Refusal):
    en = (
        "This team has ended; nothing was charged. Join another open team or start your own: {link}"
    )
    zh = "该拼团已结束，未扣款。可以参加其他拼团或自己开团：{link}"


class AlreadyInTeam(Refusal):
    en = "You have a seat in this team already. Invite others with its link."
    zh = "您已在该团中占有一席，可以分享链接邀请他人。"


class TooManyTeams(Refusal):
    """The limit of the campaign for one person or one household of devices."""

    en = "You have taken part in this campaign as often as it allows. You can buy alone."
    zh = "您参加本次拼团活动的次数已达上限，可以单独购买。"


class TooManyOpenTeams(Refusal):
    en = "No more teams can be opened at the moment. Join an open one: {link}"
    zh = "目前无法再开新团，请参加已开的拼团：{link}"


class TeamSoldOut(Refusal):
    en = "What this campaign had to sell is taken. You can buy alone."
    zh = "本次拼团活动的商品已被订完，可以单独购买。"


class NewBuyersOnly(Refusal):
    en = "These teams may be joined by new customers only. You can start a team or buy alone."
    zh = "此活动仅限新用户参团。您可以自己开团，或单独购买。"


class TeamNotOffered(Refusal):
    """No such campaign, not running, not in this market, or not for this offer."""

    en = "This can't be bought in a team here at the moment. You can buy alone."
    zh = "此商品目前不支持拼团，可以单独购买。"


class TeamPriceOver(Refusal):
    en = "Buying alone costs no more than the team price now. Please buy alone."
    zh = "单独购买的价格已不高于拼团价，请直接购买。"


class TeamBuysOneThing(Refusal):
    status = 422
    en = "A team order holds one item of the team's, at most {most} pieces. Order the rest apart."
    zh = "拼团订单只能包含一种拼团商品，最多 {most} 件。其他商品请分开下单。"


class TeamNeedsPerson(Refusal):
    status = 422
    en = "A seat in a team belongs to a person: buy in the shop, not by a program's key."
    zh = "团位须属于某位买家：请在商店中购买，而不是用程序密钥。"


class NotTrusted(Refusal):
    """The house's verdict on this buyer; ``why`` and ``why_zh`` are its reasons."""

    en = "This seat can't be given to you: {why}. You can buy alone."
    zh = "无法为您保留团位：{why_zh}。可以单独购买。"


class CampaignNotDraft(Refusal):
    en = "The campaign has started: its terms are promised. Stop it and make a new one."
    zh = "活动已开始，条款已对外承诺。请停止后新建活动。"
