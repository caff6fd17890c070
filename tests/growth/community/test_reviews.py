"""Reviews: who may write, what counts, what is doubted, what goes."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth.community.street import Street, person
from pinwheel.ground.identity import PersonErased
from pinwheel.growth import community
from pinwheel.growth.community import (
    AlreadyReviewed,
    ForeignPicture,
    NewReview,
    NothingDelivered,
    OwnWords,
    Trace,
    Verdict,
)
from pinwheel.growth.community.doubting import poisson_tail
from pinwheel.growth.community.wording import bands, likeness, plain, wording_signals
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.jobs import Worker

LONG = "The lamp is bright enough to read by, the switch feels solid, and it came well packed."


# --- who may write


@pytest.mark.parametrize(
    ("state", "shipped"), [("placed", 0), ("shipped", 1), ("cancelled", 0), ("delivered", 0)]
)
async def test_only_what_was_delivered_can_be_reviewed(
    street: Street, state: str, shipped: int
) -> None:
    await street.sell([(person(1), 0)], state=state, shipped=shipped)
    with pytest.raises(NothingDelivered):
        await street.review(person(1), 0, sold=False)
    assert (await street.see(0)).reviews == []


async def test_a_delivery_to_somebody_else_gives_no_right(street: Street) -> None:
    await street.sell([(person(1), 0)])
    with pytest.raises(NothingDelivered):
        await street.review(person(2), 0, sold=False)
    with pytest.raises(NothingDelivered):
        await street.review(person(1), 1, sold=False)


async def test_what_was_sent_back_may_still_be_reviewed(street: Street) -> None:
    await street.sell([(person(1), 0)], returned=1)
    written = await street.review(person(1), 0, 1, sold=False)
    assert written.state == "published"


async def test_one_review_for_each_person_and_product_even_at_once(street: Street) -> None:
    await street.sell([(person(1), 0), (person(1), 0)])
    both = await asyncio.gather(
        *(street.review(person(1), 0, sold=False) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in both) == ["AlreadyReviewed", "Written"]
    with pytest.raises(AlreadyReviewed):
        await street.review(person(1), 0, sold=False)
    seen = await street.see(0)
    assert seen.rating and seen.rating.stars == [0, 0, 0, 0, 1]
    assert not await street.broken()


async def test_a_picture_of_somebody_else_is_refused(street: Street, db: Database) -> None:
    await street.sell([(person(1), 0)])
    async with db.transaction() as tx:
        with pytest.raises(ForeignPicture):
            await community.write_review(
                tx,
                person(1),
                street.products[0],
                NewReview(rating=5, pictures=[uuid.UUID(int=5)]),
                language="en",
            )


# --- words


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<script>alert(1)</script>Good", "Good"),
        ("<b>Good</b> & <3", "Good & <3"),
        ("a\u202eb\u200b c\x00", "ab c"),
        ("one\r\n\r\n\r\n\r\ntwo", "one\n\ntwo"),
        ("5 > 3 and 3 < 5", "5 > 3 and 3 < 5"),
        ("很好   用", "很好 用"),
    ],
)
def test_words_are_kept_and_markup_is_not(given: str, kept: str) -> None:
    assert plain(given) == kept


@given(st.text(max_size=300))
def test_any_text_becomes_text(text: str) -> None:
    kept = plain(text)
    assert "\0" not in kept and "\u202e" not in kept
    assert len(bands(kept)) in (0, 16)
    assert all(-(2**63) <= band < 2**63 for band in bands(kept))


@pytest.mark.parametrize("text", ["see www.best-deals.example", "加微信: abc12345", "a@b.example",
                                  "call +44 20 7946 0958"])  # fmt: skip
def test_links_and_contacts_wait_for_a_person(text: str) -> None:
    assert wording_signals(text)


@pytest.mark.parametrize(
    "text", [LONG, "很好用，物流也快。", "Bought 2 of 3 in 2025; 10/10.", "ISBN 12345"]
)
def test_ordinary_words_do_not(text: str) -> None:
    assert wording_signals(text) == []


def test_near_duplicates_share_bands_and_others_do_not() -> None:
    twin = LONG.replace("lamp", "Lamp!!").replace("solid", "very solid")
    assert likeness(LONG, twin) > 0.7
    assert set(bands(LONG)) & set(bands(twin))
    other = "I use it every day for sharpening kitchen knives and it has never let me down so far."
    assert not set(bands(LONG)) & set(bands(other))
    chinese = "这款台灯亮度足够阅读，开关手感扎实，包装也非常用心，推荐给经常熬夜看书的朋友们使用。"
    assert set(bands(chinese)) & set(bands(chinese + "真的"))


# --- the score


async def test_one_perfect_rating_does_not_outrank_five_hundred_good_ones(
    street: Street, db: Database, worker: Worker
) -> None:
    """Also where the shop's own mean is as high as that of the five hundred."""
    async with db.transaction() as tx:
        await tx.run(
            """
            insert into community.rating (cell, product_id, stars)
            values (0, $1, '{0,0,0,0,1}'), (0, $2, '{0,0,25,100,375}'), (0, $3, '{1,0,0,0,0}')
            """,
            *street.products[:3],
        )
    await worker.drain()
    one, many, bad = [(await street.see(n)).rating for n in range(3)]
    assert one and many and bad
    assert (one.mean, round(many.mean, 2)) == (5.0, 4.7)
    assert one.shrunk > many.mean  # the mean alone, even shrunk, gets it wrong
    assert many.score > one.score > bad.score
    assert all(1 <= r.score <= r.shrunk <= 5 for r in (one, many, bad))


async def test_more_of_the_same_ratings_never_lowers_the_score(
    street: Street, db: Database, worker: Worker
) -> None:
    scores = []
    for n in range(6):
        async with db.transaction() as tx:
            await tx.run(
                "insert into community.rating (cell, product_id, stars) values (0, $1, $2)",
                street.products[n],
                [0, 0, 0, 4**n, 4**n],
            )
    await worker.drain()
    for n in range(6):
        rating = (await street.see(n)).rating
        assert rating is not None
        scores.append(rating.score)
    assert scores == sorted(scores)
    assert 4.5 - scores[-1] < 0.05


async def test_summary_and_first_page_are_one_statement(
    street: Street, db: Database, clock: SetClock
) -> None:
    for n in range(15):
        clock.travel(minutes=1)
        await street.review(person(n), 0, 1 + n % 5, f"number {n}")
    async with db.reading() as tx:
        first = await community.product_reviews(tx, street.products[0], order="newest")
        assert tx.statements == 1
        second = await community.product_reviews(
            tx, street.products[0], order="newest", cursor=first.next
        )
        fives = await community.product_reviews(tx, street.products[0], stars=5)
        found = await community.ratings_of(tx, street.products)
    assert [r.body for r in first.reviews + second.reviews] == [
        f"number {n}" for n in reversed(range(15))
    ]
    assert second.next is None
    assert {r.rating for r in fives.reviews} == {5}
    assert first.rating and first.rating.stars == [3, 3, 3, 3, 3]
    assert list(found) == [street.products[0]]


# --- editing, voting, replying


async def test_an_edit_keeps_what_was_said_and_recounts(street: Street, db: Database) -> None:
    written = await street.review(person(1), 0, 5, "Lovely")
    async with db.transaction() as tx:
        await community.edit_review(
            tx, person(1), written.id, NewReview(rating=2, body="Broke after a week")
        )
    async with db.transaction() as tx:
        with pytest.raises(NotFound):
            await community.edit_review(tx, person(2), written.id, NewReview(rating=5))
        former = await tx.values("select body from community.revision order by revision")
    seen = await street.see(0)
    assert former == ["Lovely"]
    assert seen.rating and seen.rating.stars == [0, 1, 0, 0, 0]
    assert seen.reviews[0].edited_at is not None
    assert not await street.broken()


async def test_a_vote_counts_once_and_never_for_oneself(street: Street, db: Database) -> None:
    written = await street.review(person(1), 0)
    for _ in range(2):
        async with db.transaction() as tx:
            assert await community.vote(tx, person(2), written.id, True) == 1
    async with db.transaction() as tx:
        with pytest.raises(OwnWords):
            await community.vote(tx, person(1), written.id, True)
    votes = [_vote(db, n, written.id) for n in range(3, 9)]
    await asyncio.gather(*votes)
    assert (await street.see(0)).reviews[0].helpful == 7
    async with db.transaction() as tx:
        assert await community.vote(tx, person(2), written.id, False) == 6
        assert await community.vote(tx, person(2), written.id, False) == 6
    assert not await street.broken()


async def _vote(db: Database, number: int, review_id: uuid.UUID) -> None:
    async with db.transaction() as tx:
        await community.vote(tx, person(number), review_id, True)


async def test_a_seller_replies_to_reviews_of_what_they_sold_alone(
    street: Street, db: Database
) -> None:
    written = await street.review(person(1), 0, 2)
    async with db.transaction() as tx:
        with pytest.raises(NotFound):
            await community.reply(tx, written.id, "Sorry", seller_id=street.sellers[1])
        await community.reply(tx, written.id, "Sorry", seller_id=street.sellers[0])
    assert (await street.see(0)).reviews[0].reply == "Sorry"


async def test_an_incentive_is_shown(street: Street, db: Database) -> None:
    await street.sell([(person(1), 0)])
    async with db.transaction() as tx:
        await community.write_review(
            tx,
            person(1),
            street.products[0],
            NewReview(rating=5, incentive="sample"),
            language="en",
        )
    [review] = (await street.see(0)).reviews
    assert review.incentive == "sample" and review.is_verified


# --- doubts


async def queued(db: Database) -> dict[uuid.UUID, list[str]]:
    async with db.reading() as tx:
        return {q.id: [s["kind"] for s in q.signals] for q in (await community.queue(tx)).items}


async def test_the_same_device_twice_waits_for_a_person(street: Street, db: Database) -> None:
    trace = Trace(device=b"d" * 32, network=b"n" * 32)
    first = await street.review(person(1), 0, trace=trace)
    second = await street.review(person(2), 0, trace=trace)
    elsewhere = await street.review(person(3), 1, trace=trace)
    assert (first.state, second.state, elsewhere.state) == ("published", "pending", "published")
    assert await queued(db) == {second.id: ["device"]}
    seen = await street.see(0)
    assert seen.rating and seen.rating.ratings == 1
    assert not await street.broken()


async def test_copied_words_wait_for_a_person(street: Street, db: Database) -> None:
    await street.review(person(1), 0, body=LONG)
    copied = await street.review(person(2), 3, body=LONG.upper() + "!")
    own = await street.review(person(1), 2, body=LONG)
    short = [await street.review(person(n), 4, body="Very good") for n in (5, 6)]
    assert copied.state == "pending" and own.state == "published"
    assert {w.state for w in short} == {"published"}
    assert await queued(db) == {copied.id: ["duplicate"]}


async def test_a_burst_alone_is_a_sign_and_with_a_shared_network_a_doubt(
    street: Street, clock: SetClock, db: Database
) -> None:
    network = Trace(network=b"n" * 32)
    written = []
    for n in range(14):
        clock.travel(minutes=20)
        written.append(await street.review(person(n), 0, body=f"my words {n}"))
    assert {w.state for w in written} == {"published"}
    async with db.reading() as tx:
        assert "burst" in await tx.values("select kind from community.signal")
    await street.review(person(20), 1, trace=network)
    await street.review(person(21), 1, trace=network)
    third = await street.review(person(22), 1, trace=network)
    assert third.state == "published"  # one household or campus is no crime


def test_the_tail_of_a_poisson() -> None:
    assert poisson_tail(0, 1.0) == 1.0
    assert poisson_tail(1, 1.0) == pytest.approx(0.6321, abs=1e-4)
    assert poisson_tail(10, 1.0) < 1.2e-7 < poisson_tail(9, 1.0) * 1.1
    assert poisson_tail(10_000, 1.0) == 0.0


async def test_a_doubt_can_not_be_edited_or_withdrawn_away(street: Street, db: Database) -> None:
    trace = Trace(device=b"d" * 32)
    await street.review(person(1), 0, trace=trace)
    written = await street.review(person(2), 0, trace=trace)
    async with db.transaction() as tx:
        await community.withdraw_review(tx, person(2), written.id)
        again = await community.edit_review(tx, person(2), written.id, NewReview(rating=5))
    assert again.state == "pending"
    async with db.transaction() as tx:
        await community.moderate(tx, [Verdict(written.id, publish=False, note="Same device")])
        await community.withdraw_review(tx, person(2), written.id)
        again = await community.edit_review(tx, person(2), written.id, NewReview(rating=4))
    assert again.state == "pending"


async def test_verdicts_count_and_are_told(street: Street, db: Database) -> None:
    trace = Trace(device=b"d" * 32)
    good = await street.review(person(1), 0, trace=trace)
    pending = await street.review(person(2), 0, 4, trace=trace)
    async with db.transaction() as tx:
        verdicts = [Verdict(pending.id, publish=True), Verdict(good.id, publish=False, note="No")]
        assert await community.moderate(tx, [*verdicts, Verdict(uuid.UUID(int=1), True)]) == 2
    seen = await street.see(0)
    assert [r.id for r in seen.reviews] == [pending.id]
    assert seen.rating and seen.rating.stars == [0, 0, 0, 1, 0]
    async with db.reading() as tx:
        [own] = (await community.reviews_of(tx, person(1))).items
        kinds = await tx.values("select kind from open.v_event order by id")
    assert (own.state, own.note) == ("rejected", "No")
    assert "community.review_withdrawn" in kinds and await queued(db) == {}
    assert not await street.broken()


async def test_three_reports_hide_and_a_verdict_ends_it(street: Street, db: Database) -> None:
    written = await street.review(person(1), 0)
    for n in (2, 2, 3):
        async with db.transaction() as tx:
            await community.report(tx, person(n), written.id, "spam", "bought")
    assert len((await street.see(0)).reviews) == 1
    async with db.transaction() as tx:
        with pytest.raises(OwnWords):
            await community.report(tx, person(1), written.id, "spam")
        await community.report(tx, person(4), written.id, "insult")
    assert (await street.see(0)).reviews == []
    async with db.transaction() as tx:
        await community.moderate(tx, [Verdict(written.id, publish=True)])
    for n in range(5, 10):  # a crowd can ask for a look, not for silence
        async with db.transaction() as tx:
            await community.report(tx, person(n), written.id, "false")
    assert len((await street.see(0)).reviews) == 1
    assert list(await queued(db)) == [written.id]
    assert not await street.broken()


async def test_a_ring_is_hidden_with_its_reasons(
    street: Street, db: Database, worker: Worker, clock: SetClock
) -> None:
    for n in range(300):
        await street.review(person(n), n % 8, 4, at=clock.now() + dt.timedelta(hours=n))
    ring = [
        await street.review(person(1000 + n), product, 5, at=clock.now() + dt.timedelta(hours=n))
        for product in range(6)
        for n in range(3)
    ]
    clock.travel(days=20)
    await worker.drain()
    waiting = await queued(db)
    assert set(waiting) == {w.id for w in ring}
    assert all("ring" in kinds for kinds in waiting.values())
    assert not await street.broken()


# --- questions and answers


async def test_buyers_and_the_shop_answer_and_strangers_do_not(
    street: Street, db: Database
) -> None:
    async with db.transaction() as tx:
        asked = await community.ask(tx, person(1), street.products[0], "Does it <b>float</b>?")
        with pytest.raises(NothingDelivered):
            await community.answer(tx, person(2), asked.id, "Yes")
    await street.sell([(person(2), 0)])
    async with db.transaction() as tx:
        await community.answer(tx, person(2), asked.id, "Mine does")
        await community.answer(tx, person(3), asked.id, "It does", standing="shop")
        hidden = await community.answer(tx, person(2), asked.id, "See www.float.example")
    async with db.reading() as tx:
        page = await community.questions(tx, street.products[0])
        assert tx.statements == 1
    [question] = page.items
    assert question.body == "Does it float?"
    assert [(a.standing, a.body) for a in question.answers] == [
        ("shop", "It does"),
        ("buyer", "Mine does"),
    ]
    assert await queued(db) == {hidden.id: ["link"]}
    async with db.transaction() as tx:
        with pytest.raises(NotFound):
            await community.ask(tx, person(1), uuid.UUID(int=1), "Anybody here?")


# --- erasure


async def test_whoever_is_erased_takes_their_words_along(street: Street, db: Database) -> None:
    mine = await street.review(person(1), 0, 4, "My name is on this")
    other = await street.review(person(2), 0, 5)
    async with db.transaction() as tx:
        await community.edit_review(tx, person(1), mine.id, NewReview(rating=3, body="Again me"))
        await community.vote(tx, person(1), other.id, True)
        asked = await community.ask(tx, person(1), street.products[0], "Is this mine?")
        await community.answer(tx, person(2), asked.id, "No")
        await community.report(tx, person(1), other.id, "other", "me again")
    async with db.reading() as tx:
        copy = await community.export(tx, person(1))
        assert {one.part for one in copy} == {
            "review", "former review", "question", "vote", "report",
        }  # fmt: skip
    for _ in range(2):  # safe to repeat
        async with db.transaction() as tx:
            tx.emit(PersonErased(person_id=person(1)))
    async with db.reading() as tx:
        assert await community.export(tx, person(1)) == []
        stored = await tx.value(
            """
            select concat((select jsonb_agg(to_jsonb(r)) from community.review r),
                          (select jsonb_agg(to_jsonb(r)) from community.revision r),
                          (select jsonb_agg(to_jsonb(q)) from community.question q),
                          (select jsonb_agg(to_jsonb(q)) from community.report q),
                          (select jsonb_agg(to_jsonb(q)) from community.vote q))
            """
        )
        assert "me" not in stored.replace("name", "").replace("time", "").split()
        for trace in (str(person(1)), "My name", "Again me", "Is this mine", "me again"):
            assert trace not in stored
    seen = await street.see(0)
    assert seen.rating and seen.rating.stars == [0, 0, 1, 0, 1]
    assert {(r.author, r.body) for r in seen.reviews} == {(None, ""), ("A reader", "")}
    assert {r.helpful for r in seen.reviews} == {0}
    assert not await street.broken()
