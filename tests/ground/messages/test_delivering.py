"""Each letter once, in time, at a pace; what fails is tried again and, in the end, given up."""

from __future__ import annotations

import asyncio
import datetime as dt
import json

import pytest
from standardwebhooks.webhooks import Webhook

from ground.messages.mail_server import MailServer
from ground.messages.readers import House, path_in, text_of
from pinwheel.ground import identity, messages
from pinwheel.ground.messages import bounces
from pinwheel.ground.messages.bounces import Notice, read_report
from pinwheel.ground.messages.delivering import claim, deliver_due, hand_over
from pinwheel.ground.messages.holding import rules
from pinwheel.ground.messages.model import BounceRefused, Queued, Rules, Suppressed, after_quiet
from pinwheel.kernel.errors import Invalid


async def test_one_letter_for_a_key(house: House, server: MailServer) -> None:
    first = await house.send("ann@example.com", purpose="transactional", key="order 1")
    again = await house.send("ann@example.com", purpose="transactional", key="order 1")
    both = await house.send(
        "bob@example.com", "bob@example.com", purpose="transactional", key="order 2"
    )
    await house.worker.drain()
    assert isinstance(first[0], Queued) and isinstance(again[0], Queued)
    assert again[0].message_id == first[0].message_id and not again[0].fresh
    assert len({q.message_id for q in both}) == 1  # type: ignore[union-attr]
    assert len(server.to("ann@example.com")) == len(server.to("bob@example.com")) == 1


async def test_a_letter_has_both_parts_and_the_way_out(house: House, server: MailServer) -> None:
    await house.reader("ann@example.com")
    server.letters.clear()
    await house.send("ann@example.com")
    await house.worker.drain()
    (letter,) = server.to("ann@example.com")
    assert letter["Subject"] == "Autumn for you"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = str(letter["List-Unsubscribe"])
    assert link.startswith("<https://shop.test/en/letters/unsubscribe/")
    assert path_in(text_of(letter), "unsubscribe/") in link
    assert "<a href=" in text_of(letter, "html")
    assert "https://shop.test/en/letters/go/" in text_of(letter)


async def test_a_fact_can_write_neither_headers_nor_markup(
    house: House, server: MailServer
) -> None:
    nasty = "x\r\nBcc: all@example.com <script>alert(1)</script>"
    await house.send("ann@example.com", purpose="transactional", facts={"name": nasty})
    await house.worker.drain()
    (letter,) = server.to("ann@example.com")
    assert letter["Bcc"] is None and server.asked == ["ann@example.com"]
    assert "<script>" not in text_of(letter, "html")


async def test_the_code_comes_by_letter_and_in_no_log(
    house: House, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.db.transaction() as tx:
        await identity.request_code(tx, "ann@example.com", "en")
    await house.worker.drain()
    (letter,) = server.to("ann@example.com")
    code = next(w for w in text_of(letter).split() if w.rstrip(".").isdigit()).rstrip(".")
    async with house.db.reading() as tx:
        everything = await tx.value(
            "select string_agg(t, '') from (select m::text as t from messages.message m"
            " union all select a::text from messages.address a"
            " union all select e::text from kernel.event e) x"
        )
    assert code not in everything and "ann@example.com" not in everything
    assert code not in caplog.text


async def test_without_a_mail_server_it_is_read_here(house: House, server: MailServer) -> None:
    del house.db.given[messages.Post]
    await house.send("ann@example.com", purpose="transactional", language="zh-CN")
    await house.worker.drain()
    async with house.db.reading() as tx:
        (line,) = (await messages.letters(tx)).items
        found = await messages.letter(tx, line.id)
    assert (line.to, line.state, line.subject) == ("ann@example.com", "sent", "秋季上新")
    assert found.text == "您好"
    assert server.letters == []


async def test_a_server_that_is_away_is_tried_again_and_given_up(
    house: House, server: MailServer
) -> None:
    server.at_rcpt = lambda address: "451 4.3.0 later"
    await house.send("ann@example.com", purpose="transactional")
    await house.worker.drain()
    assert await house.states("transactional") == {"waiting": 1}
    for _ in range(10):
        await house.travel(hours=7)
    assert await house.states("transactional") == {"dead": 1}
    assert len(server.asked) == 8
    assert await house.broken() == []


async def test_it_is_not_sent_once_it_is_too_late(house: House, server: MailServer) -> None:
    server.at_rcpt = lambda address: "451 4.3.0 later"
    await house.send("ann@example.com", purpose="transactional", lives_seconds=600)
    await house.worker.drain()
    server.at_rcpt = lambda address: "250 ok"
    await house.travel(minutes=11)
    assert await house.states("transactional") == {"expired": 1}
    assert server.letters == []


async def test_nobody_there_is_not_tried_again(house: House, server: MailServer) -> None:
    server.at_rcpt = lambda address: "550 5.1.1 no such user"
    await house.send("gone@example.com", purpose="transactional")
    await house.worker.drain()
    assert await house.states("transactional") == {"dead": 1}
    (answer,) = await house.send("gone@example.com", purpose="transactional")
    assert isinstance(answer, Suppressed)
    server.at_rcpt = lambda address: "550 5.7.1 policy"
    await house.send("ann@example.com", purpose="transactional")
    await house.worker.drain()
    async with house.db.reading() as tx:
        standing = await messages.standing_of(tx, "ann@example.com")
    assert standing is not None and standing.suppressed == []


async def test_a_silent_carrier_doubles_no_marketing_and_loses_no_order(
    house: House, server: MailServer
) -> None:
    """The process dies after the words left and before it wrote that down."""
    await house.reader("ann@example.com")
    server.letters.clear()
    await house.send("ann@example.com")
    await house.send("ann@example.com", purpose="transactional")
    async with house.db.transaction() as tx:
        taken = await claim(tx)
    async with house.db.transaction() as tx:
        await hand_over(tx, {one.id: one.attempts for one in taken}, Rules())
    await house.worker.drain()
    assert server.letters == []  # the lease holds
    await house.travel(minutes=4)
    assert len(server.to("ann@example.com")) == 1
    assert await house.states() == {"unsure": 1}
    assert await house.states("transactional") == {"sent": 1}
    assert await house.broken() == []


async def test_a_server_that_hangs_up_without_a_word(house: House, server: MailServer) -> None:
    await house.reader("ann@example.com")
    server.letters.clear()
    server.silent_after_data = True
    await house.send("ann@example.com")
    await house.worker.drain()
    server.silent_after_data = False
    await house.travel(hours=1)
    assert len(server.to("ann@example.com")) == 1
    assert await house.states() == {"unsure": 1}


async def test_many_carriers_send_each_letter_once(house: House, server: MailServer) -> None:
    emails = [f"reader{n}@example.com" for n in range(150)]
    await house.send(*emails, purpose="transactional")
    await asyncio.gather(*(deliver_due(house.db) for _ in range(4)))
    assert sorted(whom for whom, _ in server.letters) == sorted(emails)


async def test_a_full_measure_puts_off(house: House, server: MailServer) -> None:
    await house.reader("ann@example.com")
    server.letters.clear()
    for _ in range(5):
        await house.send("ann@example.com", lives_seconds=30 * 86_400)
    await asyncio.gather(*(deliver_due(house.db) for _ in range(3)))
    assert len(server.to("ann@example.com")) == 3
    await house.travel(days=6, hours=20)
    assert len(server.to("ann@example.com")) == 3
    await house.travel(hours=5)
    assert len(server.to("ann@example.com")) == 5
    assert await house.broken() == []


async def test_quiet_hours_are_the_readers_own(house: House, server: MailServer) -> None:
    """09:00 UTC on a January Monday: 04:00 in New York, 17:00 in Shanghai."""
    await house.reader("ann@example.com", zone="America/New_York")
    await house.reader("bob@example.com", zone="Asia/Shanghai")
    server.letters.clear()
    await house.send("ann@example.com", "bob@example.com")
    await house.worker.drain()
    assert [whom for whom, _ in server.letters] == ["bob@example.com"]
    await house.travel(hours=4, minutes=59)
    assert len(server.letters) == 1
    await house.travel(minutes=2)
    assert [whom for whom, _ in server.letters] == ["bob@example.com", "ann@example.com"]


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-01-05T20:59:00+00:00", "2026-01-05T20:59:00+00:00"),
        ("2026-01-05T21:00:00+00:00", "2026-01-06T09:00:00+00:00"),
        ("2026-01-06T08:59:59+00:00", "2026-01-06T09:00:00+00:00"),
        ("2026-01-06T09:00:00+00:00", "2026-01-06T09:00:00+00:00"),
    ],
)
def test_quiet_hours(at: str, until: str) -> None:
    found = after_quiet(dt.datetime.fromisoformat(at), Rules(), "UTC")
    assert found == dt.datetime.fromisoformat(until)


def test_quiet_hours_over_summer_time() -> None:
    """London, 29 March 2026: clocks go forward in the night; 9 o'clock is 08:00 UTC."""
    night = dt.datetime(2026, 3, 28, 22, 0, tzinfo=dt.UTC)
    found = after_quiet(night, Rules(), "Europe/London")
    assert found == dt.datetime(2026, 3, 29, 8, 0, tzinfo=dt.UTC)
    within = Rules(quiet_from=12, quiet_until=14)
    noon = dt.datetime(2026, 1, 5, 13, 0, tzinfo=dt.UTC)
    assert after_quiet(noon, within, "UTC").hour == 14


async def test_a_mail_system_is_written_to_at_its_pace(house: House, server: MailServer) -> None:
    async with house.db.transaction() as tx:
        await messages.set_rules(tx, Rules(per_minute=10))
        assert (await rules(tx)).per_minute == 10
    emails = [f"r{n}@slow.test" for n in range(25)]
    await house.send(*emails, "ann@quick.test", purpose="transactional")
    await house.worker.drain()
    assert len(server.letters) == 11
    for expected in (21, 26):
        await house.travel(seconds=61)
        assert len(server.letters) == expected
    assert await house.states("transactional") == {"sent": 26}


DSN = """From: mailer@mail.test
To: shop@shop.test
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.test

Final-Recipient: rfc822; {email}
Action: {action}
Status: {status}
--b
Content-Type: message/rfc822-headers

Message-ID: <{id}@shop.test>
--b--
"""


async def test_a_report_of_a_bounce_ends_writing(house: House, server: MailServer) -> None:
    await house.reader("ann@example.com")
    await house.send("ann@example.com")
    await house.worker.drain()
    async with house.db.reading() as tx:
        (line, *_) = (await messages.letters(tx, purpose="marketing")).items
    report = DSN.format(email="other@example.com", action="failed", status="5.1.1", id=line.id)
    body = json.dumps([{"report": report}, {"kind": "bounce", "email": "never@met.test"}]).encode()
    secret = messages.of(house.db).webhook_secret
    headers = {
        "webhook-id": "1",
        "webhook-timestamp": str(int(dt.datetime.now(dt.UTC).timestamp())),
    }
    headers["webhook-signature"] = Webhook(secret).sign(
        "1", dt.datetime.fromtimestamp(int(headers["webhook-timestamp"]), dt.UTC), body.decode()
    )
    with pytest.raises(BounceRefused):
        bounces.verified(house.db, headers, body + b" ")
    for _ in range(2):
        async with house.db.transaction() as tx:
            told = await messages.take_notices(tx, bounces.verified(house.db, headers, body))
        assert told.known == 1
    (answer,) = await house.send("ann@example.com", purpose="transactional")
    assert isinstance(answer, Suppressed)


async def test_a_full_box_counts_three_times(house: House) -> None:
    await house.send("ann@example.com", purpose="transactional")
    for n in range(3):
        async with house.db.reading() as tx:
            standing = await messages.standing_of(tx, "ann@example.com")
        assert standing is not None and standing.suppressed == [], n
        async with house.db.transaction() as tx:
            soft = Notice(kind="bounce", is_permanent=False, email="ann@example.com")
            await messages.take_notices(tx, [soft])
    async with house.db.reading() as tx:
        standing = await messages.standing_of(tx, "ann@example.com")
    assert standing is not None and standing.suppressed == ["bounce"]


def test_reports_are_read() -> None:
    soft = read_report(DSN.format(email="a@b.cd", action="delayed", status="4.2.2", id="x"))
    assert soft is not None and not soft.is_permanent and soft.email == "a@b.cd"
    assert (
        read_report(DSN.format(email="a@b.cd", action="delivered", status="2.0.0", id="x")) is None
    )
    assert read_report("Subject: out of office\n\nI am away.") is None
    complaint = read_report(
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n"
        "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n"
        "Original-Rcpt-To: <ann@example.com>\n\n--b--\n"
    )
    assert complaint is not None
    assert (complaint.kind, complaint.email) == ("complaint", "ann@example.com")


async def test_a_complaint_is_a_no_and_the_person_may_think_better(house: House) -> None:
    await house.reader("ann@example.com")
    async with house.db.transaction() as tx:
        await messages.take_notices(tx, [Notice(kind="complaint", email="ann@example.com")])
    assert isinstance((await house.send("ann@example.com"))[0], Suppressed)
    assert isinstance((await house.send("ann@example.com", purpose="transactional"))[0], Queued)
    assert await house.broken() == []


async def test_a_letter_of_the_staff_keeps_its_version(house: House, server: MailServer) -> None:
    words = {"en": "New words", "zh-CN": "新内容"}
    async with house.db.transaction(actor="staff") as tx:
        assert await messages.save_template(tx, "autumn", "Autumn", words, words) == 2
        with pytest.raises(Invalid):
            await messages.save_template(tx, "autumn", "Autumn", {"en": "One"}, words)
        with pytest.raises(Invalid):
            await messages.save_template(tx, "x", "X", words, {**words, "en": "{{ name"})
    await house.send("ann@example.com", purpose="transactional", version=1)
    await house.send("ann@example.com", purpose="transactional")
    await house.worker.drain()
    subjects = [letter["Subject"] for letter in server.to("ann@example.com")]
    assert sorted(subjects) == ["Autumn for you", "New words"]


async def test_words_are_forgotten(house: House) -> None:
    await house.send("ann@example.com", purpose="transactional")
    async with house.db.transaction() as tx:
        await identity.request_code(tx, "ann@example.com", "en")
    await house.worker.drain()
    await house.travel(days=2)
    async with house.db.reading() as tx:
        kept = await tx.values("select scope from messages.message where content is not null")
    assert kept == ["test"]
    await house.travel(days=29)
    async with house.db.reading() as tx:
        assert await tx.values("select 1 from messages.message where content is not null") == []
