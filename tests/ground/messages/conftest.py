"""Fixtures of messages: a house with a mail server, and readers who said yes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ground.messages.mail_server import MailServer, mail_server
from ground.messages.readers import House
from pinwheel.ground import messages
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as made:
        yield made


@pytest.fixture
async def house(db: Database, clock: SetClock, server: MailServer) -> House:
    settings = Settings(
        secret="the secret of the tests",
        smtp_url=f"smtp://127.0.0.1:{server.port}",
        mail_from="shop@shop.test",
        public_url="https://shop.test",
        time_zone="UTC",
        default_language="en",
        mail_webhook_secret="whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw==",
    )
    messages.use(db, settings)
    made = House(db, clock)
    await made.write_letter()
    return made
