"""Planted fraud, measured: precision and recall on seeds nobody tuned by, beside a baseline.

What is counted: every account asks once for what is one to each person. Right is to refuse whoever
asks again under another account, or to call the order back when that turns out later. A refusal is
wrong when nobody of the same household has had it: two people of one household who share a device
are one identity by the stated rule and count neither way."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import msgspec
import pytest

from ground.trust.crowd import Account, Crowd
from pinwheel.ground import ledger, trust
from pinwheel.ground.trust import Use, UseExceeded
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database

HELD_OUT = (4101, 4102)
EXCEEDED = UseExceeded.kind()


class Measured(msgspec.Struct):
    caught: int = 0
    missed: int = 0
    wrong: int = 0

    @property
    def precision(self) -> float:
        return self.caught / max(1, self.caught + self.wrong)

    @property
    def recall(self) -> float:
        return self.caught / max(1, self.caught + self.missed)

    def count(self, refused: bool, again: bool) -> None:
        self.caught += refused and again
        self.missed += not refused and again
        self.wrong += refused and not again


async def replayed(db: Database, crowd: Crowd, home_most: int) -> tuple[Measured, Measured, int]:
    """Everybody asks once, in the order they come: (ours, device alone, most that one farm kept).

    A use that turned out to be one too many counts as caught: its order is called back."""
    documents = {account.id: uuid.uuid4() for account in crowd.accounts}
    got: list[Account] = []
    by_device: set[str] = set()
    baseline, owners = Measured(), set[str]()
    for account in crowd.accounts:
        async with db.transaction(actor="test") as tx:
            await trust.note(tx, account.seen)
            wish = Use(
                person_id=account.id,
                purpose=f"newcomer:{home_most}",
                document_kind="order",
                document_id=documents[account.id],
                home_most=home_most,
            )
            [answer] = await trust.take(tx, [wish])
        if isinstance(answer, ledger.Held):
            got.append(account)
        if account.farm or account.owner not in owners:
            baseline.count(account.device in by_device, account.owner in owners)
        by_device.add(account.device)
        owners.add(account.owner)
    async with db.reading() as tx:
        gone = set(await tx.values("select subject_id from kernel.event where kind = $1", EXCEEDED))
    kept = {account.id for account in got if documents[account.id] not in gone}
    ours, had = Measured(), dict[str, int]()
    for account in crowd.accounts:
        refused = account.id not in kept
        if not account.farm:  # a household's second may be refused or not; a first may not
            ours.wrong += refused and not had.get(account.owner)
        had[account.owner] = had.get(account.owner, 0) + (not refused)
    farms = sorted({a.owner for a in crowd.accounts if a.farm})
    for owner in farms:  # which of its orders is left does not matter, one may be
        size = sum(a.owner == owner for a in crowd.accounts)
        ours.caught += size - max(1, had[owner])
        ours.missed += max(0, had[owner] - 1)
        ours.wrong += had[owner] == 0
    return ours, baseline, max(had[owner] for owner in farms)


@pytest.mark.parametrize("seed", HELD_OUT)
async def test_one_to_a_person_against_rotating_farms(
    db: Database, seed: int, record_property: Callable[[str, object], None]
) -> None:
    ours, baseline, most = await replayed(db, Crowd(seed, households=80, farms=3), 0)
    record_property(
        "measured",
        f"seed {seed}: precision {ours.precision:.3f} recall {ours.recall:.3f}; device alone"
        f" {baseline.precision:.3f} {baseline.recall:.3f}; most to one farm of fifty: {most}",
    )
    assert ours.precision >= 0.98
    assert ours.recall >= 0.9
    assert ours.recall > baseline.recall + 0.15
    assert [c for c in await audit.run(db, ["pinwheel.ground.trust"]) if c.broken] == []


async def test_what_three_to_a_home_costs(
    db: Database, record_property: Callable[[str, object], None]
) -> None:
    """The dial of a pool: it catches little that identities don't, and refuses colleagues whose
    parcels go to one desk. Who is refused is told how to have it looked at."""
    ours, _, most = await replayed(db, Crowd(HELD_OUT[0], households=80, farms=2), 3)
    record_property(
        "measured",
        f"three to a home: {ours.precision:.3f} {ours.recall:.3f}; most to one farm: {most}",
    )
    assert ours.precision >= 0.85
    assert ours.recall >= 0.9


@pytest.mark.parametrize("seed", HELD_OUT)
async def test_invitations_and_helpers(
    db: Database, seed: int, record_property: Callable[[str, object], None]
) -> None:
    crowd = Crowd(seed, households=40, farms=1)
    acts = [*crowd.invitations(), *crowd.helps()]
    crowd.rng.shuffle(acts)
    async with db.transaction(actor="test") as tx:
        await trust.note(tx, [s for a in crowd.accounts for s in a.seen])
    ids: list[uuid.UUID] = []
    for start in range(0, len(acts), 100):
        async with db.transaction(actor="test") as tx:
            found = await trust.judge(tx, [act for act, _ in acts[start : start + 100]])
            assert tx.statements == 4
            ids += [v.id for v in found]
    async with db.transaction(actor="test") as tx:  # before it is paid out
        verdicts = await trust.again(tx, ids)
    held, refused = Measured(), Measured()
    for (_, planted), verdict in zip(acts, verdicts, strict=True):
        assert verdict.decision == "allow" or verdict.reasons
        held.count(verdict.decision != "allow", planted)
        refused.count(verdict.decision == "deny", planted)
    record_property(
        "measured",
        f"seed {seed}: {len(acts)} acts; held up: precision {held.precision:.3f} recall"
        f" {held.recall:.3f}; refused: {refused.precision:.3f} {refused.recall:.3f}",
    )
    assert held.recall >= 0.9
    assert held.precision >= 0.95
    assert refused.precision >= 0.98
    assert [c for c in await audit.run(db, ["pinwheel.ground.trust"]) if c.broken] == []
