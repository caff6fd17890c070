"""Sellers and offers: refusals, races, the featured offer, and what a merge does to them."""

import asyncio
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Reactions
from pinwheel.trade import catalogue, marketplace
from pinwheel.trade.marketplace import jobs


async def variants(db: Database, *skus: str, gtin: str = "") -> list[catalogue.Saved]:
    drafts = [
        catalogue.ProductDraft(
            title={"en": sku}, variants=[catalogue.VariantDraft(sku=sku, gtin=gtin)]
        )
        for sku in skus
    ]
    async with db.transaction(actor="test") as tx:
        answers = await catalogue.save_products(tx, drafts)
    return [a for a in answers if isinstance(a, catalogue.Saved)]


async def seller(db: Database, slug: str) -> marketplace.Seller:
    async with db.transaction(actor="test") as tx:
        draft = marketplace.SellerDraft(slug=slug, name=slug.title(), country="CN")
        [made] = await marketplace.save_sellers(tx, [draft])
    assert isinstance(made, marketplace.Seller)
    return made


async def offer(db: Database, *drafts: marketplace.OfferDraft) -> list[marketplace.Offer | Refusal]:
    async with db.transaction(actor="test") as tx:
        return await marketplace.save_offers(tx, drafts)


async def test_unsound_offers_and_sellers_are_refused_beside_good_ones(db: Database) -> None:
    [one] = await variants(db, "A")
    variant_id = one.variant_ids["A"]
    good = marketplace.OfferDraft(variant_id=variant_id)
    answers = await offer(
        db,
        marketplace.OfferDraft(variant_id=variant_id, seller_id=uuid.uuid4()),
        marketplace.OfferDraft(variant_id=uuid.uuid4()),
        marketplace.OfferDraft(variant_id=variant_id, max_per_order=0),
        good,
        good,
    )
    unsound = marketplace.OfferUnsound
    assert [type(a) for a in answers] == [
        marketplace.SellerUnknown,
        unsound,
        unsound,
        marketplace.Offer,
        unsound,
    ]
    async with db.transaction(actor="test") as tx:
        sellers = await marketplace.save_sellers(
            tx,
            [
                marketplace.SellerDraft(slug="Bad Slug", name="x"),
                marketplace.SellerDraft(slug="x", name=" "),
                marketplace.SellerDraft(slug="y", name="Y", country="China"),
                marketplace.SellerDraft(slug="z", name="Z"),
            ],
        )
    assert [type(a) for a in sellers] == [*[marketplace.SellerUnsound] * 3, marketplace.Seller]
    for refusal in (*answers, *sellers):
        if isinstance(refusal, Refusal):
            assert "{" not in refusal.sentence("en") + refusal.sentence("zh-CN")


async def test_the_same_offer_made_twice_at_once_is_one(db: Database) -> None:
    [one] = await variants(db, "A")
    draft = marketplace.OfferDraft(variant_id=one.variant_ids["A"])
    answers = await asyncio.gather(*(offer(db, draft) for _ in range(6)))
    assert len({a.id for [a] in answers if isinstance(a, marketplace.Offer)}) == 1
    async with db.reading() as tx:
        told = await tx.value("select count(*) from kernel.event where kind like '%offer_changed'")
    assert told == 1


async def test_only_its_seller_pauses_an_offer(db: Database) -> None:
    [one] = await variants(db, "A")
    other = await seller(db, "other")
    [made] = await offer(db, marketplace.OfferDraft(variant_id=one.variant_ids["A"]))
    assert isinstance(made, marketplace.Offer)
    async with db.transaction(actor="test") as tx:
        [refused] = await marketplace.pause_offers(tx, [made.id], seller_id=other.id)
        assert isinstance(refused, marketplace.OfferUnknown)
        assert await marketplace.pause_offers(tx, [made.id]) == [made.id]
        assert not await marketplace.offers(tx, [made.variant_id])
        assert await marketplace.resume_offers(tx, [made.id]) == [made.id]
        assert await marketplace.offers(tx, [made.variant_id])


async def test_a_paused_seller_offers_nothing(db: Database) -> None:
    [one] = await variants(db, "A")
    other = await seller(db, "other")
    await offer(db, marketplace.OfferDraft(variant_id=one.variant_ids["A"], seller_id=other.id))
    async with db.transaction(actor="test") as tx:
        await marketplace.save_sellers(
            tx, [marketplace.SellerDraft(slug="other", name="Other", active=False)]
        )
        assert not await marketplace.offers(tx, one.variant_ids.values())
        assert len((await marketplace.offers_of(tx, other.id)).items) == 1
        assert [s.slug for s in (await marketplace.sellers(tx)).items] == ["other", "outlet", "own"]


async def test_the_own_shop_stays_the_own_shop(db: Database) -> None:
    made = await seller(db, "own")
    assert (made.id, made.kind, made.name) == (marketplace.OWN_SELLER_ID, "own", "Own")


async def test_offers_follow_a_merge_and_its_reversal(db: Database) -> None:
    db.reactions = Reactions([jobs])
    kept, gone = await variants(db, "K", "G", gtin="9780439023481")
    kept_id, gone_id = kept.variant_ids["K"], gone.variant_ids["G"]
    both, alone = await seller(db, "both"), await seller(db, "alone")
    made = await offer(
        db,
        marketplace.OfferDraft(variant_id=kept_id, seller_id=both.id),
        marketplace.OfferDraft(variant_id=gone_id, seller_id=both.id),
        marketplace.OfferDraft(variant_id=gone_id, seller_id=alone.id),
    )
    ids = [a.id for a in made if isinstance(a, marketplace.Offer)]
    async with db.transaction(actor="test") as tx:
        await catalogue.merge_duplicates(tx, kept.product_id, [gone.product_id])
    async with db.reading() as tx:
        found = await marketplace.offers(tx, [kept_id, gone_id])
        assert {o.id for o in found[kept_id]} == {ids[0], ids[2]} and gone_id not in found
        change = (await catalogue.history(tx, gone.product_id)).items[0]
    async with db.transaction(actor="test") as tx:
        await catalogue.revert(tx, change.change_id)
    async with db.reading() as tx:
        found = await marketplace.offers(tx, [kept_id, gone_id])
    assert {o.id for o in found[kept_id]} == {ids[0]} and {o.id for o in found[gone_id]} == {ids[2]}


A, B, C = (uuid.UUID(int=i) for i in (1, 2, 3))
candidate = marketplace.Candidate


@pytest.mark.parametrize(
    ("candidates", "chosen", "reason"),
    [
        ([candidate(A, 900, True, False)], A, "only"),
        ([candidate(A, 900, False, True), candidate(B, 2_000, True, False)], B, "in_stock"),
        ([candidate(A, 900, True, False, "used"), candidate(B, 950, True, False)], B, "condition"),
        ([candidate(A, 900, True, True), candidate(B, 899, True, False)], B, "lowest"),
        ([candidate(A, 900, True, False), candidate(B, 900, True, True)], B, "own_shop"),
        ([candidate(B, 900, True, False), candidate(A, 900, True, False)], A, "earliest"),
    ],
)
def test_the_featured_offer_has_a_reason(
    candidates: list[marketplace.Candidate], chosen: uuid.UUID, reason: str
) -> None:
    choice = marketplace.featured(candidates)
    assert choice is not None
    assert (choice.offer_id, choice.reason) == (chosen, reason)


@given(
    st.lists(
        st.builds(
            candidate,
            st.uuids(),
            st.integers(0, 3),
            st.booleans(),
            st.booleans(),
            st.sampled_from(["new", "used"]),
        ),
        unique_by=lambda c: c.offer_id,
    ),
    st.randoms(),
)
def test_the_choice_does_not_hang_on_the_order(
    candidates: list[marketplace.Candidate], rng: object
) -> None:
    choice = marketplace.featured(candidates)
    rng.shuffle(candidates)  # type: ignore[attr-defined]
    assert marketplace.featured(candidates) == choice


async def test_an_offer_without_a_price_is_not_featured(db: Database) -> None:
    [one] = await variants(db, "A")
    variant_id = one.variant_ids["A"]
    other = await seller(db, "other")
    made = await offer(
        db,
        marketplace.OfferDraft(variant_id=variant_id),
        marketplace.OfferDraft(variant_id=variant_id, seller_id=other.id),
    )
    ids = [a.id for a in made if isinstance(a, marketplace.Offer)]
    async with db.reading() as tx:
        chosen = await marketplace.featured_offers(tx, [variant_id], {ids[1]: 500}, ids)
        assert chosen[variant_id].offer_id == ids[1]
        assert not await marketplace.featured_offers(tx, [variant_id], {}, ids)
