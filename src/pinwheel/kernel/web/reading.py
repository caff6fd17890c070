"""From bytes to structs: bodies, forms and queries, and a clear sentence when they don't fit."""

from __future__ import annotations

import re
import types
import typing
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.kernel.web.call import Call
from pinwheel.kernel.web.routes import Route

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


class MalformedBody(Refusal):
    status = 400
    en = "The body can't be read as {kind}: {why}. Nothing was changed."
    zh = "无法将请求正文解析为 {kind}：{why}。未做任何更改。"


class UnsupportedBody(Refusal):
    status = 415
    en = "This address reads JSON or a form, not {kind}. Send Content-Type: application/json."
    zh = "此地址接受 JSON 或表单，不接受 {kind}。请使用 Content-Type: application/json。"


async def form_of(call: Call) -> dict[str, list[Any]] | None:
    """The form in the body (None: it isn't one). Read once, kept for the check of its token."""
    kind = call.sent(b"content-type")
    if kind.startswith(FORM):
        try:
            pairs = parse_qsl((await call.body()).decode(), keep_blank_values=True)
        except UnicodeDecodeError as error:
            raise MalformedBody(kind="form", why="it is not UTF-8") from error
    elif kind.startswith(MULTIPART):
        pairs = list((await call.form()).multi_items())
    else:
        return None
    form: dict[str, list[Any]] = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return form


async def body_of(call: Call, route: Route) -> Any:
    """The body as ``route.data``."""
    form = call.exchange.form
    if form is not None:
        return _converted(_flat(form, route.data), route.data)
    kind = call.sent(b"content-type", "application/json").partition(";")[0].strip()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedBody(kind=kind[:80])
    raw = await call.body()
    try:
        return msgspec.json.decode(raw, type=route.data)
    except msgspec.ValidationError as error:
        raise invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBody(kind="JSON", why=str(error)) from error


def query_of(call: Call, route: Route) -> dict[str, Any]:
    """The query string as the function's keyword arguments."""
    raw = call.scope["query_string"]
    asked: dict[str, list[Any]] = {}
    if raw:
        try:
            text = raw.decode()
            for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=200):
                asked.setdefault(name, []).append(value)
        except (UnicodeDecodeError, ValueError) as error:
            raise Invalid("query", "it can't be read", "无法解析查询参数") from error
    query = _converted(_flat(asked, route.query), route.query)
    return {name: getattr(query, name) for name in query.__struct_fields__}


def _converted(values: dict[str, Any], kind: Any) -> Any:
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error) from error


@lru_cache(maxsize=1024)
def _shape(kind: Any) -> dict[str, tuple[bool, bool, bool]]:
    """For each field of a struct: takes several values, may be left empty, is a yes or no."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return {}
    shape = {}
    for field in msgspec.structs.fields(kind):
        bare = _bare(field.type)
        alternatives = [_bare(a) for a in _alternatives(bare)]
        many = any(typing.get_origin(a) in (list, set, tuple, frozenset) for a in alternatives)
        empty = type(None) in alternatives or (not field.required and str not in alternatives)
        shape[field.encode_name] = (many, empty, bool in alternatives)
    return shape


def _bare(kind: Any) -> Any:
    return kind.__origin__ if typing.get_origin(kind) is typing.Annotated else kind


def _alternatives(kind: Any) -> tuple[Any, ...]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return typing.get_args(kind)
    return (kind,)


def _flat(values: dict[str, list[Any]], kind: Any) -> dict[str, Any]:
    shape = _shape(kind)
    if not shape:
        return {name: found[-1] for name, found in values.items()}
    flat: dict[str, Any] = {}
    for name, (many, may_be_empty, yes_or_no) in shape.items():
        found = values.get(name)
        if found is None:
            continue
        last = found[-1]
        if many:
            flat[name] = found
        elif may_be_empty and last == "":
            continue
        else:
            flat[name] = True if yes_or_no and last in ("on", "yes") else last
    return flat


_TRANSLATED = (
    (r"Object missing required field `(.+?)`", r"缺少必填项 {0}"),
    (r"Expected `(.+?)`, got `(.+?)`", r"应为 {0}，收到的是 {1}"),
    (r"Expected `\w+` of length >= (\d+)", r"长度至少为 {0}"),
    (r"Expected `\w+` of length <= (\d+)", r"长度最多为 {0}"),
    (r"Expected `\w+` >= (\S+)", r"不得小于 {0}"),
    (r"Expected `\w+` <= (\S+)", r"不得大于 {0}"),
    (r"Expected `\w+` > (\S+)", r"必须大于 {0}"),
    (r"Expected `\w+` < (\S+)", r"必须小于 {0}"),
    (r"Expected `str` matching regex .+", r"格式不正确"),
    (r"Invalid enum value (.+)", r"不支持的取值 {0}"),
    (r"Invalid UUID", r"不是有效的编号"),
    (r"Object contains unknown field `(.+?)`", r"有未知的字段 {0}"),
)


def invalid(error: msgspec.ValidationError) -> Invalid:
    """A refusal with the field's path and the rule, in both languages."""
    text, _, path = str(error).partition(" - at `")
    where = path.rstrip("`").removeprefix("$").removeprefix(".")
    missing = re.fullmatch(_TRANSLATED[0][0], text)
    if missing:
        where = f"{where}.{missing[1]}".lstrip(".")
        return Invalid(where, "this is required", "此项必填")
    for pattern, chinese in _TRANSLATED:
        match = re.fullmatch(pattern, text)
        if match:
            return Invalid(where or "body", text, chinese.format(*match.groups()))
    return Invalid(where or "body", text, f"内容不符合要求（{text}）")
