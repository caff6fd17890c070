"""Feature flags: switches an operator may turn while the shop is open.

A flag is declared where it is used, as a constant; what an operator has said about it is kept by
its name (``flag.<name>``). Nobody having said anything is ``default``.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.kept import keep, kept


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """``name`` is ``module.what``; ``en`` and ``zh`` say what turning it on does."""

    name: str
    default: bool
    en: str
    zh: str


async def flag(tx: Tx, asked: Flag) -> bool:
    """Is it on? One statement."""
    return (await flags(tx, [asked]))[asked.name]


async def flags(tx: Tx, asked: Iterable[Flag]) -> dict[str, bool]:
    """The states of many flags by name; one statement. A value that is neither yes nor no counts as
    nothing said."""
    wanted = list(asked)
    said = await kept(tx, *[_name(one) for one in wanted])
    states = {}
    for one in wanted:
        found = said.get(_name(one))
        value = found.value if found is not None else None
        states[one.name] = value if isinstance(value, bool) else one.default
    return states


async def turn(tx: Tx, flag: Flag, is_on: bool) -> None:
    """Turn it on or off, for every process from its next question on."""
    await keep(tx, _name(flag), is_on)


def _name(flag: Flag) -> str:
    return f"flag.{flag.name}"
