"""The promotions' stage of a draft's walk: what holds for it, what comes off, what is used up.

No statement when no promotion is for the draft; one when something must be known first (coupons,
limits, first orders), one more for segments. While placing, promotions that were applied cost two
more and the ledger's: the revision under a shared lock, and the uses.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from typing import Any

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.words import said
from pinwheel.trade import orders, pricing
from pinwheel.trade.orders import DeliveryOff, Discount, Draft
from pinwheel.trade.promotions import model, policy
from pinwheel.trade.promotions.book import Book, Rule, books_of
from pinwheel.trade.promotions.explaining import near_hints, why_not
from pinwheel.trade.promotions.kinds import Goods
from pinwheel.trade.promotions.knowing import Entitled, Facts, facts_of, pools_of
from pinwheel.trade.promotions.model import SOURCE, FreeDelivery
from pinwheel.trade.promotions.refusals import CouponUsed, PromotionUsedUp
from pinwheel.trade.promotions.writing import NewUse, write_uses

Memberships = Callable[[Tx, Sequence[uuid.UUID]], Awaitable[Mapping[uuid.UUID, Set[object]]]]
"""Which segments people are in, each by its id or name: one statement, handed in from above."""


class Taken(msgspec.Struct):
    """What one draft uses: holds to be made, uses to be written."""

    rule: Rule
    entitled: Entitled | None
    off_minor: int
    pieces: int


class Loaded(msgspec.Struct):
    """What a batch shares, and what was decided for each draft."""

    book: Book
    facts: Facts
    matching: dict[uuid.UUID, dict[uuid.UUID, list[int]]]
    now: Any
    placing: bool
    taken: dict[uuid.UUID, list[Taken]] = {}


class PromotionStage:
    """Promotions, coupons and deals. ``memberships`` says which segments people are in; without it
    nobody is in any."""

    def __init__(self, memberships: Memberships | None = None) -> None:
        self.memberships = memberships

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        book = await books_of(tx).at(tx, max(d.revision for d in drafts))
        matching = {d.id: book.matching(d.lines) for d in drafts}
        facts = await facts_of(tx, book, drafts, matching)
        if self.memberships is not None:
            people = {
                d.person_id
                for d in drafts
                for i in matching[d.id]
                if d.person_id is not None and book.rules[i].terms.conditions.segments
            }
            if people:
                found = await self.memberships(tx, sorted(people))
                facts.segments = {p: frozenset(map(str, mine)) for p, mine in found.items()}
        return Loaded(book, facts, matching, tx.now, placing)

    async def speaks_of(
        self, tx: Tx, revision: int, offer_ids: Sequence[uuid.UUID]
    ) -> set[uuid.UUID]:
        """The offers that a promotion which holds now without a coupon may lower."""
        found: set[uuid.UUID] = set()
        for rule in (await books_of(tx).at(tx, revision)).rules.values():
            if rule.codes_needed or rule.level == "delivery" or not rule.holds_at(tx.now):
                continue
            if not rule.only_offers:
                return set(offer_ids)
            found |= rule.offers
        return found.intersection(offer_ids)

    def decide(self, loaded: Any, draft: Draft) -> None:
        state: Loaded = loaded
        matching = state.matching[draft.id]
        entitled = state.facts.entitled.get(draft.id, [])
        if not matching and not draft.coupons:
            return
        rights = {e.promotion_id: e for e in reversed(entitled) if _is_live(state, e)}
        order = sorted(range(len(draft.lines)), key=lambda i: draft.lines[i].offer_id)
        place = {position: at for at, position in enumerate(order)}
        goods = [
            Goods(li.offer_id, li.quantity, li.goods_minor - li.discount_minor)
            for li in (draft.lines[i] for i in order)
        ]
        claimed = frozenset(
            place[i] for i, li in enumerate(draft.lines) if li.offer_id in draft.claimed
        )
        running = []
        for promotion_id, positions in matching.items():
            rule = state.book.rules[promotion_id]
            if _holds(state, draft, rule, rights):
                most = _most_pieces(state, draft, rule)
                if most is None or most > 0:
                    there = tuple(sorted(place[i] for i in positions))
                    running.append(policy.Running(rule.id, rule.terms, there, most))
        applied = policy.settle(goods, claimed, running)
        for one in applied:
            self._apply(state, draft, one, goods, rights)
        self._deliver(state, draft, goods, running, rights)
        self._explain(state, draft, goods, running, entitled, rights)

    def _apply(
        self,
        state: Loaded,
        draft: Draft,
        one: policy.Applied,
        goods: Sequence[Goods],
        rights: Mapping[uuid.UUID, Entitled],
    ) -> None:
        rule = state.book.rules[one.running.id]
        shares = rule.terms.funding or [model.Share(10_000)]
        points = [share.basis_points for share in shares]
        discounts = []
        for position, off in one.offs:
            for share, amount in zip(shares, pricing.allocate(off, points), strict=True):
                if amount:
                    discounts.append(
                        Discount(
                            source=SOURCE,
                            source_id=rule.id,
                            offer_id=goods[position].offer_id,
                            amount_minor=amount,
                            budget_id=share.budget_id,
                            en=said(rule.name, "en"),
                            zh=said(rule.name, "zh-CN"),
                        )
                    )
        draft.take_off(*discounts)
        if rule.is_deal:
            draft.take_aside(rule.terms.scope.offers[0], rule.id, one.pieces)
        self._use(state, draft, Taken(rule, rights.get(rule.id), one.off_minor, one.pieces))

    def _deliver(
        self,
        state: Loaded,
        draft: Draft,
        goods: Sequence[Goods],
        running: Sequence[policy.Running],
        rights: Mapping[uuid.UUID, Entitled],
    ) -> None:
        """The one that takes most off counts, of equals the first by priority."""
        offers = []
        for one in sorted(running, key=lambda r: r.rank):
            kind, rule = one.terms.kind, state.book.rules[one.id]
            spend = sum(goods[p].left for p in one.positions)
            if isinstance(kind, FreeDelivery) and spend >= one.terms.conditions.min_spend_minor:
                offers.append((kind.most_minor is not None, -(kind.most_minor or 0), one, rule))
        for _, _, one, rule in sorted(offers, key=lambda o: (o[0], o[1], o[2].rank))[:1]:
            kind = one.terms.kind
            assert isinstance(kind, FreeDelivery)
            draft.delivery_offs.append(
                DeliveryOff(
                    source=SOURCE,
                    source_id=rule.id,
                    codes=tuple(kind.codes),
                    most_minor=kind.most_minor,
                    en=said(rule.name, "en"),
                    zh=said(rule.name, "zh-CN"),
                )
            )
            self._use(state, draft, Taken(rule, rights.get(rule.id), 0, 1))

    def _use(self, state: Loaded, draft: Draft, taken: Taken) -> None:
        state.taken.setdefault(draft.id, []).append(taken)
        if state.placing:  # the next one of the batch finds less
            for account, amount in _accounts(state, draft, taken):
                state.facts.take(account, amount)

    def _explain(
        self,
        state: Loaded,
        draft: Draft,
        goods: Sequence[Goods],
        running: Sequence[policy.Running],
        entitled: Sequence[Entitled],
        rights: Mapping[uuid.UUID, Entitled],
    ) -> None:
        used = {t.rule.id for t in state.taken.get(draft.id, ())}
        refusals: list[tuple[str, uuid.UUID | None, Refusal]] = [
            (code, None, why_not(code)) for code in state.facts.unknown.get(draft.id, ())
        ]
        spends = {r.id: sum(goods[p].left for p in r.positions) for r in running}
        for right in entitled:
            if right.promotion_id not in used or rights.get(right.promotion_id) is not right:
                rule = state.book.rules.get(right.promotion_id)
                refusal = _why(state, draft, right, rule, spends.get(right.promotion_id, 0))
                refusals.append((right.code, right.promotion_id, refusal))
        for code, source_id, refusal in refusals:
            draft.hints.append(
                orders.Hint(
                    kind="coupon",
                    en=refusal.sentence("en"),
                    zh=refusal.sentence("zh-CN"),
                    code=code,
                    source_id=source_id,
                    missing_minor=int(refusal.facts.get("missing_minor", 0)),
                )
            )
        if refusals and state.placing and not draft.expected:
            draft.refusal = refusals[0][2]  # nobody has seen what it costs without the coupon
        near = [r for r in running if r.id not in used]
        draft.hints += near_hints(draft.currency, state.book, goods, near)

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        state: Loaded = loaded
        mine = [(d, t) for d in drafts for t in state.taken.get(d.id, ())]
        if not mine:
            return
        if await orders.held_revision(tx) != state.book.version:
            raise orders.RulesChanged("a promotion changed while an order was being placed")
        wanted = [
            (draft, taken, account, amount)
            for draft, taken in mine
            for account, amount in _accounts(state, draft, taken)
        ]
        answers = await ledger.hold(
            tx,
            [
                ledger.Hold(
                    document_kind="order",
                    document_id=draft.id,
                    key=f"use:{taken.rule.id}:{account.code}",
                    debit=model.taken(taken.rule.id),
                    credit=account,
                    amount=amount,
                )
                for draft, taken, account, amount in wanted
            ],
        )
        for (draft, taken, account, _), answer in zip(wanted, answers, strict=True):
            if isinstance(answer, Refusal) and draft.refusal is None:
                draft.refusal = _lost(taken, account)

    async def written(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        """The uses of the drafts that became orders."""
        state: Loaded = loaded
        await write_uses(tx, [_new_use(d, t) for d in drafts for t in state.taken.get(d.id, ())])


def _is_live(state: Loaded, right: Entitled) -> bool:
    """A coupon that holds by itself: neither lapsed nor used."""
    if right.lapsed or right.promotion_id not in state.book.rules:
        return False
    if right.until is not None and state.now >= right.until:
        return False
    return right.once is None or state.facts.room(right.once) > 0


def _holds(state: Loaded, draft: Draft, rule: Rule, rights: Mapping[uuid.UUID, Entitled]) -> bool:
    return (
        (not rule.codes_needed or rule.id in rights)
        and rule.holds_at(state.now)
        and rule.is_for(draft)
        and not _not_for_person(state, draft, rule)
    )


def _not_for_person(state: Loaded, draft: Draft, rule: Rule) -> tuple[str, str] | None:
    """Why a promotion is not for this person, in both languages; None when it is."""
    conditions = rule.terms.conditions
    if rule.limits.per_person is not None and draft.person_id is None:
        return "sign in first", "请先登录"
    if conditions.first_order and (
        draft.person_id is None or draft.person_id in state.facts.bought
    ):
        return "first orders only", "仅限首单"
    if conditions.segments:
        mine = state.facts.segments.get(draft.person_id) if draft.person_id else None
        if not mine or mine.isdisjoint(conditions.segments):
            if model.MEMBER in conditions.segments:
                return "members only", "仅限会员"
            return "for chosen customers", "仅限部分用户"
    return None


def _most_pieces(state: Loaded, draft: Draft, rule: Rule) -> int | None:
    """How many pieces may still take part; None where nothing is counted in pieces. 0: used up."""
    pools = pools_of(rule, draft.person_id)
    if not pools:
        return None
    rooms = [state.facts.room(a) for a in pools]
    if _turn(state, draft, rule) is not None:  # put aside: the common pool may be empty
        rooms[0] = max(rooms[0], 1) if rule.limits.uses is not None else rooms[0]
        rooms[0] = min(rooms[0], 1)
    room = max(0, min(rooms))
    if rule.limits.counts == "pieces":
        return room
    return None if room else 0


def _turn(state: Loaded, draft: Draft, rule: Rule) -> uuid.UUID | None:
    if not rule.is_deal or draft.person_id is None:
        return None
    return state.facts.turns.get((rule.id, draft.person_id))


def _accounts(state: Loaded, draft: Draft, taken: Taken) -> list[tuple[ledger.Account, int]]:
    """Which accounts a use draws on, and how much."""
    rule = taken.rule
    amount = taken.pieces if rule.limits.counts == "pieces" else 1
    found = [(account, amount) for account in pools_of(rule, draft.person_id)]
    waiting_id = _turn(state, draft, rule)
    if waiting_id is not None and rule.limits.uses is not None:
        found[0] = (model.turn(rule.id, waiting_id), amount)
    if taken.entitled is not None and taken.entitled.once is not None:
        found.append((taken.entitled.once, 1))
    return found


def _lost(taken: Taken, account: ledger.Account) -> Refusal:
    """Somebody else, or another tab, was faster."""
    entitled = taken.entitled
    if entitled is not None and entitled.once is not None and account.code == entitled.once.code:
        return CouponUsed(code=entitled.code)
    return PromotionUsedUp(name=said(taken.rule.name, "en"))


def _why(state: Loaded, draft: Draft, right: Entitled, rule: Rule | None, spend: int) -> Refusal:
    used = right.once is not None and state.facts.room(right.once) <= 0
    person = _not_for_person(state, draft, rule) if rule is not None else None
    covered = rule is not None and rule.id in state.matching[draft.id]
    out = rule is not None and _most_pieces(state, draft, rule) == 0 and person is None
    return why_not(
        right.code,
        right=right,
        rule=rule,
        draft=draft,
        now=state.now,
        used=used,
        used_up=out,
        person=person,
        covered=covered,
        spend=spend,
    )


def _new_use(draft: Draft, taken: Taken) -> NewUse:
    right = taken.entitled
    return NewUse(
        order_id=draft.id,
        promotion_id=taken.rule.id,
        person_id=draft.person_id,
        coupon_id=right.coupon_id if right else None,
        digest=right.digest if right else None,
        pieces=taken.pieces,
        off_minor=taken.off_minor,
        currency=draft.currency,
    )
