"""The stage that says how much of an order its gift cards pay."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from pinwheel.kernel.db import Tx
from pinwheel.trade import payments
from pinwheel.trade.orders import Draft, Tender


class Share(Tender, frozen=True):
    """A gift card's tender whose amount this stage has chosen: it is chosen anew when a batch walks
    again."""


class GiftCardStage:
    """A gift card without an amount pays what is on it, at most what the other tenders leave. Two
    statements where there is such a tender, else none. A card that can't be used pays nothing here
    and is refused, with why, when its payment starts."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        wanted = {
            (draft.person_id, card_id)
            for draft in drafts
            if draft.person_id is not None
            for tender in draft.tenders
            if _is_open(tender) and (card_id := _card_id(tender)) is not None
        }
        cards = await payments.usable_gift_cards(tx, sorted(wanted)) if wanted else []
        return {card.id: card for card in cards}, placing

    def decide(self, loaded: Any, draft: Draft) -> None:
        cards, placing = loaded
        if not any(_is_open(t) for t in draft.tenders):
            return
        left = draft.total_minor
        left -= sum(t.amount_minor or 0 for t in draft.tenders if not _is_open(t))
        tenders: list[Tender] = []
        for tender in draft.tenders:
            if not _is_open(tender):
                tenders.append(tender)
                continue
            card = cards.get(_card_id(tender))
            if card is None or card.currency != draft.currency:
                part = max(0, left)  # its payment is to start, and to be refused with the reason
            else:
                part = max(0, min(card.balance_minor, left))
                if placing:  # the next draft of this batch has what is left
                    cards[card.id] = replace(card, balance_minor=card.balance_minor - part)
            left -= part
            tenders.append(Share(tender.provider, tender.method, part))
        draft.tenders = tenders

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        return None


def _is_open(tender: Tender) -> bool:
    return tender.provider == payments.GIFT_CARD and (
        tender.amount_minor is None or isinstance(tender, Share)
    )


def _card_id(tender: Tender) -> uuid.UUID | None:
    try:
        return uuid.UUID(tender.method)
    except ValueError:
        return None
