"""The subsidy stage: the public price of a programme's goods, as far as budgets, regions and each
identity's share reach. Nobody has to claim it."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from pinwheel.ground import ledger, trust
from pinwheel.ground.ledger import Account, Hold
from pinwheel.growth.subsidy.model import (
    SOURCE,
    Goods,
    Programme,
    ShareTaken,
    gap_of,
    identity_left,
    parts_of,
    pieces_given,
    pieces_paid,
    region_given,
    region_left,
)
from pinwheel.growth.subsidy.queries import goods, programmes
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.words import money
from pinwheel.trade import budgets, orders
from pinwheel.trade.orders import Discount, Draft, DraftLine, Hint

Clusters = Callable[[Tx, Sequence[uuid.UUID]], Awaitable[Mapping[uuid.UUID, uuid.UUID]]]
Withheld = Callable[[Tx, str, Sequence[uuid.UUID]], Awaitable[Mapping[uuid.UUID, bool]]]
"""Of an experiment's key and people: who is in its control and sees the regular price."""


class _Given(msgspec.Struct):
    """What a draft gets of one programme's goods, as decided."""

    programme: Programme
    period: int
    identity: str
    pieces: int
    regions: dict[str, int]
    line: DraftLine
    gap_minor: int


class _Loaded(msgspec.Struct):
    held: dict[uuid.UUID, tuple[Programme, int]]  # programmes that hold now, and their period
    by_offer: dict[uuid.UUID, list[Goods]]
    identities: dict[uuid.UUID, str]
    withheld: dict[tuple[uuid.UUID, uuid.UUID], bool]
    left: dict[str, int]
    budgets: dict[uuid.UUID, int]
    homes_full: set[tuple[uuid.UUID, uuid.UUID]]  # (programme, person) whose home had its share
    given: dict[uuid.UUID, list[_Given]] = {}


class SubsidyStage:
    """Statements: none for a batch without subsidised goods, else at most 5 to load and the
    ledger's to record. The programmes are kept in memory by the revision of the rules; the prices
    seen elsewhere are read each time that one of their goods is bought, because they age."""

    def __init__(
        self, clusters: Clusters = trust.cluster_of, withheld: Withheld | None = None
    ) -> None:
        self.clusters, self.withheld = clusters, withheld
        self._known: tuple[int, list[Programme], set[uuid.UUID]] = (-1, [], set())

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> _Loaded | None:
        _, known, offers = await self._programmes(tx, drafts[0].revision)
        held = {p.id: (p, p.period_at(tx.now)) for p in known if p.holds_at(tx.now)}
        asking = [d for d in drafts if any(li.offer_id in offers for li in d.lines)]
        if not held or not asking:
            return None
        by_offer: dict[uuid.UUID, list[Goods]] = {}
        for one in await goods(tx, sorted(held)):
            by_offer.setdefault(one.offer_id, []).append(one)
        people = sorted({d.person_id for d in asking if d.person_id is not None})
        clusters = await self.clusters(tx, people) if people else {}
        identities = {d.id: i for d in asking if (i := _identity(d, clusters))}
        wanted = [p for p, _ in held.values()]
        left = await _left(tx, wanted, held, asking, identities)
        paying = {i for p in wanted for i in (p.platform_budget_id, p.brand_budget_id) if i}
        loaded = _Loaded(
            held,
            by_offer,
            identities,
            {},
            left,
            await budgets.available(tx, paying),
            await _full_homes(tx, wanted, people),
        )
        named = [p for p in people if p != orders.STRANGER]  # no experiment is of nobody
        if self.withheld is not None and named:
            for programme in wanted:
                if programme.experiment_key:
                    found = await self.withheld(tx, programme.experiment_key, named)
                    loaded.withheld |= {(programme.id, i): is_out for i, is_out in found.items()}
        return loaded

    async def _programmes(
        self, tx: Tx, revision: int
    ) -> tuple[int, list[Programme], set[uuid.UUID]]:
        known = self._known
        if known[0] != revision:
            active = await programmes(tx, active_only=True)
            offers = {g.offer_id for g in await goods(tx, [p.id for p in active])} if active else ()
            known = self._known = (revision, active, set(offers))
        return known

    async def speaks_of(
        self, tx: Tx, revision: int, offer_ids: Sequence[uuid.UUID]
    ) -> set[uuid.UUID]:
        """The goods of active programmes among the offers."""
        _, known, offers = await self._programmes(tx, revision)
        return offers.intersection(offer_ids) if any(p.holds_at(tx.now) for p in known) else set()

    def decide(self, loaded: _Loaded | None, draft: Draft) -> None:
        if loaded is None:
            return
        mine: list[_Given] = []
        for line in draft.lines:
            if line.offer_id in draft.claimed or line.discount_minor:
                continue
            best = self._best(loaded, draft, line, mine)
            if best is None:
                continue
            mine.append(best)
            _take_off(draft, best)
        if mine:
            loaded.given[draft.id] = mine

    def _best(
        self, loaded: _Loaded, draft: Draft, line: DraftLine, mine: Sequence[_Given]
    ) -> _Given | None:
        """The programme that lowers the line most, with what its limits leave."""
        found: list[_Given] = []
        for one in loaded.by_offer.get(line.offer_id, ()):
            programme, period = loaded.held[one.programme_id]
            gap = gap_of(one, line.unit_price_minor)
            identity = loaded.identities.get(draft.id)
            if programme.currency != draft.currency or not gap or identity is None:
                continue
            person = draft.person_id
            if person and loaded.withheld.get((programme.id, person)):
                continue
            if person and (programme.id, person) in loaded.homes_full:
                draft.hints.append(_hint("household", "每户", programme))
                continue
            given = _given(loaded, draft, line, programme, period, identity, gap, mine)
            if given.pieces < line.quantity:
                draft.hints.append(_hint("buyer or region", "每人或每地区", programme))
            if given.pieces:
                found.append(given)
        return max(found, key=lambda g: g.pieces * g.gap_minor, default=None)

    async def record(self, tx: Tx, loaded: _Loaded | None, drafts: Sequence[Draft]) -> None:
        """Take each identity's pieces and each region's money; what the gap costs is reserved by
        the budget stage."""
        if loaded is None:
            return
        asked = [(d, g) for d in drafts for g in loaded.given.get(d.id, ())]
        if not asked:
            return
        holds = [(d, g, h) for d, g in asked for h in _holds(d, g)]
        answers = await ledger.hold(tx, [hold for _, _, hold in holds])
        for (draft, given, _), answer in zip(holds, answers, strict=True):
            if isinstance(answer, Refusal) and draft.refusal is None:
                draft.refusal = _taken(draft, given)
        uses = [
            (d, g)
            for d, g in {(d.id, g.programme.id): (d, g) for d, g in asked}.values()
            if g.programme.home_orders and d.person_id is not None and d.refusal is None
        ]
        taken = await trust.take(tx, [_use(d, g) for d, g in uses])
        for (draft, given), use in zip(uses, taken, strict=True):
            if isinstance(use, Refusal):
                draft.refusal = _taken(draft, given)


def _identity(draft: Draft, clusters: Mapping[uuid.UUID, uuid.UUID]) -> str | None:
    """Who counts as one: the cluster of accounts; of an unknown visitor the device. Who shows
    neither gets the regular price."""
    if draft.person_id is not None:
        return f"person:{clusters.get(draft.person_id, draft.person_id)}"
    return f"device:{draft.device}" if draft.device else None


def _accounts(
    programme: Programme, period: int, draft: Draft, identity: str
) -> tuple[Account, list[tuple[str, Account]]]:
    regions = programme.regions_of(draft.country, draft.region)
    return (
        identity_left(programme, identity, period),
        [(region, region_left(programme, region)) for region in regions],
    )


async def _left(
    tx: Tx,
    wanted: Sequence[Programme],
    held: Mapping[uuid.UUID, tuple[Programme, int]],
    drafts: Sequence[Draft],
    identities: Mapping[uuid.UUID, str],
) -> dict[str, int]:
    """What every identity and region has left, by account code. 1 statement."""
    accounts: dict[str, Account] = {}
    for draft in drafts:
        if draft.id in identities:
            for programme in wanted:
                own, regions = _accounts(
                    programme, held[programme.id][1], draft, identities[draft.id]
                )
                accounts |= {a.code: a for a in (own, *(a for _, a in regions))}
    found = await ledger.balances(tx, accounts.values())
    return {code: found[code].available - (a.floor or 0) for code, a in accounts.items()}


class _Full(msgspec.Struct, frozen=True):
    programme_id: uuid.UUID
    person_id: uuid.UUID


async def _full_homes(
    tx: Tx, wanted: Sequence[Programme], people: Sequence[uuid.UUID]
) -> set[tuple[uuid.UUID, uuid.UUID]]:
    """People whose home had its orders of a programme in this period: they are shown the regular
    price instead of being refused at the till. 2 statements where homes count, else none."""
    counted = [p for p in wanted if p.home_orders]
    if not counted or not people:
        return set()
    kin = await trust.kin_of(tx, people)
    rows = await tx.rows(
        _Full,
        """
        select p.id as programme_id, k.person_id
          from unnest($2::uuid[], $3::timestamptz[], $4::int[]) as p(id, since, most)
         cross join (select k.person_id, array_agg(k.near_id) as near
                       from unnest($5::uuid[], $6::uuid[]) as k(person_id, near_id)
                      group by k.person_id) k
          join orders.v_discount d on d.cell = $1 and d.source = 'subsidy' and d.source_id = p.id
           and d.person_id = any(k.near) and d.placed_at >= p.since and d.state <> 'cancelled'
         group by p.id, k.person_id, p.most having count(distinct d.order_id) >= p.most
        """,
        tx.cell,
        [p.id for p in counted],
        [p.period_start(tx.now) for p in counted],
        [p.home_orders for p in counted],
        [k.person_id for k in kin],
        [k.near_id for k in kin],
    )
    return {(row.programme_id, row.person_id) for row in rows}


def _given(
    loaded: _Loaded,
    draft: Draft,
    line: DraftLine,
    programme: Programme,
    period: int,
    identity: str,
    gap: int,
    mine: Sequence[_Given],
) -> _Given:
    own, regions = _accounts(programme, period, draft, identity)
    before = [g for g in mine if g.programme.id == programme.id]
    gone = sum(g.pieces for g in before)
    paid = sum(g.pieces * g.gap_minor for g in before)
    platform_gone, brand_gone = parts_of(programme, paid)
    brand_id = programme.brand_budget_id
    pieces = pieces_paid(
        programme,
        gap,
        line.quantity,
        identity=loaded.left[own.code] - gone,
        regions={region: loaded.left[a.code] - paid for region, a in regions},
        platform_minor=loaded.budgets[programme.platform_budget_id] - platform_gone,
        brand_minor=(loaded.budgets[brand_id] if brand_id else 0) - brand_gone,
    )
    return _Given(
        programme, period, identity, pieces, {r: pieces * gap for r, _ in regions}, line, gap
    )


def _take_off(draft: Draft, given: _Given) -> None:
    programme = given.programme
    platform, brand = parts_of(programme, given.pieces * given.gap_minor)
    name = programme.name
    en = name.get("en") or next(iter(name.values()))
    zh = name.get("zh-CN") or en
    parts = [(platform, programme.platform_budget_id), (brand, programme.brand_budget_id)]
    draft.take_off(
        *(
            Discount(
                source=SOURCE,
                source_id=programme.id,
                offer_id=given.line.offer_id,
                amount_minor=amount,
                budget_id=budget_id,
                en=en,
                zh=zh,
            )
            for amount, budget_id in parts
            if amount
        )
    )
    draft.claimed.add(given.line.offer_id)


def _holds(draft: Draft, given: _Given) -> list[Hold]:
    programme = given.programme
    own, regions = _accounts(programme, given.period, draft, given.identity)
    offer = given.line.offer_id
    holds = [(f"subsidy:{programme.id}:{offer}", pieces_given(programme.id), own, given.pieces)]
    holds += [
        (
            f"subsidy:{programme.id}:{offer}:{region}",
            region_given(programme),
            account,
            given.regions[region],
        )
        for region, account in regions
    ]
    return [
        Hold(
            document_kind="order",
            document_id=draft.id,
            key=key,
            debit=debit,
            credit=credit,
            amount=amount,
        )
        for key, debit, credit, amount in holds
    ]


def _use(draft: Draft, given: _Given) -> trust.Use:
    assert draft.person_id is not None
    programme = given.programme
    return trust.Use(
        person_id=draft.person_id,
        purpose=f"subsidy:{programme.id}:{given.period}",
        document_kind="order",
        document_id=draft.id,
        most=programme.identity_pieces,
        home_most=programme.home_orders,
    )


def _taken(draft: Draft, given: _Given) -> ShareTaken:
    line = next(li for li in draft.lines if li.offer_id == given.line.offer_id)
    return ShareTaken(sku=line.sku, price=money(line.goods_minor, draft.currency, "en"))


def _hint(en: str, zh: str, programme: Programme) -> Hint:
    return Hint(
        kind=SOURCE,
        source_id=programme.id,
        en=f"The subsidised price has reached its limit for this {en}: the rest is at the "
        "regular price.",
        zh=f"补贴价已达{zh}上限，其余按正常价格计算。",
    )
