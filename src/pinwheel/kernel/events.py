"""Events (facts) and the four decorators that say what follows from them.

``@during`` runs inside the transaction that made the fact; ``@after`` in a transaction of its
own, which also deletes the job; ``@outside`` talks to the network with no transaction open and
answers with an event; ``@every`` is the clock. A decorated function is only marked here:
``app.py`` collects the marks from the modules it composes, so nothing registers itself by being
imported."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterable
from functools import cache
from types import ModuleType
from typing import Any, ClassVar, Literal, TypeVar

import msgspec

When = Literal["during", "after", "outside", "every"]
F = TypeVar("F", bound=Callable[..., Any])


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact. ``subject`` names the field that holds the id of what it is about."""

    subject: ClassVar[str] = ""

    @classmethod
    @cache
    def kind(cls) -> str:
        """``module.event_name``, for example ``orders.order_placed``: the name in the log and
        in webhooks."""
        room = [part for part in cls.__module__.split(".") if part not in ("model", "jobs")][-1]
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        return f"{room}.{name}"

    def subject_id(self) -> uuid.UUID | None:
        return getattr(self, self.subject) if self.subject else None


class Recorded(msgspec.Struct, frozen=True):
    """One row of the event log."""

    xid: int
    id: uuid.UUID
    kind: str
    subject_id: uuid.UUID | None
    at: dt.datetime
    actor: str
    data: dict[str, Any]


class Reaction(msgspec.Struct, frozen=True, kw_only=True):
    """One marked function: what it reacts to and how it is run."""

    name: str
    when: When
    events: tuple[type[Event], ...]
    call: Callable[..., Any]
    seconds: float = 0.0  # every: the period
    concurrency: int = 1  # outside: how many at once in one process
    lease_seconds: float = 60.0  # outside: after this a silent worker is taken for dead
    attempts: int = 12  # then the job is parked for a person


def during(*events: type[Event]) -> Callable[[F], F]:
    """Run inside the transaction that made the fact: ``async def f(tx, events)``."""
    return _mark("during", events)


def after(*events: type[Event], attempts: int = 12) -> Callable[[F], F]:
    """Run in a transaction of its own, which also deletes the job: ``async def f(tx, events)``."""
    return _mark("after", events, attempts=attempts)


def outside(
    *events: type[Event], concurrency: int = 4, lease_seconds: float = 60.0, attempts: int = 12
) -> Callable[[F], F]:
    """Talk to the network with no transaction open: ``async def f(db, events)``. It must be
    safe to repeat, and it answers by opening a transaction of its own and recording what came
    back."""
    return _mark(
        "outside", events, concurrency=concurrency, lease_seconds=lease_seconds, attempts=attempts
    )


def every(*, seconds: float) -> Callable[[F], F]:
    """The clock: ``async def f(tx)`` once each period over all processes together."""
    return _mark("every", (), seconds=seconds)


def _mark(when: When, events: tuple[type[Event], ...], **how: Any) -> Callable[[F], F]:
    def mark(function: F) -> F:
        room = [p for p in function.__module__.split(".") if p != "jobs"][-1]
        reaction = Reaction(
            name=f"{room}.{function.__name__}", when=when, events=events, call=function, **how
        )
        function.__dict__["pinwheel_reaction"] = reaction
        return function

    return mark


class Reactions:
    """Every reaction of the composed house, by event type and by name."""

    def __init__(self, modules: Iterable[ModuleType] = ()) -> None:
        self.by_name: dict[str, Reaction] = {}
        self.by_event: dict[type[Event], list[Reaction]] = {}
        self.kinds: dict[str, type[Event]] = {}
        for module in modules:
            for value in list(vars(module).values()):
                reaction = getattr(value, "pinwheel_reaction", None)
                if isinstance(reaction, Reaction) and value.__module__ == module.__name__:
                    self.add(reaction)

    def add(self, reaction: Reaction) -> None:
        if reaction.name in self.by_name:
            raise ValueError(f"two reactions are named {reaction.name}")
        self.by_name[reaction.name] = reaction
        for event in reaction.events:
            self.by_event.setdefault(event, []).append(reaction)
            self.kinds[event.kind()] = event

    def without(self, *names: str) -> Reactions:
        """The same house, where these don't happen."""
        rest = Reactions()
        for reaction in self.by_name.values():
            if reaction.name not in names:
                rest.add(reaction)
        return rest

    def to(self, event: type[Event], when: When) -> list[Reaction]:
        return [r for r in self.by_event.get(event, ()) if r.when == when]
