"""Verbs of the marketplace. Each takes a list and costs a constant number of statements."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import catalogue
from pinwheel.trade.marketplace.model import (
    OWN_SELLER_ID,
    Offer,
    OfferChanged,
    OfferDraft,
    OfferUnknown,
    OfferUnsound,
    Seller,
    SellerChanged,
    SellerDraft,
    SellerUnknown,
    seller_fault,
)


async def save_sellers(tx: Tx, drafts: Sequence[SellerDraft]) -> list[Seller | Refusal]:
    """Register each third-party seller, or change the one with its slug. The own shop is changed by
    its slug too and stays the own shop. Refuses ``SellerUnsound``. 2 statements."""
    faults = [seller_fault(draft) for draft in drafts]
    sound = {d.slug: d for d, fault in zip(drafts, faults, strict=True) if fault is None}
    if not sound:
        return [fault for fault in faults if fault is not None]
    changed = await tx.values(
        """
        insert into marketplace.seller as s (id, slug, name, kind, status, country, created_at,
          updated_at)
        select n.id, n.slug, n.name, 'third_party', n.status, n.country, $6, $6
          from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
               as n(id, slug, name, status, country)
         order by n.slug
        on conflict (slug) do update
           set name = excluded.name, status = excluded.status, country = excluded.country,
               updated_at = excluded.updated_at
         where (s.name, s.status, s.country)
            is distinct from (excluded.name, excluded.status, excluded.country)
        returning id
        """,
        [tx.new_id() for _ in sound],
        list(sound),
        [d.name.strip() for d in sound.values()],
        ["active" if d.active else "paused" for d in sound.values()],
        [d.country for d in sound.values()],
        tx.now,
    )
    if changed:
        tx.emit(SellerChanged(seller_ids=tuple(changed)))
    stored = await tx.rows(
        Seller,
        """
        select id, slug, name, kind, status = 'active' as active, country from marketplace.seller
         where slug = any($1::text[])
        """,
        list(sound),
    )
    by_slug = {seller.slug: seller for seller in stored}
    return [fault or by_slug[d.slug] for d, fault in zip(drafts, faults, strict=True)]


class _Known(msgspec.Struct, frozen=True):
    kind: str
    id: uuid.UUID


async def save_offers(tx: Tx, drafts: Sequence[OfferDraft]) -> list[Offer | Refusal]:
    """Make each offer, or change the one its seller has for the variant in that condition.

    Refuses ``SellerUnknown`` and ``OfferUnsound`` (no such variant, a limit below 1, twice in the
    list). 3 statements."""
    if not drafts:
        return []
    known = await tx.rows(
        _Known,
        """
        select 'seller' as kind, seller_id as id from marketplace.v_seller
         where seller_id = any($1::uuid[])
        union all
        select 'variant', variant_id from catalogue.v_variant where variant_id = any($2::uuid[])
        """,
        list({d.seller_id for d in drafts}),
        list({d.variant_id for d in drafts}),
    )
    ids = {row.id for row in known}
    answers: list[OfferDraft | Refusal] = []
    wanted: dict[tuple[uuid.UUID, uuid.UUID, str], OfferDraft] = {}
    for draft in drafts:
        refusal = _fault(draft, ids, wanted)
        if refusal is None:
            wanted[draft.seller_id, draft.variant_id, draft.condition] = draft
        answers.append(refusal or draft)
    made = await _write(tx, list(wanted.values()))
    return [
        made[a.seller_id, a.variant_id, a.condition] if isinstance(a, OfferDraft) else a
        for a in answers
    ]


def _fault(draft: OfferDraft, ids: set[uuid.UUID], wanted: Iterable[object]) -> Refusal | None:
    if draft.seller_id not in ids:
        return SellerUnknown()
    if draft.variant_id not in ids:
        return OfferUnsound(why="there is no such variant", why_zh="没有该规格")
    if draft.max_per_order is not None and draft.max_per_order < 1:
        return OfferUnsound(why="an order takes at least 1", why_zh="每单至少为 1 件")
    if (draft.seller_id, draft.variant_id, draft.condition) in wanted:
        return OfferUnsound(why="it is twice in this list", why_zh="在本次列表中重复")
    return None


async def _write(
    tx: Tx, drafts: Sequence[OfferDraft]
) -> dict[tuple[uuid.UUID, uuid.UUID, str], Offer]:
    ordered = sorted(drafts, key=lambda d: (d.seller_id, d.variant_id, d.condition))
    changed = await tx.values(
        """
        insert into marketplace.offer as o (id, seller_id, variant_id, condition, status,
          max_per_order, created_at, updated_at)
        select n.*, $7, $7
          from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::int[]) as n
        on conflict (seller_id, variant_id, condition) do update
           set status = excluded.status, max_per_order = excluded.max_per_order,
               updated_at = excluded.updated_at
         where (o.status, o.max_per_order) is distinct from
               (excluded.status, excluded.max_per_order)
        returning id
        """,
        [tx.new_id() for _ in ordered],
        [d.seller_id for d in ordered],
        [d.variant_id for d in ordered],
        [d.condition for d in ordered],
        ["active" if d.active else "paused" for d in ordered],
        [d.max_per_order for d in ordered],
        tx.now,
    )
    if changed:
        tx.emit(OfferChanged(offer_ids=tuple(changed)))
    stored = await tx.rows(
        Offer,
        """
        select offer_id as id, seller_id, variant_id, condition, active, max_per_order
          from marketplace.v_offer
         where variant_id = any($1::uuid[]) and seller_id = any($2::uuid[])
        """,
        list({d.variant_id for d in ordered}),
        list({d.seller_id for d in ordered}),
    )
    return {(o.seller_id, o.variant_id, o.condition): o for o in stored}


async def pause_offers(
    tx: Tx, offer_ids: Sequence[uuid.UUID], *, seller_id: uuid.UUID = OWN_SELLER_ID
) -> list[uuid.UUID | Refusal]:
    """Take offers of one seller from sale. Refuses ``OfferUnknown``. 1 statement."""
    return await _set_status(tx, offer_ids, seller_id, "paused")


async def resume_offers(
    tx: Tx, offer_ids: Sequence[uuid.UUID], *, seller_id: uuid.UUID = OWN_SELLER_ID
) -> list[uuid.UUID | Refusal]:
    """Put offers of one seller on sale again. Refuses ``OfferUnknown``. 1 statement."""
    return await _set_status(tx, offer_ids, seller_id, "active")


async def _set_status(
    tx: Tx, offer_ids: Sequence[uuid.UUID], seller_id: uuid.UUID, status: str
) -> list[uuid.UUID | Refusal]:
    found = set(
        await tx.values(
            """
            update marketplace.offer set status = $3, updated_at = $4
             where seller_id = $2 and id in (
               select id from marketplace.offer where id = any($1::uuid[]) order by id for update)
            returning id
            """,
            list(offer_ids),
            seller_id,
            status,
            tx.now,
        )
    )
    if found:
        tx.emit(OfferChanged(offer_ids=tuple(sorted(found))))
    return [i if i in found else OfferUnknown() for i in offer_ids]


async def follow_merge(tx: Tx, merged: catalogue.VariantsMerged) -> None:
    """Move the offers of merged variants to the one that stays. A seller who offers both already
    keeps that one; the other is paused. 2 statements."""
    moved = await tx.values(
        """
        update marketplace.offer o set variant_id = p.kept, merged_from = p.gone, updated_at = $3
          from unnest($1::uuid[], $2::uuid[]) as p(gone, kept)
         where o.variant_id = p.gone
           and not exists (
             select from marketplace.offer k
              where k.seller_id = o.seller_id and k.variant_id = p.kept
                and k.condition = o.condition)
           and not exists (
             select from marketplace.offer e
              join unnest($1::uuid[], $2::uuid[]) as q(gone, kept) on q.gone = e.variant_id
              where q.kept = p.kept and e.seller_id = o.seller_id
                and e.condition = o.condition and e.id < o.id)
        returning o.id
        """,
        [gone for gone, _ in merged.pairs],
        [kept for _, kept in merged.pairs],
        tx.now,
    )
    paused = await tx.values(
        """
        update marketplace.offer set status = 'paused', updated_at = $2
         where variant_id = any($1::uuid[]) and status <> 'paused' returning id
        """,
        [gone for gone, _ in merged.pairs],
        tx.now,
    )
    if moved or paused:
        tx.emit(OfferChanged(offer_ids=(*moved, *paused)))


async def follow_split(tx: Tx, split: catalogue.VariantsSplit) -> None:
    """Move offers back to the variants they were made for. One that was paused by the merge stays
    paused: its seller decides. 1 statement."""
    moved = await tx.values(
        """
        update marketplace.offer set variant_id = merged_from, merged_from = null, updated_at = $2
         where merged_from = any($1::uuid[]) returning id
        """,
        [gone for gone, _ in split.pairs],
        tx.now,
    )
    if moved:
        tx.emit(OfferChanged(offer_ids=tuple(moved)))
