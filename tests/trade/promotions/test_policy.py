"""The stacking policy: the fast one and the slow, obvious one agree to the cent."""

from __future__ import annotations

import uuid

from hypothesis import given, settings
from hypothesis import strategies as st

from pinwheel.trade.promotions import kinds, model, policy
from trade.promotions import reference

money = st.integers(min_value=0, max_value=2_000)
points = st.integers(min_value=1, max_value=10_000)
amount = st.integers(min_value=1, max_value=1_500)
levels = st.sampled_from(["line", "order"])
LINES = 4
OFFERS = [uuid.UUID(int=i + 1) for i in range(LINES)]


@st.composite
def tiers(draw: st.DrawFn) -> model.Threshold:
    counts = draw(st.sampled_from(["spend", "pieces"]))
    most = 3_000 if counts == "spend" else 8
    found = [
        model.Tier(
            draw(st.integers(1, most)),
            draw(st.integers(0, 3_000)),
            draw(st.integers(0, 500)),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    return model.Threshold(found, counts, draw(st.booleans()), draw(levels))


@st.composite
def bundles(draw: st.DrawFn) -> model.Bundle:
    ids = draw(st.permutations(OFFERS))
    cut = draw(st.integers(1, 2))
    parts = [
        model.Part(list(ids[:cut]), draw(st.integers(1, 2))),
        model.Part(list(ids[cut : cut + 2]), draw(st.integers(1, 2))),
    ]
    return model.Bundle(parts, draw(money))


@st.composite
def groups_of(draw: st.DrawFn) -> model.Kind:
    take = draw(st.integers(2, 4))
    if draw(st.booleans()):
        return model.NForM(take, draw(st.integers(1, take - 1)), draw(points))
    return model.CheapestFree(take, draw(st.integers(1, take - 1)))


any_kind = st.one_of(
    st.builds(model.PercentageOff, points, levels),
    st.builds(model.AmountOff, amount, levels),
    st.builds(model.FixedPrice, money),
    tiers(),
    groups_of(),
    bundles(),
)


@st.composite
def rules(draw: st.DrawFn) -> list[reference.Rule]:
    found = []
    for n in range(draw(st.integers(1, 5))):
        conditions = model.Conditions(
            min_spend_minor=draw(st.one_of(st.just(0), st.integers(0, 4_000))),
            most_off_minor=draw(st.one_of(st.none(), amount)),
        )
        kind = draw(any_kind)
        terms = model.Terms(
            kind=kind,
            conditions=conditions,
            group=draw(st.sampled_from(["", "", "b"])),
            combinable=draw(st.sampled_from([False, False, False, True])),
            priority=draw(st.integers(0, 2)),
        )
        lines = draw(st.sets(st.integers(0, LINES - 1)))
        if isinstance(kind, model.Bundle):
            inside = {o for part in kind.parts for o in part.offers}
            lines = {i for i in range(LINES) if OFFERS[i] in inside}
        per_piece = isinstance(kind, model.PercentageOff | model.AmountOff | model.FixedPrice)
        most = draw(st.one_of(st.none(), st.integers(0, 5))) if per_piece else None
        found.append(reference.Rule(uuid.UUID(int=100 + n), terms, frozenset(lines), most))
    return draw(st.permutations(found))


carts = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2_500)), min_size=1, max_size=LINES)


@settings(max_examples=400)
@given(cart=carts, wanted=rules(), claimed=st.sets(st.integers(0, LINES - 1), max_size=1))
def test_the_same_to_the_cent_as_trying_everything(
    cart: list[tuple[int, int]], wanted: list[reference.Rule], claimed: set[int]
) -> None:
    lines = [reference.Line(OFFERS[i], q, q * p) for i, (q, p) in enumerate(cart)]
    wanted = [r._replace(lines=frozenset(i for i in r.lines if i < len(lines))) for r in wanted]
    left, applied = reference.settle(lines, frozenset(claimed), wanted)
    goods = [kinds.Goods(li.offer_id, li.quantity, li.left) for li in lines]
    running = [policy.Running(r.id, r.terms, tuple(sorted(r.lines)), r.most_pieces) for r in wanted]
    found = policy.settle(goods, frozenset(claimed), running)
    assert [g.left for g in goods] == left
    assert [(a.running.id, dict(a.offs)) for a in found] == applied
    assert all(amount >= 0 for amount in left)


@settings(max_examples=60)
@given(data=st.data())
def test_more_lines_never_take_less_off(data: st.DataObject) -> None:
    """What the bound of the search stands on."""
    cart = data.draw(carts)
    [rule] = data.draw(rules().map(lambda rs: rs[:1]))
    goods = [kinds.Goods(OFFERS[i], q, q * p) for i, (q, p) in enumerate(cart)]
    inside = [i for i in range(len(goods)) if i in rule.lines]
    all_of = sum(kinds.takes_off(rule.terms, [goods[i] for i in inside], rule.most_pieces))
    for out in inside:
        fewer = [goods[i] for i in inside if i != out]
        assert sum(kinds.takes_off(rule.terms, fewer, rule.most_pieces)) <= all_of


@settings(max_examples=300)
@given(
    cart=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 2_500)), min_size=2, max_size=LINES),
    kind=st.one_of(groups_of(), groups_of(), tiers(), bundles()),
)
def test_each_kind_by_itself(cart: list[tuple[int, int]], kind: model.Kind) -> None:
    terms = model.Terms(kind=kind)
    lines = [reference.Line(OFFERS[i], q, q * p) for i, (q, p) in enumerate(cart)]
    inside = [
        i
        for i in range(len(lines))
        if not isinstance(kind, model.Bundle) or any(OFFERS[i] in p.offers for p in kind.parts)
    ]
    rule = reference.Rule(uuid.UUID(int=1), terms, frozenset(inside), None)
    expected = reference.off(rule, lines, inside)
    goods = [kinds.Goods(lines[i].offer_id, lines[i].quantity, lines[i].left) for i in inside]
    found = dict(zip(inside, kinds.takes_off(terms, goods), strict=True))
    assert {i: n for i, n in found.items() if n} == {i: n for i, n in expected.items() if n}
