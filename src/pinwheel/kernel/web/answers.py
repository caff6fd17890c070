"""From what a handler returned, or refused, to the bytes of an answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import asyncpg
import msgspec
from jinja2 import TemplateNotFound
from litestar.exceptions import HTTPException

from pinwheel.kernel.errors import Forbidden, Invalid, NotFound, Overloaded, Refusal
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.web.call import Answer, Call, Cookie, File, See
from pinwheel.kernel.web.guards import Seals
from pinwheel.kernel.web.pages import Pages
from pinwheel.kernel.web.ready import Headers, Ready
from pinwheel.kernel.web.routes import Route

log = logging.getLogger("pinwheel.web")
SESSION_SECONDS = 60 * 86_400
SECRETS = ("password", "token", "secret", "code")
LANGUAGE_SECONDS = 365 * 86_400
AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.LockNotAvailableError,
    ConnectionError,
)
UNFIT = (
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.UntranslatableCharacterError,
    asyncpg.NumericValueOutOfRangeError,
)


class Unexpected(Refusal):
    status = 500
    en = "Something went wrong on our side. It is recorded as {request_id}; please try again later."
    zh = "我们这边出了问题，已记录为 {request_id}，请稍后再试。"


class NoSuchPage(Refusal):
    status = 404
    en = "There is nothing at this address."
    zh = "此地址没有内容。"


class MethodNotAllowed(Refusal):
    status = 405
    en = "This address can't be called with {method}."
    zh = "此地址不支持 {method} 请求。"


class BodyTooLarge(Refusal):
    status = 413
    en = "This is larger than is taken here. Send less at a time; nothing was changed."
    zh = "提交的内容超出上限，请减小后重试；未做任何更改。"


class Unreadable(Refusal):
    status = 400
    en = "The request can't be read: {why}"
    zh = "无法识别该请求：{why}"


class Answers:
    """Turns what handlers return into responses, in the reader's language and the asker's form."""

    def __init__(self, settings: Settings, pages: Pages, seals: Seals) -> None:
        self.settings = settings
        self.pages = pages
        self.seals = seals
        prefix = "__Host-" if settings.secure_cookies else ""
        self.session_cookie = f"{prefix}pinwheel"
        self._tail = "; Path=/; SameSite=Lax" + ("; Secure" if settings.secure_cookies else "")

    def cookie(self, cookie: Cookie, *, http_only: bool = True) -> bytes:
        age = 0 if cookie.value is None else cookie.max_age_seconds
        line = f"{cookie.name}={cookie.value or ''}{self._tail}"
        line += f"; Max-Age={age}" if age is not None else ""
        return (line + ("; HttpOnly" if http_only else "")).encode()

    def json(
        self, data: Any, status: int, headers: Headers, kind: str = "application/json"
    ) -> Ready:
        headers.append((b"cache-control", b"no-store"))
        if status == 204:
            return Ready(status_code=204, headers=headers)
        body = msgspec.json.encode(data)
        return Ready(body=body, media_type=kind, status_code=status, headers=headers)

    def page(
        self,
        call: Call,
        page: tuple[str, str | None],
        context: dict[str, Any],
        status: int,
        headers: Headers,
    ) -> Ready:
        """``page`` is the template and, when only a piece is wanted, its part."""
        exchange = call.exchange
        if exchange.prefixed and call.cookies.get("language") != call.language:
            language = Cookie("language", call.language, LANGUAGE_SECONDS)
            exchange.issued.append(self.cookie(language))
        text = self.pages.render(call.language, *page, context)
        headers.append((b"vary", b"Accept, HX-Request, Cookie"))
        headers.append((b"cache-control", b"private, no-cache"))
        return Ready(
            body=text.encode(), media_type="text/html", status_code=status, headers=headers
        )

    def start_session(self, call: Call, token: str) -> None:
        """Hand the browser a session token; "" takes it away."""
        cookie = Cookie(self.session_cookie, token or None, SESSION_SECONDS)
        call.exchange.issued.append(self.cookie(cookie))

    async def respond(self, call: Call, route: Route, result: Any) -> Ready:
        if isinstance(result, Answer):
            return await self._answer(call, route, result)
        if isinstance(result, See):
            return self._see(call, route, result)
        if isinstance(result, File):
            return self._file(result)
        return await self._answer(call, route, Answer(result))

    async def _answer(self, call: Call, route: Route, answer: Answer[Any]) -> Ready:
        self._set(call, answer.cookies, answer.session)
        headers = [(k.lower().encode(), v.encode()) for k, v in answer.headers.items()]
        status = route.status if answer.status is None else answer.status
        if answer.page is None or not call.wants_page:
            return self.json(answer.data, status, headers)
        context = await self.context(call, _fields(answer.data) | dict(answer.more))
        context["it"] = answer.data
        part = answer.part if call.wants_part else None
        return self.page(call, (answer.page, part), context, status, headers)

    async def context(self, call: Call, more: Mapping[str, Any]) -> dict[str, Any]:
        """What every page may read."""
        exchange = call.exchange
        surroundings = await call.app.state["surroundings"](call) if not call.wants_part else {}
        if not exchange.token:
            exchange.token = self.seals.issue()
            self.start_session(call, exchange.token)
        return {
            "lang": call.language,
            "path": exchange.path,
            "origin": self.settings.public_url,
            "caller": call.caller,
            "csrf_token": self.seals.csrf(exchange.token),
            "request_id": call.request_id,
            "shop": {"name": "Pinwheel", "is_demonstration": False},
            "categories": (),
            "buyer": None,
            "cart_units": 0,
            "messages": (),
            "form": {},
            "errors": {},
            "error": None,
            "query": call.query_params.get("q", ""),
            **surroundings,
            **more,
        }

    def _set(self, call: Call, cookies: tuple[Cookie, ...], session: str | None) -> None:
        call.exchange.issued += [self.cookie(c) for c in cookies]
        if session is not None:
            call.exchange.token = session
            self.start_session(call, session)

    def _see(self, call: Call, route: Route, see: See[Any]) -> Ready:
        self._set(call, see.cookies, see.session)
        if not call.wants_page:
            status = route.status if see.data is not None else 204
            return self.json(see.data, status, [])
        # Only a path of our own: an address from outside would be an open redirect.
        own = see.path.startswith("/") and not see.path.startswith(("//", "/\\"))
        target = call.local(see.path if own else "/").encode("ascii", "ignore")
        if "hx-request" in call.headers:
            return Ready(status_code=204, headers=[(b"hx-redirect", target)])
        return Ready(status_code=see.status, headers=[(b"location", target)])

    def _file(self, file: File) -> Ready:
        named = {"cache-control": "no-store"} | {k.lower(): v for k, v in file.headers.items()}
        if file.name:
            named["content-disposition"] = f"attachment; filename*=UTF-8''{quote(file.name)}"
        headers = [(k.encode(), v.encode()) for k, v in named.items()]
        return Ready(file.body, file.media_type, file.status, headers)

    async def refuse(self, call: Call, route: Route | None, error: Exception) -> Ready:
        """The answer to anything that was raised. What was unexpected is logged and told to
        nobody."""
        refusal = self._refusal(call, error)
        headers: Headers = []
        retry = refusal.facts.get("retry_after_seconds")
        if retry is not None:
            headers.append((b"retry-after", str(retry).encode()))
        if isinstance(refusal, MethodNotAllowed):
            allowed = call.app.state["edge"].methods.of(call.exchange.path)
            headers.append((b"allow", allowed.encode()))
        if refusal.status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="pinwheel"'))
        if not call.wants_page:
            problem = problem_of(refusal, call.language, call.request_id)
            return self.json(problem, refusal.status, headers, "application/problem+json")
        try:
            return await self._refusal_page(call, route, refusal, headers)
        except Exception:
            log.exception("the refusal's page failed", extra={"request_id": call.request_id})
            text = refusal.sentence(call.language)
            return Ready(
                body=text.encode(),
                media_type="text/plain",
                status_code=refusal.status,
                headers=headers,
            )

    async def _on_its_page(
        self, call: Call, path: str, refusal: Refusal, told: dict[str, Any], headers: Headers
    ) -> Ready | None:
        """The page that the refused form stands on, with what was typed; None: it can't be shown,
        or the form was not what was refused."""
        is_stranger = refusal.status == 401 and not call.caller.is_known
        if call.wants_part or is_stranger or refusal.status >= 500:
            return None
        answer = await call.app.state["edge"].page_again(call, path)
        if answer is None:
            return None
        self._set(call, answer.cookies, answer.session)
        more = _fields(answer.data) | dict(answer.more)
        form = more.get("form")
        if isinstance(form, dict):
            told["form"] = form | told["form"]
        context = await self.context(call, more | told)
        context["it"] = answer.data
        return self.page(call, (answer.page, None), context, refusal.status, headers)

    async def _refusal_page(
        self, call: Call, route: Route | None, refusal: Refusal, headers: Headers
    ) -> Ready:
        sentence = refusal.sentence(call.language)
        more = {
            "error": sentence,
            "code": refusal.code,
            "facts": refusal.facts,
            "status": refusal.status,
            "title": str(refusal.status),
        }
        form = _told_again(call.exchange.form)
        where = refusal.facts.get("where")
        errors = {where: _why(refusal, call.language)} if where in form else {}
        again_at = route.again if route is not None else None
        if isinstance(again_at, str):
            told = {"form": form, "errors": errors, "retold": sentence}
            page_again = await self._on_its_page(call, again_at, refusal, told, headers)
            if page_again is not None:
                return page_again
        elif again_at is not None and refusal.status < 500:
            page, title = again_at
            again = {"title": call.say(title), "form": form, "errors": errors, **_next(form)}
            try:
                context = await self.context(call, more | again)
                return self.page(call, (page, None), context, refusal.status, headers)
            except TemplateNotFound:
                log.warning("there is no page %s", page)
        if call.wants_part:
            headers += [(b"hx-retarget", b"#toasts"), (b"hx-reswap", b"beforeend")]
            page = "kernel/_refusal.html"
        else:
            page = "kernel/refusal.html"
        context = await self.context(call, more)
        return self.page(call, (page, None), context, refusal.status, headers)

    def _refusal(self, call: Call, error: Exception) -> Refusal:
        if isinstance(error, Refusal):
            return error
        if isinstance(error, HTTPException) and error.status_code < 500:
            return _of_framework(call, error)
        if isinstance(error, AWAY):
            log.warning("the database is away: %s", error, extra={"request_id": call.request_id})
            return Overloaded(2)
        if isinstance(error, UNFIT) or type(error) is asyncpg.DataError:
            log.warning("unfit input: %s", error, extra={"request_id": call.request_id})
            return Invalid(
                "input", "a value is outside what is possible here", "有数值超出允许范围"
            )
        log.error("unexpected", exc_info=error, extra={"request_id": call.request_id})
        return Unexpected(request_id=call.request_id)


def _of_framework(call: Call, error: HTTPException) -> Refusal:
    if error.status_code == 404:
        return NoSuchPage()
    if error.status_code == 405:
        return MethodNotAllowed(method=call.method)
    if error.status_code == 413:
        return BodyTooLarge()
    return Unreadable(why=error.detail[:200])


def problem_of(refusal: Refusal, language: str, request_id: str) -> dict[str, Any]:
    """Problem details (RFC 9457), with our ``code``, ``facts`` and ``request_id`` as extensions."""
    hidden = isinstance(refusal, NotFound | Forbidden)
    return {
        "type": f"urn:pinwheel:{refusal.code}",
        "title": refusal.code.replace("_", " "),
        "status": refusal.status,
        "detail": refusal.sentence(language),
        "code": refusal.code,
        "facts": {} if hidden else msgspec.to_builtins(refusal.facts, enc_hook=str),
        "request_id": request_id,
    }


def _fields(data: Any) -> dict[str, Any]:
    if isinstance(data, msgspec.Struct):
        return {name: getattr(data, name) for name in data.__struct_fields__}
    return dict(data) if isinstance(data, Mapping) else {}


def _told_again(form: dict[str, list[Any]] | None) -> dict[str, Any]:
    """What was filled in, to be shown again; a secret only as an empty field."""
    return {
        name: "" if any(word in name for word in SECRETS) else values[-1]
        for name, values in (form or {}).items()
    }


def _next(form: dict[str, Any]) -> dict[str, Any]:
    return {"next": form["next"]} if "next" in form else {}


def _why(refusal: Refusal, language: str) -> str:
    if isinstance(refusal, Invalid):
        return str(refusal.facts["why_zh" if language.startswith("zh") else "why"])
    return refusal.sentence(language)
