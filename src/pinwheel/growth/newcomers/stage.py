"""The newcomer stage: proves a claim of kind ``newcomer``, takes the difference off its line, and
holds at commit what one identity may have once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.ground import ledger, trust
from pinwheel.ground.trust import Act, Use
from pinwheel.growth.newcomers import actions, queries
from pinwheel.growth.newcomers.actions import Win
from pinwheel.growth.newcomers.jobs import note_device
from pinwheel.growth.newcomers.model import (
    CLAIM,
    FIRST_ORDER,
    DeviceSeen,
    NewcomerGone,
    NewcomerLooksAgain,
    NewcomerNeedsSomebody,
    NewcomerOver,
    NotNew,
    OneAtNewcomerPrice,
    PoolOffer,
    purpose_of,
)
from pinwheel.growth.newcomers.showing import seen_of
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import orders
from pinwheel.trade.orders import Discount, Draft

SOURCE = "newcomer"


class Loaded(msgspec.Struct):
    offers: Mapping[uuid.UUID, PoolOffer]
    not_new: set[uuid.UUID]
    looks: set[uuid.UUID]  # drafts that a person has to look at first
    set_aside: set[uuid.UUID]  # people for whom a person has set the rule aside
    verdicts: dict[uuid.UUID, uuid.UUID] = {}  # by draft
    wins: dict[uuid.UUID, Win] = {}
    placing: bool = False


class NewcomerStage:
    """Without a newcomer claim in the batch: no statement. With one: the offers, the traits that
    the drafts show, who bought before, and when placing a verdict; then the holds."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        claiming = [d for d in drafts if _claims(d)]
        if placing:
            _tell_devices(tx, drafts)
        if not claiming:
            return None
        ids = sorted({claim for d in claiming for claim in _claims(d)})
        found = {o.id: o for o in await queries.offers(tx, ids=ids)}
        people = sorted({d.person_id for d in claiming if d.person_id is not None})
        if placing:
            await _note(tx, claiming)
            await trust.keep_still(tx)
        old = await queries.not_new(tx, people)
        aside = await queries.set_aside(tx, people)
        loaded = Loaded(found, old - aside, set(), aside, placing=placing)
        if placing:
            await _judge(tx, loaded, claiming)
        return loaded

    def decide(self, loaded: Any, draft: Draft) -> None:
        claims = _claims(draft)
        if not claims:
            return
        answer = _win(loaded, draft, claims)
        if isinstance(answer, Refusal):
            draft.refusal = answer
            return
        offer, win = answer
        if win.subsidy_minor:
            draft.take_off(
                Discount(
                    source=SOURCE,
                    source_id=offer.id,
                    offer_id=offer.offer_id,
                    amount_minor=win.subsidy_minor,
                    budget_id=offer.budget_id,
                    en=f"Newcomer price: {offer.pool_name.get('en', '')}".rstrip(": "),
                    zh=f"新人价：{offer.pool_name.get('zh-CN', '')}".rstrip("："),
                )
            )
        draft.claimed.add(offer.offer_id)
        if offer.free_delivery:
            draft.delivery_offs.append(
                orders.DeliveryOff(
                    source=SOURCE,
                    source_id=offer.id,
                    en="Free delivery for newcomers",
                    zh="新人包邮",
                )
            )
        if loaded.placing:
            loaded.wins[draft.id] = win

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        if loaded is None:
            return
        mine = [(d, loaded.wins[d.id]) for d in drafts if d.id in loaded.wins]
        pieces = await actions.hold_pieces(tx, [win for _, win in mine])
        for (draft, _), answer in zip(mine, pieces, strict=True):
            if isinstance(answer, Refusal):
                draft.refusal = NewcomerGone()
        asking = [(d, w) for d, w in mine if d.refusal is None]
        offers = loaded.offers
        asking = [(d, w) for d, w in asking if w.person_id not in loaded.set_aside]
        uses = await trust.take(
            tx,
            [
                Use(
                    person_id=win.person_id,
                    purpose=purpose_of(win.pool_id),
                    document_kind="order",
                    document_id=win.order_id,
                    most=offers[win.newcomer_offer_id].per_identity,
                    home_most=offers[win.newcomer_offer_id].per_home,
                )
                for _, win in asking
            ],
        )
        for (draft, _), use in zip(asking, uses, strict=True):
            if not isinstance(use, ledger.Held):
                draft.refusal = use
        refused = [d for d, _ in asking if d.refusal is not None]
        await trust.refuse(tx, [(loaded.verdicts[d.id], FIRST_ORDER) for d in refused])

    async def written(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        """What the orders that stand have won."""
        if loaded is not None:
            wins = [loaded.wins[d.id] for d in drafts if d.id in loaded.wins]
            await actions.write_wins(tx, wins)


def _claims(draft: Draft) -> list[uuid.UUID]:
    return [claim.id for claim in draft.claims if claim.kind == CLAIM]


def _win(
    loaded: Loaded, draft: Draft, claims: Sequence[uuid.UUID]
) -> Refusal | tuple[PoolOffer, Win]:
    """The offer and what is given, or why not."""
    if draft.person_id is None:
        return NewcomerNeedsSomebody()
    offer = loaded.offers.get(claims[0])
    if offer is None or not offer.is_on or offer.market != draft.market:
        return NewcomerOver()
    line = next((li for li in draft.lines if li.offer_id == offer.offer_id), None)
    if len(claims) > 1 or line is None or line.quantity != 1:
        return OneAtNewcomerPrice()
    if offer.left < 1:
        return NewcomerGone()
    if draft.person_id in loaded.not_new:
        return NotNew()
    if draft.id in loaded.looks:
        return NewcomerLooksAgain(days=trust.APPEAL_DAYS)
    off = max(0, line.goods_minor - line.discount_minor - offer.price_minor)
    return offer, Win(
        order_id=draft.id,
        pool_id=offer.pool_id,
        newcomer_offer_id=offer.id,
        offer_id=offer.offer_id,
        person_id=draft.person_id,
        currency=draft.currency,
        price_minor=offer.price_minor,
        subsidy_minor=off,
    )


async def _note(tx: Tx, drafts: Sequence[Draft]) -> None:
    await trust.note(
        tx,
        [
            seen
            for d in drafts
            if d.person_id is not None
            for seen in seen_of(
                tx.db.vault,
                d.person_id,
                contact=d.contact,
                ship_to=d.ship_to,
                tenders=[(t.provider, t.method) for t in d.tenders],
                device=d.device,
            )
        ],
    )


async def _judge(tx: Tx, loaded: Loaded, drafts: Sequence[Draft]) -> None:
    """A verdict for each draft; who is not new is refused with that reason, so that it can be
    looked at again."""
    acting = [(d, d.person_id) for d in drafts if d.person_id is not None]
    acts = [Act(kind=CLAIM, person_id=p, document_id=d.id) for d, p in acting]
    verdicts = await trust.judge(tx, acts)
    for (draft, person), verdict in zip(acting, verdicts, strict=True):
        loaded.verdicts[draft.id] = verdict.id
        if verdict.decision != "allow" and person not in loaded.not_new:
            loaded.looks.add(draft.id)
    await trust.refuse(
        tx, [(loaded.verdicts[d.id], FIRST_ORDER) for d, p in acting if p in loaded.not_new]
    )


def _tell_devices(tx: Tx, drafts: Sequence[Draft]) -> None:
    """Every buyer's device is noted after the order, by a job whose input goes with it."""
    for draft in drafts:
        if draft.device and draft.person_id is not None:
            seen = DeviceSeen(person_id=draft.person_id, mark=draft.device)
            tx.later(note_device, seen, at=tx.now)
