"""Tracking in the console: what comes in, what did not fit, and what events there are."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, shown, with_query, words_of
from pinwheel.insight import tracking
from pinwheel.insight.tracking import NewSchema, Property, Schema, Which
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Answer, Call, See, get, post

READ, WRITE = "tracking:read", "tracking"
LINES_SHOWN = 60
Short = Annotated[str, Meta(max_length=64)]


class Counted(msgspec.Struct, frozen=True):
    """The last events, the volumes of the last hour, and how far the unpacking is."""

    events: list[tracking.Tracked]
    volumes: list[tracking.Volume]
    state: tracking.State


@get("/console/tracking", scope=READ)
async def stream_page(call: Call, tx: Tx, name: Short = "") -> Answer[Counted]:
    """What comes in, as it comes in."""
    found = Counted(
        await tracking.stream(tx, name=name),
        await tracking.volumes(tx),
        await tracking.state(tx),
    )
    return await shown(
        call,
        tx,
        found,
        "tracking",
        call.say("Visits"),
        "tracking",
        part="desk",
        name=name,
        lines={v.name: _line(v.minutes) for v in found.volumes},
        titles=await _titles(call, tx),
    )


def _line(minutes: list[int], width: int = 120, height: int = 24) -> str:
    """The points of a sparkline: the last minute at the right, the most at the top."""
    most = max(minutes, default=0) or 1
    step = width / max(1, len(minutes) - 1)
    return " ".join(
        f"{n * step:.1f},{height - 1 - (height - 2) * count / most:.1f}"
        for n, count in enumerate(minutes)
    )


async def _titles(call: Call, tx: Tx) -> dict[str, str]:
    return {
        s.name: s.title.get("zh-CN" if call.language == "zh-CN" else "en") or s.title["en"]
        if "en" in s.title
        else next(iter(s.title.values()))
        for s in await tracking.schemas(tx)
    }


class Waiting(msgspec.Struct, frozen=True):
    reasons: list[tracking.ReasonCount]
    events: list[tracking.Quarantined]


@get("/console/tracking/quarantine", scope=WRITE)
async def quarantine_page(
    call: Call, tx: Tx, reason: Short = "", name: Short = "", after: str | None = None
) -> Answer[Waiting]:
    """What could not be taken, and why; it can be tried again."""
    found = await tracking.quarantined(tx, reason=reason, name=name, cursor=after)
    here = "/console/tracking/quarantine"
    return await shown(
        call,
        tx,
        Waiting(await tracking.reasons(tx), found.items),
        "quarantine",
        call.say("Quarantine"),
        "tracking",
        reason=reason,
        name=name,
        next_path=with_query(here, reason=reason, name=name, after=found.next)
        if found.next
        else None,
        first_path=with_query(here, reason=reason, name=name) if after else None,
    )


class ReplayForm(msgspec.Struct):
    reason: Short = ""
    name: Short = ""


@post("/console/tracking/quarantine/replay", scope=WRITE)
async def replay(call: Call, db: Database, data: ReplayForm) -> See[Any]:
    """Try a thousand of a reason and a name again, under today's schemas."""

    async def verb(tx: Tx) -> tracking.Replayed:
        return await tracking.replay(tx, Which(reason=data.reason, name=data.name))

    said = call.say("%(accepted)s taken now, %(duplicates)s were there, %(refused)s still wait.")
    return await attempt(
        call,
        db,
        verb,
        "/console/tracking/quarantine",
        lambda done: said % msgspec.structs.asdict(done),
    )


@get("/console/tracking/schemas", scope=READ)
async def schemas_page(call: Call, tx: Tx, name: Short = "") -> Answer[list[Schema]]:
    """Every event there is, and an editor for a new one or a next version."""
    found = await tracking.schemas(tx)
    newest = {s.name: s for s in found}
    chosen = newest.get(name)
    return await shown(
        call,
        tx,
        list(newest.values()),
        "schemas",
        call.say("Kinds of events"),
        "tracking",
        chosen=chosen,
        written=written(chosen.properties) if chosen else "",
        titles=await _titles(call, tx),
    )


class SchemaForm(msgspec.Struct):
    """``properties``: one a line, as ``written`` writes them."""

    name: Short
    title_en: Annotated[str, Meta(max_length=100)] = ""
    title_zh: Annotated[str, Meta(max_length=100)] = ""
    purpose: Annotated[str, Meta(max_length=20)] = "analytics"
    origin: Annotated[str, Meta(max_length=20)] = "any"
    properties: Annotated[str, Meta(max_length=10_000)] = ""


@post("/console/tracking/schemas", scope=WRITE)
async def save_schema(call: Call, db: Database, data: SchemaForm) -> See[Any]:
    """A new event, or its next version."""

    async def verb(tx: Tx) -> Schema:
        plain = {
            "name": data.name.strip(),
            "title": words_of(data.title_en, data.title_zh) or {"en": data.name},
            "purpose": data.purpose,
            "origin": data.origin,
            "properties": [msgspec.structs.asdict(p) for p in read(data.properties)],
        }
        try:
            new = msgspec.convert(plain, NewSchema)
        except msgspec.ValidationError as error:
            raise Invalid("schema", str(error), f"事件定义有误（{error}）") from error
        return await tracking.add_schema(tx, new)

    said = call.say("Version %(version)s of %(name)s holds from now on.")
    return await attempt(
        call,
        db,
        verb,
        with_query("/console/tracking/schemas", name=data.name.strip()),
        lambda done: said % {"version": done.version, "name": done.name},
    )


def written(properties: list[Property]) -> str:
    """One property a line: ``name type required pii max=200 values=a|b min=0``."""
    lines = []
    for p in properties:
        words = [p.name, p.type]
        words += ["required"] * p.required + ["pii"] * p.pii
        words += [f"max={p.max_length}"] if p.type in ("string", "strings") else []
        words += [f"from={p.minimum}"] if p.minimum is not None else []
        words += [f"to={p.maximum}"] if p.maximum is not None else []
        words += ["values=" + "|".join(p.values)] if p.values else []
        lines.append(" ".join(words))
    return "\n".join(lines)


def read(text: str) -> list[Property]:
    """What ``written`` wrote, or somebody like it; ``Invalid`` names the line."""
    found: list[Property] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        plain: dict[str, Any] = {"name": words[0], "type": words[1] if words[1:] else "string"}
        keys = {"max": "max_length", "from": "minimum", "to": "maximum"}
        for word in words[2:]:
            key, _, value = word.partition("=")
            if word in ("required", "pii"):
                plain[word] = True
            elif key == "values":
                plain["values"] = [v for v in value.split("|") if v]
            else:
                plain[keys.get(key, key)] = value
        try:
            found.append(msgspec.convert(plain, _Line, strict=False))
        except msgspec.ValidationError as error:
            why = f"line {number}: {error}"
            raise Invalid("properties", why, f"第 {number} 行有误：{error}") from error
    return found


class _Line(Property, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass
