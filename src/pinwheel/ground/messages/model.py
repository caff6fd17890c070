"""What the shop says to somebody: nouns, refusals, and when it may be said."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hmac
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from pinwheel.ground.messages.wording import Letters
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event
from pinwheel.kernel.vault import Vault

Purpose = Literal["transactional", "marketing"]
State = Literal["waiting", "handing", "sent", "unsure", "suppressed", "expired", "dead"]
Reason = Literal["unsubscribed", "bounce", "complaint", "operator"]
Slug = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[a-z0-9][a-z0-9-]*$")]

SECONDS_TO_LIVE = 3 * 86_400
CONFIRM_SECONDS = 7 * 86_400
BACK_OFF_SECONDS = (60, 300, 900, 3_600, 10_800, 21_600)
MOST_ATTEMPTS = 8
SOFT_BOUNCES = 3
MAC_BYTES = 16


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A letter to a person (their own address) or to ``email``, once per ``scope`` and ``key``.

    ``template`` is a file of ``letters`` or, without them, the slug of a letter the staff wrote
    (``version`` None: the newest). ``language`` None: the reader's. It is not handed over before
    ``not_before`` and never once it is older than ``lives_seconds``."""

    scope: str
    key: str
    purpose: Purpose
    template: str
    facts: Mapping[str, Any] = {}
    letters: Letters | None = None
    version: int | None = None
    person_id: uuid.UUID | None = None
    email: str | None = None
    language: str | None = None
    not_before: dt.datetime | None = None
    lives_seconds: int = SECONDS_TO_LIVE


class Queued(msgspec.Struct, frozen=True):
    """``fresh`` False: it was there already under this scope and key."""

    message_id: uuid.UUID
    fresh: bool


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for marketing: at most ``cap`` letters within ``window_days``, none between
    ``quiet_from`` and ``quiet_until`` o'clock where the reader lives; ``per_minute`` letters to one
    mail system."""

    cap: Annotated[int, Meta(ge=1, le=1000)] = 3
    window_days: Annotated[int, Meta(ge=1, le=90)] = 7
    quiet_from: Annotated[int, Meta(ge=0, le=23)] = 21
    quiet_until: Annotated[int, Meta(ge=0, le=23)] = 9
    per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 300


class Template(msgspec.Struct, frozen=True, kw_only=True):
    slug: str
    version: int
    name: str
    subject: dict[str, str]
    body: dict[str, str]
    saved_at: dt.datetime
    saved_by: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the shop may write to one address."""

    hash: bytes
    email: str | None
    language: str | None
    zone: str | None
    subscribed_at: dt.datetime | None
    suppressed: list[str]

    @property
    def may_market(self) -> bool:
        return self.subscribed_at is not None and not self.suppressed


# --- refusals


class NoAddress(Refusal):
    """A person without an e-mail address: a guest, or somebody erased."""

    en = "There is no address to write to. Ask for one first."
    zh = "没有可用的联系地址，请先补充。"


class NotSubscribed(Refusal):
    en = "This address has not agreed to letters about offers."
    zh = "该地址未同意接收营销邮件。"


class Suppressed(Refusal):
    en = "This address must not be written to: {reason}."
    zh = "该地址已停止投递：{reason}。"
    codes = {
        "reason": {
            "unsubscribed": ("its owner has unsubscribed", "收件人已退订"),
            "bounce": ("letters to it come back", "信件被退回"),
            "complaint": ("its owner has complained", "收件人曾投诉"),
            "operator": ("the staff have stopped it", "已由员工停用"),
            "erased": ("the person was erased", "该用户已注销"),
        }
    }


class UnknownTemplate(Refusal):
    status = 422
    en = "There is no letter {template}. Write it first."
    zh = "没有名为 {template} 的邮件模板，请先创建。"


class BadLink(Refusal):
    status = 404
    en = "This link is not complete or no longer valid. Use the one in the newest letter."
    zh = "该链接不完整或已失效，请使用最新邮件中的链接。"


class BounceRefused(Refusal):
    status = 401
    en = "The notice is not signed with the secret of this shop. Check the secret and the clock."
    zh = "通知的签名与本店密钥不符，请检查密钥和时钟。"


# --- events


class MessagesDue(Event, frozen=True, kw_only=True):
    """There is something to hand over."""


class Subscribed(Event, frozen=True, kw_only=True):
    """An address confirmed by its link; ``person_id`` when it is somebody's."""

    subject: ClassVar[str] = "person_id"
    person_id: uuid.UUID | None


class Unsubscribed(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "person_id"
    person_id: uuid.UUID | None
    reason: str


# --- rules


def after_quiet(at: dt.datetime, rules: Rules, zone: str) -> dt.datetime:
    """The first instant from ``at`` on at which the reader's clock is outside quiet hours. A gap or
    a repeated hour of summer time is the zone's own affair: the instant is found on its clock."""
    if rules.quiet_from == rules.quiet_until:
        return at
    local = at.astimezone(ZoneInfo(zone))
    over_midnight = rules.quiet_from > rules.quiet_until
    late, early = local.hour >= rules.quiet_from, local.hour < rules.quiet_until
    quiet = (late or early) if over_midnight else (late and early)
    if not quiet:
        return at
    day = local.date() + dt.timedelta(days=1 if over_midnight and late else 0)
    wanted = dt.datetime.combine(day, dt.time(rules.quiet_until), ZoneInfo(zone))
    return max(at, wanted.astimezone(dt.UTC))


def back_off(attempts: int) -> int:
    """Seconds until the next try after this many."""
    return BACK_OFF_SECONDS[min(max(attempts, 1), len(BACK_OFF_SECONDS)) - 1]


def domain_of(email: str) -> str:
    return email.rpartition("@")[2]


# --- links


def link_token(vault: Vault, address_hash: bytes) -> str:
    """What a letter's unsubscribe link carries: it works for as long as the letter is kept."""
    return _packed(address_hash + _mac(vault, "unsubscribe", address_hash))


def address_in(vault: Vault, token: str) -> bytes:
    """The address an unsubscribe link is for; ``BadLink``."""
    raw = _unpacked(token, 32 + MAC_BYTES)
    if not hmac.compare_digest(raw[32:], _mac(vault, "unsubscribe", raw[:32])):
        raise BadLink()
    return raw[:32]


def confirm_token(vault: Vault, address_hash: bytes, until: dt.datetime) -> str:
    """Proof that whoever reads the address's letters said yes; good until ``until``."""
    said = address_hash + int(until.timestamp()).to_bytes(6, "big")
    return _packed(said + _mac(vault, "confirm", said))


def confirmed_address(vault: Vault, token: str, now: dt.datetime) -> bytes:
    raw = _unpacked(token, 38 + MAC_BYTES)
    if not hmac.compare_digest(raw[38:], _mac(vault, "confirm", raw[:38])):
        raise BadLink()
    if int.from_bytes(raw[32:38], "big") < now.timestamp():
        raise BadLink()
    return raw[:32]


def message_token(vault: Vault, message_id: uuid.UUID, what: str) -> str:
    """Names one message in a link (``what``: open, or click and the path it leads to)."""
    return _packed(message_id.bytes + _mac(vault, what, message_id.bytes))


def message_in(vault: Vault, token: str, what: str) -> uuid.UUID:
    raw = _unpacked(token, 16 + MAC_BYTES)
    if not hmac.compare_digest(raw[16:], _mac(vault, what, raw[:16])):
        raise BadLink()
    return uuid.UUID(bytes=raw[:16])


def _mac(vault: Vault, what: str, said: bytes) -> bytes:
    return vault.blind(f"{what}\n{said.hex()}", "messages.link")[:MAC_BYTES]


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unpacked(token: str, length: int) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError) as error:
        raise BadLink() from error
    if len(raw) != length:
        raise BadLink()
    return raw
