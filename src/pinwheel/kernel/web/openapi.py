"""The document of the open API (OpenAPI 3.1), made from the same routes and structs that answer."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.web.call import Answer, File, See
from pinwheel.kernel.web.routes import PATH_PARAMETER, Route

REFERENCE = "#/components/schemas/{name}"
PATH_KINDS = {
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer"},
    "str": {"type": "string", "minLength": 1},
}
ALWAYS = {
    400: "The request can't be read",
    401: "Nobody is signed in, or the key is unknown",
    403: "The caller may not do this",
    404: "There is nothing here that this caller may see",
    409: "The state of things refuses",
    422: "The input breaks a rule",
    429: "Too many requests; see Retry-After",
    503: "Very busy; see Retry-After",
}
FIRST_SENTENCE = re.compile(r".+?[.!?](?=\s|$)")
ABOUT = """\
Everything the pages of this shop do, for programs. Money is integer minor units with a currency
code (`price_minor`, `currency`); instants carry an offset; ids are UUIDs ordered by time.

**Who asks.** Send `Authorization: Bearer KEY`. A key has the rights it was made with; each
operation names the one it takes.

**Repeats.** Where a repeat would do a thing twice, send an `Idempotency-Key`: the same key with
the same input gets the first answer again.

**Refusals.** Problem details (RFC 9457) in the caller's language (`Accept-Language`: en, zh-CN).
Match on `code`, show `detail`. A refused call has changed nothing.

**Lists.** A page has `items` and `next`: send `next` as `after` for the page that follows. A verb
over many items answers each in the order sent: with `done`, or with `refused` and why."""
WITH_BODY = {413: "The body is too large", 415: "The body is neither JSON nor a form"}


class Problem(msgspec.Struct):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    facts: dict[str, Any]
    request_id: str


def document(
    routes: Iterable[Route], version: str, server: str, chapters: Mapping[str, str]
) -> dict[str, Any]:
    """The OpenAPI document of every route below ``/api/``. ``chapters``: what each tag is about,
    in the order of reading; a tag that is not among them comes after."""
    chosen = [(route, path) for route in routes for path in route.paths if path.startswith("/api/")]
    kinds: list[Any] = [Problem]
    for route, _ in chosen:
        kinds += [kind for kind in (route.data, route.query, _answered(route)) if kind is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    known = {_name(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, Any] = {}
    for route, path in sorted(chosen, key=lambda pair: (pair[1], pair[0].method)):
        plain = PATH_PARAMETER.sub(r"{\1}", path)
        paths.setdefault(plain, {})[route.method.lower()] = _operation(
            route, path, known, components
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pinwheel",
            "version": version,
            "summary": "The open API of a Pinwheel shop.",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "tags": _tags(paths, chapters),
        "paths": paths,
        "components": {
            "schemas": {name: _plain(schema) for name, schema in components.items()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _name(kind: Any) -> str:
    return repr(kind)


def _answered(route: Route) -> Any:
    """The struct inside ``Answer[…]``; None when there is no JSON to describe."""
    answer = route.answer
    is_one = typing.get_origin(answer) in (Answer, See)
    for one in (answer,) if is_one else typing.get_args(answer):
        if typing.get_origin(one) in (Answer, See):
            return typing.get_args(one)[0]
    if answer in (None, type(None), Answer, See, File) or typing.get_args(answer):
        return None
    return answer


def _room(route: Route) -> str:
    """The module a route belongs to."""
    return [p for p in route.function.__module__.split(".") if p != "web"][-1]


def _chapter(tag: str) -> str:
    return tag[:1].upper() + tag[1:].replace("_", " ")


def _tags(paths: dict[str, Any], chapters: Mapping[str, str]) -> list[dict[str, str]]:
    used = {
        tag for methods in paths.values() for operation in methods.values()
        for tag in operation["tags"]
    }  # fmt: skip
    told = [{"name": tag, "description": text} for tag, text in chapters.items() if tag in used]
    return told + [{"name": tag} for tag in sorted(used - chapters.keys())]


def _plain(schema: Any) -> Any:
    """``schema`` with its docstrings as Markdown."""
    if isinstance(schema, dict):
        return {
            name: _markdown(part)
            if name == "description" and isinstance(part, str)
            else _plain(part)
            for name, part in schema.items()
        }
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema


def _markdown(docstring: str) -> str:
    return inspect.cleandoc(docstring).replace("``", "`")


def _operation(
    route: Route, path: str, known: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    text = _markdown(route.function.__doc__ or route.function.__name__.replace("_", " "))
    flowing = " ".join(text.split())
    first = FIRST_SENTENCE.match(flowing)
    summary = first[0] if first else flowing
    operation: dict[str, Any] = {
        "operationId": f"{_room(route)}_{route.function.__name__}",
        "summary": summary,
        "tags": [_chapter(tag) for tag in route.tags or (_room(route),)],
        "parameters": _parameters(route, path, known, components),
        "responses": _responses(route, known),
    }
    if flowing != summary:
        operation["description"] = text
    if route.data is not None:
        content = {"application/json": {"schema": known[_name(route.data)]}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.scope:
        operation["security"] = [{"key": [route.scope]}]
    return operation


def _parameters(
    route: Route, path: str, known: dict[str, Any], components: dict[str, Any]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": PATH_KINDS[kind]}
        for name, kind in PATH_PARAMETER.findall(path)
    ]
    if route.query is not None:
        schema = known[_name(route.query)]
        if "$ref" in schema:
            schema = components[schema["$ref"].rsplit("/", 1)[-1]]
        required = set(schema.get("required", ()))
        found += [
            {"name": name, "in": "query", "required": name in required, "schema": _sent(one)}
            for name, one in schema["properties"].items()
        ]
    if route.once:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "A repeat with the same key gets the first answer.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
            }
        )
    return found


def _sent(schema: dict[str, Any]) -> dict[str, Any]:
    """A query says "nothing" by leaving a parameter out, never by null."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    rest = {k: v for k, v in schema.items() if k != "anyOf" and not (k == "default" and v is None)}
    if len(kinds) == 1:
        return {**rest, **kinds[0]}
    return {**rest, "anyOf": kinds} if kinds else rest


def _responses(route: Route, known: dict[str, Any]) -> dict[str, Any]:
    kind = _answered(route)
    good: dict[str, Any] = {"description": "Done"}
    status = route.status
    if kind is type(None) and typing.get_origin(route.answer) is See:
        status = 204
    elif kind is not None and status != 204:
        good["content"] = {"application/json": {"schema": known[_name(kind)]}}
    elif route.answer is See:
        status = 204
    responses: dict[str, Any] = {str(status): good}
    said = dict(ALWAYS)
    if route.data is not None:
        said |= WITH_BODY
    for refusal in route.refusals:
        said[refusal.status] = _sentence(refusal)
    schema = {"$ref": REFERENCE.format(name="Problem")}
    for code, text in sorted(said.items()):
        content = {"application/problem+json": {"schema": schema}}
        responses[str(code)] = {"description": text, "content": content}
    return responses


def _sentence(refusal: type[Refusal]) -> str:
    return re.sub(r"\{(\w+)\}", r"<\1>", refusal.en)
