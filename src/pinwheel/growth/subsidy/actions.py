"""Planning, starting and stopping programmes; price-match claims."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import media
from pinwheel.growth.subsidy.model import (
    MatchAnswered,
    MatchDecided,
    MatchNotPossible,
    NewGoods,
    NewProgramme,
    NoReference,
    Programme,
    ProgrammeFixed,
    WrongBudget,
)
from pinwheel.growth.subsidy.queries import goods, programmes
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.trade import budgets, orders


async def save_programme(
    tx: Tx, new: NewProgramme, *, programme_id: uuid.UUID | None = None
) -> uuid.UUID:
    """Plan a programme, or change one that has not begun. Refuses ``ProgrammeFixed``,
    ``WrongBudget``, ``Invalid``, ``NotFound``."""
    if not any(text.strip() for text in new.name.values()) or new.ends_at <= new.starts_at:
        raise Invalid("name", "a name, and an end after its start", "请填写名称，结束须晚于开始")
    if new.brand_basis_points and new.brand_budget_id is None:
        raise Invalid("brand", "name the brand's budget", "请指定品牌方预算")
    await _check_budgets(tx, new)
    if programme_id is not None and (await locked(tx, programme_id)).state != "draft":
        raise ProgrammeFixed()
    saved = programme_id or tx.new_id()
    await tx.run(
        """
        insert into subsidy.programme (
          id, name, currency, platform_budget_id, brand_budget_id, brand_basis_points,
          identity_pieces, home_orders, period_days, reference_days, match_days, region_caps,
          experiment_key, starts_at, ends_at, created_by, changed_at, changed_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $16)
        on conflict (id) do update
           set name = excluded.name, currency = excluded.currency,
               platform_budget_id = excluded.platform_budget_id,
               brand_budget_id = excluded.brand_budget_id,
               brand_basis_points = excluded.brand_basis_points,
               identity_pieces = excluded.identity_pieces, home_orders = excluded.home_orders,
               period_days = excluded.period_days, reference_days = excluded.reference_days,
               match_days = excluded.match_days, region_caps = excluded.region_caps,
               experiment_key = excluded.experiment_key, starts_at = excluded.starts_at,
               ends_at = excluded.ends_at, changed_at = excluded.changed_at,
               changed_by = excluded.changed_by
        """,
        saved,
        new.name,
        new.currency,
        new.platform_budget_id,
        new.brand_budget_id,
        new.brand_basis_points,
        new.identity_pieces,
        new.home_orders,
        new.period_days,
        new.reference_days,
        new.match_days,
        new.region_caps,
        new.experiment_key or None,
        new.starts_at,
        new.ends_at,
        tx.actor,
        tx.now,
    )
    return saved


async def _check_budgets(tx: Tx, new: NewProgramme) -> None:
    ids = [i for i in (new.platform_budget_id, new.brand_budget_id) if i is not None]
    found = {b.id: b for b in await budgets.budgets(tx, ids)}
    for budget_id in ids:
        if budget_id not in found:
            raise NotFound(what="budget")
        if found[budget_id].currency != new.currency:
            raise WrongBudget(
                budget=found[budget_id].name,
                currency=found[budget_id].currency,
                wanted=new.currency,
            )


async def put_goods(tx: Tx, programme_id: uuid.UUID, new: Sequence[NewGoods]) -> None:
    """Add goods with where else they are sold for how much; a target stays what it was once the
    programme has begun, references are added at any time. 2 statements and the revision. Refuses
    ``ProgrammeFixed``, ``Invalid``, ``NotFound``."""
    programme = await locked(tx, programme_id)
    refs = [(n.offer_id, r) for n in new for r in n.references]
    if any(r.seen_at is not None and r.seen_at > tx.later_than(300) for _, r in refs):
        raise Invalid("seen_at", "seen in the future", "采集时间在未来")
    changed = await tx.values(
        """
        with wanted as (select * from unnest($2::uuid[], $3::bigint[]) as w(offer_id, target)),
        fresh as (
          insert into subsidy.goods (programme_id, offer_id, target_minor)
          select $1, offer_id, target from wanted
          on conflict (programme_id, offer_id) do update
             set target_minor = case when $4 then excluded.target_minor
                                     else subsidy.goods.target_minor end
          returning offer_id, target_minor
        )
        select f.offer_id from fresh f join wanted w on w.offer_id = f.offer_id
         where w.target <> f.target_minor
        """,
        programme_id,
        [n.offer_id for n in new],
        [n.target_minor for n in new],
        programme.state == "draft",
    )
    if changed:
        raise ProgrammeFixed()
    await tx.run(
        """
        insert into subsidy.reference (programme_id, offer_id, source, seen_at, price_minor, url,
                                       added_by, added_at)
        select $1, r.offer_id, r.source, coalesce(r.seen_at, $2), r.price, r.url, $3, $2
          from unnest($4::uuid[], $5::text[], $6::timestamptz[], $7::bigint[], $8::text[])
               as r(offer_id, source, seen_at, price, url)
        on conflict do nothing
        """,
        programme_id,
        tx.now,
        tx.actor,
        [offer_id for offer_id, _ in refs],
        [r.source for _, r in refs],
        [r.seen_at for _, r in refs],
        [r.price_minor for _, r in refs],
        [r.url for _, r in refs],
    )
    if programme.state == "active":
        await orders.revise(tx)


async def start(tx: Tx, programme_id: uuid.UUID) -> None:
    """From its start on the programme pays. Refuses ``NoReference`` where nothing proves that
    others are dearer than the target, ``ProgrammeFixed`` once it was stopped."""
    programme = await locked(tx, programme_id)
    if programme.state == "active":
        return
    if programme.state == "stopped":
        raise ProgrammeFixed()
    listed = await goods(tx, [programme_id])
    bare = [g for g in listed if (g.reference_minor or 0) <= g.target_minor]
    if bare or not listed:
        raise NoReference(count=len(bare))
    await _become(tx, programme_id, "active")


async def stop(tx: Tx, programme_id: uuid.UUID) -> None:
    """The programme pays no more; what is reserved stays promised. Safe to repeat."""
    if (await locked(tx, programme_id)).state != "stopped":
        await _become(tx, programme_id, "stopped")


async def locked(tx: Tx, programme_id: uuid.UUID) -> Programme:
    """The programme under lock; ``NotFound``."""
    await tx.run("select id from subsidy.programme where id = $1 for update", programme_id)
    found = await programmes(tx, [programme_id])
    if not found:
        raise NotFound(what="programme")
    return found[0]


async def _become(tx: Tx, programme_id: uuid.UUID, state: str) -> None:
    await tx.run(
        """
        update subsidy.programme set state = $2, changed_at = $3, changed_by = $4 where id = $1
        """,
        programme_id,
        state,
        tx.now,
        tx.actor,
    )
    await orders.revise(tx)


class _Line(msgspec.Struct, frozen=True):
    programme_id: uuid.UUID | None
    match_days: int
    currency: str
    placed_at: dt.datetime
    left: int
    paid_minor: int


async def claim_match(
    tx: Tx,
    person_id: uuid.UUID,
    order_id: uuid.UUID,
    line: int,
    *,
    source: str,
    found_minor: int,
    link: str = "",
    picture_id: uuid.UUID | None = None,
) -> uuid.UUID:
    """A buyer found a subsidised thing cheaper elsewhere, and shows where: once for each line of
    their own order, within the programme's days. The link is kept and never opened by the house.

    Refuses ``MatchNotPossible`` (not subsidised, too late, not cheaper, claimed before, no
    evidence), ``NotFound`` (not their order)."""
    bought = await _line(tx, person_id, order_id, line)
    if bought is None:
        raise NotFound(what="order")
    _check_claim(tx, bought, source, found_minor, link, picture_id)
    if picture_id is not None and picture_id not in await media.pictures(tx, [picture_id]):
        raise NotFound(what="picture")
    match_id = tx.new_id()
    written = await tx.run(
        """
        insert into subsidy.match (cell, id, programme_id, order_id, line, person_id, source, link,
                                   picture_id, found_minor, most_minor, asked_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        on conflict (cell, order_id, line) do nothing
        """,
        tx.cell,
        match_id,
        bought.programme_id,
        order_id,
        line,
        person_id,
        source.strip(),
        link,
        picture_id,
        found_minor,
        (bought.paid_minor - found_minor) * bought.left,
        tx.now,
    )
    if not written:
        raise MatchNotPossible(why="it was asked for before.", why_zh="该商品已申请过。")
    return match_id


async def _line(tx: Tx, person_id: uuid.UUID, order_id: uuid.UUID, line: int) -> _Line | None:
    return await tx.row(
        _Line,
        """
        select p.id as programme_id, coalesce(p.match_days, 0) as match_days, l.currency,
               l.placed_at, l.quantity - l.cancelled - l.returned as "left",
               l.total_minor / l.quantity as paid_minor
          from orders.v_line l
          left join orders.v_discount d on d.cell = l.cell and d.order_id = l.order_id
           and d.offer_id = l.offer_id and d.source = 'subsidy'
          left join subsidy.programme p on p.id = d.source_id
         where l.cell = $1 and l.order_id = $2 and l.line = $3 and l.person_id = $4
           and l.state in ('placed', 'shipped', 'delivered') limit 1
        """,
        tx.cell,
        order_id,
        line,
        person_id,
    )


def _check_claim(
    tx: Tx,
    bought: _Line,
    source: str,
    found_minor: int,
    link: str,
    picture_id: uuid.UUID | None,
) -> None:
    if bought.programme_id is None or not bought.match_days:
        raise MatchNotPossible(
            why="this was not bought at a price that is matched.", why_zh="该商品不参加价格保护。"
        )
    if tx.now > bought.placed_at + dt.timedelta(days=bought.match_days):
        raise MatchNotPossible(
            why=f"it has to be asked for within {bought.match_days} days.",
            why_zh=f"须在 {bought.match_days} 天内申请。",
        )
    if not 0 < found_minor < bought.paid_minor or not bought.left:
        raise MatchNotPossible(why="that is not cheaper.", why_zh="该价格并不更低。")
    if not source.strip() or not (link.startswith("https://") or picture_id is not None):
        raise MatchNotPossible(
            why="show where: a link (https) or a picture.", why_zh="请提供链接（https）或截图。"
        )


class _Asked(msgspec.Struct, frozen=True):
    id: uuid.UUID
    programme_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID
    most_minor: int
    state: str


async def decide_match(tx: Tx, match_id: uuid.UUID, paid_minor: int, reason: str) -> None:
    """Pay a claim out of the programme's budget, as goodwill to how the order was paid, or refuse
    it (0); the buyer reads the reason. Refuses ``MatchDecided``, ``Invalid``, ``BudgetSpent``,
    ``RefundTooLarge``, ``NotFound``."""
    asked = await _asked(tx, match_id)
    if asked.state != "asked":
        raise MatchDecided(state=asked.state)
    if not reason.strip():
        raise Invalid("reason", "say why", "请填写原因")
    if not 0 <= paid_minor <= asked.most_minor:
        raise Invalid("amount", f"at most {asked.most_minor}", f"最多 {asked.most_minor}")
    [programme] = await programmes(tx, [asked.programme_id])
    if paid_minor:
        [answer] = await budgets.spend(
            tx,
            [
                budgets.Reservation(
                    budget_id=programme.platform_budget_id,
                    document_kind="price_match",
                    document_id=match_id,
                    key="match",
                    amount_minor=paid_minor,
                    currency=programme.currency,
                )
            ],
        )
        if isinstance(answer, Refusal):
            raise answer
        await orders.give_goodwill(
            tx, asked.order_id, paid_minor, f"price match: {reason.strip()}", gift_id=match_id
        )
    state = "paid" if paid_minor else "refused"
    await tx.run(
        """
        update subsidy.match set state = $3, paid_minor = $4, decided_at = $5, decided_by = $6,
               reason = $7
         where cell = $1 and id = $2
        """,
        tx.cell,
        match_id,
        state,
        paid_minor,
        tx.now,
        tx.actor,
        reason.strip(),
    )
    tx.emit(
        MatchAnswered(
            order_id=asked.order_id,
            match_id=match_id,
            person_id=asked.person_id,
            state=state,
            paid_minor=paid_minor,
            currency=programme.currency,
            reason=reason.strip(),
        )
    )


async def _asked(tx: Tx, match_id: uuid.UUID) -> _Asked:
    return await tx.the(
        "claim",
        _Asked,
        """
        select id, programme_id, order_id, person_id, most_minor, state from subsidy.match
         where cell = $1 and id = $2 for update
        """,
        tx.cell,
        match_id,
    )


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """The evidence goes with the person; what was paid stays in the books."""
    await tx.run(
        """
        update subsidy.match set link = 'https://erased.invalid', picture_id = null
         where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        list(person_ids),
    )
