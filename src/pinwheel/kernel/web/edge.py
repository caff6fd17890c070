"""The edge itself: one ASGI application in front of the routes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from http.cookies import SimpleCookie
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import msgspec
from jinja2 import BaseLoader
from litestar import Litestar, Response
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from pinwheel.kernel import idempotency, observe, rate, words
from pinwheel.kernel.caller import Caller
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, Overloaded, Refusal
from pinwheel.kernel.idempotency import Claim, Kept
from pinwheel.kernel.rate import Buckets, Limit
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.web import guards, own
from pinwheel.kernel.web.answers import Answers
from pinwheel.kernel.web.call import Answer, Call, Exchange, See
from pinwheel.kernel.web.guards import Seals
from pinwheel.kernel.web.openapi import document
from pinwheel.kernel.web.pages import Assets, Pages
from pinwheel.kernel.web.reading import body_of, form_of, query_of
from pinwheel.kernel.web.ready import Ready
from pinwheel.kernel.web.routes import PATH_PARAMETER, Methods, Route

# First segments of paths that have no language: programs' doors, files, health.
PLAIN = frozenset(
    {"api", "static", "media", "feeds", "hooks", "healthz", "readyz", "metrics", "favicon.ico"}
)
PLAIN_SUFFIXES = (".txt", ".xml", ".ico", ".png", ".svg")
Surroundings = Callable[[Call], Awaitable[Mapping[str, Any]]]


class Recogniser(Protocol):
    """Says who is asking: ``token`` is the session's secret, ``bearer`` an API key; "" when not
    sent."""

    async def __call__(self, db: Database, token: str, bearer: str) -> Caller: ...


async def _no_surroundings(call: Call) -> Mapping[str, Any]:
    return {}


class Edge:
    """Routes behind request ids, limits, guards, one log line and one count for each request.

    lifespan: opens what the process needs; it must set ``db`` on the application's state.
    """

    def __init__(
        self,
        settings: Settings,
        routes: Iterable[Route],
        *,
        recognise: Recogniser,
        lifespan: Callable[[Litestar], AbstractAsyncContextManager[None]],
        loader: BaseLoader | None = None,
        static: Iterable[Path] = (),
        surroundings: Surroundings = _no_surroundings,
        lines: observe.Lines | None = None,
        chapters: Mapping[str, str] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = settings
        self.recognise = recognise
        self.lines = lines
        self.seals = Seals(settings.secret)
        self.assets = Assets(*static)
        pages = Pages(loader, self.assets, settings.time_zone)
        self.answers = Answers(settings, pages, self.seals)
        self.buckets = self._limit()
        self.public_url = settings.public_url or f"http://{settings.host}:{settings.port}"
        self.routes = [*own.routes(self.assets), *routes]
        self.document = msgspec.json.encode(
            document(self.routes, version("pinwheel"), f"{self.public_url}", chapters or {})
        )
        self.methods = Methods(self.routes)
        self._questions = {p: r for r in self.routes if r.method == "GET" for p in r.paths}
        self._security = own.security_headers(settings)
        self.app = Litestar(
            route_handlers=[self._handler(route) for route in self.routes],
            openapi_config=None,
            logging_config=None,
            lifespan=[lifespan],
            exception_handlers={Exception: self._on_routing_error},
            request_class=Call,
        )
        for name, value in {"surroundings": surroundings, **(state or {})}.items():
            self.app.state[name] = value
        self._plain: dict[tuple[str, str], Any] = {
            (method, route.path): handler
            for route in self.app.routes
            if isinstance(route, HTTPRoute) and not route.path_parameters
            for method, (handler, _) in route.route_handler_map.items()
            if method != "OPTIONS"
        }
        self.app.state["edge"] = self

    def _limit(self) -> Buckets | None:
        each = self.settings.rate_limit_per_second
        return Buckets(Limit(max(1, round(each * 4)), 1 / each)) if each > 0 else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        exchange = self._exchange(scope, headers)
        instead = self._to_language(scope, headers, exchange) or self._options(scope, exchange)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                extra = [(b"x-request-id", exchange.request_id.encode()), *self._security]
                extra += [(b"set-cookie", line) for line in exchange.issued]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        try:
            target: ASGIApp = instead or self._straight(scope, exchange) or self.app
            await target(scope, receive, send_with_headers)
        finally:
            self._observe(scope, exchange, time.perf_counter() - began)

    def _straight(self, scope: Any, exchange: Exchange) -> ASGIApp | None:
        """A route without parameters needs no routing: its function is called at once."""
        handler = self._plain.get((scope["method"], exchange.path))
        if handler is None:
            return None

        async def answer(scope: Any, receive: Receive, send: Send) -> None:
            scope["litestar_app"] = self.app
            scope["route_handler"] = handler
            scope["path_params"] = {}
            scope["path_template"] = exchange.path
            response = await handler.fn(Call(scope, receive=receive, send=send))
            await response(scope, receive, send)

        return answer

    def _exchange(self, scope: Any, headers: dict[bytes, bytes]) -> Exchange:
        sent = headers.get(b"x-request-id", b"")
        sane = 8 <= len(sent) <= 64 and sent.replace(b"-", b"").isalnum()
        request_id = sent.decode() if sane else secrets.token_hex(12)
        path: str = scope["path"]
        first, _, rest = path[1:].partition("/")
        prefixed = first in words.LOCALES
        if prefixed:
            path = f"/{rest}"
            scope["path"] = path
            scope["raw_path"] = quote(path).encode()
        exchange = Exchange(request_id, path, first, prefixed, headers)
        if not prefixed:
            exchange.language = self._language(headers)
        scope["pinwheel"] = exchange
        if scope.get("client") and self.settings.trusted_proxies:
            forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
            address = guards.client_address(
                scope["client"][0], forwarded, self.settings.trusted_proxies
            )
            scope["client"] = (address, scope["client"][1])
        return exchange

    def _language(self, headers: dict[bytes, bytes]) -> str:
        cookie = headers.get(b"cookie", b"")
        if b"language=" in cookie:
            chosen = _cookie(cookie, "language")
            if chosen in words.LOCALES:
                return chosen
        accept = headers.get(b"accept-language")
        if accept is None:
            return self.settings.default_language
        return words.preferred(accept.decode("latin-1"), self.settings.default_language)

    def _to_language(
        self, scope: Any, headers: dict[bytes, bytes], exchange: Exchange
    ) -> ASGIApp | None:
        """A browser that asks for a page without a language is sent to the page in its language."""
        if exchange.prefixed or scope["method"] not in ("GET", "HEAD"):
            return None
        first = exchange.path[1:].partition("/")[0]
        if first in PLAIN or exchange.path.endswith(PLAIN_SUFFIXES):
            return None
        if b"text/html" not in headers.get(b"accept", b""):
            return None
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        path = quote(f"/{exchange.language}/{exchange.path.lstrip('/')}").encode()
        exchange.route = "language"
        location = [(b"location", path + query), (b"vary", b"Accept-Language, Cookie")]
        return Ready(status_code=302, headers=location)

    def _options(self, scope: Any, exchange: Exchange) -> ASGIApp | None:
        if scope["method"] != "OPTIONS":
            return None
        exchange.route = "options"
        allowed = self.methods.of(exchange.path)
        if not allowed:
            return None
        return Ready(status_code=204, headers=[(b"allow", allowed.encode())])

    def _observe(self, scope: Any, exchange: Exchange, took: float) -> None:
        observe.answered(scope["method"], exchange.route, exchange.status, took)
        if exchange.statements:
            observe.statements.inc(exchange.statements)
        if self.lines is not None:
            self.lines.write(
                {
                    "at": round(time.time(), 3),
                    "log": "pinwheel.request",
                    "method": scope["method"],
                    "route": exchange.route,
                    "status": exchange.status,
                    "ms": round(took * 1000, 2),
                    "caller": exchange.caller.kind,
                    "request_id": exchange.request_id,
                }
            )

    def _on_routing_error(self, request: Any, error: Exception) -> Response[Any]:
        return _Refused(self, request, error)

    def _handler(self, route: Route) -> HTTPRouteHandler:
        async def run(request: Call) -> ASGIApp:
            exchange = request.exchange
            exchange.route = request.scope["path_template"]
            try:
                result = await self._run(route, request)
                return await self.answers.respond(request, route, result)
            except Exception as error:
                return await self.answers.refuse(request, route, error)

        run.__annotations__ = {"request": Call, "return": ASGIApp}
        methods: Any = ["GET", "HEAD"] if route.method == "GET" else [route.method]
        return HTTPRouteHandler(
            list(route.paths),
            http_method=methods,
            request_max_body_size=route.body_bytes,
            include_in_schema=False,
            status_code=200,
        )(run)

    def token_of(self, call: Call) -> str:
        """The session's secret in the browser's cookie; "" when there is none of ours."""
        token = call.cookies.get(self.answers.session_cookie, "")
        return token if token and self.seals.is_ours(token) else ""

    async def _run(self, route: Route, call: Call) -> Any:
        exchange = call.exchange
        if route.anonymous:
            return await self._perform(route, call, await _arguments(route, call))
        if self.buckets is not None:
            self.buckets.take(call.address)
        authorisation = call.sent(b"authorization")
        bearer = authorisation[7:] if authorisation[:7].lower() == "bearer " else ""
        if not bearer:
            exchange.token = self.token_of(call)
        exchange.caller = await self.recognise(call.db, exchange.token, bearer)
        if exchange.caller.language and not exchange.prefixed:
            exchange.language = exchange.caller.language
        if route.method in guards.UNSAFE:
            exchange.form = await form_of(call)
            if route.csrf and not bearer:
                guards.check_origin(call, self.public_url)
                guards.check_form_token(call, self.seals)
        if route.scope is not None:
            exchange.caller.require(route.scope)
        for name, limit in route.limits:
            async with call.db.transaction(actor="limit") as tx:
                await rate.take(tx, f"{name}:{call.address}", limit)
        return await self._perform(route, call, await _arguments(route, call))

    async def page_again(self, call: Call, path: str) -> Answer[Any] | None:
        """The page at ``path`` (written as in its route, of the call's own parameters) as it is
        now; None where it is refused itself."""
        route = self._questions.get(path)
        if route is None:
            return None
        params = call.path_params
        call.exchange.path = PATH_PARAMETER.sub(lambda m: str(params[m[1]]), path)
        try:
            result = await self._perform(route, call, await _arguments(route, call))
        except Refusal:
            return None
        return result if isinstance(result, Answer) and result.page is not None else None

    async def _perform(self, route: Route, call: Call, arguments: dict[str, Any]) -> Any:
        """Run the function. With ``tx`` it is committed here, before there is an answer to send."""
        if "tx" not in route.takes:
            return await route.function(**arguments)
        if route.method == "GET":
            async with call.db.reading(actor=call.caller.actor) as tx:
                result = await route.function(tx=tx, **arguments)
            call.exchange.statements += tx.statements
            return result

        async def verb(tx: Tx) -> Any:
            try:
                if route.once and call.idempotency_key is not None:
                    return await _once(tx, route, call, arguments)
                return await route.function(tx=tx, **arguments)
            finally:
                call.exchange.statements += tx.statements

        return await call.db.attempt(verb, actor=call.caller.actor, request_id=call.request_id)


class _Refused(Response[Any]):
    """The framework's own refusals (404, 405 …), answered as ours are."""

    def __init__(self, edge: Edge, request: Any, error: Exception) -> None:
        super().__init__(content=b"")
        self._edge, self._request, self._error = edge, request, error

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> Any:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            call = Call(scope, receive=receive, send=send)
            # A wrong address must not take the session away that the browser has.
            call.exchange.token = self._edge.token_of(call)
            response = await self._edge.answers.refuse(call, None, self._error)
            await response(scope, receive, send)

        return answer


def _cookie(header: bytes, name: str) -> str:
    try:
        morsel = SimpleCookie(header.decode("latin-1")).get(name)
    except ValueError:
        return ""
    return morsel.value if morsel else ""


async def _arguments(route: Route, call: Call) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if "call" in route.takes:
        arguments["call"] = call
    if "db" in route.takes:
        arguments["db"] = call.db
    for name in route.path_names:
        arguments[name] = call.path_params[name]
    if route.query is not None:
        arguments |= query_of(call, route)
    if route.data is not None:
        arguments["data"] = await body_of(call, route)
    return arguments


async def _once(tx: Tx, route: Route, call: Call, arguments: dict[str, Any]) -> Any:
    """Run the function once for this caller's key; a repeat gets what was answered then."""
    key = call.idempotency_key or ""
    if not (1 <= len(key) <= 200 and key.isascii() and key.isprintable()):
        raise Invalid(
            "Idempotency-Key", "1 to 200 printable characters", "须为 1 至 200 个可见字符"
        )
    asked = {
        "path": call.exchange.path,
        "arguments": {k: v for k, v in arguments.items() if k not in ("call", "db")},
    }
    claim = Claim(scope=call.caller.actor, key=key, input=msgspec.to_builtins(asked, enc_hook=str))
    (found,) = await idempotency.claim(tx, [claim])
    if isinstance(found, Kept):
        if found.answer is None:
            raise Overloaded(1)
        kept = found.answer
        headers = {"Idempotent-Replayed": "true"}
        if kept["see"] is not None and call.wants_page:
            return See(kept["see"], kept["data"])
        return Answer(kept["data"], status=kept["status"], headers=headers)
    if found is not None:
        raise found
    result = await route.function(tx=tx, **arguments)
    see = result.path if isinstance(result, See) else None
    data = result.data if isinstance(result, Answer | See) else result
    status = result.status if isinstance(result, Answer) else route.status
    answer = {"status": status, "see": see, "data": msgspec.to_builtins(data)}
    await idempotency.keep(tx, [(claim, answer)])
    return result
