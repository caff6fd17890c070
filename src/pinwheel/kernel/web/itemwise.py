"""The answer of a verb that takes a list: for each item what came of it, or why it was refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

from pinwheel.kernel.errors import Refusal

T = TypeVar("T")


class Refused(msgspec.Struct, frozen=True):
    """Why an item was refused: ``code`` for programs, ``detail`` for people. It changed nothing."""

    code: str
    status: int
    detail: str
    facts: dict[str, Any]


class Each(msgspec.Struct, Generic[T], frozen=True):
    """One item of a list, in the order sent: what came of it (``done``), or why it was refused."""

    done: T | None = None
    refused: Refused | None = None


def each(answers: Iterable[T | Refusal], language: str) -> list[Each[T]]:
    """The answers of a verb as a program reads them, refusals in ``language``."""
    return [
        Each(refused=refused(answer, language))
        if isinstance(answer, Refusal)
        else Each(done=answer)
        for answer in answers
    ]


def refused(refusal: Refusal, language: str) -> Refused:
    """``refusal`` as an item carries it."""
    facts = msgspec.to_builtins(refusal.facts, enc_hook=str, str_keys=True)
    return Refused(refusal.code, refusal.status, refusal.sentence(language), facts)
