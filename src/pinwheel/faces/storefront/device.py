"""Which browser it is: a mark of its own, of which only a keyed hash goes further than here."""

from __future__ import annotations

import secrets

from pinwheel.kernel.web import Call, Cookie

DEVICE = "mark"
DEVICE_SECONDS = 365 * 86_400


def device_of(call: Call) -> tuple[str, tuple[Cookie, ...]]:
    """The keyed hash of this browser's own mark; a browser without one gets one."""
    mark = call.cookies.get(DEVICE, "")
    cookies: tuple[Cookie, ...] = ()
    if not 20 <= len(mark) <= 60:
        mark = secrets.token_urlsafe(24)
        cookies = (Cookie(DEVICE, mark, DEVICE_SECONDS),)
    return call.db.vault.blind(mark, "storefront.device")[:16].hex(), cookies
