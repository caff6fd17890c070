"""What was opened or mended is sold by the shop's outlet, as used, for less than the new."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import inventory, marketplace, pricing
from pinwheel.trade.marketplace import OUTLET_SELLER_ID, OWN_SELLER_ID
from pinwheel.trade.returns.model import (
    Offered,
)
from pinwheel.trade.returns.rules import (
    outlet_place,
)

REASON = "outlet: share of the price of the new"


async def offer(tx: Tx, offered: Sequence[Offered]) -> None:
    """See that the outlet has an offer with a price for each variant. A price that somebody has
    set stays. Its start is the share (``basis_points``) of what the new costs now in the shop,
    else of what was paid. 7 statements; none without a piece."""
    wanted = {(o.variant_id, o.currency): o for o in offered}
    if not wanted:
        return
    variants = sorted({variant for variant, _ in wanted})
    made = await marketplace.save_offers(
        tx,
        [
            marketplace.OfferDraft(variant_id=v, seller_id=OUTLET_SELLER_ID, condition="used")
            for v in variants
        ],
    )
    used = {o.variant_id: o.id for o in made if isinstance(o, marketplace.Offer)}
    new = {
        variant: line.id
        for variant, lines in (await marketplace.offers(tx, variants)).items()
        for line in lines
        if line.seller_id == OWN_SELLER_ID and line.condition == "new"
    }
    for currency in sorted({currency for _, currency in wanted}):
        asked = [o for (v, c), o in wanted.items() if c == currency and v in used]
        both = [*(used[o.variant_id] for o in asked), *new.values()]
        known = await pricing.prices(tx, both, currency)
        fresh = [o for o in asked if used[o.variant_id] not in known]
        await _price(
            tx, fresh, used, {v: known[i].price_minor for v, i in new.items() if i in known}
        )


async def _price(
    tx: Tx,
    fresh: Sequence[Offered],
    used: dict[uuid.UUID, uuid.UUID],
    new_minor: dict[uuid.UUID, int],
) -> None:
    if not fresh:
        return
    answers = await pricing.set_prices(
        tx,
        [
            pricing.NewPrice(
                offer_id=used[o.variant_id],
                currency=o.currency,
                price_minor=new_minor.get(o.variant_id, o.unit_price_minor)
                * o.basis_points
                // 10_000,
                reason=REASON,
            )
            for o in fresh
        ],
    )
    for answer in answers:
        if isinstance(answer, Refusal):
            raise answer


class Mended(msgspec.Struct, frozen=True, kw_only=True):
    """``quantity`` damaged pieces of the shop's own at a node were mended; ``price_minor`` of the
    new in ``currency`` when the shop has none any more."""

    variant_id: uuid.UUID
    node: str
    quantity: int
    currency: str
    price_minor: int
    basis_points: int = 8_000


async def refurbish(
    tx: Tx, mended: Sequence[Mended], *, document_id: uuid.UUID
) -> list[ledger.Posted | Refusal]:
    """Damaged pieces were mended: the outlet sells them. Once per document. Refuses
    ``Insufficient`` where fewer are damaged there."""
    places = [inventory.Place(OWN_SELLER_ID, m.node, m.variant_id) for m in mended]
    await inventory.open_positions(tx, [outlet_place(p) for p in places])
    answers = await ledger.post(
        tx,
        [
            Journal(
                document_kind="stock",
                document_id=document_id,
                key=f"mended:{m.variant_id}:{m.node}",
                reason="refurbished",
                transfers=(
                    Transfer(
                        inventory.available(outlet_place(place)),
                        inventory.damaged(place),
                        m.quantity,
                    ),
                ),
            )
            for m, place in zip(mended, places, strict=True)
        ],
    )
    done = [m for m, a in zip(mended, answers, strict=True) if isinstance(a, ledger.Posted)]
    await offer(
        tx, [Offered(m.variant_id, m.currency, m.price_minor, m.basis_points) for m in done]
    )
    if done:
        changed = sorted({m.variant_id for m in done})
        tx.emit(inventory.AvailabilityChanged(variant_ids=changed))
    return answers
