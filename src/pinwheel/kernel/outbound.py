"""The guard for every call to an address that somebody else chose: webhooks, pictures, callbacks.

A shop's machine sees networks that its users must not see through it (server-side request forgery).
So a call goes to public addresses alone; the name is resolved once, every address it has is looked
at, and the connection is made to the very address that was looked at, under the right name for TLS
and ``Host``: a name that answers differently the second time is never asked a second time. No
redirect is followed, no proxy is taken from the environment, and an answer is read up to a limit.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any

import httpx2
import msgspec

from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal

Resolver = Callable[[str, int], Awaitable[list[str]]]
MOST_URL = 2_000

# From the registries of special-purpose addresses (IANA; RFC 6890 and its successors).
CLOSED_4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's metadata on a public address
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
OPEN_6 = ipaddress.IPv6Network("2000::/3")
CLOSED_6 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # NAT64 (RFC 6052): the last 32 bits are IPv4


class AddressRefused(Refusal):
    """The shop does not call there."""

    status = 422
    en = "The shop does not call {url}: {why}. Give a public https address."
    zh = "系统不会访问 {url}：{why_zh}。请填写公网 https 地址。"


class Unreachable(Exception):
    """The call was allowed and did not work: name, network, TLS or time. ``str`` says which."""


class Reply(msgspec.Struct, frozen=True):
    """What came back; ``body`` is cut at the limit that was asked for."""

    status: int
    headers: dict[str, str]
    body: bytes
    took_ms: int


def is_public(address: str) -> bool:
    """Is this IP address one that anybody may be sent to?"""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in network for network in CLOSED_4)
    if found in TRANSLATED:
        return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)))
    # An address with a zone, one that maps or embeds IPv4, and all that is local lie elsewhere.
    return (
        found.scope_id is None
        and found in OPEN_6
        and not any(found in network for network in CLOSED_6)
    )


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


async def resolve(host: str, port: int) -> list[str]:
    """Every address of ``host``, by the machine's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Outbound:
    """Calls out, guarded. ``allow_loopback`` is for tests and a demonstration's own receiver: it
    opens 127.0.0.0/8 and ::1, also for http."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        seconds: float = 10.0,
        resolver: Resolver = resolve,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.allow_loopback = allow_loopback
        self.seconds = seconds
        self._resolver = resolver
        self._trust = trust

    @cached_property
    def trust(self) -> ssl.SSLContext:
        return self._trust or httpx2.create_ssl_context(trust_env=False)

    def checked(self, url: str) -> httpx2.URL:
        """``url`` as far as it can be judged without asking anybody; else ``AddressRefused``."""
        if len(url) > MOST_URL or any(c.isspace() or ord(c) < 32 for c in url) or "\\" in url:
            raise _refused(url, "it can't be read", "无法解析该地址")
        try:
            parsed = httpx2.URL(url)
            host, port = parsed.host, parsed.port
        except (httpx2.InvalidURL, ValueError) as error:
            raise _refused(url, "it can't be read", "无法解析该地址") from error
        local = self.allow_loopback and (host == "localhost" or is_loopback(host))
        if not host or port == 0:
            raise _refused(url, "it names no host", "缺少主机名")
        if parsed.userinfo:
            raise _refused(url, "it carries a name or a password", "地址中不能包含用户名或密码")
        if parsed.scheme != "https" and not (self.allow_loopback and parsed.scheme == "http"):
            raise _refused(url, "it is not https", "不是 https 地址")
        if _is_literal(host) and not (is_public(host) or local):
            raise _refused(url, "it is not a public address", "不是公网地址")
        return parsed

    async def vetted(self, url: str) -> tuple[httpx2.URL, str]:
        """The URL and the one address to connect to. A name with any address that is not public is
        refused as a whole: half an honest answer is how a rebinding begins."""
        parsed = self.checked(url)
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        try:
            addresses = await self._resolver(parsed.host, port)
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"the name {parsed.host} can't be resolved") from error
        if not addresses:
            raise Unreachable(f"the name {parsed.host} has no address")
        loopback = self.allow_loopback and all(map(is_loopback, addresses))
        if not loopback and not all(map(is_public, addresses)):
            raise _refused(url, "it is not a public address", "不是公网地址")
        if parsed.scheme != "https" and not loopback:
            raise _refused(url, "it is not https", "不是 https 地址")
        return parsed, addresses[0]

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        most_bytes: int = 65_536,
    ) -> Reply:
        """Call ``url`` and read at most ``most_bytes`` of what it says. Redirects are answers like
        any other. ``AddressRefused``, or ``Unreachable`` when nothing came back in time."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.seconds):
                parsed, address = await self.vetted(url)
                return await self._send(method, parsed, address, body, headers, most_bytes, began)
        except TimeoutError as error:
            raise Unreachable(f"no answer within {self.seconds:g} seconds") from error
        except httpx2.TimeoutException as error:
            raise Unreachable(f"no answer within {self.seconds:g} seconds") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise Unreachable(f"{type(error).__name__}: {error}"[:300]) from error

    async def _send(
        self,
        method: str,
        url: httpx2.URL,
        address: str,
        body: bytes,
        headers: Mapping[str, str] | None,
        most_bytes: int,
        began: float,
    ) -> Reply:
        sent: dict[str, str] = {
            "user-agent": "Pinwheel",
            "accept-encoding": "identity",  # what is not unpacked can't be a bomb
            **(headers or {}),
            "host": url.netloc.decode("ascii"),
        }
        named: dict[str, Any] = {"sni_hostname": url.raw_host.decode("ascii")}
        async with (
            httpx2.AsyncClient(
                verify=self.trust,
                trust_env=False,
                follow_redirects=False,
                timeout=self.seconds,
                # One connection for one call: addresses are shared, names are not.
                limits=httpx2.Limits(max_keepalive_connections=0),
            ) as client,
            client.stream(
                method,
                url.copy_with(host=address),
                content=body,
                headers=sent,
                extensions=named,
            ) as answer,
        ):
            kept = bytearray()
            async for piece in answer.aiter_raw():
                kept += piece
                if len(kept) >= most_bytes:
                    break
            return Reply(
                status=answer.status_code,
                headers={name.lower(): value for name, value in answer.headers.items()},
                body=bytes(kept[:most_bytes]),
                took_ms=round((time.monotonic() - began) * 1000),
            )


STRICT = Outbound()


def of(db: Database) -> Outbound:
    """The guard this house was given; the strict one otherwise."""
    given = db.given.get(Outbound)
    return given if isinstance(given, Outbound) else STRICT


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refused(url: str, why: str, why_zh: str) -> AddressRefused:
    return AddressRefused(url=url[:200], why=why, why_zh=why_zh)
