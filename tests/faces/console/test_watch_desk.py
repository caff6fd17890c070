"""On call: what is behind is named, the worst first; what is young enough is let be."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from console_world import Desk
from pinwheel.faces.console.watch_web import LIMITS, Check, judged
from pinwheel.ground import ledger
from pinwheel.kernel.queries import Behind
from pinwheel.platform import open as outside

NOW = dt.datetime(2026, 3, 1, 3, 0, tzinfo=dt.UTC)


def ago(seconds: int) -> dt.datetime:
    return NOW - dt.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("kind", "count", "age_seconds", "tone"),
    [
        ("jobs_due", 0, 9_999, "good"),
        ("jobs_due", 5, 59, "good"),
        ("jobs_due", 5, 60, "warn"),
        ("jobs_due", 5, 600, "bad"),
        ("jobs_parked", 1, 0, "bad"),
        ("hooks_failed", 1, 999_999, "warn"),  # never so bad that it wakes anybody
        ("holds_overdue", 1, 599, "warn"),
    ],
)
def test_age_decides_how_bad_it_is(kind: str, count: int, age_seconds: int, tone: str) -> None:
    [found] = [c for c in judged([Behind(kind, count, ago(age_seconds))], NOW) if c.kind == kind]
    assert found.tone == tone


def test_the_worst_stands_first_and_all_is_looked_at() -> None:
    checks = judged([Behind("hooks_off", 1, ago(9)), Behind("search_missing", 1, None)], NOW)
    assert [c.kind for c in checks][:2] == ["search_missing", "hooks_off"]
    assert {c.kind for c in checks} == set(LIMITS)
    assert {c.tone for c in checks[2:]} == {"good"}


async def looked(desk: Desk) -> dict[str, Check]:
    """What a monitor is told."""
    operator = await desk.signed_in("operator")
    answer = await operator.get("/console/watch", headers={"accept": "application/json"})
    assert answer.status_code == 200
    found = answer.json()
    tones = [c["tone"] for c in found["checks"]]
    assert found["tone"] == tones[0]
    return {
        c["kind"]: Check(
            c["kind"],
            c["room"],
            c["tone"],
            c["count"],
            dt.datetime.fromisoformat(c["since"]) if c["since"] else None,
            c["path"],
        )
        for c in found["checks"]
    }


async def test_a_job_that_gave_up_is_named_with_its_error(desk: Desk) -> None:
    async with desk.db.transaction(actor="test") as tx:
        await tx.run(
            """
            insert into kernel.job (cell, id, name, payload, run_at, attempts, parked_at, error,
                   created_at)
            values ($1, $2, 'orders.tell', '{}', $3, 9, $3, 'ValueError: the cause', $3)
            """,
            tx.cell,
            uuid.uuid4(),
            tx.now,
        )
    found = await looked(desk)
    assert (found["jobs_parked"].tone, found["jobs_parked"].count) == ("bad", 1)
    operator = await desk.signed_in("operator")
    page = (await operator.get("/console/watch")).text
    assert "orders.tell" in page and "ValueError: the cause" in page
    for path in ("/console/watch", "/console/jobs", "/console/tracking"):
        part = await operator.get(path, headers={"hx-request": "true"})
        assert part.status_code == 200 and "<html" not in part.text and 'id="desk"' in part.text
    today = (await operator.get("/console/today")).text
    assert "Things of the house" in today and "/console/watch" in today


async def test_holds_and_webhooks_that_are_late_are_counted(desk: Desk) -> None:
    other = ledger.Account("test:shelf", ledger.Unit("test", "use"))
    async with desk.db.transaction(actor="test") as tx:
        hold = ledger.Hold(
            document_kind="test",
            document_id=tx.new_id(),
            key="a",
            debit=other,
            credit=ledger.Account("test:room", ledger.Unit("test", "use")),
            amount=1,
            expires_at=tx.now,
        )
        await ledger.hold(tx, [hold])
        await outside.add_endpoint(tx, outside.NewEndpoint(url="https://example.com/a"))
        await tx.run("update ledger.hold set expires_at = expires_at - interval '1 hour'")
        await tx.run(
            """
            insert into open.delivery (cell, endpoint_id, event_id, kind, state, attempts, next_at,
                   created_at)
            select $1, id, $2, 'orders.order_placed', 'waiting', 4, $3,
                   $3::timestamptz - interval '2 hours'
              from open.endpoint
            """,
            tx.cell,
            tx.new_id(),
            tx.now,
        )
    found = await looked(desk)
    assert (found["holds_overdue"].tone, found["holds_overdue"].count) == ("bad", 1)
    assert (found["hooks_retrying"].tone, found["hooks_retrying"].count) == ("warn", 1)
    assert found["hooks_off"].tone == "good" and found["payments_unanswered"].tone == "good"


async def test_a_clerk_is_not_on_call(desk: Desk) -> None:
    clerk = await desk.signed_in("clerk")
    assert (await clerk.get("/console/watch")).status_code == 403
    assert "/console/watch" not in (await clerk.get("/console/today")).text
