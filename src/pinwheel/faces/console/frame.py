"""What every page of the console has: the frame around it, what was just done, who did what."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from pinwheel.ground import identity
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.web import Answer, Call, Cookie, See

T = TypeVar("T")

FLASH = "said"
FLASH_SECONDS = 60
SCOPES: Mapping[str, str] = {
    "today": "console",
    "orders": "orders:read",
    "returns": "orders:read",
    "customers": "orders:read",
    "audience": "audience",
    "reviews": "orders:write",
    "teams": "teams:read",
    "bargains": "teams:read",
    "invites": "teams:read",
    "promoters": "teams:read",
    "trust": "trust",
    "newcomers": "newcomers",
    "promotions": "promotions",
    "bigdays": "bigdays",
    "catalogue": "catalogue:read",
    "categories": "catalogue:read",
    "import": "catalogue:write",
    "stock": "stock",
    "payments": "orders:read",
    "gift-cards": "orders:read",
    "tills": "till",
    "budgets": "budgets",
    "price-rules": "prices",
    "repricing": "prices",
    "subsidy": "subsidy",
    "ledger": "books",
    "tracking": "tracking:read",
    "messages": "messages",
    "letters": "messages",
    "campaigns": "journeys",
    "journeys": "journeys",
    "watch": "operate",
    "audit": "operate",
    "events": "operate",
    "jobs": "operate",
    "experiments": "experiments",
    "growth": "growth",
    "open": "webhooks",
    "settings": "settings",
}
"""The right each part of the console takes. A clerk has some of them, an operator all; what moves
the shop's own money takes ``money``, what changes people's accounts ``people``."""


class Said(msgspec.Struct, frozen=True):
    """What the next page says of what was done."""

    text: str
    tone: str = "good"


def said_cookie(said: Said) -> Cookie:
    packed = base64.urlsafe_b64encode(msgspec.json.encode(said)).decode().rstrip("=")
    return Cookie(FLASH, packed, FLASH_SECONDS)


def said_before(call: Call) -> Said | None:
    """What the last page wanted to be said here; a cookie that is not ours says nothing."""
    packed = call.cookies.get(FLASH, "")
    if not packed or len(packed) > 3000:
        return None
    try:
        raw = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
        return msgspec.json.decode(raw, type=Said)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None


async def shown(
    call: Call,
    tx: Tx,
    data: T,
    page: str,
    title: str,
    section: str,
    *,
    part: str | None = None,
    status: int = 200,
    **more: Any,
) -> Answer[T]:
    """``data`` on ``page`` in the console's frame; a program gets ``data`` alone.

    ``title`` is already in the reader's language. 1 statement, for the name of who is signed in.
    """
    if not call.wants_page:
        return Answer(data, status=status)
    said, zone = said_before(call), call.app.state["edge"].settings.time_zone
    away = f"{tx.now.astimezone(ZoneInfo(zone)):%z}"
    context: dict[str, Any] = {
        "title": title,
        "section": section,
        "staff": await staff_of(call, tx),
        "may": call.caller.may,
        "sections": {name for name, scope in SCOPES.items() if call.caller.may(scope)},
        "messages": [said] if said is not None and said.tone == "good" else (),
        "error": said.text if said is not None and said.tone == "bad" else None,
        "fresh_id": tx.new_id(),
        "now": tx.now,
        "zone": zone,
        "offset": f"{away[:3]}:{away[3:]}",
        **more,
    }
    cookies = (Cookie(FLASH, None),) if said is not None else ()
    return Answer(
        data, page=f"console/{page}.html", part=part, more=context, cookies=cookies, status=status
    )


async def staff_of(call: Call, tx: Tx) -> dict[str, str]:
    person_id = call.caller.person_id
    found = await identity.people(tx, [person_id]) if person_id else {}
    person = found.get(person_id) if person_id else None
    role = call.say("Operator") if call.caller.may("*") else call.say("Clerk")
    name = (person.name or person.email) if person else None
    return {"name": name or role, "role": role}


async def attempt(
    call: Call,
    db: Database,
    verb: Callable[[Tx], Awaitable[T]],
    back: str,
    message: str | Callable[[T], str],
    *,
    ahead: Callable[[T], str] | None = None,
) -> See[Any]:
    """Run ``verb`` in a transaction of its own and go to ``ahead`` (or ``back``) with ``message``.

    When it is refused nothing was changed: the person goes back to where they were, where the
    refusal's sentence stands; a program gets the refusal."""
    try:
        result = await db.attempt(verb, actor=call.caller.actor, request_id=call.request_id)
    except Refusal as refusal:
        if not call.wants_page or refusal.status in (401, 403):
            raise
        return See(back, cookies=(said_cookie(Said(refusal.sentence(call.language), "bad")),))
    text = message if isinstance(message, str) else message(result)
    path = ahead(result) if ahead is not None else back
    data = None if call.wants_page else _plain(result)
    return See(path, data, cookies=(said_cookie(Said(text)),))


def _plain(result: Any) -> Any:
    return msgspec.to_builtins(result, enc_hook=str, str_keys=True)


async def names_of(tx: Tx, actors: Iterable[str]) -> dict[str, str]:
    """A name for each actor who is a person (``operator:…``); others are shown as they are."""
    by_id: dict[uuid.UUID, str] = {}
    for actor in set(actors):
        kind, _, rest = actor.partition(":")
        if kind in ("operator", "clerk", "buyer", "guest"):
            try:
                by_id[uuid.UUID(rest)] = actor
            except ValueError:
                continue
    if not by_id:
        return {}
    found = await identity.people(tx, list(by_id))
    return {by_id[i]: p.name or p.email or by_id[i].partition(":")[0] for i, p in found.items()}


def refused(answers: Sequence[Any]) -> None:
    """Raise the first refusal among the answers of a verb that takes a list: all or nothing."""
    for answer in answers:
        if isinstance(answer, Refusal):
            raise answer


def words_of(en: str, zh: str) -> dict[str, str]:
    return {k: v.strip() for k, v in (("en", en), ("zh-CN", zh)) if v.strip()}


def csv_line(*cells: Any) -> bytes:
    """One line of CSV. A cell that a spreadsheet would run as a formula is made text."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(
        [f"'{c}" if isinstance(c, str) and c[:1] in ("=", "+", "-", "@", "\t") else c
         for c in cells]
    )  # fmt: skip
    return out.getvalue().encode()


def with_query(path: str, **query: Any) -> str:
    """``path`` with what is asked, without what is empty."""
    kept = {k: v for k, v in query.items() if v not in (None, "", False)}
    return f"{path}?{urlencode(kept)}" if kept else path
