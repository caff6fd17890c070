"""Nouns and rules of gift cards: the code, the card, what is refused. Pure."""

from __future__ import annotations

import datetime as dt
import unicodedata
import uuid
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
RANDOM_LETTERS = 15  # 75 bits; the sixteenth letter checks them
MOST_IN_BATCH = 1000
GRACE_DAYS = 90  # money that comes back to a card is good for at least so long
PURPOSE = "payments.gift_card"
CHARGED_BACK = "charged back"
ALIKE = str.maketrans({"I": "1", "L": "1", "O": "0", "U": "V"})


def code_of(bits: int) -> str:
    """The code of 75 random bits, in groups of four: fifteen letters and one that checks them."""
    body = "".join(LETTERS[(bits >> shift) & 31] for shift in range(70, -1, -5))
    return grouped(body + check_letter(body))


def grouped(letters: str) -> str:
    return "-".join(letters[n : n + 4] for n in range(0, len(letters), 4))


def check_letter(body: str) -> str:
    """Luhn's sum modulo 32 (every second letter counts twice, from the right): it finds every
    single wrong letter and most swaps of neighbours."""
    total = 0
    for position, letter in enumerate(reversed(body)):
        value = LETTERS.index(letter) * (2 - position % 2)
        total += value // 32 + value % 32
    return LETTERS[-total % 32]


def read_code(typed: str) -> str | None:
    """The sixteen letters of a code as somebody typed it (spaces, dashes, small letters, wide
    letters, an O for a zero), or None: it can't be one, nobody need look it up."""
    wide = unicodedata.normalize("NFKC", typed).upper()
    letters = "".join(c for c in wide if c.isalnum()).translate(ALIKE)
    if len(letters) != RANDOM_LETTERS + 1 or any(c not in LETTERS for c in letters):
        return None
    return letters if check_letter(letters[:-1]) == letters[-1] else None


class GiftCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card as it stands; ``balance_minor`` is what it is still good for, less what open orders
    hold. ``expires_on`` is its last day."""

    id: uuid.UUID
    last4: str
    state: str
    reason: str
    face_minor: int
    currency: str
    market: str
    expires_on: dt.date | None
    batch_id: uuid.UUID | None
    order_id: uuid.UUID | None
    line: int | None
    buyer_id: uuid.UUID | None
    created_at: dt.datetime
    balance_minor: int = 0


class MadeCard(msgspec.Struct, frozen=True):
    """A card with its code, which is shown this once."""

    id: uuid.UUID
    code: str

    def __repr__(self) -> str:
        return f"MadeCard({self.id})"


class SoldCard(msgspec.Struct, frozen=True, kw_only=True):
    """One card that an order bought. ``number``: the how-manieth piece of its line; ``source``
    pays for it."""

    order_id: uuid.UUID
    line: int
    number: int
    face_minor: int
    currency: str
    market: str
    buyer_id: uuid.UUID | None
    source: Account

    @property
    def id(self) -> uuid.UUID:
        return uuid.uuid5(self.order_id, f"gift card:{self.line}:{self.number}")


@lru_cache(maxsize=64)
def given_away(currency: str) -> Account:
    """What cards that nobody paid for cost: an expense."""
    return Account(f"gift_cards_given:{currency}", ledger.money(currency))


@lru_cache(maxsize=64)
def breakage(currency: str) -> Account:
    """What was left on cards when they expired: income, and seen as such."""
    return Account(f"gift_card_breakage:{currency}", ledger.money(currency), "credit")


def usable_until(market_days: int | None, today: dt.date) -> dt.date | None:
    return None if market_days is None else today + dt.timedelta(days=market_days)


def last_letters(codes: Sequence[str]) -> list[str]:
    return [code[-4:] for code in codes]


# Facts.


class GiftCardsIssued(Event, frozen=True, kw_only=True):
    """Cards were given out: ``source_id`` is the batch, the order, or the card that is replaced."""

    subject = "source_id"
    source_id: uuid.UUID
    card_ids: tuple[uuid.UUID, ...]
    face_minor: int
    currency: str
    reason: str


class GiftCardBlocked(Event, frozen=True, kw_only=True):
    subject = "card_id"
    card_id: uuid.UUID
    reason: str


class GiftCardUnblocked(Event, frozen=True, kw_only=True):
    subject = "card_id"
    card_id: uuid.UUID
    reason: str


class GiftCardEnded(Event, frozen=True, kw_only=True):
    """It is good for nothing any more; ``amount_minor`` was left and is booked as ``why``."""

    subject = "card_id"
    card_id: uuid.UUID
    why: str
    amount_minor: int
    currency: str


class GiftCodeShown(Event, frozen=True, kw_only=True):
    """Its buyer had the code shown: an earlier code of it works no more."""

    subject = "card_id"
    card_id: uuid.UUID


# Refusals.


class GiftCodeUnknown(Refusal):
    """Mistyped, never issued, or replaced: told apart to nobody but by the check letter."""

    status = 422
    en = "There is no gift card with this code. Please compare it letter by letter."
    zh = "没有使用该卡号的礼品卡，请逐位核对。"


class GiftCodeMistyped(Refusal):
    status = 422
    en = (
        "This is not a gift card's code: it has 16 letters and digits, and one of them seems to be "
        "wrong. Please compare it with your card."
    )
    zh = "礼品卡卡号为 16 位字母和数字，您输入的内容似乎有误，请对照卡片重新输入。"


class GiftCardNotKept(Refusal):
    status = 422
    en = "Enter the code of this gift card first; then it can be paid with."
    zh = "请先输入该礼品卡的卡号，再用它付款。"


class GiftCardBlockedNow(Refusal):
    en = "The gift card …{last4} is blocked and can't be used. Please write to the shop."
    zh = "尾号 {last4} 的礼品卡已被冻结，无法使用，请联系本店。"


class GiftCardExpired(Refusal):
    en = "The gift card …{last4} was good until {until}. It can't be used any more."
    zh = "尾号 {last4} 的礼品卡有效期至 {until}，已无法使用。"


class GiftCardOtherCurrency(Refusal):
    status = 422
    en = (
        "The gift card …{last4} is in {currency}, this order is in {asked}. "
        "Use it for an order in {currency}, or pay another way."
    )
    zh = (
        "尾号 {last4} 的礼品卡币种为 {currency}，该订单为 {asked}。"
        "请用于 {currency} 订单或换一种支付方式。"
    )


class GiftCardTooLow(Refusal):
    en = (
        "The gift card …{last4} has {left} left, {asked} asked for (in {currency} minor units). "
        "Pay the rest by another method."
    )
    zh = (
        "尾号 {last4} 的礼品卡余额为 {left}，需支付 {asked}（{currency} 最小单位）。"
        "请用其他方式支付差额。"
    )


class GiftBatchExists(Refusal):
    en = (
        "A batch of gift cards with this id was made before, and its codes can't be shown again. "
        "Where they were lost, block its cards and make a batch with another id."
    )
    zh = (
        "该编号的礼品卡批次此前已生成，卡号无法再次显示。"
        "如已遗失，请冻结其中的卡并用新编号重新生成。"
    )


class GiftCodeInUse(Refusal):
    """Somebody has typed the code: a new one would take the card away from them."""

    en = "The code of the gift card …{last4} has been used; a new one can't be shown."
    zh = "尾号 {last4} 的礼品卡卡号已被使用，无法再显示新卡号。"


class GiftCardIs(Refusal):
    en = "The gift card …{last4} is {state}: this can't be done with it."
    zh = "尾号 {last4} 的礼品卡状态为 {state}，无法执行此操作。"
    codes = {
        "state": {
            "open": ("open", "有效"),
            "blocked": ("blocked", "已冻结"),
            "expired": ("past its last day", "已过期"),
            "ended": ("ended", "已注销"),
        }
    }


class GiftCardUsed(Refusal):
    """A card that was bought comes back only whole."""

    en = (
        "A gift card of this order was used already: only {left} of {face} are left "
        "(in {currency} minor units). A used card can't be returned."
    )
    zh = (
        "该订单中的礼品卡已被使用：面值 {face}，仅剩 {left}（{currency} 最小单位）。"
        "已使用的礼品卡不可退货。"
    )
