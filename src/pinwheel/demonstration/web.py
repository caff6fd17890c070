"""The drawn pictures, as files."""

from __future__ import annotations

import asyncio

from pinwheel.demonstration.drawings import drawing
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import File, get

HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    # An SVG that is opened by itself is a document: it may do nothing.
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


@get("/media/demonstration/{name:str}", anonymous=True)
async def drawn(name: str) -> File:
    """A cover or a thing of the demonstration shop."""
    found = await asyncio.to_thread(drawing, name)
    if found is None:
        raise NotFound(what="picture")
    return File(found.encode(), "image/svg+xml", headers=HEADERS)
