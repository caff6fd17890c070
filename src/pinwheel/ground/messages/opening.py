"""Which post this installation has, from its settings."""

from __future__ import annotations

from pinwheel.ground.messages.post import Carrier, Mailbox, Post
from pinwheel.ground.messages.smtp import Smtp, server_of
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings


def use(db: Database, settings: Settings) -> None:
    """SMTP when ``PINWHEEL_SMTP_URL`` is set, the local mailbox otherwise. ``Invalid`` for an
    address that can't be one."""
    base_url = settings.public_url or f"http://{settings.host}:{settings.port}"
    sender = settings.mail_from or "shop@localhost"
    carrier: Carrier = (
        Smtp(server_of(settings.smtp_url), sender) if settings.smtp_url else Mailbox()
    )
    db.given[Post] = Post(
        carrier=carrier,
        sender=sender,
        base_url=base_url.rstrip("/"),
        zone=settings.time_zone,
        language=settings.default_language,
        is_local=not settings.smtp_url,
        webhook_secret=settings.mail_webhook_secret,
    )
