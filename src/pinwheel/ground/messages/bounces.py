"""What mail systems say afterwards: delivery reports (RFC 3464) and complaints (RFC 5965).

A provider's notice, or a whole report as it arrived, is taken when it carries the shop's signature
(Standard Webhooks). The message it is about is found by our ``Message-ID``; without one by the
address, which must be one we have written to."""

from __future__ import annotations

import email
import email.policy
import re
import uuid
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from pinwheel.ground import identity
from pinwheel.ground.messages import post
from pinwheel.ground.messages.actions import hash_of
from pinwheel.ground.messages.consent import suppress
from pinwheel.ground.messages.model import SOFT_BOUNCES, BounceRefused
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid

OUR_ID = re.compile(r"<?([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})@", re.I)


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a mail system says. ``report`` is the report itself, as it came by mail; else
    ``kind`` with ``message_id`` (of the letter) or ``email``. ``is_permanent``: nobody is there."""

    kind: Literal["bounce", "complaint"] | None = None
    is_permanent: bool = True
    message_id: Annotated[str, Meta(max_length=320)] = ""
    email: Annotated[str, Meta(max_length=254)] = ""
    report: Annotated[str, Meta(max_length=200_000)] = ""


Notices = Annotated[list[Notice], Meta(max_length=500)]


class Told(msgspec.Struct, frozen=True):
    """``known``: how many of the notices were about a letter or an address of ours."""

    known: int


def verified(db: Database, headers: Mapping[str, str], body: bytes) -> list[Notice]:
    """The notices in a signed body; ``BounceRefused``, ``Invalid``."""
    secret = post.of(db).webhook_secret
    if not secret:
        raise BounceRefused()
    try:
        Webhook(secret).verify(body, dict(headers))
    except (WebhookVerificationError, ValueError) as error:
        raise BounceRefused() from error
    try:
        found: list[Notice] = msgspec.json.decode(body, type=Notices)
        return found
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("body", "this is not a list of notices", "内容不是通知列表") from error


def read_report(text: str) -> Notice | None:
    """The notice in a delivery report or a complaint; None for anything else that comes by mail."""
    report = email.message_from_string(text, policy=email.policy.default)
    if not isinstance(report, EmailMessage):
        return None
    kind, recipient, status, action = None, "", "", ""
    for part in report.walk():
        if part.get_content_type() == "message/delivery-status":
            kind = "bounce"
            for fields in part.iter_parts():
                recipient = recipient or _after_type(str(fields.get("Final-Recipient", "")))
                status = status or str(fields.get("Status", ""))
                action = action or str(fields.get("Action", "")).lower()
        elif part.get_content_type() == "message/feedback-report":
            kind = "complaint"
            lines = part.get_payload()
            said = str(lines[0] if isinstance(lines, list) else lines)
            found = re.search(r"^Original-Rcpt-To:\s*<?([^>\s]+)", said, re.I | re.M)
            recipient = recipient or (found[1] if found else "")
    if kind is None or (kind == "bounce" and action not in ("failed", "delayed")):
        return None
    found = OUR_ID.search(text.partition("\n\n")[2])
    return Notice(
        kind=kind,  # type: ignore[arg-type]
        is_permanent=action != "delayed" and not status.startswith("4"),
        message_id=found[1] if found else "",
        email=recipient[:254],
    )


def _after_type(field: str) -> str:
    return field.partition(";")[2].strip().strip("<>")


class _Letter(msgspec.Struct, frozen=True):
    id: uuid.UUID
    address_hash: bytes


async def take_notices(tx: Tx, notices: Sequence[Notice]) -> Told:
    """Mark the letters and stop writing where nobody is, or where somebody complained. A repeat
    changes nothing; three bounces that are not for good, with no letter arriving between, count as
    one that is."""
    read = [read_report(n.report) if n.report else n for n in notices]
    said = [n for n in read if n is not None and n.kind is not None]
    ids = {n: uuid.UUID(m[1]) for n in said if (m := OUR_ID.match(_full(n.message_id)))}
    letters = {
        one.id: one.address_hash
        for one in await tx.rows(
            _Letter,
            "select id, address_hash from messages.message where cell = $1 and id = any($2)",
            tx.cell,
            list(ids.values()),
        )
    }
    known = 0
    for n in said:
        message_id = ids.get(n)
        address_hash = letters.get(message_id) if message_id else _hash(tx, n.email)
        if address_hash is None:
            continue
        known += await _take(tx, n, message_id, address_hash)
    return Told(known)


def _full(message_id: str) -> str:
    return message_id if "@" in message_id else f"{message_id}@"


def _hash(tx: Tx, address: str) -> bytes | None:
    try:
        return hash_of(tx.db, identity.normal_email(address))
    except Invalid:
        return None


async def _take(tx: Tx, n: Notice, message_id: uuid.UUID | None, address_hash: bytes) -> int:
    soft = await tx.value(
        """
        with told as (
          update messages.message
             set bounced_at = case $4 when 'bounce' then coalesce(bounced_at, $3)
                              else bounced_at end,
                 complained_at = case $4 when 'complaint' then coalesce(complained_at, $3)
                                 else complained_at end
           where cell = $1 and id = $5
             and case $4 when 'bounce' then bounced_at else complained_at end is null
          returning id)
        update messages.address
           set soft_bounces = case when $6 then soft_bounces
                 else least(soft_bounces + case when $5::uuid is null
                                                  or exists (select from told) then 1 else 0 end,
                            1000) end
         where cell = $1 and hash = $2 returning soft_bounces
        """,
        tx.cell,
        address_hash,
        tx.now,
        n.kind,
        message_id,
        n.kind == "complaint" or n.is_permanent,
    )
    if soft is None:
        return 0
    if n.kind == "complaint":
        await suppress(tx, [address_hash], "complaint", "a mail system's report")
    elif n.is_permanent or soft >= SOFT_BOUNCES:
        await suppress(tx, [address_hash], "bounce", "a mail system's report")
    return 1
