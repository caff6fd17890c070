"""What stages say beside the figures: hints for the buyer, and what comes off the delivery."""

from __future__ import annotations

import uuid

import msgspec


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """What would be worth knowing before buying: a coupon that did not work and why
    (``kind`` "coupon", ``code`` as it was entered), or what is nearly reached ("near": so many
    ``missing_minor`` or ``missing_pieces`` more)."""

    kind: str
    en: str
    zh: str
    code: str = ""
    source_id: uuid.UUID | None = None
    missing_minor: int = 0
    missing_pieces: int = 0


class DeliveryOff(msgspec.Struct, frozen=True, kw_only=True):
    """Off the price of delivery: at most ``most_minor`` (None: all of it), for these ``codes`` of
    delivery (none: for each)."""

    source: str
    source_id: uuid.UUID
    codes: tuple[str, ...] = ()
    most_minor: int | None = None
    en: str
    zh: str

    def off(self, code: str, price_minor: int) -> int:
        if self.codes and code not in self.codes:
            return 0
        return price_minor if self.most_minor is None else min(price_minor, self.most_minor)
