"""The post: what this installation writes letters with, and the port to whatever carries them.

A carrier hands over what it is given. Before the words of a letter leave the house it asks
``may_go``, which looks at the suppressions once more under the address's lock."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

import msgspec

from pinwheel.kernel.db import Database

Kind = Literal["sent", "retry", "refused", "unsure"]
MayGo = Callable[[Sequence[uuid.UUID]], Awaitable[set[uuid.UUID]]]


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One letter, ready to be carried. ``raw`` is the whole of it (RFC 5322)."""

    id: uuid.UUID
    attempts: int
    to: str
    raw: bytes


class Outcome(msgspec.Struct, frozen=True):
    """What became of one letter. ``retry``: it did not leave; ``refused``: for good; ``unsure``: it
    may have arrived, nobody said so. A letter that was not let go has no outcome."""

    id: uuid.UUID
    attempts: int
    kind: Kind
    note: str = ""
    is_bad_address: bool = False  # the server says that nobody is there


class Carrier(Protocol):
    """How letters leave. Mail by SMTP is one; a local mailbox is the other."""

    async def carry(self, letters: Sequence[Outgoing], may_go: MayGo) -> list[Outcome]: ...


class Mailbox:
    """No mail server is set: a letter stays where it is and is read in the console."""

    async def carry(self, letters: Sequence[Outgoing], may_go: MayGo) -> list[Outcome]:
        gone = await may_go([one.id for one in letters])
        return [Outcome(o.id, o.attempts, "sent", "mailbox") for o in letters if o.id in gone]


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """``webhook_secret`` signs notices of bounces (Standard Webhooks); empty: none are taken."""

    carrier: Carrier
    sender: str
    base_url: str
    zone: str
    language: str
    is_local: bool
    webhook_secret: str = ""

    def __repr__(self) -> str:
        return f"Post(sender={self.sender!r}, is_local={self.is_local}, …)"


NOWHERE = Post(
    carrier=Mailbox(),
    sender="shop@localhost",
    base_url="http://localhost",
    zone="Asia/Shanghai",
    language="zh-CN",
    is_local=True,
)


def of(db: Database) -> Post:
    """The post this house was given; a mailbox otherwise."""
    given = db.given.get(Post)
    return given if isinstance(given, Post) else NOWHERE
