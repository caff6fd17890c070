"""Lists are read a page at a time by key, never by OFFSET: page 1,000 costs what page 1 costs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from pinwheel.kernel.errors import Invalid

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """``items`` and, when there are more, the ``next`` cursor to ask with."""

    items: list[T]
    next: str | None = None


def page(rows: Sequence[T], limit: int, key: Callable[[T], tuple[Any, ...]]) -> Page[T]:
    """A page of ``limit`` from ``limit + 1`` rows that were asked for; ``key`` is the row's
    place in the order."""
    if len(rows) <= limit:
        return Page(list(rows))
    return Page(list(rows[:limit]), cursor(*key(rows[limit - 1])))


def cursor(*values: Any) -> str:
    """An opaque cursor that holds the key of the last row shown."""
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def after(text: str | None, *kinds: Any) -> tuple[Any, ...] | None:
    """The key in ``text``, as ``kinds``; None for the first page. A cursor nobody gave out is
    refused."""
    if not text:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(raw, type=tuple[kinds])  # type: ignore[valid-type]
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise Invalid(
            "after",
            "this is not a cursor of this list; leave it out to start at the first page",
            "这不是本列表的游标；去掉它即可从第一页开始",
        ) from error
