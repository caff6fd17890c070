"""Region tiers at the desk: who they hold for, what another tier would do before it is saved."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from pathlib import Path

import pytest

import world
from console_world import Desk, open_desk
from insight.audience.town import write_orders
from pinwheel.insight import audience
from pinwheel.insight.audience import NewSegment, Place
from pinwheel.insight.audience.walking import look_again
from pinwheel.kernel.db import Database

HERE = "/console/audience/tiers"


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> Desk:
    return await open_desk(db, tmp_path)


async def settled(desk: Desk, rule: dict[str, object]) -> uuid.UUID:
    """4 people in London, 3 in Kent, 2 in York, and a segment by ``rule``."""
    at = world.MONDAY - dt.timedelta(days=1)
    for region, people in (("london", 4), ("kent", 3), ("york", 2)):
        rows = [(uuid.uuid4(), at, 500) for _ in range(people)]
        await write_orders(desk.db, rows, region=region)
    async with desk.db.transaction(actor="test") as tx:
        await audience.rebuild(tx)
        await audience.set_tiers(tx, [Place("GB", "", 3), Place("GB", "London", 1)])
        new = NewSegment(name={"en": "Large towns", "zh-CN": "大城市"}, rule=rule)
        saved = await audience.save_segment(tx, new)
    await desk.worker().drain()
    return saved.id


def people_of(page: str) -> dict[str, int]:
    rows = re.findall(r"<tr><th scope=\"row\">([^<]+)</th>.*?data-label=\"People\">(\d+)<", page)
    return {place: int(people) for place, people in rows if people != "0"}


async def size(desk: Desk, segment_id: uuid.UUID) -> int:
    async with desk.db.transaction(actor="clock") as tx:
        await look_again(tx)
    async with desk.db.reading() as tx:
        return len(await audience.members(tx, segment_id))


async def test_a_tier_is_tried_before_it_is_saved(desk: Desk) -> None:
    segment_id = await settled(desk, {"if": "tier", "any_of": [1]})
    operator = await desk.signed_in("operator")
    page = (await operator.get(f"{HERE}?country=GB")).text
    assert people_of(page) == {"the rest of the country": 5, "Kent": 3, "London": 4, "York": 2}
    assert "as its country (3)" in page
    form = {
        "at": "GB",
        "country": ["GB", "GB", "GB", "GB"],
        "region": ["", "kent", "london", "york"],
        "tier": ["3", "1", "1", ""],
    }
    tried = (await operator.post(f"{HERE}/preview", form)).text
    cells = re.findall(r'data-label="(?:People now|People then|Difference)">([^<]+)<', tried)
    assert cells == ["4", "7", "+3"]
    assert await size(desk, segment_id) == 4  # nothing was saved
    await operator.post(HERE, form)
    assert await size(desk, segment_id) == 7
    page = (await operator.get(f"{HERE}?country=GB")).text
    assert people_of(page)["the rest of the country"] == 2 and "Operator" in page


async def test_only_what_was_changed_is_saved(desk: Desk) -> None:
    """A page that was opened before a colleague's change does not undo it."""
    await settled(desk, {"if": "tier", "any_of": [1]})
    operator = await desk.signed_in("operator")
    opened = {"country": ["GB", "GB"], "region": ["", "london"], "tier": ["3", "1"]}
    async with desk.db.transaction(actor="colleague") as tx:
        await audience.set_tiers(tx, [Place("GB", "kent", 2)])
    await operator.post(HERE, opened)
    assert "nothing was changed" in (await operator.get(HERE)).text
    await operator.post(HERE, opened | {"tier": ["4", "1"]})
    async with desk.db.reading() as tx:
        said = {p.region: p.tier for p in await audience.places(tx) if p.country == "GB"}
    stands = {region: said[region] for region in ("", "london", "kent")}
    assert stands == {"": 4, "london": 1, "kent": 2}


async def test_a_city_has_a_tier_of_its_own(desk: Desk) -> None:
    segment_id = await settled(desk, {"if": "tier", "any_of": [5]})
    at = world.MONDAY - dt.timedelta(days=1)
    for region, people in (("kent", 2), ("london", 1)):
        rows = [(uuid.uuid4(), at, 500) for _ in range(people)]
        await write_orders(desk.db, rows, region=region, city="Bromley")
    async with desk.db.transaction(actor="test") as tx:
        await audience.rebuild(tx)
    operator = await desk.signed_in("operator")
    form = {"at": "GB", "country": "GB", "region": "Kent", "city": " BROMLEY", "tier": "5"}
    tried = (await operator.post(f"{HERE}/preview", form)).text
    assert re.findall(r'data-label="(?:People now|People then)">([^<]+)<', tried) == ["0", "2"]
    await operator.post(HERE, form)
    assert await size(desk, segment_id) == 2
    page = (await operator.get(f"{HERE}?country=GB")).text
    assert people_of(page) == {
        "the rest of the country": 5,
        "Kent": 3,
        "London": 5,
        "York": 2,
        "Bromley, Kent": 2,
    }


@pytest.mark.parametrize("wrong", ["0", "6", "x", "9" * 30])
async def test_a_tier_that_is_none_is_refused_in_place(desk: Desk, wrong: str) -> None:
    operator = await desk.signed_in("operator")
    await operator.post(HERE, {"country": "GB", "region": "kent", "tier": wrong})
    assert 'role="alert"' in (await operator.get(HERE)).text
    await operator.post(HERE, {"country": "England", "region": "kent", "tier": "1"})
    assert 'role="alert"' in (await operator.get(HERE)).text


async def test_regions_go_on_where_they_ended(desk: Desk) -> None:
    await settled(desk, {"if": "tier", "any_of": [1]})
    async with desk.db.reading() as tx:
        whole = (await audience.place_lines(tx, limit=1000)).items
        seen, cursor = [], None
        while True:
            part = await audience.place_lines(tx, cursor=cursor, limit=7)
            seen += part.items
            cursor = part.next
            if cursor is None:
                break
    assert seen == whole and len(whole) > 40


async def test_a_segment_without_tiers_is_left_alone(desk: Desk) -> None:
    await settled(desk, {"if": "number", "fact": "orders", "op": ">=", "value": 1})
    operator = await desk.signed_in("operator")
    form = {"country": "GB", "region": "", "tier": "1"}
    assert "nobody comes or goes" in (await operator.post(f"{HERE}/preview", form)).text
