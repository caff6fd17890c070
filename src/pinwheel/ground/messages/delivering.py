"""Handing letters over: claim under a lease, look once more, carry with no transaction open, and
record what became of it.

A process that dies between handing over and recording leaves a letter of which nobody knows whether
it arrived. A marketing letter is then left alone (nobody is written to twice); a letter about
somebody's own affairs is sent again under the same ``Message-ID``, by which mail programs see one.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from pinwheel.ground.messages import post
from pinwheel.ground.messages.actions import SEALED_CONTENT, SEALED_EMAIL
from pinwheel.ground.messages.composing import raw_letter
from pinwheel.ground.messages.consent import suppress
from pinwheel.ground.messages.holding import rules
from pinwheel.ground.messages.model import (
    MOST_ATTEMPTS,
    Purpose,
    Rules,
    after_quiet,
    back_off,
)
from pinwheel.ground.messages.post import Outcome, Outgoing, Post
from pinwheel.ground.messages.wording import Words
from pinwheel.kernel.db import Database, Tx

AT_ONCE = 50
LEASE_SECONDS = 150
ROUND_SECONDS = 40.0


class Claimed(msgspec.Struct, frozen=True):
    """One letter that is due, with all that judging and sending it takes."""

    id: uuid.UUID
    attempts: int
    purpose: Purpose
    language: str
    content: str | None
    deadline_at: dt.datetime
    address_hash: bytes
    email: str | None
    domain: str
    zone: str | None


class Verdict(msgspec.Struct, frozen=True):
    """``next_at``: not now; ``state``: never."""

    id: uuid.UUID
    attempts: int
    state: str
    next_at: dt.datetime
    note: str


async def deliver_due(db: Database) -> int:
    """Hand over what is due, until there is no more or it is the others' turn; how many."""
    until, handed = time.monotonic() + ROUND_SECONDS, 0
    while time.monotonic() < until:
        claimed = await _round(db)
        if not claimed:
            break
        handed += claimed
    return handed


async def _round(db: Database) -> int:
    house = post.of(db)
    async with db.transaction(actor="messages") as tx:
        due, holding = await claim(tx), await rules(tx)
        ready = await _judge(tx, due, holding, house)
    if not ready:
        return len(due)
    letters = [_outgoing(db, one, house) for one in ready]
    attempts = {one.id: one.attempts for one in ready}

    async def may_go(ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        async with db.transaction(actor="messages") as tx:
            return await hand_over(tx, {i: attempts[i] for i in ids}, holding)

    outcomes = await house.carrier.carry(letters, may_go)
    async with db.transaction(actor="messages") as tx:
        await record(tx, outcomes)
    return len(due)


async def claim(tx: Tx) -> list[Claimed]:
    """Take a handful of what is due, so that nobody else does meanwhile. Letters whose carrier fell
    silent are settled first. A try is counted when it begins."""
    await tx.run(
        """
        update messages.message
           set state = case purpose when 'marketing' then 'unsure' else 'waiting' end,
               ended_at = case purpose when 'marketing' then $2::timestamptz end,
               next_at = $2, leased_until = null,
               note = 'the carrier fell silent while it was handed over'
         where cell = $1 and state = 'handing' and leased_until < $2
        """,
        tx.cell,
        tx.now,
    )
    return await tx.rows(
        Claimed,
        """
        with due as (
          select id from messages.message
           where cell = $1 and state = 'waiting' and next_at <= $2
             and (leased_until is null or leased_until < $2)
           order by next_at, id limit $4 for update skip locked)
        update messages.message m set leased_until = $3, attempts = m.attempts + 1
          from due, messages.address a
         where m.cell = $1 and m.id = due.id and a.cell = $1 and a.hash = m.address_hash
        returning m.id, m.attempts, m.purpose, m.language, m.content, m.deadline_at,
                  m.address_hash, a.email, a.domain, a.zone
        """,
        tx.cell,
        tx.now,
        tx.later_than(LEASE_SECONDS),
        AT_ONCE,
    )


async def _judge(tx: Tx, due: Sequence[Claimed], holding: Rules, house: Post) -> list[Claimed]:
    """Those to be carried now; the others are put off or ended here."""
    verdicts, left = [], []
    for one in due:
        verdict = _verdict(tx, one, holding, house)
        if verdict is None:
            left.append(one)
        else:
            verdicts.append(verdict)
    ready: list[Claimed] = []
    waits = await pace(tx, left, holding) if not house.is_local else {}
    for one in left:
        wait = waits.get(one.id, 0.0)
        if wait <= 0:
            ready.append(one)
        else:
            at = tx.later_than(wait)
            verdicts.append(Verdict(one.id, one.attempts, "waiting", at, "the pace of its system"))
    await _settle(tx, verdicts)
    return ready


def _verdict(tx: Tx, one: Claimed, holding: Rules, house: Post) -> Verdict | None:
    if one.deadline_at <= tx.now:
        return Verdict(one.id, one.attempts, "expired", tx.now, "too late to be of use")
    if one.email is None or one.content is None:
        return Verdict(one.id, one.attempts, "suppressed", tx.now, "the person was erased")
    if one.purpose == "marketing":
        at = after_quiet(tx.now, holding, one.zone or house.zone)
        if at > tx.now:
            return Verdict(one.id, one.attempts, "waiting", at, "quiet hours")
    return None


async def pace(tx: Tx, due: Sequence[Claimed], holding: Rules) -> dict[uuid.UUID, float]:
    """How many seconds each letter must wait for its mail system's bucket (0: goes now). Buckets
    hold a minute's letters and are locked in the order of their names."""
    by_domain: dict[str, list[uuid.UUID]] = {}
    for one in due:
        by_domain.setdefault(one.domain, []).append(one.id)
    if not by_domain:
        return {}
    names = sorted(by_domain)
    most, each = float(holding.per_minute), 60.0 / holding.per_minute
    filled = await tx.rows(
        Bucket,
        """
        insert into messages.pace as p (cell, domain, tokens, at)
        select $1, d.domain, greatest($4 - d.wanted, 0), $5
          from unnest($2::text[], $3::float8[]) as d(domain, wanted)
        on conflict (cell, domain) do update set at = $5,
           tokens = greatest(least($4, p.tokens + extract(epoch from $5 - p.at)::float8 / $6)
                             - ($4 - excluded.tokens), 0)
        returning domain,
          (select least($4, o.tokens + extract(epoch from $5 - o.at)::float8 / $6)
             from messages.pace o where o.cell = $1 and o.domain = p.domain) as before
        """,
        tx.cell,
        names,
        [float(min(len(by_domain[n]), holding.per_minute)) for n in names],
        most,
        tx.now,
        each,
    )
    room = {b.domain: most if b.before is None else b.before for b in filled}
    waits: dict[uuid.UUID, float] = {}
    for name, ids in by_domain.items():
        free = int(room[name])
        for place, message_id in enumerate(ids):
            waits[message_id] = 0.0 if place < free else (place - free + 1) * each
    return waits


class Bucket(msgspec.Struct, frozen=True):
    domain: str
    before: float | None


async def _settle(tx: Tx, verdicts: Sequence[Verdict]) -> None:
    """Put off or end. What is put off for no fault of its own has not used up a try."""
    if not verdicts:
        return
    await tx.run(
        """
        update messages.message m
           set state = v.state, next_at = v.next_at, note = v.note, leased_until = null,
               attempts = m.attempts - case v.state when 'waiting' then 1 else 0 end,
               ended_at = case v.state when 'waiting' then null else $2::timestamptz end
          from unnest($3::uuid[], $4::int[], $5::text[], $6::timestamptz[], $7::text[])
               as v(id, attempts, state, next_at, note)
         where m.cell = $1 and m.id = v.id and m.attempts = v.attempts
           and m.state in ('waiting', 'handing')
        """,
        tx.cell,
        tx.now,
        [v.id for v in verdicts],
        [v.attempts for v in verdicts],
        [v.state for v in verdicts],
        [v.next_at for v in verdicts],
        [v.note for v in verdicts],
    )


class Fitness(msgspec.Struct, frozen=True):
    id: uuid.UUID
    attempts: int
    address_hash: bytes
    purpose: Purpose
    refused: str | None
    free_at: dt.datetime | None


async def hand_over(tx: Tx, attempts: Mapping[uuid.UUID, int], holding: Rules) -> set[uuid.UUID]:
    """The last look. Under each address's lock: has it said no, has it had enough? Those that may
    go are marked as being handed over; the others are ended or put off here. 4 statements."""
    ids = sorted(attempts)
    await tx.values(
        """
        select a.hash from messages.address a
         where a.cell = $1 and a.hash in
               (select address_hash from messages.message where cell = $1 and id = any($2::uuid[]))
         order by a.hash for update
        """,
        tx.cell,
        ids,
    )
    found = await tx.rows(
        Fitness,
        """
        select m.id, m.attempts, m.address_hash, m.purpose,
               case when m.purpose = 'marketing' and a.subscribed_at is null then 'unsubscribed'
                    else (select min(s.reason) from messages.suppression s
                           where s.cell = $1 and s.address_hash = a.hash and s.lifted_at is null
                             and (m.purpose = 'marketing' or s.reason in ('bounce', 'erased')))
               end as refused,
               case when m.purpose = 'marketing' then
                 (select h.handed_at + make_interval(days => $3) from messages.message h
                   where h.cell = $1 and h.address_hash = a.hash and h.purpose = 'marketing'
                     and h.handed_at > $4::timestamptz - make_interval(days => $3)
                   order by h.handed_at desc offset $5 - 1 limit 1)
               end as free_at
          from messages.message m
          join messages.address a on a.cell = m.cell and a.hash = m.address_hash
         where m.cell = $1 and m.id = any($2::uuid[]) and m.state = 'waiting'
         order by m.id
        """,
        tx.cell,
        ids,
        holding.window_days,
        tx.now,
        holding.cap,
    )
    go, verdicts, sent_to = [], [], set[bytes]()
    for one in found:
        if one.attempts != attempts[one.id]:
            continue  # somebody else's by now
        if one.refused is not None:
            verdicts.append(Verdict(one.id, one.attempts, "suppressed", tx.now, one.refused))
        elif one.free_at is not None:
            verdicts.append(Verdict(one.id, one.attempts, "waiting", one.free_at, "had enough"))
        elif one.purpose == "marketing" and one.address_hash in sent_to:
            # Its neighbour in this batch goes first: the cap is looked at again right after.
            verdicts.append(Verdict(one.id, one.attempts, "waiting", tx.now, "after another"))
        else:
            go.append(one.id)
            if one.purpose == "marketing":
                sent_to.add(one.address_hash)
    await _settle(tx, verdicts)
    await _mark(tx, go, sent_to)
    return set(go)


async def _mark(tx: Tx, go: Sequence[uuid.UUID], sent_to: set[bytes]) -> None:
    await tx.run(
        """
        with marked as (
          update messages.address set handed_at = greatest(handed_at, $3)
           where cell = $1 and hash = any($4::bytea[]))
        update messages.message set state = 'handing', handed_at = $3
         where cell = $1 and id = any($2::uuid[])
        """,
        tx.cell,
        list(go),
        tx.now,
        list(sent_to),
    )


class _Refused(msgspec.Struct, frozen=True):
    address_hash: bytes


async def record(tx: Tx, outcomes: Sequence[Outcome]) -> None:
    """What became of letters. An answer that comes after the lease ran out changes nothing."""
    if not outcomes:
        return
    refused = await tx.rows(
        _Refused,
        """
        with said as (
          select m.id, o.attempts, o.kind, o.note, o.wait, o.is_bad_address,
                 case when o.kind = 'sent' then 'sent'
                      when o.kind = 'unsure' and m.purpose = 'marketing' then 'unsure'
                      when o.kind = 'refused' or m.attempts >= $2 then 'dead'
                      else 'waiting' end as state
            from unnest($4::uuid[], $5::int[], $6::text[], $7::text[], $8::int[], $9::bool[])
                 as o(id, attempts, kind, note, wait, is_bad_address)
            join messages.message m on m.cell = $1 and m.id = o.id
        ), told as (
          update messages.message m
             set state = s.state, note = s.note, leased_until = null,
                 handed_at = case when s.kind in ('retry', 'refused') then null
                                  else m.handed_at end,
                 next_at = $3::timestamptz + make_interval(secs => s.wait),
                 ended_at = case s.state when 'waiting' then null else $3::timestamptz end
            from said s
           where m.cell = $1 and m.id = s.id and m.attempts = s.attempts
             and m.state in ('waiting', 'handing')
          returning m.address_hash, s.is_bad_address
        )
        select distinct address_hash from told where is_bad_address
        """,
        tx.cell,
        MOST_ATTEMPTS,
        tx.now,
        [o.id for o in outcomes],
        [o.attempts for o in outcomes],
        [o.kind for o in outcomes],
        [o.note.replace("\0", "") for o in outcomes],
        [back_off(o.attempts) for o in outcomes],
        [o.is_bad_address for o in outcomes],
    )
    if refused:
        await suppress(tx, [r.address_hash for r in refused], "bounce", "the mail server")


def _outgoing(db: Database, one: Claimed, house: Post) -> Outgoing:
    assert one.email is not None and one.content is not None
    email = db.vault.open(one.email, SEALED_EMAIL)
    said = msgspec.json.decode(db.vault.open(one.content, SEALED_CONTENT), type=Words)
    raw = raw_letter(
        db.vault,
        house,
        message_id=one.id,
        to=email,
        said=said,
        language=one.language,
        address_hash=one.address_hash if one.purpose == "marketing" else None,
    )
    return Outgoing(id=one.id, attempts=one.attempts, to=email, raw=raw)
