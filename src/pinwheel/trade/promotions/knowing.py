"""What the database must be asked before promotions are applied to a batch: coupons and codes, how
often something may still be used, whose first order it is, whose turn. One statement."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from pinwheel.ground.ledger import Account
from pinwheel.kernel.db import Tx
from pinwheel.trade.orders import Draft
from pinwheel.trade.promotions import model
from pinwheel.trade.promotions.book import Book, Rule, plain


class Entitled(msgspec.Struct, frozen=True):
    """A draft's right to a promotion: by the public code, a unique code or a coupon. ``lapsed``:
    why it is none any more ("expired", "revoked"); ``until``: when this one ends."""

    code: str  # as it was entered
    promotion_id: uuid.UUID
    coupon_id: uuid.UUID | None = None
    digest: bytes | None = None
    until: dt.datetime | None = None
    lapsed: str = ""

    @property
    def once(self) -> Account | None:
        if self.coupon_id is not None:
            return model.once(self.promotion_id, str(self.coupon_id))
        if self.digest is not None:
            return model.once(self.promotion_id, self.digest.hex())
        return None


class Facts(msgspec.Struct):
    """What is known for a batch. ``rooms``: how often each account may still be used."""

    entitled: dict[uuid.UUID, list[Entitled]]  # by draft
    unknown: dict[uuid.UUID, list[str]]
    rooms: dict[int, int]
    bought: set[uuid.UUID]  # people who have an order
    turns: dict[tuple[uuid.UUID, uuid.UUID], uuid.UUID]  # (promotion, person): waiting
    segments: Mapping[uuid.UUID, frozenset[str]]

    def room(self, account: Account) -> int:
        """An account that nobody used yet is as full as its floor says."""
        found = self.rooms.get(account.id)
        return -(account.floor or 0) if found is None else found

    def take(self, account: Account, amount: int) -> None:
        self.rooms[account.id] = self.room(account) - amount


class _Row(msgspec.Struct, frozen=True):
    kind: str
    promotion_id: uuid.UUID | None
    id: uuid.UUID | None
    digest: bytes | None
    number: int
    until: dt.datetime | None
    why: str


def digest_of(tx: Tx, code: str) -> bytes:
    """Under which a unique code is known again."""
    return tx.db.vault.blind(readable(code), "promotions.code")


def readable(code: str) -> str:
    """A unique code as it was meant: O is 0, I and L are 1."""
    return plain(code).translate(str.maketrans("OIL", "011"))


def pools_of(rule: Rule, person_id: uuid.UUID | None) -> list[Account]:
    """The accounts that using ``rule`` draws on."""
    found = []
    if rule.limits.uses is not None:
        found.append(model.pool(rule.id, rule.limits.uses))
    if rule.limits.per_person is not None and person_id is not None:
        found.append(model.own_pool(rule.id, person_id, rule.limits.per_person))
    return found


class _Asked(msgspec.Struct):
    """What the one statement is about."""

    codes: dict[uuid.UUID, list[tuple[str, bytes]]] = {}  # by draft: as typed, digest
    coupons: dict[uuid.UUID, list[tuple[str, uuid.UUID]]] = {}
    accounts: set[int] = set()
    people: set[uuid.UUID] = set()
    deals: set[uuid.UUID] = set()

    @property
    def is_nothing(self) -> bool:
        return not (self.codes or self.coupons or self.accounts or self.people or self.deals)


async def facts_of(
    tx: Tx,
    book: Book,
    drafts: Sequence[Draft],
    matching: Mapping[uuid.UUID, Mapping[uuid.UUID, Sequence[int]]],
) -> Facts:
    """No statement when nothing has to be known, else one."""
    facts = Facts({}, {}, {}, set(), {}, {})
    asked = _asked(tx, book, drafts, matching, facts)
    if not asked.is_nothing:
        rows = await _ask(tx, asked, [d.person_id for d in drafts if d.person_id is not None])
        _understand(drafts, asked, rows, facts)
    return facts


def _asked(
    tx: Tx,
    book: Book,
    drafts: Sequence[Draft],
    matching: Mapping[uuid.UUID, Mapping[uuid.UUID, Sequence[int]]],
    facts: Facts,
) -> _Asked:
    """Public codes are known here; all other codes, and what is limited, must be asked for."""
    asked = _Asked()
    for draft in drafts:
        for code in dict.fromkeys(draft.coupons):
            public, coupon_id = book.codes.get(plain(code)), coupon_of(code)
            if public is not None:
                facts.entitled.setdefault(draft.id, []).append(Entitled(code, public))
            elif coupon_id is not None:
                asked.coupons.setdefault(draft.id, []).append((code, coupon_id))
                asked.accounts.add(once_id(str(coupon_id)))
            else:
                digest = digest_of(tx, code)
                asked.codes.setdefault(draft.id, []).append((code, digest))
                asked.accounts.add(once_id(digest.hex()))
        for promotion_id in matching[draft.id]:
            rule = book.rules[promotion_id]
            if rule.needs_state:
                asked.accounts.update(a.id for a in pools_of(rule, draft.person_id))
                if rule.terms.conditions.first_order and draft.person_id is not None:
                    asked.people.add(draft.person_id)
                if rule.is_deal and draft.person_id is not None:
                    asked.deals.add(rule.id)
    return asked


def once_id(what: str) -> int:
    """An account's id comes of its code alone, whatever promotion a coupon turns out to be of."""
    return model.once(uuid.UUID(int=0), what).id


def coupon_of(code: str) -> uuid.UUID | None:
    """A coupon of a wallet is named by its id."""
    try:
        return uuid.UUID(code) if len(code) == 36 else None
    except ValueError:
        return None


async def _ask(tx: Tx, asked: _Asked, known: Sequence[uuid.UUID]) -> list[_Row]:
    return await tx.rows(
        _Row,
        """
        select 'code' as kind, c.promotion_id, null::uuid as id, c.digest, 0::bigint as number,
               c.expires_at as until, '' as why
          from promotions.code c where c.cell = $1 and c.digest = any($2::bytea[])
        union all
        select 'lapsed', p.id, null, null, 0, p.ends_at, p.code
          from promotions.promotion p where p.code = any($3::text[]) and p.state <> 'draft'
        union all
        select 'coupon', c.promotion_id, c.id, uuid_send(c.person_id), 0, c.expires_at,
               case when c.revoked_at is not null then 'revoked' else '' end
          from promotions.coupon c
         where c.cell = $1 and c.id = any($4::uuid[]) and c.person_id = any($8::uuid[])
        union all
        select 'room', null, null, null, b.available - b.floor, null, b.account_id::text
          from ledger.v_balance b where b.cell = $1 and b.account_id = any($5::bigint[])
        union all
        select 'bought', null, p.id, null, 0, null, '' from unnest($6::uuid[]) as p(id)
         where exists (select from orders.v_line l
                        where l.cell = $1 and l.person_id = p.id and l.state <> 'cancelled')
        union all
        select 'turn', w.promotion_id, w.id, uuid_send(w.person_id), 0, w.until, ''
          from promotions.waiting w
         where w.cell = $1 and w.promotion_id = any($7::uuid[]) and w.person_id = any($8::uuid[])
           and w.state = 'called' and w.until > $9
        """,
        tx.cell,
        sorted({digest for found in asked.codes.values() for _, digest in found}),
        sorted({plain(code) for found in asked.codes.values() for code, _ in found}),
        sorted({i for found in asked.coupons.values() for _, i in found}),
        sorted(asked.accounts),
        sorted(asked.people),
        sorted(asked.deals),
        sorted(set(known)),
        tx.now,
    )


def _understand(drafts: Sequence[Draft], asked: _Asked, rows: Sequence[_Row], facts: Facts) -> None:
    codes = {r.digest: r for r in rows if r.kind == "code"}
    coupons = {(r.id, r.digest): r for r in rows if r.kind == "coupon"}
    lapsed = {r.why: r for r in rows if r.kind == "lapsed"}
    facts.rooms = {int(r.why): r.number for r in rows if r.kind == "room"}
    facts.bought = {r.id for r in rows if r.kind == "bought" and r.id is not None}
    for row in rows:
        if row.kind == "turn" and row.promotion_id and row.id and row.digest:
            facts.turns[row.promotion_id, uuid.UUID(bytes=row.digest)] = row.id
    for draft in drafts:
        mine = facts.entitled.setdefault(draft.id, [])
        unknown = facts.unknown.setdefault(draft.id, [])
        for typed, digest in asked.codes.get(draft.id, ()):
            unique, old = codes.get(digest), lapsed.get(plain(typed))
            if unique is not None and unique.promotion_id is not None:
                right = Entitled(typed, unique.promotion_id, digest=digest, until=unique.until)
                mine.append(right)
            elif old is not None and old.promotion_id is not None:
                mine.append(Entitled(typed, old.promotion_id, lapsed="expired"))
            else:
                unknown.append(typed)
        for typed, coupon_id in asked.coupons.get(draft.id, ()):
            owner = draft.person_id.bytes if draft.person_id is not None else b""
            held = coupons.get((coupon_id, owner))
            if held is None or held.promotion_id is None:
                unknown.append(typed)
                continue
            mine.append(
                Entitled(
                    typed,
                    held.promotion_id,
                    coupon_id=coupon_id,
                    until=held.until,
                    lapsed=held.why,
                )
            )
