"""A house that writes letters, and what its readers do with them."""

from __future__ import annotations

import re
import uuid
from email.message import EmailMessage

from pinwheel.ground import identity, messages
from pinwheel.ground.messages.actions import hash_of
from pinwheel.ground.messages.model import NewMessage, Queued, confirm_token, link_token
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.jobs import Worker


class House:
    def __init__(self, db: Database, clock: SetClock) -> None:
        self.db, self.clock = db, clock
        self.worker = Worker(db)
        self._numbers = 0

    async def write_letter(self) -> None:
        async with self.db.transaction(actor="test") as tx:
            await messages.save_template(
                tx,
                "autumn",
                "Autumn",
                {"en": "Autumn for {{ name | you }}", "zh-CN": "秋季上新"},
                {"en": "Hello {{ name | you }}.\n\n[See it](/c/autumn)", "zh-CN": "您好"},
            )

    async def reader(self, email: str, *, zone: str | None = None) -> uuid.UUID:
        """A person with this address, who said yes and confirmed it."""
        async with self.db.transaction(actor="test") as tx:
            person = await identity.register(tx, email, name="Ann")
            await messages.subscribe(
                tx, email, language="en", wording="News", source="test", person_id=person.id,
                zone=zone,
            )  # fmt: skip
        async with self.db.transaction(actor="test") as tx:
            until = tx.later_than(60)
            token = confirm_token(self.db.vault, hash_of(self.db, email), until)
            await messages.confirm(tx, token, wording="News", source="the letter")
        await self.worker.drain()
        return person.id

    async def send(
        self, *emails: str, purpose: str = "marketing", key: str | None = None, **more: object
    ) -> list[Queued | Refusal]:
        self._numbers += 1
        async with self.db.transaction(actor="test") as tx:
            return await messages.send(
                tx,
                [
                    NewMessage(
                        scope="test",
                        key=f"{key or self._numbers}:{email}",
                        purpose=purpose,  # type: ignore[arg-type]
                        template="autumn",
                        email=email,
                        **more,  # type: ignore[arg-type]
                    )
                    for email in emails
                ],
            )

    async def unsubscribe(self, email: str) -> None:
        async with self.db.transaction(actor="reader") as tx:
            token = link_token(self.db.vault, hash_of(self.db, email))
            await messages.unsubscribe(tx, token, source="a letter")

    async def states(self, purpose: str = "marketing") -> dict[str, int]:
        async with self.db.reading() as tx:
            rows = await tx.connection.fetch(
                "select state, count(*) as n from messages.message where purpose = $1"
                " and scope = 'test' group by 1",
                purpose,
            )
        return {r["state"]: r["n"] for r in rows}

    async def travel(self, **how: float) -> None:
        self.clock.travel(**how)
        await self.worker.drain()

    async def broken(self) -> list[audit.Check]:
        return [c for c in await audit.run(self.db, ["pinwheel.ground.messages"]) if c.broken]


def text_of(letter: EmailMessage, kind: str = "plain") -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def path_in(text: str, part: str) -> str:
    """The path of the link of a letter that holds ``part``."""
    found = re.search(rf"https://shop\.test(/\S*{part}[^\s\"<>]*)", text)
    assert found, f"no {part} link"
    return found[1]
