"""Nouns of a replay: how a file's figures become ids, minor units, ledger accounts and reasons."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import unicodedata
import uuid
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal

import msgspec
from babel import Locale

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Transfer, Unit
from pinwheel.kernel.errors import Refusal

NODE = "REPLAY"
DELIVERY = "invoiced"
MARKETS = {"GBP": "REPLAY-GB", "BRL": "REPLAY-BR"}
ADJUSTED = Unit("adjusted-pieces", "use")
"""The unit of quantities that are no goods: postage lines, fees, manual entries."""
OLD_NAMES = {
    "EIRE": "IE",
    "RSA": "ZA",
    "USA": "US",
    "UK": "GB",
    "Channel Islands": "JE",
    "European Community": "EU",
    "Korea": "KR",
    "West Indies": "BB",
}
NOWHERE = "ZZ"
"""ISO 3166's code for a country that is not known."""


class FileUnfit(Refusal):
    """The file is not what this replay plays."""

    status = 422
    en = "{file} can't be replayed: {why}."
    zh = "无法重放 {file}：{why_zh}。"


class ReplayStuck(Refusal):
    """Something that must work did not; what is done stays, and a new start goes on from there."""

    en = "The replay stopped at {where}: {why}. Mend it and start the same command again."
    zh = "重放在 {where} 处停止：{why_zh}。请修复后重新运行同一命令，将从中断处继续。"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says was booked under one document: the audit compares it with the ledger."""

    document_id: uuid.UUID
    key: str
    kind: str
    reference: str
    lines: int
    units: int
    revenue_minor: int


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file that did not become an order, with the reason."""

    number: int
    reference: str
    code: str
    description: str
    quantity: int
    amount: Decimal
    reason: str
    booked: str


class Totals(msgspec.Struct, frozen=True):
    """What the ledger alone says, or what the file says."""

    units: int
    revenue_minor: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay prints in the end. ``units`` and ``revenue_minor`` are the ledger's own;
    ``control`` are the file's; ``refused`` counts lines by the reason why they are no order."""

    source: str
    orders: int
    units: int
    revenue_minor: int
    currency: str
    control: dict[str, int | str]
    agrees: bool
    refused: dict[str, int]
    figures: dict[str, int | float | str]
    audit_clean: bool
    broken: list[str]
    seconds: float


def timed_id(at: dt.datetime, *names: object) -> uuid.UUID:
    """The same names give the same id, and ids lie in the order of time (the layout of RFC 9562,
    version 7, with a digest where the random bits are)."""
    digest = hashlib.blake2b("\0".join(map(str, names)).encode(), digest_size=10).digest()
    bits = int.from_bytes(digest, "big") & ((1 << 74) - 1)
    millis = int(at.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    value = millis << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | bits & ((1 << 62) - 1)
    return uuid.UUID(int=value)


def run_id(source: str, digest: str) -> uuid.UUID:
    """A file is replayed once, under this name."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"pinwheel:replay:{source}:{digest}")


def person_id(source: str, name: str) -> uuid.UUID:
    """A buyer of the file. No account comes with it: nobody can sign in as a line of a file."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"pinwheel:replay:{source}:person:{name}")


def to_minor(amount: Decimal, exponent: int = 2) -> int:
    """Rounded half up (away from nothing) to the minor unit."""
    return int(amount.scaleb(exponent).quantize(Decimal(1), ROUND_HALF_UP))


_TERRITORIES = {name.casefold(): code for code, name in Locale("en").territories.items()}


def country_of(name: str) -> str:
    """ISO 3166 of an English name, old names too; ``ZZ`` when it is none."""
    plain = OLD_NAMES.get(name.strip()) or _TERRITORIES.get(name.strip().casefold(), NOWHERE)
    return plain if re.fullmatch(r"[A-Z]{2}", plain) else NOWHERE


# Accounts. What moved money outside of our payments has `settled_outside` on its other side.


def adjustment(code: str, currency: str) -> Account:
    """Income (or cost) that is no goods: one account a code."""
    return Account(f"adjustment:{label(code)}:{currency}", ledger.money(currency), "credit")


def settled_outside(currency: str) -> Account:
    return Account(f"settled_outside:{currency}", ledger.money(currency))


def adjusted(code: str) -> Account:
    return Account(f"adjusted:{label(code)}", ADJUSTED)


ADJUSTED_SOURCE = Account("adjustments:source", ADJUSTED, "credit")


def label(code: str) -> str:
    """A code as a part of an account's name."""
    plain = unicodedata.normalize("NFKD", code.strip().upper())
    return re.sub(r"[^A-Z0-9]+", "_", plain).strip("_") or "NONE"


def revenue(code: str, amount_minor: int, currency: str) -> list[Transfer]:
    """Money of an adjustment: positive is earned, negative is spent."""
    return directed(settled_outside(currency), adjustment(code, currency), amount_minor)


def counted(code: str, quantity: int) -> list[Transfer]:
    """Quantity of an adjustment, so that the ledger can account for every unit of the file."""
    return directed(adjusted(code), ADJUSTED_SOURCE, quantity)


def directed(debit: Account, credit: Account, amount: int) -> list[Transfer]:
    """A transfer of a signed amount; none for nothing."""
    if amount == 0:
        return []
    return [Transfer(debit, credit, amount) if amount > 0 else Transfer(credit, debit, -amount)]


def rounds(orders: Sequence[uuid.UUID]) -> Iterable[list[int]]:
    """Positions of ``orders`` in as few lists as it takes for each to name an order once."""
    seen: dict[uuid.UUID, int] = {}
    lists: list[list[int]] = []
    for position, order_id in enumerate(orders):
        turn = seen[order_id] = seen.get(order_id, -1) + 1
        if turn == len(lists):
            lists.append([])
        lists[turn].append(position)
    return lists
