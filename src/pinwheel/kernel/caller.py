"""Who is asking. Every call has a caller, also one that nobody knows yet."""

from __future__ import annotations

import uuid
from typing import Literal

import msgspec

from pinwheel.kernel.errors import Forbidden, Unauthenticated

Kind = Literal["guest", "buyer", "operator", "clerk", "program"]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """``person_id`` is None for a visitor who has put nothing anywhere yet; ``session_id`` is None
    for a program; ``scopes`` are the rights, ``"*"`` is all of them."""

    kind: Kind = "guest"
    person_id: uuid.UUID | None = None
    session_id: uuid.UUID | None = None
    key_id: uuid.UUID | None = None
    scopes: frozenset[str] = frozenset()
    language: str | None = None

    @property
    def actor(self) -> str:
        """The name that stands in events and audit rows."""
        return f"{self.kind}:{self.key_id or self.person_id or self.session_id or 'anonymous'}"

    @property
    def is_known(self) -> bool:
        """Has this caller shown who they are (a password, a code, a key)?"""
        return self.kind != "guest"

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "*" in self.scopes

    def require(self, scope: str) -> None:
        """``Unauthenticated`` for a visitor, ``Forbidden`` for somebody without the right."""
        if not self.may(scope):
            raise Forbidden() if self.is_known else Unauthenticated()

    def person(self) -> uuid.UUID:
        """The person who is signed in; ``Unauthenticated`` for a visitor."""
        if self.person_id is None or not self.is_known:
            raise Unauthenticated()
        return self.person_id


NOBODY = Caller()
