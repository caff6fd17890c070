"""What a chunk of records does to the shop: a constant number of statements, in the transaction
that also moves the job on."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import catalogue, marketplace, pricing
from pinwheel.trade.imports.model import Counts, Fault, Record, SellerLine, fault


class Item(msgspec.Struct, frozen=True):
    """What a record became when it was last taken in."""

    key: str
    hash: bytes
    product_id: uuid.UUID
    published: bool


class Took(msgspec.Struct):
    """What came of a chunk. ``items``: (record, product, hash) to remember."""

    counts: Counts
    faults: list[Fault] = []
    items: list[tuple[Record, uuid.UUID, bytes]] = []


def digest_of(record: Record) -> bytes:
    return hashlib.blake2b(record.hash_input(), digest_size=16).digest()


async def take_in(
    tx: Tx, source: str, job_id: uuid.UUID, elements: Sequence[Record | Fault]
) -> Took:
    """Apply ``elements``; a record that is what it was last time has nothing to do, so that what
    was edited here since stays."""
    records = [e for e in elements if isinstance(e, Record)]
    took = Took(Counts(records=len(elements)))
    took.faults = [e for e in elements if isinstance(e, Fault)]
    took.counts.refused = len(took.faults)
    took.faults += [f for r in records for f in r.faults]
    known = {
        item.key: item
        for item in await tx.rows(
            Item,
            """
            select key, hash, product_id, published from imports.item
             where source = $1 and key = any($2::text[])
            """,
            source,
            [r.key for r in records],
        )
    }
    hashes = {r.key: digest_of(r) for r in records}
    todo = [r for r in records if r.key not in known or known[r.key].hash != hashes[r.key]]
    took.counts.unchanged = len(records) - len(todo)
    if todo:
        await _save(tx, job_id, todo, known, hashes, took)
        await _remember(tx, source, job_id, took)
    took.counts.faults = len(took.faults)
    return took


async def _save(
    tx: Tx,
    job_id: uuid.UUID,
    todo: Sequence[Record],
    known: dict[str, Item],
    hashes: dict[str, bytes],
    took: Took,
) -> None:
    categories = await _categories(tx, todo)
    drafts = [
        msgspec.structs.replace(
            r.draft,
            id=known[r.key].product_id if r.key in known else None,
            category_id=categories.get(r.category.slug) if r.category else None,
        )
        for r in todo
    ]
    answers = await catalogue.save_products(tx, drafts, reason=f"import {job_id}")
    saved: list[tuple[Record, catalogue.Saved]] = []
    for record, answer in zip(todo, answers, strict=True):
        if isinstance(answer, Refusal):
            took.counts.refused += 1
            took.faults.append(_refused(record, answer))
            continue
        took.counts.updated += record.key in known
        took.counts.created += record.key not in known
        saved.append((record, answer))
    retry = await _offer(tx, saved, took)
    fresh = [
        (r, s)
        for r, s in saved
        if r.publish and not (r.key in known and known[r.key].published) and r.key not in retry
    ]
    published = await catalogue.publish(tx, [s.product_id for _, s in fresh], reason="import")
    for (record, _), done in zip(fresh, published, strict=True):
        if isinstance(done, Refusal):
            took.faults.append(_refused(record, done))
            retry.add(record.key)
    # A record of which a part was refused is tried again the next time: its hash is not kept.
    took.items = [(r, s.product_id, b"" if r.key in retry else hashes[r.key]) for r, s in saved]


def _refused(record: Record, refusal: Refusal) -> Fault:
    facts = refusal.facts
    column = next((facts[k] for k in ("where", "attribute") if k in facts), "")
    value = facts.get("value") or facts.get("sku") or facts.get("text") or record.key
    return fault(record.row, str(column), value, refusal, record.file)


async def _categories(tx: Tx, records: Sequence[Record]) -> dict[str, uuid.UUID]:
    """The category of each slug; one that is not there yet is opened, and attributes it lacks are
    added. What the shop has named or set otherwise stays."""
    wanted = {r.category.slug: r.category for r in records if r.category is not None}
    if not wanted:
        return {}
    there = {c.slug: c.id for c in await catalogue.categories(tx)}
    opened = await catalogue.save_categories(
        tx,
        [
            catalogue.CategoryDraft(slug=c.slug, name=c.name, parent=c.parent)
            for c in wanted.values()
            if c.slug not in there
        ],
    )
    there |= {c.slug: c.id for c in opened if isinstance(c, catalogue.Category)}
    ids = {slug: there[slug] for slug in wanted if slug in there}
    held = await catalogue.schemas(tx, ids.values())
    await catalogue.save_attributes(
        tx,
        [
            msgspec.convert(
                {"category_id": category_id, "position": place, **raw}, catalogue.Attribute
            )
            for slug, category_id in ids.items()
            for place, raw in enumerate(wanted[slug].attributes)
            if raw["code"] not in held.get(category_id, {})
        ],
    )
    return ids


class _Offer(msgspec.Struct, frozen=True):
    offer_id: uuid.UUID
    seller_id: uuid.UUID
    variant_id: uuid.UUID


async def _offer(tx: Tx, saved: Sequence[tuple[Record, catalogue.Saved]], took: Took) -> set[str]:
    """Make the offers that are not there yet and set the prices; the keys of records of which
    something was refused."""
    lines = [(r, s.variant_ids[o.sku], o) for r, s in saved for o in r.offers]
    if not lines:
        return set()
    sellers = await _sellers(tx, {o.seller.slug: o.seller for _, _, o in lines if o.seller})
    places = [
        (sellers[o.seller.slug] if o.seller else marketplace.OWN_SELLER_ID, variant_id)
        for _, variant_id, o in lines
    ]
    offers = await _offers(tx, places)
    prices = await pricing.set_prices(
        tx,
        [
            pricing.NewPrice(
                offer_id=offers[place],
                currency=o.currency,
                price_minor=o.price_minor,
                list_price_minor=o.list_price_minor,
                reason="import",
            )
            for (_, _, o), place in zip(lines, places, strict=True)
        ],
    )
    retry: set[str] = set()
    for (record, _, _), answer in zip(lines, prices, strict=True):
        if isinstance(answer, Refusal):
            took.faults.append(_refused(record, answer))
            retry.add(record.key)
    return retry


async def _sellers(tx: Tx, wanted: dict[str, SellerLine]) -> dict[str, uuid.UUID]:
    """The seller of each slug; one that is there keeps its name."""
    if not wanted:
        return {}
    there = {
        seller.slug: seller.seller_id
        for seller in await tx.rows(
            _Seller,
            "select slug, seller_id from marketplace.v_seller where slug = any($1::text[])",
            list(wanted),
        )
    }
    made = await marketplace.save_sellers(
        tx,
        [
            marketplace.SellerDraft(slug=s.slug, name=s.name, country=s.country)
            for s in wanted.values()
            if s.slug not in there
        ],
    )
    for one in made:
        if isinstance(one, Refusal):
            raise one
        there[one.slug] = one.id
    return there


class _Seller(msgspec.Struct, frozen=True):
    slug: str
    seller_id: uuid.UUID


async def _offers(
    tx: Tx, places: Sequence[tuple[uuid.UUID, uuid.UUID]]
) -> dict[tuple[uuid.UUID, uuid.UUID], uuid.UUID]:
    """The offer of each (seller, variant); one that is there stays as it is, paused too."""
    found = await tx.rows(
        _Offer,
        """
        select offer_id, seller_id, variant_id from marketplace.v_offer
         where variant_id = any($1::uuid[]) and seller_id = any($2::uuid[]) and condition = 'new'
        """,
        list({variant for _, variant in places}),
        list({seller for seller, _ in places}),
    )
    offers = {(o.seller_id, o.variant_id): o.offer_id for o in found}
    made = await marketplace.save_offers(
        tx,
        [
            marketplace.OfferDraft(seller_id=seller, variant_id=variant)
            for seller, variant in dict.fromkeys(places)
            if (seller, variant) not in offers
        ],
    )
    for one in made:
        if isinstance(one, Refusal):
            raise one
        offers[one.seller_id, one.variant_id] = one.id
    return offers


async def _remember(tx: Tx, source: str, job_id: uuid.UUID, took: Took) -> None:
    await tx.run(
        """
        insert into imports.item (source, key, hash, product_id, published, job_id)
        select $1, i.key, i.hash, i.product_id, i.published, $2
          from unnest($3::text[], $4::bytea[], $5::uuid[], $6::boolean[])
               as i(key, hash, product_id, published)
        on conflict (source, key) do update
           set hash = excluded.hash, product_id = excluded.product_id,
               published = excluded.published or imports.item.published,
               job_id = excluded.job_id
        """,
        source,
        job_id,
        [r.key for r, _, _ in took.items],
        [h for _, _, h in took.items],
        [p for _, p, _ in took.items],
        [r.publish and bool(h) for r, _, h in took.items],
    )
