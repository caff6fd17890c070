"""Routes as modules write them: a function, where it is found, and what it takes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar, get_type_hints

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.rate import Limit

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
GIVEN = {"call", "tx", "db", "data"}
PATH_PARAMETER = re.compile(r"{(\w+):(\w+)}")


@dataclass(frozen=True)
class Route:
    """One function and its addresses."""

    method: str
    paths: tuple[str, ...]
    function: Callable[..., Awaitable[Any]]
    takes: frozenset[str]  # which of GIVEN
    path_names: tuple[str, ...]
    data: Any = None  # the type of the body
    query: type[msgspec.Struct] | None = None
    answer: Any = None  # what the function says it returns
    scope: str | None = None  # the right the caller must have
    once: bool = False  # honours Idempotency-Key
    csrf: bool = True
    anonymous: bool = False  # nobody asks who it is: files, health
    limits: tuple[tuple[str, Limit], ...] = ()
    body_bytes: int = 1_000_000
    again: tuple[str, str] | str | None = None
    refusals: tuple[type[Refusal], ...] = ()
    status: int = 200
    tags: tuple[str, ...] = field(default=())

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await self.function(*args, **kwargs)


def get(*paths: str, **how: Any) -> Callable[[F], Route]:
    """A question. See ``post`` for what may be said in ``how``."""
    return _route("GET", paths, how)


def post(*paths: str, **how: Any) -> Callable[[F], Route]:
    """A verb.

    scope: the right it takes · once: a repeat with the same ``Idempotency-Key`` gets the first
    answer · limits: ``(("sign-in", Limit(5, 60)),)``, buckets in the database for each address ·
    csrf=False: for callers that sign what they send · body_bytes: the largest body · again: what a
    browser is shown when it is refused: a page (and its title) that needs nothing, with ``error``,
    ``errors`` by field and ``form``; or the address of the question whose page the form stands on,
    ``/team/{token:str}``, asked anew, with ``retold``, ``errors`` and ``form`` · refusals: what it
    may refuse, for the API's document · status: what it answers with when all is well · tags: its
    chapters in the API's document.
    """
    return _route("POST", paths, how)


def put(*paths: str, **how: Any) -> Callable[[F], Route]:
    return _route("PUT", paths, how)


def delete(*paths: str, **how: Any) -> Callable[[F], Route]:
    return _route("DELETE", paths, how)


def _route(method: str, paths: tuple[str, ...], how: dict[str, Any]) -> Callable[[F], Route]:
    def mark(function: F) -> Route:
        hints = get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters
        in_path = tuple(dict.fromkeys(n for p in paths for n, _ in PATH_PARAMETER.findall(p)))
        asked = [n for n in parameters if n not in GIVEN and n not in in_path]
        fields: list[Any] = [
            (n, hints[n])
            if parameters[n].default is inspect.Parameter.empty
            else (n, hints[n], parameters[n].default)
            for n in asked
        ]
        return Route(
            method=method,
            paths=paths,
            function=function,
            takes=frozenset(parameters) & GIVEN,
            path_names=tuple(n for n in in_path if n in parameters),
            data=hints.get("data"),
            query=_query(function, fields) if fields else None,
            answer=hints.get("return"),
            **how,
        )

    return mark


def _query(function: Callable[..., Any], fields: list[Any]) -> type[msgspec.Struct]:
    name = "".join(word.title() for word in f"{function.__name__}_query".split("_"))
    return msgspec.defstruct(name, fields, kw_only=True, module=function.__module__)


class Methods:
    """Which methods an address has, for ``OPTIONS`` and 405."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._known: dict[str, set[str]] = {}
        for route in routes:
            methods = {route.method, "OPTIONS"} | ({"HEAD"} if route.method == "GET" else set())
            for path in route.paths:
                self._known.setdefault(_pattern(path), set()).update(methods)
        self._compiled = [(re.compile(p), sorted(m)) for p, m in self._known.items()]

    def of(self, path: str) -> str:
        """``GET, HEAD, …``; "" when there is nothing at ``path``."""
        found = {
            m for pattern, methods in self._compiled if pattern.fullmatch(path) for m in methods
        }
        return ", ".join(sorted(found))


def _pattern(path: str) -> str:
    parts = re.split(PATH_PARAMETER, path)
    # split() gives: text, name, kind, text, …
    pattern = "".join(
        re.escape(part) if n % 3 == 0 else (".+" if part == "path" else "[^/]+") * (n % 3 == 2)
        for n, part in enumerate(parts)
    )
    return pattern.rstrip("/") + "/?"


def routes_of(*modules: ModuleType) -> list[Route]:
    """Every route that is written in ``modules``."""
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Route) and value.function.__module__ == module.__name__
    ]
