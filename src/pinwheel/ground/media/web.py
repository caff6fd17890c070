"""Routes of pictures: sending one, looking at one, taking one's own away."""

from __future__ import annotations

import asyncio
import uuid

import msgspec

from pinwheel.ground.media import actions, queries
from pinwheel.ground.media.model import (
    MEDIA_TYPE,
    MOST_BYTES,
    NotAPicture,
    Picture,
    PictureTooLarge,
)
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Answer, Call, File, Limit, delete, get, post

SENDING = (("picture", Limit(30, 30)),)
# Shown as a picture and as nothing else, whatever a browser makes of it.
SAFE = {
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "public, max-age=3600",
    "content-disposition": "inline",
}


class Gone(msgspec.Struct):
    count: int


@post(
    "/api/v1/pictures",
    limits=SENDING,
    body_bytes=MOST_BYTES + 100_000,
    refusals=(NotAPicture, PictureTooLarge),
    status=201,
    tags=("pictures",),
)
async def send_picture(call: Call, db: Database) -> Answer[Picture]:
    """Send one picture: as the body itself (image/jpeg, image/png, image/webp), or as the file
    ``picture`` of a form. It is drawn anew; where and with what it was taken is not kept."""
    owner_id = call.caller.person()
    form = call.exchange.form
    if form is None:
        raw = await call.body()
    else:
        sent = (form.get("picture") or [b""])[-1]
        raw = await sent.read() if hasattr(sent, "read") else b""
    picture = await actions.keep_picture(db, raw, owner_id=owner_id, actor=call.caller.actor)
    return Answer(picture, status=201)


@get("/media/pictures/{picture_id:uuid}", anonymous=True)
async def picture(call: Call, tx: Tx, picture_id: uuid.UUID) -> File:
    """A picture, for whoever knows its id."""
    found = (await queries.pictures(tx, [picture_id])).get(picture_id)
    if found is None:
        raise NotFound(what="picture")
    headers = SAFE | {"etag": f'"{found.digest[:32]}"'}
    if call.headers.get("if-none-match") == headers["etag"]:
        return File(b"", MEDIA_TYPE, status=304, headers=headers)
    body = await asyncio.to_thread(actions.store_of(call.db).get, found.digest)
    if body is None:
        raise NotFound(what="picture")
    return File(body, MEDIA_TYPE, headers=headers)


@delete("/api/v1/pictures/{picture_id:uuid}", tags=("pictures",))
async def remove_picture(call: Call, tx: Tx, picture_id: uuid.UUID) -> Answer[Gone]:
    """Take one's own picture away; with the right ``media``, anybody's."""
    owner_id = None if call.caller.may("media") else call.caller.person()
    await actions.remove_picture(tx, picture_id, owner_id)
    return Answer(Gone(1))
