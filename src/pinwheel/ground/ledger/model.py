"""Nouns of the ledger: units, accounts, journals, transfers, holds; and the rule that keeps a
floor."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

import msgspec
from babel.core import UnknownLocaleError
from babel.numbers import get_currency_precision

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

UnitKind = Literal["money", "stock", "points", "use"]
Side = Literal["debit", "credit"]


@lru_cache(maxsize=65536)
def id_of(code: str) -> int:
    """The id of a unit or an account: 63 bits of BLAKE2b of its code, so that it needs no look-up.

    Two codes with one id are refused by the unique code when the second is opened.
    """
    digest = hashlib.blake2b(code.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class Unit(msgspec.Struct, frozen=True):
    """What is counted: a currency's minor unit, pieces of one SKU, points. ``exponent``:
    decimal places."""

    code: str
    kind: UnitKind
    exponent: int = 0

    @property
    def id(self) -> int:
        return id_of(self.code)


@lru_cache(maxsize=512)
def money(currency: str) -> Unit:
    """The unit of an ISO 4217 currency, in its minor unit."""
    try:
        exponent = get_currency_precision(currency)
    except UnknownLocaleError:
        exponent = 2
    return Unit(currency, "money", exponent)


def pieces(sku_id: uuid.UUID) -> Unit:
    """The unit in which one SKU is counted."""
    return Unit(f"sku:{sku_id}", "stock")


class Account(msgspec.Struct, frozen=True):
    """A place where a unit can be. ``side`` is the one that adds to it (assets and stock:
    debit; income, debts and sources: credit). With a ``floor`` its balance, in its own sign,
    never goes below it."""

    code: str
    unit: Unit
    side: Side = "debit"
    floor: int | None = None

    @property
    def id(self) -> int:
        return id_of(self.code)

    @property
    def sign(self) -> int:
        return 1 if self.side == "debit" else -1


class Transfer(msgspec.Struct, frozen=True):
    """``amount`` minor units from ``credit`` to ``debit``. With ``hold`` it consumes that hold,
    in part or whole (``closes`` gives the rest of the hold back)."""

    debit: Account
    credit: Account
    amount: int
    hold: uuid.UUID | None = None
    closes: bool = True


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """Transfers that happen whole or not at all, once per (document, key)."""

    document_kind: str
    document_id: uuid.UUID
    key: str
    reason: str
    transfers: tuple[Transfer, ...]
    posted_at: dt.datetime | None = None  # None: now
    reverses: uuid.UUID | None = None


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A pending transfer: ``amount`` is out of reach at once and moves when it is committed."""

    document_kind: str
    document_id: uuid.UUID
    key: str
    debit: Account
    credit: Account
    amount: int
    expires_at: dt.datetime | None = None


class Posted(msgspec.Struct, frozen=True):
    """``fresh`` is False when this (document, key) was posted before: the first posting stands."""

    journal_id: uuid.UUID
    fresh: bool = True


class Held(msgspec.Struct, frozen=True):
    hold_id: uuid.UUID
    fresh: bool = True


class Standing(msgspec.Struct):
    """An account as it was read under lock. ``posted`` and ``held`` matter only with a floor."""

    id: int
    code: str
    unit: int
    sign: int
    floor: int | None
    posted: int
    held: int

    @property
    def room(self) -> int:
        """How much can still go out."""
        assert self.floor is not None
        return self.posted - self.held - self.floor


class OpenHold(msgspec.Struct):
    """A hold as it was read under lock."""

    id: uuid.UUID
    debit_id: int
    credit_id: int
    unit: int
    remaining: int
    state: str


class Insufficient(Refusal):
    """An account with a floor has less left than was asked for."""

    en = "Only {left} left in {account}, {asked} asked for. Take less, or wait until there is more."
    zh = "{account} 仅剩 {left}，而请求为 {asked}。请减少数量或稍后再试。"


class UnitMismatch(Refusal):
    status = 422
    en = "{debit} and {credit} count in different units; convert with a currency exchange first."
    zh = "{debit} 与 {credit} 的计量单位不同，请先进行兑换。"


class AmountNotPositive(Refusal):
    status = 422
    en = "A transfer moves a positive amount, not {amount}. To undo one, post a reversal."
    zh = "转账数量必须为正，不能是 {amount}。要撤销请使用冲正。"


class HoldClosed(Refusal):
    """The hold was committed, released or has expired, or holds less than is asked for."""

    en = "This reservation has ended ({state}) or holds less than {asked}. Reserve again."
    zh = "该预留已结束（{state}）或数量少于 {asked}，请重新预留。"
    codes = {
        "state": {
            "open": ("open", "有效"),
            "committed": ("committed", "已扣用"),
            "released": ("released", "已释放"),
            "expired": ("expired", "已过期"),
        }
    }


class PeriodClosed(Refusal):
    en = "The books are closed until {closed_until}. Post the correction with a later date."
    zh = "账期已关闭至 {closed_until}，请以之后的日期做更正。"


class HoldExpired(Event, frozen=True, kw_only=True):
    """A hold ran past its deadline and was given back."""

    subject = "document_id"
    hold_id: uuid.UUID
    document_kind: str
    document_id: uuid.UUID
    key: str
    amount: int


class PeriodWasClosed(Event, frozen=True, kw_only=True):
    closed_until: dt.datetime


class Plan(msgspec.Struct):
    """What one call will write: decided purely, then written in one statement."""

    journals: list[tuple[uuid.UUID, Journal]] = []
    holds: list[tuple[uuid.UUID, Hold]] = []
    closed: dict[uuid.UUID, str] = {}  # holds that end, and how

    deltas: dict[int, list[int]] = {}  # account → [posted, held]: each is named once
    taken: dict[uuid.UUID, int] = {}  # hold → taken from remaining

    def move(self, account: int, posted: int, held: int) -> None:
        delta = self.deltas.setdefault(account, [0, 0])
        delta[0] += posted
        delta[1] += held


def admit_journal(
    plan: Plan,
    journal_id: uuid.UUID,
    journal: Journal,
    accounts: Mapping[int, Standing],
    holds: Mapping[uuid.UUID, OpenHold],
) -> Refusal | None:
    """Admit ``journal`` into ``plan`` if every floor keeps, else say why and change nothing.

    Room is judged on the journal's net effect, so that the order of its lines does not matter.
    """
    refusal = _unsound((t.debit, t.credit, t.amount) for t in journal.transfers)
    if refusal is not None:
        return refusal
    posted: dict[int, int] = {}
    unheld: dict[int, int] = {}
    taken: dict[uuid.UUID, tuple[int, bool]] = {}
    for transfer in journal.transfers:
        for account, change in _effects(transfer.debit, transfer.credit, transfer.amount):
            posted[account] = posted.get(account, 0) + change
        if transfer.hold is not None:
            refusal = _take(transfer, holds, taken, unheld, accounts)
            if refusal is not None:
                return refusal
    for account, change in posted.items():
        standing = accounts[account]
        room_change = change + unheld.get(account, 0)
        if standing.floor is not None and room_change < 0 and standing.room + room_change < 0:
            return Insufficient(account=standing.code, left=max(0, standing.room), asked=-change)
    for account in posted.keys() | unheld.keys():
        standing = accounts[account]
        if standing.floor is not None:
            change, release = posted.get(account, 0), unheld.get(account, 0)
            standing.posted += change
            standing.held -= release
            plan.move(account, change, -release)
    for hold_id, (amount, closes) in taken.items():
        hold = holds[hold_id]
        hold.remaining -= amount
        plan.taken[hold_id] = plan.taken.get(hold_id, 0) + amount
        if closes or hold.remaining == 0:
            hold.state = plan.closed[hold_id] = "committed"
    plan.journals.append((journal_id, journal))
    return None


def admit_hold(
    plan: Plan, hold_id: uuid.UUID, hold: Hold, accounts: Mapping[int, Standing]
) -> Refusal | None:
    """Admit ``hold`` into ``plan`` if the account that would shrink has the room."""
    refusal = _unsound([(hold.debit, hold.credit, hold.amount)])
    if refusal is not None:
        return refusal
    shrinking = [a for a, change in _effects(hold.debit, hold.credit, hold.amount) if change < 0]
    floored = [accounts[a] for a in shrinking if accounts[a].floor is not None]
    for standing in floored:
        if standing.room < hold.amount:
            return Insufficient(
                account=standing.code, left=max(0, standing.room), asked=hold.amount
            )
    for standing in floored:
        standing.held += hold.amount
        plan.move(standing.id, 0, hold.amount)
    plan.holds.append((hold_id, hold))
    return None


def give_back(plan: Plan, hold: OpenHold, accounts: Mapping[int, Standing]) -> None:
    """Let go of what a hold still holds."""
    for account, sign in ((hold.debit_id, 1), (hold.credit_id, -1)):
        standing = accounts[account]
        if standing.floor is not None and sign * standing.sign < 0:
            standing.held -= hold.remaining
            plan.move(account, 0, -hold.remaining)


def _effects(debit: Account, credit: Account, amount: int) -> tuple[tuple[int, int], ...]:
    return (debit.id, amount * debit.sign), (credit.id, -amount * credit.sign)


def _unsound(lines: Iterable[tuple[Account, Account, int]]) -> Refusal | None:
    for debit, credit, amount in lines:
        if amount <= 0:
            return AmountNotPositive(amount=amount)
        if debit.unit.code != credit.unit.code or debit.code == credit.code:
            return UnitMismatch(debit=debit.code, credit=credit.code)
    return None


def _take(
    transfer: Transfer,
    holds: Mapping[uuid.UUID, OpenHold],
    taken: dict[uuid.UUID, tuple[int, bool]],
    unheld: dict[int, int],
    accounts: Mapping[int, Standing],
) -> Refusal | None:
    assert transfer.hold is not None
    hold = holds.get(transfer.hold)
    before = taken.get(transfer.hold, (0, False))[0]
    wanted = before + transfer.amount
    if hold is not None and (hold.debit_id, hold.credit_id) != (
        transfer.debit.id,
        transfer.credit.id,
    ):
        raise ValueError("a transfer that consumes a hold runs between the hold's own accounts")
    if hold is None or hold.state != "open" or hold.remaining < wanted:
        return HoldClosed(state=hold.state if hold else "unknown", asked=transfer.amount)
    freed = hold.remaining - before if transfer.closes else transfer.amount
    for account, change in _effects(transfer.debit, transfer.credit, 1):
        if change < 0 and accounts[account].floor is not None:
            unheld[account] = unheld.get(account, 0) + freed
    taken[transfer.hold] = (hold.remaining if transfer.closes else wanted, transfer.closes)
    return None


def accounts_of(journals: Sequence[Journal], holds: Sequence[Hold] = ()) -> dict[int, Account]:
    """Every account that is named, by id."""
    named = [a for j in journals for t in j.transfers for a in (t.debit, t.credit)]
    named += [a for h in holds for a in (h.debit, h.credit)]
    return {account.id: account for account in named}
