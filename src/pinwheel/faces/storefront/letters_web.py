"""Letters about offers: yes by two steps, no by one, from the letter itself and without an account.

A page that is fetched changes nothing: mail scanners fetch every link. Only a press does, and the
one-click call that a mail program makes (RFC 8058), which is the same form."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinwheel.ground import messages
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Answer, Call, File, Limit, See, get, post

PAGE = "storefront/letters.html"
WORDING = "Write to me about news and offers by e-mail. I can end it in every letter."
CONFIRMING = "Yes, send me news and offers"
ZONES = (
    *("Asia/Shanghai", "Asia/Hong_Kong", "Asia/Singapore", "Asia/Tokyo", "Europe/London"),
    *("Europe/Berlin", "America/New_York", "America/Chicago", "America/Los_Angeles"),
    *("America/Sao_Paulo", "Australia/Sydney", "UTC"),
)
ASKING = (("letters", Limit(10, 60)),)
PRESSING = (("letters-link", Limit(60, 2)),)
PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)


def shown(call: Call, doing: str, **more: Any) -> Answer[dict[str, Any]]:
    title = {
        "ask": "News and offers by e-mail",
        "asked": "Look into your mailbox",
        "confirm": "One more step",
        "confirmed": "You are subscribed",
        "leave": "No more letters about offers?",
        "left": "You are unsubscribed",
    }[doing]
    data = {"doing": doing, "title": call.say(title), "robots": "noindex", "token": "", **more}
    return Answer(data, page=PAGE)


@get("/letters")
async def ask(call: Call) -> Answer[dict[str, Any]]:
    """Ask for letters about offers."""
    return shown(call, "ask", wording=call.say(WORDING), zones=ZONES)


class SignUp(msgspec.Struct):
    email: Annotated[str, Meta(min_length=3, max_length=254)]
    zone: Annotated[str, Meta(max_length=64)] = ""


@post("/letters", again="/letters", limits=ASKING)
async def asked(call: Call, tx: Tx, data: SignUp) -> Answer[dict[str, Any]]:
    """A letter with a link goes to the address. The page says the same to everybody."""
    await messages.subscribe(
        tx,
        data.email,
        language=call.language,
        wording=call.say(WORDING),
        source="/letters",
        zone=data.zone if data.zone in ZONES else None,
    )
    return shown(call, "asked")


@get("/letters/confirm/{token:str}")
async def confirm_page(call: Call, tx: Tx, token: str) -> Answer[dict[str, Any]]:
    """A look at the link; pressing is what confirms."""
    messages.confirmed_address(tx.db.vault, token, tx.now)
    return shown(call, "confirm", token=token)


@post("/letters/confirm/{token:str}", again="/letters", limits=PRESSING)
async def confirm(call: Call, tx: Tx, token: str) -> Answer[dict[str, Any]]:
    """From now on the address is written to."""
    wording = call.say(CONFIRMING)
    await messages.confirm(tx, token, wording=wording, source="the link in a letter")
    return shown(call, "confirmed")


@get("/letters/unsubscribe/{token:str}")
async def leave_page(call: Call, tx: Tx, token: str) -> Answer[dict[str, Any]]:
    """A look at the link, also by a machine: nothing is changed."""
    messages.address_in(tx.db.vault, token)
    return shown(call, "leave", token=token)


@post("/letters/unsubscribe/{token:str}", csrf=False, anonymous=True, limits=PRESSING)
async def leave(call: Call, tx: Tx, token: str) -> Answer[dict[str, Any]]:
    """No more letters about offers, from this moment on. The signed link is the right to say so: a
    mail program presses it without a cookie."""
    await messages.unsubscribe(tx, token, source="the link in a letter")
    return shown(call, "left", token=token)


@get("/letters/go/{token:str}", anonymous=True)
async def follow(
    call: Call, db: Database, token: str, to: Annotated[str, Meta(max_length=2_000)] = "/"
) -> See[None]:
    """A link of a letter, counted. It leads to the path that was signed and nowhere else."""
    async with db.transaction(actor="reader") as tx:
        path = await messages.note_click(tx, token, to)
    return See(path)


@get("/letters/seen/{token:str}", anonymous=True)
async def seen(call: Call, db: Database, token: str) -> File:
    """The picture of a letter, counted."""
    async with db.transaction(actor="reader") as tx:
        await messages.note_seen(tx, token)
    return File(PIXEL, "image/gif")
