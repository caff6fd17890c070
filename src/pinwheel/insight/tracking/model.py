"""What an event is: schemas and their rules, what a sender may say, refusals. Pure."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pinwheel.kernel.errors import Refusal

LATE = dt.timedelta(days=7)
"""An event that occurred longer ago than this is refused as late."""
LOOKED_BACK = dt.timedelta(days=8)
"""How far back a second copy is looked for: no copy that is not late already can lie further."""
AHEAD = dt.timedelta(minutes=5)
"""How far in the future an event may say it occurred, after its clock was put right."""
SKEW = dt.timedelta(seconds=60)
"""A sender's clock that is off by more than this is put right by the difference."""
KEPT_DAYS = 400
QUARANTINED_DAYS = 30
EVENTS_AT_ONCE = 5_000
PROPERTIES_BYTES = 8_192
BODY_BYTES = 8_000_000
A_MINUTE_MOST = 240
"""More events than this from one visitor in a minute are a program's."""

Kind = Literal["string", "integer", "number", "boolean", "uuid", "datetime", "strings"]
Purpose = Literal["necessary", "analytics"]
Origin = Literal["any", "server"]
Source = Literal["server", "api", "web"]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$", max_length=64)]


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One thing an event carries. ``pii``: taken away when its person is erased."""

    name: Name
    type: Kind
    required: bool = False
    pii: bool = False
    max_length: Annotated[int, Meta(ge=1, le=4000)] = 200
    minimum: int | None = None
    maximum: int | None = None
    values: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=200)] = []


class NewSchema(msgspec.Struct, frozen=True, kw_only=True):
    """``title``: a name for people, by language."""

    name: Name
    title: dict[Literal["en", "zh-CN"], Annotated[str, Meta(min_length=1, max_length=100)]]
    purpose: Purpose = "analytics"
    origin: Origin = "any"
    properties: Annotated[list[Property], Meta(max_length=60)] = []


class Schema(NewSchema, frozen=True, kw_only=True):
    version: int


class SchemaIncompatible(Refusal):
    """A version may add properties that may be left out, and widen; it may not take away."""

    en = (
        "The schema {name} can't be changed like this: {why}. A new version may add optional "
        "properties and allow more; give anything else a new name."
    )
    zh = (
        "事件 {name} 不能这样修改：{why_zh}。新版本只能增加可选属性或放宽限制；"
        "其他改动请使用新的事件名。"
    )


class NotABatch(Refusal):
    status = 400
    en = (
        "This is not a batch of events: {why}. Send a JSON array, or one JSON object a line. "
        "Nothing was taken."
    )
    zh = "无法识别为事件批次：{why}。请发送 JSON 数组，或每行一个 JSON 对象。未接收任何事件。"


class TooManyEvents(Refusal):
    status = 413
    en = "A batch holds {most} events at most. Send several batches; nothing was taken."
    zh = "每批最多 {most} 个事件，请分批发送；未接收任何事件。"


class ServerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A fact as another module records it, in the fact's transaction."""

    name: str
    properties: dict[str, Any] = {}
    person_id: uuid.UUID | None = None
    visitor_id: str = ""
    session_id: str = ""
    occurred_at: dt.datetime | None = None  # None: now
    context: dict[str, Any] = {}
    event_id: uuid.UUID | None = None


class Context(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where an event came from. No address with a query: those carry names and tokens."""

    page: Annotated[str, Meta(max_length=300, pattern=r"^[^?#]*$")] = ""
    referrer: Annotated[str, Meta(max_length=300, pattern=r"^[^?#]*$")] = ""
    language: Annotated[str, Meta(max_length=20)] = ""
    device: Annotated[str, Meta(max_length=40)] = ""
    width: Annotated[int, Meta(ge=0, le=100_000)] = 0
    source: Annotated[str, Meta(max_length=100)] = ""
    medium: Annotated[str, Meta(max_length=100)] = ""
    campaign: Annotated[str, Meta(max_length=100)] = ""
    app: Annotated[str, Meta(max_length=60)] = ""
    experiments: Annotated[
        dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=64)]],
        Meta(max_length=40),
    ] = {}


NOTHING = msgspec.Raw(b"{}")
Id = Annotated[str, Meta(max_length=64)]
Instant = Annotated[dt.datetime, Meta(tz=True)]


class Incoming(msgspec.Struct, kw_only=True, gc=False):
    """One event as a program sends it. Without ``consent`` its identifiers are left out."""

    id: uuid.UUID
    name: str
    occurred_at: Instant
    properties: msgspec.Raw = NOTHING
    version: int = 0
    sent_at: Instant | None = None
    visitor_id: Id = ""
    session_id: Id = ""
    person_id: uuid.UUID | None = None
    consent: bool = False
    context: msgspec.Raw = NOTHING


class BeaconEvent(msgspec.Struct, kw_only=True, gc=False):
    id: uuid.UUID
    name: str
    occurred_at: Instant
    properties: msgspec.Raw = NOTHING
    version: int = 0


class Beacon(msgspec.Struct, kw_only=True):
    """What a page sends: who and where once, then its events."""

    events: list[msgspec.Raw]
    sent_at: Instant | None = None
    visitor_id: Id = ""
    session_id: Id = ""
    consent: bool = False
    context: Context = msgspec.field(default_factory=Context)


_TYPES: dict[str, Any] = {"boolean": bool, "uuid": uuid.UUID, "datetime": Instant}


def _type_of(p: Property) -> Any:
    if p.values and p.type == "string":
        return Literal[tuple(p.values)]
    text = Annotated[str, Meta(max_length=p.max_length)]
    if p.type == "string":
        return text
    if p.type == "strings":
        return Annotated[list[text], Meta(max_length=100)]
    if p.type in ("integer", "number"):
        kind: Any = int if p.type == "integer" else float
        widest = 2**53 if p.type == "integer" else 1.7e308
        least = -widest if p.minimum is None else p.minimum
        most = widest if p.maximum is None else p.maximum
        return Annotated[kind, Meta(ge=least, le=most)]
    return _TYPES[p.type]


def shape_of(schema: Schema) -> type[msgspec.Struct]:
    """The struct that a schema's properties must fill, all of it and nothing more."""
    fields: list[Any] = []
    for p in schema.properties:
        kind = _type_of(p)
        fields.append((p.name, kind) if p.required else (p.name, kind | None, None))
    return msgspec.defstruct(
        f"{schema.name}_{schema.version}",
        fields,
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def checked_schema(new: NewSchema, before: Schema | None) -> Schema:
    """``new`` as the version after ``before``; ``SchemaIncompatible`` when it breaks readers."""

    def no(why: str, why_zh: str) -> SchemaIncompatible:
        return SchemaIncompatible(name=new.name, why=why, why_zh=why_zh)

    names = [p.name for p in new.properties]
    if len(set(names)) != len(names):
        raise no("a property stands there twice", "有重复的属性")
    for p in new.properties:
        if p.minimum is not None and p.maximum is not None and p.minimum > p.maximum:
            raise no(f"{p.name} has no value between its bounds", f"{p.name} 的上下限矛盾")
        if p.pii and new.purpose == "necessary":
            raise no(
                f"{p.name} is personal, and a necessary event carries nothing personal",
                f"{p.name} 属于个人信息，而必要事件不得携带个人信息",
            )
    version = before.version + 1 if before else 1
    fresh = Schema(**msgspec.structs.asdict(new), version=version)
    if before is None:
        return fresh
    if (new.purpose, new.origin) != (before.purpose, before.origin):
        raise no("its purpose and origin stay", "用途和来源不可更改")
    now = {p.name: p for p in new.properties}
    for old in before.properties:
        if fault := _narrowed(old, now.pop(old.name, None)):
            raise no(f"{old.name} {fault[0]}", f"{old.name} {fault[1]}")
    for p in now.values():
        if p.required:
            raise no(f"{p.name} is new and required", f"{p.name} 是新增的必填属性")
    return fresh


def _narrowed(old: Property, new: Property | None) -> tuple[str, str] | None:
    if new is None:
        return ("was taken away", "被删除")
    if new.type != old.type:
        return ("has another type", "更改了类型")
    if new.required != old.required:
        return ("must stay as required as it was", "的必填与否不可更改")
    if old.pii and not new.pii:
        return ("was personal and stays so", "是个人信息，标记不可取消")
    if new.max_length < old.max_length:
        return ("became shorter", "的长度上限变小")
    if new.values and (not old.values or set(old.values) - set(new.values)):
        return ("allows fewer values", "可选值变少")
    if new.minimum is not None and (old.minimum is None or new.minimum > old.minimum):
        return ("has a narrower lower bound", "的下限变窄")
    if new.maximum is not None and (old.maximum is None or new.maximum < old.maximum):
        return ("has a narrower upper bound", "的上限变窄")
    return None


_ROBOT = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|headless|phantomjs|selenium|playwright|puppeteer|lighthouse"
    r"|curl/|wget/|python-|httpx|aiohttp|java/|go-http|okhttp/|scrapy|facebookexternalhit|monitor",
    re.IGNORECASE,
)


def robot_reason(agent: str | None) -> str:
    """Why a user agent is taken for a program's; "" for a browser's."""
    if not agent:
        return "no_agent"
    return "agent" if _ROBOT.search(agent) else ""


def device_of(agent: str | None) -> str:
    """phone, tablet or desktop: all that is kept of a user agent."""
    text = (agent or "").lower()
    if "ipad" in text or "tablet" in text:
        return "tablet"
    return "phone" if "mobi" in text or "android" in text else "desktop"


class Link(msgspec.Struct, frozen=True):
    """``visitor_id`` was ``person_id`` from ``from_at`` until ``until_at``."""

    visitor_id: str
    person_id: uuid.UUID
    linked_at: dt.datetime
    from_at: dt.datetime
    until_at: dt.datetime
    undone_at: dt.datetime | None


BEGINNING = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


def spans(
    links: Sequence[Link],
) -> Mapping[dt.datetime, tuple[dt.datetime, dt.datetime]]:
    """For each link of one visitor that stands, by ``linked_at``, its time: the first reaches back
    to the beginning, each ends where the next begins, the last has no end. An undone one has none.
    """
    standing = sorted((k for k in links if k.undone_at is None), key=lambda k: k.linked_at)
    found: dict[dt.datetime, tuple[dt.datetime, dt.datetime]] = {}
    for n, link in enumerate(standing):
        begins = BEGINNING if n == 0 else link.linked_at
        ends = standing[n + 1].linked_at if n + 1 < len(standing) else END
        found[link.linked_at] = (begins, ends)
    return found
