"""Helps: each valid one gives the next cut of the committed plan."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from pinwheel.ground import ledger, trust
from pinwheel.ground.ledger import Held
from pinwheel.ground.trust import Act, Use, Verdict
from pinwheel.growth.social.bargain import help_purpose, helps_purpose
from pinwheel.growth.social.bargain_running import Live, locked_bargains
from pinwheel.growth.social.model import (
    BargainComplete,
    BargainEnded,
    BargainHelped,
    BargainReached,
    HelpLooksAgain,
    HelpNotCounted,
    OwnBargain,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound, Refusal

ACT = "bargain_help"
APPEAL = "/account/appeals"


class Help(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants to help. ``device`` is the hash of their device's own mark, ``network`` the
    address they come from, ``initials`` what the page may show of them, with their consent."""

    bargain_id: uuid.UUID
    person_id: uuid.UUID
    device: str = ""
    network: str = ""
    initials: str | None = None


class Helped(msgspec.Struct, frozen=True):
    """The ``number``-th valid help gave ``cut_minor``; ``left_minor`` is above the floor now.
    ``fresh`` False: this person had helped before."""

    number: int
    cut_minor: int
    left_minor: int
    fresh: bool = True


class _Known(msgspec.Struct, frozen=True):
    position: int
    owner_id: uuid.UUID | None
    campaign_id: uuid.UUID
    helps_per_identity: int
    state: str
    ends_at: dt.datetime
    left_minor: int
    helped: str | None
    number: int | None
    cut_minor: int | None


class _Written(msgspec.Struct, kw_only=True):
    """One help to be written."""

    id: uuid.UUID
    wish: Help
    verdict: Verdict
    state: str = "counted"
    number: int | None = None
    cut_minor: int | None = None


async def help_bargains(tx: Tx, wishes: Sequence[Help]) -> list[Helped | Refusal]:
    """Count each help that is valid, in order; one answer each.

    Every identity (account, device, card) helps a bargain once and a campaign so often; the k-th
    valid help gets the k-th cut, under the bargain's lock. Refuses ``OwnBargain``,
    ``BargainEnded``, ``BargainComplete``, ``HelpNotCounted`` (with reasons), ``HelpLooksAgain``,
    ``trust.AlreadyUsed``. A constant number of statements, however many helps."""
    answers, asking = await _fit(tx, wishes)
    if asking:
        await _count(tx, wishes, asking, answers)
    return [answers[n] for n in range(len(wishes))]


async def _fit(
    tx: Tx, wishes: Sequence[Help]
) -> tuple[dict[int, Helped | Refusal], dict[int, _Known]]:
    """Answers that need no look at the helper, and who is left."""
    known = {k.position: k for k in await _known(tx, wishes)}
    answers: dict[int, Helped | Refusal] = {}
    asking: dict[int, _Known] = {}
    seen: dict[tuple[uuid.UUID, uuid.UUID], int] = {}
    for n, wish in enumerate(wishes):
        one = known.get(n)
        if one is None:
            answers[n] = NotFound(what="bargain")
        elif one.owner_id == wish.person_id:
            answers[n] = OwnBargain()
        elif one.helped is not None:
            answers[n] = _repeated(one)
        elif one.state == "reached":
            answers[n] = BargainComplete()
        elif one.state != "running" or tx.now >= one.ends_at:
            answers[n] = BargainEnded()
        elif (wish.bargain_id, wish.person_id) in seen:
            answers[n] = trust.AlreadyUsed()
        else:
            seen[wish.bargain_id, wish.person_id] = n
            asking[n] = one
    return answers, asking


def _repeated(one: _Known) -> Helped | Refusal:
    if one.number is not None and one.cut_minor is not None:
        return Helped(one.number, one.cut_minor, one.left_minor, fresh=False)
    if one.helped == "review":
        return HelpLooksAgain()
    return HelpNotCounted(why="it was refused before.", why_zh="此前已被拒绝。", appeal=APPEAL)


async def _count(
    tx: Tx,
    wishes: Sequence[Help],
    asking: Mapping[int, _Known],
    answers: dict[int, Helped | Refusal],
) -> None:
    order = sorted(asking)
    await trust.note(
        tx,
        [
            seen
            for n in order
            for seen in (
                *trust.seen_device(wishes[n].person_id, wishes[n].device),
                *trust.seen_network(wishes[n].person_id, wishes[n].network),
            )
        ],
    )
    verdicts = await trust.judge(tx, [_act(wishes[n], asking[n]) for n in order])
    # Whoever joins clusters holds them and waits for nobody's bargain: so this comes first.
    await trust.keep_still(tx)
    bargains = await locked_bargains(tx, [wishes[n].bargain_id for n in order])
    there = await _helpers(tx, list(bargains))
    writing = {
        n: _Written(id=tx.new_id(), wish=wishes[n], verdict=verdict)
        for n, verdict in zip(order, verdicts, strict=True)
        if (wishes[n].bargain_id, wishes[n].person_id) not in there
    }
    for n in order:
        if n not in writing:
            answers[n] = trust.AlreadyUsed()
    used = await _take(tx, [(n, writing[n], asking[n]) for n in order if n in writing])
    for n in sorted(writing):
        answers[n] = _decided(tx, writing, n, used, bargains)
    await _write(tx, list(writing.values()))
    _tell(tx, writing, bargains)


def _act(wish: Help, known: _Known) -> Act:
    return Act(
        kind=ACT, person_id=wish.person_id, other_id=known.owner_id, document_id=wish.bargain_id
    )


def _decided(
    tx: Tx,
    writing: dict[int, _Written],
    n: int,
    used: Mapping[int, Refusal],
    bargains: dict[uuid.UUID, Live],
) -> Helped | Refusal:
    """What becomes of one help; the bargain moves on by a cut when it is valid."""
    one = writing[n]
    bargain = bargains[one.wish.bargain_id]
    if n in used:
        del writing[n]
        return used[n]
    if one.verdict.decision == "deny":
        one.state = "denied"
        why = one.verdict.reasons[0]
        return HelpNotCounted(why=why.en, why_zh=why.zh, appeal=APPEAL)
    if one.verdict.decision == "review":
        one.state = "review"
        return HelpLooksAgain()
    if not bargain.is_open or tx.now >= bargain.ends_at:
        del writing[n]
        return BargainEnded()
    if bargain.helped >= len(bargain.cuts):
        del writing[n]
        return BargainComplete()
    bargains[bargain.id] = moved = advanced(bargain)
    one.number, one.cut_minor = moved.helped, bargain.cuts[bargain.helped]
    return Helped(moved.helped, one.cut_minor, moved.gap_minor - moved.cut_minor)


def advanced(bargain: Live) -> Live:
    """The bargain after its next valid help. Pure."""
    cut = bargain.cuts[bargain.helped]
    helped = bargain.helped + 1
    return msgspec.structs.replace(
        bargain,
        helped=helped,
        cut_minor=bargain.cut_minor + cut,
        state="reached" if helped == len(bargain.cuts) else bargain.state,
    )


async def _take(tx: Tx, asking: Sequence[tuple[int, _Written, _Known]]) -> dict[int, Refusal]:
    """Hold the uses of whoever the rules let through; who has none left, and why."""
    let = [(n, one, known) for n, one, known in asking if one.verdict.decision == "allow"]
    uses = [use for _, one, known in let for use in _uses(one, known)]
    answers = await trust.take(tx, uses)
    refused: dict[int, Refusal] = {}
    spare: list[uuid.UUID] = []
    for position, (n, _, _) in enumerate(let):
        pair = answers[2 * position : 2 * position + 2]
        lost = next((a for a in pair if isinstance(a, Refusal)), None)
        if lost is not None:
            refused[n] = lost
            spare += [a.hold_id for a in pair if isinstance(a, Held)]
    await ledger.release(tx, spare)
    return refused


def _uses(one: _Written, known: _Known) -> tuple[Use, Use]:
    return (
        Use(
            person_id=one.wish.person_id,
            purpose=help_purpose(one.wish.bargain_id),
            document_kind=ACT,
            document_id=one.id,
        ),
        Use(
            person_id=one.wish.person_id,
            purpose=helps_purpose(known.campaign_id),
            document_kind=ACT,
            document_id=one.id,
            most=known.helps_per_identity,
        ),
    )


async def _write(tx: Tx, helps: Sequence[_Written]) -> None:
    """Helps and what they did to their bargains, in one statement."""
    if not helps:
        return
    await tx.run(
        """
        with help as (
          insert into social.bargain_help
                 (cell, bargain_id, id, person_id, initials, state, number, cut_minor,
                  verdict_id, at)
          select $1, h.bargain_id, h.id, h.person_id, h.initials, h.state, h.number, h.cut_minor,
                 h.verdict_id, $2
            from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
                        $8::smallint[], $9::bigint[], $10::uuid[])
                 as h(bargain_id, id, person_id, initials, state, number, cut_minor, verdict_id)
          returning bargain_id, number, cut_minor
        ), given as (
          select bargain_id, max(number) as helped, sum(cut_minor)::bigint as cut_minor
            from help where number is not null group by bargain_id
        )
        update social.bargain b
           set helped = g.helped, cut_minor = b.cut_minor + g.cut_minor,
               state = case when g.helped = cardinality(b.cuts) then 'reached' else b.state end
          from given g where b.cell = $1 and b.id = g.bargain_id
        """,
        tx.cell,
        tx.now,
        [h.wish.bargain_id for h in helps],
        [h.id for h in helps],
        [h.wish.person_id for h in helps],
        [h.wish.initials for h in helps],
        [h.state for h in helps],
        [h.number for h in helps],
        [h.cut_minor for h in helps],
        [h.verdict.id for h in helps],
    )


def _tell(tx: Tx, writing: Mapping[int, _Written], bargains: Mapping[uuid.UUID, Live]) -> None:
    for one in writing.values():
        if one.number is None or one.cut_minor is None:
            continue
        bargain = bargains[one.wish.bargain_id]
        tell_helped(tx, bargain, one.number, one.wish.person_id)


def tell_helped(tx: Tx, bargain: Live, number: int, person_id: uuid.UUID | None) -> None:
    """One valid help, and the floor when it was the last."""
    tx.emit(
        BargainHelped(
            bargain_id=bargain.id,
            campaign_id=bargain.campaign_id,
            person_id=person_id,
            number=number,
            cut_minor=bargain.cuts[number - 1],
            left_minor=sum(bargain.cuts[number:]),
        )
    )
    if number == len(bargain.cuts):
        tx.emit(
            BargainReached(
                bargain_id=bargain.id,
                campaign_id=bargain.campaign_id,
                person_id=bargain.person_id,
            )
        )


async def _known(tx: Tx, wishes: Sequence[Help]) -> list[_Known]:
    return await tx.rows(
        _Known,
        """
        select (w.n - 1)::int as position, b.person_id as owner_id, b.campaign_id,
               c.helps_per_identity, b.state, b.ends_at,
               b.list_minor - b.floor_minor - b.cut_minor as left_minor,
               h.state as helped, h.number, h.cut_minor
          from unnest($2::uuid[], $3::uuid[]) with ordinality as w(bargain_id, person_id, n)
          join social.bargain b on b.cell = $1 and b.id = w.bargain_id
          join social.bargain_campaign c on c.cell = b.cell and c.id = b.campaign_id
          left join social.bargain_help h on h.cell = b.cell and h.bargain_id = b.id
               and h.person_id = w.person_id
         order by w.n
        """,
        tx.cell,
        [w.bargain_id for w in wishes],
        [w.person_id for w in wishes],
    )


class _Pair(msgspec.Struct, frozen=True):
    bargain_id: uuid.UUID
    person_id: uuid.UUID


async def _helpers(tx: Tx, bargain_ids: Sequence[uuid.UUID]) -> set[tuple[uuid.UUID, uuid.UUID]]:
    """Who has helped, once the locks are held."""
    rows = await tx.rows(
        _Pair,
        """
        select bargain_id, person_id from social.bargain_help
         where cell = $1 and bargain_id = any($2::uuid[]) and person_id is not null
        """,
        tx.cell,
        list(bargain_ids),
    )
    return {(row.bargain_id, row.person_id) for row in rows}


class _Reviewed(msgspec.Struct, frozen=True):
    id: uuid.UUID
    bargain_id: uuid.UUID
    person_id: uuid.UUID | None
    helps_per_identity: int


async def settle_reviewed(tx: Tx, verdict_id: uuid.UUID, *, is_allowed: bool) -> None:
    """A person has looked at a help that waited (or was refused): it is counted when its bargain
    still runs, else it stays as it is. Safe to repeat."""
    found = await tx.row(
        _Reviewed,
        """
        select h.id, h.bargain_id, h.person_id, c.helps_per_identity
          from social.bargain_help h
          join social.bargain b on b.cell = h.cell and b.id = h.bargain_id
          join social.bargain_campaign c on c.cell = b.cell and c.id = b.campaign_id
         where h.cell = $1 and h.verdict_id = $2 and h.state in ('review', 'denied')
        """,
        tx.cell,
        verdict_id,
    )
    if found is None or found.person_id is None:
        return
    await trust.keep_still(tx)
    bargain = (await locked_bargains(tx, [found.bargain_id]))[found.bargain_id]
    open_still = bargain.state == "running" and tx.now < bargain.ends_at
    state, number, cut = "denied", None, None
    if is_allowed and open_still:
        use = Use(
            person_id=found.person_id,
            purpose=help_purpose(found.bargain_id),
            document_kind=ACT,
            document_id=found.id,
        )
        [held] = await trust.take(tx, [use])
        if isinstance(held, Held):
            state, number, cut = "counted", bargain.helped + 1, bargain.cuts[bargain.helped]
    changed = await tx.run(
        """
        with help as (
          update social.bargain_help set state = $4, number = $5, cut_minor = $6
           where cell = $1 and bargain_id = $2 and id = $3 and state in ('review', 'denied')
          returning number, cut_minor
        )
        update social.bargain b
           set helped = h.number, cut_minor = b.cut_minor + h.cut_minor,
               state = case when h.number = cardinality(b.cuts) then 'reached' else b.state end
          from help h where b.cell = $1 and b.id = $2 and h.number is not null
        """,
        tx.cell,
        found.bargain_id,
        found.id,
        state,
        number,
        cut,
    )
    if changed and number is not None:
        tell_helped(tx, bargain, number, found.person_id)
