"""Days and times as the console's forms send them: whoever types one means the shop's clock, which
is also what the pages show."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Call


def zone_of(call: Call) -> ZoneInfo:
    """The zone that this installation keeps its hours in."""
    return ZoneInfo(call.app.state["edge"].settings.time_zone)


def in_zone(at: dt.datetime | None, zone: ZoneInfo) -> dt.datetime | None:
    """A time without a zone is the shop's."""
    return at.replace(tzinfo=zone) if at is not None and at.tzinfo is None else at


def moment(where: str, text: str, zone: ZoneInfo) -> dt.datetime:
    """What a field for day and time sends. ``Invalid`` names the field."""
    try:
        found = dt.datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise Invalid(where, "give day and time", "请填写日期和时间") from error
    return found.replace(tzinfo=zone) if found.tzinfo is None else found


def day(where: str, text: str, zone: ZoneInfo) -> dt.datetime:
    """The beginning of the day that a field sends. ``Invalid`` names the field."""
    try:
        return dt.datetime.combine(dt.date.fromisoformat(text.strip()), dt.time(), zone)
    except ValueError as error:
        raise Invalid(
            where, "write a date such as 2026-12-31", "日期格式应为 2026-12-31"
        ) from error
