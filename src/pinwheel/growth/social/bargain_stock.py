"""The stock of a bargain campaign that promises it: put aside when the campaign starts, everybody's
again as far as no bargain can ask for it any more."""

from __future__ import annotations

import uuid

import msgspec

from pinwheel.growth.social.bargain import BargainCampaign
from pinwheel.kernel.db import Tx
from pinwheel.trade import inventory


class _Sold(msgspec.Struct, frozen=True):
    seller_id: uuid.UUID
    variant_id: uuid.UUID


async def put_aside_stock(tx: Tx, campaign: BargainCampaign) -> None:
    """All pieces of the campaign, which is under lock. Refuses ``TooFewToPutAside``."""
    if campaign.stock != "reserved" or campaign.pieces_total is None:
        return
    offer = await tx.the(
        "offer",
        _Sold,
        "select seller_id, variant_id from marketplace.v_offer where offer_id = $1",
        campaign.offer_id,
    )
    await inventory.put_aside(
        tx, campaign.id, offer.seller_id, offer.variant_id, campaign.pieces_total
    )


async def free_stock(tx: Tx, campaign_id: uuid.UUID) -> None:
    """Of a campaign that is over and under lock: all but the pieces of bargains that may still be
    bought, one for each. Safe to repeat."""
    promised: int = await tx.value(
        """
        select count(*) from social.bargain b
         where b.campaign_id = $2 and b.cell = $1 and b.state in ('running', 'reached', 'bought')
           and not exists (select from orders.v_line l where l.cell = b.cell
                              and l.order_id = b.order_id and l.state <> 'cancelled')
        """,
        tx.cell,
        campaign_id,
    )
    await inventory.give_back(tx, [campaign_id], keep={campaign_id: promised})


async def free_ended_stock(tx: Tx) -> None:
    """The clock: campaigns that are over and still have pieces that no order has. 1 statement
    where there is none."""
    ended: list[uuid.UUID] = await tx.values(
        """
        select c.id from social.bargain_campaign c
         where c.cell = $1 and c.stock = 'reserved'
           and (c.state = 'stopped' or c.state = 'running' and c.ends_at <= $2)
           and exists (select from inventory.v_earmark e where e.cell = c.cell
                          and e.document_id = c.id and e.pieces > 0 and e.free > 0)
         order by c.id for update skip locked
        """,
        tx.cell,
        tx.now,
    )
    for campaign_id in ended:
        await free_stock(tx, campaign_id)
