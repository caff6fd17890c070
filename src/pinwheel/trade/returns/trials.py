"""Nouns and rules of trying before buying, and the stage that lets an order do so."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import orders, payments
from pinwheel.trade.orders import Draft
from pinwheel.trade.returns.looking import histories
from pinwheel.trade.returns.model import History
from pinwheel.trade.returns.rules import SCORE_FULL, score

TRIAL = "trial"  # the kind of the claim
PACKING_DAYS, SPARE_DAYS = 2, 1


class TrialRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a market (or a category in it) may be tried, for how long, up to which worth."""

    market: str
    category_id: uuid.UUID = uuid.UUID(int=0)
    days: int = 7
    most_minor: int = 30_000
    is_open: bool = True


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """``lent_minor``: worth of what was sent; ``covered_minor`` of it came back; ``kept_minor`` is
    what was asked of the provider at the end."""

    order_id: uuid.UUID
    person_id: uuid.UUID
    days: int
    currency: str
    lent_minor: int
    covered_minor: int
    kept_minor: int
    state: str
    placed_at: dt.datetime
    authorised_until: dt.datetime
    until_at: dt.datetime | None
    ended_at: dt.datetime | None


class NotForTrial(Refusal):
    status = 422
    en = "{sku} can't be tried before you buy it. Order it in the usual way."
    zh = "{sku} 不支持先试后买，请按普通方式下单。"


class TrialNotOffered(Refusal):
    en = (
        "Trying before you buy is not possible for you at the moment: pay or send back what you "
        "are trying first, or order in the usual way."
    )
    zh = "您目前无法使用先试后买：请先付款或退回正在试用的商品，或按普通方式下单。"


class TrialTooDear(Refusal):
    status = 422
    en = "At most {most} can be tried at once (in {currency} minor units); this is {asked}."
    zh = "先试后买单次最多 {most}（{currency} 最小单位），当前为 {asked}。"


class TrialNotByThisPayment(Refusal):
    """The provider can't take the money that much later."""

    status = 422
    en = (
        "This way to pay can be charged for {holds} days at most, and trying takes up to {needs}. "
        "Nothing was sent or charged. Choose another way to pay, or pay when you order."
    )
    zh = (
        "该支付方式最多可在 {holds} 天内扣款，而先试后买最长需 {needs} 天。未发货也未扣款。"
        "请更换支付方式，或下单时直接付款。"
    )


def rule_for(
    rules: dict[tuple[str, uuid.UUID], TrialRule], market: str, path: Sequence[uuid.UUID]
) -> TrialRule | None:
    """The rule of the deepest category that has one, else the market's; None where it is closed or
    nobody has made one."""
    for category in (*reversed(path), uuid.UUID(int=0)):
        found = rules.get((market, category))
        if found is not None:
            return found if found.is_open else None
    return None


class _Loaded(msgspec.Struct):
    rules: dict[tuple[str, uuid.UUID], TrialRule]
    paths: dict[uuid.UUID, list[uuid.UUID]]
    histories: dict[uuid.UUID, History]
    trying: set[uuid.UUID]
    holds: dict[str, int]
    days: dict[uuid.UUID, int]  # filled by ``decide``, by draft


class _Path(msgspec.Struct, frozen=True):
    category_id: uuid.UUID
    path: list[uuid.UUID]


def _asks(draft: Draft) -> bool:
    return any(c.kind == TRIAL for c in draft.claims)


class TrialStage:
    """An order with the claim ``trial`` is authorised only, and charged for what is kept. Stands
    after the tax, when the worth and the days of delivery are known. No statement where nobody
    asks; else four whatever the batch."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        asking = [d for d in drafts if _asks(d)]
        if not asking:
            return None
        rules = await trial_rules(tx)
        categories = {li.category_id for d in asking for li in d.lines if li.category_id}
        paths = await tx.rows(
            _Path,
            """
            select category_id, path from catalogue.v_category
             where category_id = any($1::uuid[])
            """,
            sorted(categories),
        )
        people = sorted({d.person_id for d in asking if d.person_id})
        trying = await tx.values(
            """
            select person_id from returns.trial
             where cell = $1 and person_id = any($2::uuid[])
               and state in ('placed', 'trying', 'failed')
            """,
            tx.cell,
            people,
        )
        return _Loaded(
            {(r.market, r.category_id): r for r in rules},
            {p.category_id: p.path for p in paths},
            await histories(tx, people),
            set(trying),
            {name: payments.holds_days(tx.db, name) for name in payments.providers_of(tx.db)},
            {},
        )

    def decide(self, loaded: _Loaded | None, draft: Draft) -> None:
        if loaded is None or not _asks(draft):
            return
        most, days = None, None
        for line in draft.lines:
            path = loaded.paths.get(line.category_id, []) if line.category_id else []
            rule = rule_for(loaded.rules, draft.market, path)
            if rule is None:
                draft.refusal = NotForTrial(sku=line.sku)
                return
            most = rule.most_minor if most is None else min(most, rule.most_minor)
            days = rule.days if days is None else min(days, rule.days)
        person = draft.person_id
        known = loaded.histories.get(person, History()) if person else History()
        if person is None or person in loaded.trying or score(known)[0] >= SCORE_FULL:
            draft.refusal = TrialNotOffered()
            return
        if draft.total_minor > (most or 0):
            draft.refusal = TrialTooDear(
                most=most, asked=draft.total_minor, currency=draft.currency
            )
            return
        way = next((o for o in draft.options if o.code == draft.delivery), None)
        needs = PACKING_DAYS + (way.max_days if way else 0) + (days or 0) + SPARE_DAYS
        holds = min((loaded.holds.get(t.provider, 0) for t in draft.tenders), default=needs)
        if holds < needs:
            draft.refusal = TrialNotByThisPayment(holds=holds, needs=needs)
            return
        loaded.trying.add(person)  # one at a time, within this batch, too
        loaded.days[draft.id] = days or 0
        draft.capture = False

    async def record(self, tx: Tx, loaded: _Loaded | None, drafts: Sequence[Draft]) -> None:
        return None

    async def written(self, tx: Tx, loaded: _Loaded | None, drafts: Sequence[Draft]) -> None:
        """The trials of the orders that stand. One person's two orders at once meet here."""
        if loaded is None:
            return
        made = [d for d in drafts if d.id in loaded.days and d.person_id is not None]
        if not made:
            return
        await orders.capture_later(tx, [d.id for d in made])
        ends = [
            tx.later_than(86_400 * min(loaded.holds.get(t.provider, 0) for t in d.tenders))
            if d.tenders
            else tx.now
            for d in made
        ]
        await tx.run(
            """
            insert into returns.trial (cell, order_id, person_id, days, currency, state, placed_at,
                                       authorised_until)
            select $1, t.order_id, t.person_id, t.days, t.currency, 'placed', $2, t.until
              from unnest($3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::timestamptz[])
                   as t(order_id, person_id, days, currency, until)
            """,
            tx.cell,
            tx.now,
            [d.id for d in made],
            [d.person_id for d in made],
            [loaded.days[d.id] for d in made],
            [d.currency for d in made],
            ends,
        )


async def trial_rules(tx: Tx) -> list[TrialRule]:
    """Every rule that was set."""
    return await tx.rows(
        TrialRule,
        """
        select market, category_id, days, most_minor, is_open from returns.trial_rule
         order by market, category_id
        """,
    )


async def set_trial_rule(tx: Tx, rule: TrialRule) -> None:
    """What may be tried in a market, or a category in it. Orders that were placed keep theirs."""
    await tx.run(
        """
        insert into returns.trial_rule (market, category_id, days, most_minor, is_open)
        values ($1, $2, $3, $4, $5)
        on conflict (market, category_id) do update
           set days = excluded.days, most_minor = excluded.most_minor, is_open = excluded.is_open
        """,
        *msgspec.structs.astuple(rule),
    )


async def trials_of(tx: Tx, order_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Trial]:
    """The trial of each order that is one."""
    rows = await tx.rows(
        Trial,
        """
        select order_id, person_id, days, currency, lent_minor, covered_minor, kept_minor, state,
               placed_at, authorised_until, until_at, ended_at
          from returns.trial where cell = $1 and order_id = any($2::uuid[])
        """,
        tx.cell,
        list(order_ids),
    )
    return {row.order_id: row for row in rows}
