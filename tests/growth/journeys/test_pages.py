"""A journey by form: what is written is what is read again, and what the page says of it."""

from __future__ import annotations

import uuid
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from console_world import Desk, open_desk
from growth.journeys.travellers import PROMISES
from pinwheel.faces.console.journey_form import JourneyForm, flow_of, plan_of, rows_of
from pinwheel.ground import messages
from pinwheel.growth import journeys
from pinwheel.growth.journeys import Act, Await, Branch, Plan, Stop, Trigger, Until, Wait
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Invalid

FIELDS = ("place", "do", "amount", "unit", "hour", "awaited", "by", "segment", "key", "value",
          "percent", "action", "template", "url", "promotion", "otherwise")  # fmt: skip
SEGMENT = uuid.UUID(int=5)
UTC = ZoneInfo("UTC")


def form_of(plan: Plan) -> JourneyForm:
    rows = rows_of(plan)
    columns = {name: [getattr(row, name) for row in rows] for name in FIELDS}
    return JourneyForm(
        name="X",
        trigger=plan.trigger.by,
        event=plan.trigger.event,
        segment_id=plan.trigger.segment_id,
        goal=plan.goal or "",
        holdout_percent=plan.holdout_basis_points // 100,
        quiet=plan.quiet,
        **columns,
    )


PLAN = Plan(
    trigger=Trigger(event="orders.order_placed"),
    goal="orders.order_delivered",
    steps=[
        Wait(seconds=5_400),
        Until(hour=9),
        Await(event="orders.order_shipped", seconds=3 * 86_400, otherwise=5),
        Branch(by="fact", key="total_minor", at_least=100, otherwise=6),
        Branch(by="segment", segment_id=SEGMENT, otherwise=40),
        Act(action="message", settings={"template": "autumn"}, otherwise=7),
        Branch(by="share", basis_points=2_500, otherwise=40),
        Act(action="webhook", settings={"url": "https://example.com/x"}),
        Act(action="benefit", settings={"promotion": str(SEGMENT)}),
        Stop(),
    ],
)


def test_what_is_written_is_what_is_read() -> None:
    assert plan_of(form_of(PLAN), UTC) == PLAN
    again = plan_of(form_of(plan_of(form_of(PLAN), UTC)), UTC)
    assert again == PLAN


def test_a_step_goes_between_two_by_its_place() -> None:
    form = form_of(Plan(trigger=PLAN.trigger, steps=[Wait(seconds=60), Stop()]))
    form.do[-1], form.place[-1], form.hour[-1] = "until", "1.5", "8"
    assert plan_of(form, UTC).steps == [Wait(seconds=60), Until(hour=8), Stop()]
    form.do[0] = ""
    assert plan_of(form, UTC).steps == [Until(hour=8), Stop()]


@pytest.mark.parametrize(
    ("column", "value"), [("amount", "soon"), ("place", "x"), ("otherwise", "?")]
)
def test_a_cell_that_cant_be_read_is_said(column: str, value: str) -> None:
    form = form_of(PLAN)
    cells = getattr(form, column)
    cells[2] = value
    with pytest.raises(Invalid):
        plan_of(form, UTC)


def test_the_drawing_has_every_step_and_every_way() -> None:
    flow = flow_of(PLAN, lambda text: text, {str(SEGMENT): "Regulars"})
    assert len(flow.nodes) == len(PLAN.steps) + 2
    assert {(e.start, e.end) for e in flow.edges if e.lane} >= {(3, 6), (4, 7), (6, 8)}
    assert all(e.end <= len(PLAN.steps) + 1 for e in flow.edges)
    assert any(n.note == "Regulars" for n in flow.nodes)


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> Desk:
    return await open_desk(db, tmp_path)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_made_switched_on_and_looked_at(desk: Desk, language: str) -> None:
    operator = await desk.signed_in("operator", language)
    await operator.get("/console/journeys/new")
    letter = {
        "slug": "hello", "name": "Hello", "subject_en": "Hi", "subject_zh": "您好",
        "body_en": "Hi {{ name }}", "body_zh": "您好",
    }  # fmt: skip
    assert (await operator.post("/console/letters", letter)).status_code == 303
    form = {
        "name": "After the first order", "trigger": "event", "event": "orders.order_placed",
        "holdout_percent": "0",
        "place": ["1", "2", "3"], "do": ["wait", "act", ""], "amount": ["1", "", ""],
        "unit": ["days", "days", "days"], "action": ["message"] * 3,
        "template": ["", "hello", ""], "otherwise": ["", "", ""],
    }  # fmt: skip
    made = await operator.post("/console/journeys", form)
    assert made.status_code == 303 and "/console/journeys/0" in made.headers["location"]
    path = made.headers["location"].partition(f"/{language}")[2]
    assert (await operator.post(f"{path}/state", {"state": "live"})).status_code == 303
    page = (await operator.get(path)).text
    assert "<svg" in page and "After the first order" in page
    for address in ("/console/messages", "/console/letters", "/console/letters/hello",
                    "/console/campaigns", "/console/journeys"):  # fmt: skip
        answer = await operator.get(address)
        assert answer.status_code == 200, address
    bad = await operator.post("/console/journeys", form | {"amount": ["x", "", ""]})
    assert bad.status_code == 303 and bad.headers["location"].endswith("/journeys/new")
    assert not [c for c in await audit.run(desk.db, PROMISES) if c.broken]


async def test_a_campaigns_page_and_the_programs_door(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    async with desk.db.transaction(actor="staff") as tx:
        said = {"en": "Hi", "zh-CN": "您好"}
        await messages.save_template(tx, "hello", "Hello", said, said)
        people = [desk.people["operator"]]
        new = journeys.NewCampaign(name="Autumn", template="hello", people=people)
        made = await journeys.save_campaign(tx, new)
    path = f"/console/campaigns/{made.id}"
    assert (await operator.get(path)).status_code == 200
    assert (await operator.post(path, {"do": "begin"})).status_code == 303
    await desk.worker().drain()
    assert (await operator.get(path)).status_code == 200
    report = await operator.http.get(f"/api/v1/campaigns/{made.id}")
    assert report.json()["members"] == [{"state": "left", "people": 1}]
    clerk = await desk.signed_in("clerk")
    assert (await clerk.http.get("/api/v1/journeys")).status_code == 403
    assert (await clerk.http.get("/api/v1/messages")).status_code == 403
