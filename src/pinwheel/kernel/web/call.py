"""One request as a handler sees it, and the three ways to answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from litestar import Request
from litestar.exceptions import InternalServerException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import Empty

from pinwheel.kernel import words
from pinwheel.kernel.caller import NOBODY, Caller
from pinwheel.kernel.db import Database

T = TypeVar("T")


class Exchange:
    """What the edge knows about one request before a route is found."""

    __slots__ = (
        *("caller", "form", "headers", "issued", "language", "path", "prefixed", "request_id"),
        *("route", "statements", "status", "token"),
    )

    def __init__(
        self,
        request_id: str,
        path: str,
        language: str,
        prefixed: bool,
        headers: Mapping[bytes, bytes],
    ) -> None:
        self.headers = headers  # as they came, names in lower case
        self.request_id = request_id
        self.path = path  # without the language
        self.language = language
        self.prefixed = prefixed
        self.caller: Caller = NOBODY
        self.token = ""  # the session's token, as the browser sent it or as it was issued now
        self.issued: list[bytes] = []  # Set-Cookie lines
        self.form: dict[str, Any] | None = None
        self.route = "none"
        self.status = 500
        self.statements = 0


class Call(Request[Any, Any, Any]):
    """The request, who is asking, and in which language."""

    @property
    def exchange(self) -> Exchange:
        return self.scope["pinwheel"]  # type: ignore[typeddict-item, no-any-return]

    @property
    def caller(self) -> Caller:
        return self.exchange.caller

    @property
    def language(self) -> str:
        return self.exchange.language

    @property
    def request_id(self) -> str:
        return self.exchange.request_id

    @property
    def db(self) -> Database:
        return self.app.state["db"]  # type: ignore[no-any-return]

    @property
    def token(self) -> str:
        """The secret of this browser's session; "" for a program."""
        return self.exchange.token

    def new_token(self) -> str:
        """A fresh secret for a session that is opened now; hand it to ``Answer`` or ``See``."""
        return str(self.app.state["edge"].seals.issue())

    def csrf_token(self, token: str | None = None) -> str:
        """What a program that uses a session sends as ``X-CSRF-Token``."""
        return str(self.app.state["edge"].seals.csrf(token or self.token))

    def say(self, message: str) -> str:
        """``message`` in the reader's language."""
        return words.words(self.language).gettext(message)

    @property
    def address(self) -> str:
        """The caller's network address (a trusted proxy's word is taken)."""
        return str(self.scope["client"][0]) if self.scope["client"] else ""

    def sent(self, name: bytes, default: str = "") -> str:
        """The header ``name`` (in lower case) as it came: a look-up where ``headers`` first copies
        all of them."""
        value = self.exchange.headers.get(name)
        return default if value is None else value.decode("latin-1")

    async def body(self) -> bytes:
        """The whole body. A plain request with a length that is allowed comes in one piece."""
        if self.exchange.headers.get(b"content-length", b"").isdigit() and self._body is Empty:
            limit = self.route_handler.resolve_request_max_body_size()
            if limit is None or int(self.exchange.headers[b"content-length"]) <= limit:
                return await self._whole(limit)
        return await super().body()

    async def _whole(self, limit: int | None) -> bytes:
        pieces: list[bytes] = []
        total = 0
        more = True
        while more:
            event: Any = await self.receive()
            if event["type"] == "http.disconnect":
                raise InternalServerException("client disconnected prematurely")
            pieces.append(event.get("body", b""))
            total += len(pieces[-1])
            if limit is not None and total > limit:
                raise RequestEntityTooLarge
            more = event.get("more_body", False)
        self.is_connected = False
        self._body = self._connection_state.body = b"".join(pieces)
        return self._body

    @property
    def wants_page(self) -> bool:
        """Does a browser ask? A program says ``Accept: application/json`` or calls ``/api/…``."""
        if self.exchange.path.startswith("/api/"):
            return False
        accept = self.sent(b"accept")
        return "text/html" in accept or "json" not in accept

    @property
    def wants_part(self) -> bool:
        """Does HTMX ask for one piece of the page?"""
        headers = self.headers
        return (
            "hx-request" in headers
            and "hx-boosted" not in headers
            and "hx-history-restore-request" not in headers
        )

    @property
    def idempotency_key(self) -> str | None:
        return self.sent(b"idempotency-key") or None

    def local(self, path: str) -> str:
        """``path`` in the reader's language."""
        return f"/{self.language}{path}"


@dataclass(frozen=True)
class Cookie:
    """``value`` None takes the cookie away."""

    name: str
    value: str | None
    max_age_seconds: int | None = None


@dataclass(frozen=True)
class Answer(Generic[T]):
    """``data`` as JSON for a program, on ``page`` for a browser, in ``part`` for HTMX.

    ``part`` is a template (``…/_lines.html``) or the name of a block of ``page``. On a page the
    fields of ``data`` and the entries of ``more`` are variables; ``data`` itself is ``it``.
    """

    data: T
    page: str | None = None
    part: str | None = None
    status: int | None = None  # None: what the route says
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[Cookie, ...] = ()
    session: str | None = None  # a new session token; "" ends the session here


@dataclass(frozen=True)
class See(Generic[T]):
    """Go to ``path`` (in the reader's language) and look: the answer to a form. A program gets
    ``data``."""

    path: str
    data: T | None = None
    status: int = 303
    cookies: tuple[Cookie, ...] = ()
    session: str | None = None


@dataclass(frozen=True)
class File:
    """Bytes, or a stream of them. With ``name`` the browser saves it."""

    body: bytes | AsyncIterator[bytes]
    media_type: str
    name: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cacheable: bool = False
