"""Facts that begin in the console."""

from __future__ import annotations

from typing import ClassVar

from pinwheel.kernel.events import Event


class ImportAsked(Event, frozen=True, kw_only=True):
    """Somebody wants a file taken in. ``path`` lies in the installation's own folder."""

    subject: ClassVar[str] = ""
    source: str
    path: str
    mapping: dict[str, str]
    currency: str
    price: str
    pictures: bool
    actor: str
