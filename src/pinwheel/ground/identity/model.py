"""Who somebody is: nouns, rights, refusals and facts."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
import uuid
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from pinwheel.kernel.caller import NOBODY, Caller, Kind
from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.kernel.events import Event

ROLE_SCOPES: dict[str, frozenset[str]] = {
    "guest": frozenset(),
    "buyer": frozenset(),
    "clerk": frozenset(
        {
            *("console", "orders:read", "orders:write", "catalogue:read", "catalogue:write"),
            *("stock", "fulfilment:write", "community", "till"),
        }
    ),
    "operator": frozenset({"*"}),
}
"""The rights that come with a role; a person may have more."""

PURPOSES = ("marketing", "personalisation", "analytics", "research")
CHANNELS = ("email", "sms", "web", "app", "post")
Purpose = Literal["marketing", "personalisation", "analytics", "research"]
Channel = Literal["email", "sms", "web", "app", "post"]

SESSION_SECONDS = 60 * 86_400
STAFF_SESSION_SECONDS = 12 * 3_600
GUEST_SECONDS = 30 * 86_400
CODE_SECONDS = 600
CODE_TRIES = 5
PASSWORD_MINIMUM = 10

EMAIL = re.compile(
    r"[^@\s\x00-\x1f<>\"]{1,64}@(?:[^@\s\x00-\x1f<>\".]+\.)+[^@\s\x00-\x1f<>\".]{2,}"
)
Email = Annotated[str, Meta(min_length=3, max_length=254)]
Line = Annotated[str, Meta(min_length=1, max_length=200)]
Password = Annotated[str, Meta(max_length=200)]


class WrongPassword(Refusal):
    status = 401
    en = "The e-mail address or the password is wrong. Try again, or sign in with a code."
    zh = "邮箱或密码不正确。请重试，或使用验证码登录。"


class WrongCode(Refusal):
    status = 401
    en = "This code is wrong, used or out of date. Ask for a new one."
    zh = "验证码错误、已使用或已过期。请重新获取。"


class EmailTaken(Refusal):
    en = "There is an account with this e-mail address. Sign in instead."
    zh = "此邮箱已注册，请直接登录。"


class LastOperator(Refusal):
    en = "This is the last operator; the shop needs one. Name another operator first."
    zh = "这是最后一位管理员，店铺至少需要一位。请先指定另一位管理员。"


class ScopeNotHeld(Refusal):
    status = 403
    en = "A key can't have the right {scope}, because its maker does not have it."
    zh = "密钥不能拥有权限 {scope}，因为创建者没有该权限。"


class Person(msgspec.Struct, frozen=True):
    """Somebody, with what was sealed opened."""

    id: uuid.UUID
    kind: Kind
    email: str | None
    name: str | None
    language: str | None
    created_at: dt.datetime


class Proof(msgspec.Struct, frozen=True):
    """That somebody is who they say: made by ``prove_password`` or ``prove_code`` alone.

    ``person_id`` is None when a code proved an address that has no account yet.
    """

    email: str
    person_id: uuid.UUID | None
    by: Literal["password", "code"]
    rehashed: str | None = None  # the password under today's parameters


class SignedIn(msgspec.Struct, frozen=True):
    """``token`` is the new session's secret: it goes into the cookie and nowhere else."""

    person: Person
    token: str


class SessionLine(msgspec.Struct, frozen=True):
    """One session as its owner sees it."""

    id: uuid.UUID
    agent: str | None
    created_at: dt.datetime
    seen_at: dt.datetime


class NewAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where to deliver to. ``country`` is ISO 3166-1 alpha-2; ``lines`` the street, one or two."""

    recipient_name: Line
    phone: Annotated[str, Meta(max_length=40, pattern=r"^[0-9+()\-. ]*$")] = ""
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
    region: Annotated[str, Meta(max_length=100)] = ""
    city: Line
    postal_code: Annotated[str, Meta(max_length=20)] = ""
    line1: Line
    line2: Annotated[str, Meta(max_length=200)] = ""
    is_default: bool = False


class Address(NewAddress, frozen=True, kw_only=True):
    id: uuid.UUID


class KeyLine(msgspec.Struct, frozen=True):
    """An API key as its owner sees it: never the key itself."""

    id: uuid.UUID
    label: str
    prefix: str
    scopes: list[str]
    created_at: dt.datetime
    used_at: dt.datetime | None
    revoked_at: dt.datetime | None


class NewKey(msgspec.Struct, frozen=True):
    """``key`` is shown this once."""

    id: uuid.UUID
    key: str
    scopes: list[str]


class Consent(msgspec.Struct, frozen=True):
    """What somebody said last about one purpose on one channel."""

    purpose: str
    channel: str
    is_granted: bool
    at: dt.datetime
    proof: dict[str, Any]


class Letter(msgspec.Struct, frozen=True):
    """A letter that waits to be sent, or to be read in the local mailbox."""

    id: uuid.UUID
    email: str
    body: str
    language: str
    created_at: dt.datetime


class DataMapLine(msgspec.Struct, frozen=True):
    """One column with personal data: what for and for how long."""

    column: str
    declaration: str


class PersonRegistered(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "person_id"
    person_id: uuid.UUID


class GuestJoined(Event, frozen=True, kw_only=True):
    """A guest signed in to an account: what was the guest's (a cart) is the account's now."""

    subject: ClassVar[str] = "person_id"
    guest_id: uuid.UUID
    person_id: uuid.UUID


class GuestsForgotten(Event, frozen=True, kw_only=True):
    """Guests that came to nothing; whatever is kept for them can go."""

    person_ids: list[uuid.UUID]


class PersonErased(Event, frozen=True, kw_only=True):
    """Make what you hold of this person nameless, and keep the books as they are."""

    subject: ClassVar[str] = "person_id"
    person_id: uuid.UUID


class ConsentChanged(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "person_id"
    person_id: uuid.UUID
    purpose: str
    channel: str
    is_granted: bool


class RoleChanged(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "person_id"
    person_id: uuid.UUID
    role: Kind
    scopes: list[str]


class CodeIssued(Event, frozen=True, kw_only=True):
    """A letter with a sign-in code waits in the outbox; the code itself stands in no event."""

    letter_id: uuid.UUID


def normal_email(text: str) -> str:
    """The form of an address under which it is known: trimmed, lower case, NFKC."""
    email = unicodedata.normalize("NFKC", text).strip().lower()
    if not EMAIL.fullmatch(email):
        raise Invalid("email", "this is not an e-mail address", "这不是有效的邮箱地址")
    return email


def checked_password(password: str, email: str) -> str:
    """Long enough and not the address itself (NIST SP 800-63B: length counts, composition
    doesn't)."""
    if len(password) < PASSWORD_MINIMUM:
        raise Invalid(
            "password",
            f"use at least {PASSWORD_MINIMUM} characters",
            f"密码至少需要 {PASSWORD_MINIMUM} 个字符",
        )
    if password.lower() in (email, email.split("@")[0]) or len(set(password)) < 4:
        raise Invalid("password", "this is too easy to guess", "该密码过于简单")
    return password


def session_seconds(kind: str) -> int:
    return STAFF_SESSION_SECONDS if kind in ("operator", "clerk") else SESSION_SECONDS


def scopes_of(kind: str, extra: list[str]) -> frozenset[str]:
    return ROLE_SCOPES[kind] | frozenset(extra)


__all__ = ["NOBODY", "Caller", "Kind"]
