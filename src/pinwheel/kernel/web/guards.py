"""Who may knock: session tokens nobody can make up, forms nobody can forge, addresses nobody can
fake."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import secrets
from functools import lru_cache
from urllib.parse import urlsplit

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.web.call import Call

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
TOKEN_BYTES = 32  # 256 random bits
MAC_BYTES = 16


class StaleForm(Refusal):
    status = 403
    en = "This form is no longer valid. Load the page again; nothing was changed."
    zh = "此表单已失效。请刷新页面后重新提交；未做任何更改。"


class CrossSite(Refusal):
    status = 403
    en = "This was sent from another site and was not done. Open the shop itself and try there."
    zh = "此请求来自其他网站，未予执行。请打开本店页面后再试。"


class Seals:
    """Marks that only this installation can make, with one key for each purpose."""

    def __init__(self, secret: str) -> None:
        secret = secret.split(",")[-1].strip()
        if len(secret) < 16:
            raise ValueError("the secret needs at least 16 characters")
        self._secret = secret.encode()
        self._keys: dict[str, bytes] = {}

    def key(self, purpose: str) -> bytes:
        if purpose not in self._keys:
            self._keys[purpose] = hmac.digest(
                self._secret, f"pinwheel {purpose}".encode(), "sha256"
            )
        return self._keys[purpose]

    def mark(self, purpose: str, text: str) -> str:
        mac = hmac.digest(self.key(purpose), text.encode(), "sha256")[:MAC_BYTES]
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")

    def issue(self) -> str:
        """A fresh session token: random, and recognisable as ours without asking the database."""
        random = secrets.token_urlsafe(TOKEN_BYTES)
        return f"{random}.{self.mark('session', random)}"

    def is_ours(self, token: str) -> bool:
        random, _, mark = token.partition(".")
        return bool(mark) and hmac.compare_digest(
            mark.encode(), self.mark("session", random).encode()
        )

    def csrf(self, token: str) -> str:
        """The form token that belongs to a session token."""
        return self.mark("csrf", token)


def check_origin(call: Call, public_url: str) -> None:
    """A browser says where a request comes from; another site's is refused (W3C Fetch Metadata)."""
    headers = call.headers
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise CrossSite()
    origin = headers.get("origin")
    if origin is None:
        return
    here = {headers.get("host", ""), urlsplit(public_url).netloc}
    if urlsplit(origin).netloc not in here - {""}:
        raise CrossSite()


def check_form_token(call: Call, seals: Seals) -> None:
    """A change that rides on a cookie needs the token that only our own pages know."""
    exchange = call.exchange
    if not exchange.token:
        # Without a cookie there is nothing to ride on; a page's form always comes with one.
        if exchange.form is not None:
            raise StaleForm()
        return
    sent = call.headers.get("x-csrf-token") or (exchange.form or {}).get("csrf_token", [""])[-1]
    if not isinstance(sent, str) or not hmac.compare_digest(
        sent.encode(), seals.csrf(exchange.token).encode()
    ):
        raise StaleForm()


@lru_cache(maxsize=64)
def networks(trusted: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(
        ipaddress.ip_network(part.strip(), strict=False)
        for part in trusted.split(",")
        if part.strip()
    )


def client_address(peer: str, forwarded_for: str, trusted: str) -> str:
    """The caller's address: the last one in ``X-Forwarded-For`` that no trusted proxy wrote
    down."""
    if not trusted or not forwarded_for or not _is_in(peer, trusted):
        return peer
    for address in reversed([a.strip() for a in forwarded_for.split(",")]):
        if not _is_address(address):
            return peer
        if not _is_in(address, trusted):
            return address
    return peer


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _is_in(address: str, trusted: str) -> bool:
    if not _is_address(address):
        return False
    known = ipaddress.ip_address(address)
    return any(known in network for network in networks(trusted))
