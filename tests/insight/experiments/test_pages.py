"""The console's pages about experiments, and the API, through the real edge."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from console_world import Desk, open_desk
from pinwheel.insight import experiments
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database

FORM: dict[str, Any] = {
    "is_new": "true",
    "key": "share-gift",
    "en": "A gift <for> sharing",
    "zh": "分享有礼",
    "hypothesis": "A gift is passed on more readily than a coupon.",
    "unit": "person",
    "mode": "fixed",
    "currency": "GBP",
    "v_key": ["control", "gift", "", ""],
    "v_weight": ["50", "50", "", ""],
    "v_en": ["Coupon", "Gift", "", ""],
    "v_zh": ["优惠券", "实物", "", ""],
    "layer": "share",
    "goal": "buyers",
    "metrics": ["revenue", "contribution", "cost-per-buyer", "basket"],
    "guardrails": ["revenue"],
    "least": "20",
}


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> Desk:
    return await open_desk(db, tmp_path)


async def made(desk: Desk) -> Any:
    operator = await desk.signed_in("operator")
    await operator.get("/console/experiment-draft")
    answer = await operator.post("/console/experiment-draft", FORM)
    assert answer.headers.get("location") == "/en/console/experiments/share-gift", answer.text
    return operator


async def test_from_a_form_to_a_decision(desk: Desk, clock: SetClock) -> None:
    operator = await made(desk)
    here = "/console/experiments/share-gift"
    page = (await operator.get(here)).text
    assert "A gift &lt;for&gt; sharing" in page and "Not started yet" in page
    assert "Buyers" not in page
    await operator.post(here, {"do": "start", "why": "x"})
    assert "say why" in (await operator.get(here)).text
    await operator.post(here, {"do": "start", "why": "the gifts have come"})
    assert "No figures yet" in (await operator.get(here)).text
    people = [uuid.UUID(int=i + 1) for i in range(120)]
    clock.travel(hours=1)
    async with desk.db.transaction() as tx:
        found = await experiments.assigned(tx, "share-gift", people)
        await experiments.expose(tx, list(found.values()))
    for person in people[:6]:
        await desk.shop.buying.buy(desk.shop.draft((0, 1), person_id=person))
    clock.travel(hours=8)
    await operator.post(here, {"do": "refresh"})
    await desk.worker().drain()
    for language, said in (("en", "Undecided"), ("zh-CN", "尚无定论")):
        reader = await desk.signed_in("operator", language)
        page = (await reader.get(here)).text
        assert said in page and "<svg" in page
        assert not re.search(r"\bnan\b|\binf\b", page)
        assert 'style="' not in page
    clock.travel(hours=1)
    await operator.post(here, {"do": "stop", "why": "enough have come"})
    await desk.worker().drain()
    assert "Decide" in (await operator.get(here)).text
    await operator.post(here, {"do": "decide", "winner": "gift", "why": "cheaper at the same rate"})
    page = (await operator.get(here)).text
    assert "everybody gets Gift" in page and "cheaper at the same rate" in page
    assert "Operator" in page


async def test_a_refused_form_is_shown_as_it_was_written(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    await operator.get("/console/experiment-draft")
    for wrong in (
        {"v_weight": ["50", "40", "", ""]},
        {"v_weight": ["50", "many", "", ""]},
        {"key": "Not A Key"},
        {"unit": "planet"},
        {"en": ""},
        {"mode": "bandit", "unit": "cluster"},
    ):
        answer = await operator.post("/console/experiment-draft", FORM | wrong)
        assert answer.status_code in (404, 422), wrong
        assert "A gift is passed on" in answer.text, wrong
    async with desk.db.reading() as tx:
        assert (await experiments.experiments(tx)).items == []


async def test_what_runs_goes_on_in_a_next_phase(desk: Desk, clock: SetClock) -> None:
    operator = await made(desk)
    await operator.post("/console/experiments/share-gift", {"do": "start", "why": "go on"})
    clock.travel(hours=1)
    form = FORM | {"is_new": "false", "v_weight": ["80", "20", "", ""]}
    assert (await operator.post("/console/experiment-draft", form)).status_code == 422
    answer = await operator.post("/console/experiment-draft", form | {"why": "fewer gifts"})
    assert answer.status_code == 303
    async with desk.db.reading() as tx:
        found = await experiments.results(tx, "share-gift")
    assert found.phase is not None and found.phase.number == 2
    assert found.phase.plan.variations[1].weight == 2000


async def test_a_mismatch_is_shouted(desk: Desk, clock: SetClock) -> None:
    operator = await made(desk)
    here = "/console/experiments/share-gift"
    await operator.post(here, {"do": "start", "why": "go on"})
    clock.travel(hours=1)
    async with desk.db.transaction() as tx:
        people = [uuid.UUID(int=i + 1) for i in range(2000)]
        found = await experiments.assigned(tx, "share-gift", people)
        kept = [a for n, a in enumerate(found.values()) if a.variation == "control" or n % 5]
        await experiments.expose(tx, kept)
    clock.travel(hours=1)
    await operator.post(here, {"do": "stop", "why": "look at it"})
    await desk.worker().drain()
    page = (await operator.get(here)).text
    assert "no figure below can be believed" in page
    await operator.post(here, {"do": "decide", "winner": "gift", "why": "all the same"})
    assert "Nothing can be decided" in (await operator.get(here)).text


async def test_the_calculator_answers_and_says_when_it_cannot(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    page = (await operator.get("/console/experiment-power?baseline=10&lift=12&daily=1000")).text
    assert "19,623" in page
    for asked in ("baseline=0", "baseline=100", "lift=0"):
        answer = await operator.get(f"/console/experiment-power?{asked}")
        assert answer.status_code == 200 and "Nothing can be said" in answer.text
    assert (await operator.get("/console/experiment-power?baseline=x")).status_code == 422


async def test_only_those_with_the_right_get_in(desk: Desk) -> None:
    for who, status in (("clerk", 403), ("buyer", 403)):
        browser = await desk.signed_in(who)
        for path in ("experiments", "experiment-draft", "experiment-power"):
            assert (await browser.get(f"/console/{path}")).status_code == status, (who, path)


async def test_the_api_exposes_what_the_hash_says(desk: Desk, clock: SetClock) -> None:
    operator = await desk.signed_in("operator")
    await operator.get("/console/experiments")
    http, headers = operator.http, {"x-csrf-token": operator.token, "accept": "application/json"}
    halves = [{"key": "control", "weight": 5000}, {"key": "gift", "weight": 5000}]
    plan = {"en": "Gift", "zh": "礼物", "variations": halves}
    made = await http.post(
        "/api/v1/experiments", json={"key": "gift", "plan": plan}, headers=headers
    )
    assert made.status_code == 201, made.text
    again = await http.post(
        "/api/v1/experiments", json={"key": "gift", "plan": plan}, headers=headers
    )
    assert again.status_code == 409
    begun = await http.post("/api/v1/experiments/gift/start", json={"why": "now"}, headers=headers)
    assert begun.status_code == 200, begun.text
    subjects = {"subjects": [{"id": str(uuid.UUID(int=i + 1))} for i in range(20)]}
    first = await http.post("/api/v1/experiments/gift/assign", json=subjects, headers=headers)
    kept = await http.post("/api/v1/experiments/gift/expose", json=subjects, headers=headers)
    assert [a["variation"] for a in kept.json()] == [a["variation"] for a in first.json()]
    lied = await http.post(
        "/api/v1/experiments/gift/expose",
        json={"subjects": [{"id": str(uuid.UUID(int=1)), "variation": "control"}]},
        headers=headers,
    )
    assert lied.json()[0]["variation"] == first.json()[0]["variation"]
    clock.travel(hours=1)
    await desk.worker().drain()
    found = (await http.get("/api/v1/experiments/gift/results", headers=headers)).json()
    assert sum(found["figures"]["counts"].values()) == 20
    assert (await http.get("/api/v1/experiments/NO%00PE", headers=headers)).status_code == 404
    stopped = await http.post(
        "/api/v1/experiments/gift/stop", json={"why": "done"}, headers=headers
    )
    assert stopped.json()["state"] == "stopped"
    wrong = {"en": "a\u0000b", "zh": "x", "variations": halves}
    refused = await http.post(
        "/api/v1/experiments", json={"key": "nul", "plan": wrong}, headers=headers
    )
    assert refused.status_code == 422
    sizes = await http.get("/api/v1/experiment-power?baseline=0.1&lift=0.12", headers=headers)
    assert sizes.json()["once"] == 19_623
    assert dt.datetime.fromisoformat(found["figures"]["at"]).tzinfo is not None
