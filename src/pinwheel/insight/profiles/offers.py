"""What other modules contribute to a profile, handed over by ``app.py``."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from pinwheel.insight.profiles.model import Known, Moment
from pinwheel.kernel.db import Tx


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a module contributes to profiles; ``app.py`` hands them over. The questions get the
    accounts of one customer."""

    name: str
    en: str
    zh: str
    known: Callable[[Tx, Sequence[uuid.UUID]], Awaitable[list[Known]]] | None = None
    moments: Callable[[Tx, Sequence[uuid.UUID]], Awaitable[list[Moment]]] | None = None


class Offers(msgspec.Struct, frozen=True):
    offers: tuple[Offer, ...] = ()
