"""What refuses says so in the reader's language, to its last word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinwheel import app
from pinwheel.ground.ledger import HoldClosed
from pinwheel.growth.bigdays.model import EventFixed
from pinwheel.growth.journeys.model import CampaignIs, JourneyIs
from pinwheel.growth.subsidy.model import MatchDecided
from pinwheel.insight.experiments.model import WrongState
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.words import words
from pinwheel.trade.budgets.model import NotWaiting
from pinwheel.trade.orders import OrderNotCancellable, OrderNotReady
from pinwheel.trade.payments import GiftCardIs
from pinwheel.trade.returns import ReturnIs

SOURCE = Path(app.__file__).parent
STATES: dict[type[Refusal], str] = {
    HoldClosed: "ledger.hold",
    JourneyIs: "journeys.journey",
    CampaignIs: "journeys.campaign",
    EventFixed: "bigdays.event",
    MatchDecided: "subsidy.match",
    WrongState: "experiments.experiment",
    NotWaiting: "budgets.funding",
    OrderNotCancellable: 'orders."order"',
    OrderNotReady: 'orders."order"',
    GiftCardIs: "payments.gift_card",
    ReturnIs: "returns.rma",
}


def kinds(of: type[Refusal]) -> Iterator[type[Refusal]]:
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


def names() -> Iterator[tuple[str, str]]:
    """Everything that some line of the house may not find: (where, its name)."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            verb = getattr(node.func, "id", getattr(node.func, "attr", ""))
            said = {"NotFound": [k.value for k in node.keywords if k.arg == "what"]}.get(
                verb, node.args[:1] if verb == "the" else []
            )
            for one in (leaf for value in said for leaf in ast.walk(value)):
                if isinstance(one, ast.Constant) and isinstance(one.value, str):
                    yield f"{path.relative_to(SOURCE)}:{node.lineno}", one.value


def test_whatever_is_not_found_has_a_name_in_chinese() -> None:
    found = list(names())
    assert len(found) > 150
    missing = [f"{at}: {what}" for at, what in found if words("zh-CN").gettext(what) == what]
    assert [m for m in missing if not m.endswith(("SKU", "webhook"))] == []
    assert NotFound(what="gift card").sentence("zh-CN") == "这里没有这个礼品卡。请检查地址或编号。"
    assert "no gift card here" in NotFound(what="gift card").sentence("en")


@pytest.mark.parametrize("kind", STATES, ids=lambda k: k.__name__)
async def test_every_state_is_said_in_both_languages(kind: type[Refusal], db: Database) -> None:
    async with db.reading() as tx:
        rule: str = await tx.value(
            """
            select string_agg(pg_get_constraintdef(c.oid), ' ') from pg_constraint c
             where c.conrelid = $1::text::regclass and c.contype = 'c'
               and pg_get_constraintdef(c.oid) like 'CHECK ((state = ANY%'
            """,
            STATES[kind],
        )
    states = set(re.findall(r"'([a-z_]+)'::text", rule))
    assert states and states <= kind.codes["state"].keys()


def test_a_state_in_a_sentence_has_words() -> None:
    known = {k for k in kinds(Refusal) if k.__module__.startswith("pinwheel")}
    assert len(known) > 200
    bare = {k.__name__ for k in known if "{state}" in k.zh and "state" not in k.codes}
    assert bare == set()


def test_a_code_is_said_and_stays_a_code_for_programs() -> None:
    refusal = OrderNotReady(number="A-1", state="pending_payment")
    assert refusal.sentence("en") == "Order A-1 can't be sent yet: it is waiting for its payment."
    assert "待付款" in refusal.sentence("zh-CN")
    assert refusal.facts["state"] == "pending_payment"
    wrong = WrongState("colour", "decided", "draft", "stopped")
    assert (
        wrong.sentence("zh-CN") == "实验 colour 当前状态为已下结论，此操作要求状态为草稿或已停止。"
    )
    assert "takes one that is a draft or stopped" in wrong.sentence("en")
