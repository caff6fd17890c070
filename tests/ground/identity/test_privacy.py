"""Personal data: declared, sealed, copied on request, forgotten on request and by the clock."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from pinwheel.ground import identity
from pinwheel.ground.identity import model, privacy
from pinwheel.kernel.caller import Caller
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.vault import Unsealable, Vault

LOOKS_PERSONAL = re.compile(
    r"(^|_)(email|phone|mobile|address|recipient|birth|birthday|ip|agent"
    r"|fingerprint|passport|surname|nickname|contact|postal_code|id_card|tax_number)($|_)"
    r"|^(recipient_name|buyer_name|customer_name|person_name|line1|line2)$"
)
HEAD = """# Data map

Every column with personal data, what it is for and how long it stays. Made from the comments on
the columns (`comment on column … is 'pii: <purpose>; <retention>'`); a test fails on a column that
looks personal and is not declared. *Sealed* fields are encrypted by the application.

| column | purpose | retention |
|---|---|---|
"""
MAP = Path(__file__).parents[3] / "docs" / "data-map.md"


async def undeclared(tx: Tx) -> list[str]:
    columns = await tx.values(
        """
        select format('%s.%s.%s', n.nspname, c.relname, a.attname)
          from pg_class c
          join pg_namespace n on n.oid = c.relnamespace
          join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relkind in ('r', 'p') and not c.relispartition
           and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
           and a.atttypid::regtype::text
               in ('text', 'text[]', 'bytea', 'jsonb', 'inet', 'cidr', 'date')
           and coalesce(col_description(c.oid, a.attnum), '') !~ '^(pii: .+; .+|not pii: .+)'
        """
    )
    return sorted(c for c in columns if LOOKS_PERSONAL.search(c.rsplit(".", 1)[-1]))


async def test_every_column_with_personal_data_is_declared(db: Database) -> None:
    async with db.reading() as tx:
        found = await undeclared(tx)
    assert not found, (
        f"say what for and how long: comment on column … is 'pii: <purpose>; <retention>': {found}"
    )


async def test_an_undeclared_column_is_found(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.connection.execute("create table kernel.spy (id uuid, home_phone text)")
        assert await undeclared(tx) == ["kernel.spy.home_phone"]


async def test_the_written_map_is_the_schema_s(db: Database) -> None:
    async with db.reading() as tx:
        lines = await identity.data_map(tx)
    text = HEAD + "".join(
        "| `{}` | {} | {} |\n".format(x.column, *x.declaration.split("; ", 1)) for x in lines
    )
    if os.environ.get("PINWHEEL_WRITE"):
        MAP.write_text(text, encoding="utf-8")
    same = MAP.read_text(encoding="utf-8") == text
    assert same, "docs/data-map.md is old: run this test once with PINWHEEL_WRITE=1"


async def person_with_everything(db: Database) -> identity.Person:
    async with db.transaction(actor="buyer:test") as tx:
        person = await identity.register(tx, "ann@example.com", name="Ann")
        new = model.NewAddress(
            recipient_name="Ann", country="CN", city="Suzhou", line1="1 Lake Road", phone="5550100"
        )
        await identity.add_address(tx, person.id, new)
        for granted in (True, False):
            await identity.record_consent(
                tx, person.id, "marketing", "email", granted, {"words": "Letters, please"}
            )
        await identity.make_key(tx, Caller(kind="buyer", person_id=person.id), "my key", [])
    return person


async def test_consent_is_a_ledger_and_the_last_word_counts(db: Database) -> None:
    person = await person_with_everything(db)
    async with db.reading() as tx:
        assert await identity.with_consent(tx, [person.id], "marketing", "email") == set()
        assert await identity.with_consent(tx, [person.id], "analytics", "web") == set()
        assert await tx.value("select count(*) from identity.consent") == 2
    async with db.transaction() as tx:
        await identity.record_consent(tx, person.id, "marketing", "email", True, {})
        assert await identity.with_consent(tx, [person.id], "marketing", "email") == {person.id}


async def test_a_copy_holds_everything_and_is_itself_recorded(db: Database) -> None:
    person = await person_with_everything(db)

    async def orders(tx: Tx, person_id: uuid.UUID) -> Any:
        return [{"order": str(person_id)}]

    async with db.transaction(actor="buyer:test") as tx:
        copy = await identity.export_person(tx, person.id, [("orders", orders)])
    assert copy["person"]["email"] == "ann@example.com"
    assert copy["addresses"][0]["phone"] == "5550100"
    assert [c["is_granted"] for c in copy["consents"]] == [True, False]
    assert copy["orders"] == [{"order": str(person.id)}]
    assert "hash" not in str(copy)
    async with db.reading() as tx:
        (line,) = await privacy.access_to(tx, person.id)
    assert (line.actor, line.what) == ("buyer:test", "export")


async def test_whoever_is_erased_is_nameless_everywhere_and_the_books_stay(db: Database) -> None:
    person = await person_with_everything(db)
    async with db.transaction() as tx:
        await identity.request_code(tx, "ann@example.com", "en")
    for _ in range(2):
        async with db.transaction() as tx:
            await identity.erase_person(tx, person.id)
    async with db.reading() as tx:
        found = await identity.person_of(tx, person.id)
        assert (found.email, found.name) == (None, None)
        assert await identity.addresses_of(tx, person.id) == []
        assert await identity.person_with_email(tx, "ann@example.com") is None
        assert all(k.revoked_at for k in await identity.keys_of(tx, person.id))
        assert await tx.value("select count(*) from identity.code") == 0
        assert await tx.value("select count(*) from identity.consent") == 2
        kinds = await tx.values("select kind from kernel.event where subject_id = $1", person.id)
    assert "identity.person_erased" in kinds
    async with db.transaction() as tx:
        again = await identity.register(tx, "ann@example.com")
    assert again.id != person.id


async def test_the_last_operator_can_not_be_erased(db: Database) -> None:
    async with db.transaction() as tx:
        one = await identity.register(tx, "one@example.com", kind="operator")
    with pytest.raises(model.LastOperator):
        async with db.transaction() as tx:
            await identity.erase_person(tx, one.id)
    async with db.transaction() as tx:
        await identity.register(tx, "two@example.com", kind="operator")
        await identity.erase_person(tx, one.id)


async def test_the_clock_forgets_what_is_over_and_keeps_what_is_not(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    async with db.transaction() as tx:
        idle = await identity.guest_of(tx, Caller(session_id=uuid.uuid4()), "idle")
        buyer = await identity.guest_of(tx, Caller(session_id=uuid.uuid4()), "buyer")
        await identity.keep(tx, [buyer])
        await identity.request_code(tx, "ann@example.com", "en")
    clock.travel(days=29)
    await worker.drain()
    async with db.transaction() as tx:
        assert set(await identity.people(tx, [idle, buyer])) == {idle, buyer}
        assert await tx.value("select count(*) from identity.outbox") == 0
        assert await tx.value("select count(*) from identity.code") == 0
    clock.travel(days=2)
    await worker.drain()
    async with db.transaction() as tx:
        assert set(await identity.people(tx, [idle, buyer])) == {buyer}
        assert await tx.value("select count(*) from identity.session") == 0


def test_a_sealed_value_opens_in_its_place_alone_and_after_a_new_key() -> None:
    vault = Vault.of_secret("the first secret of all")
    sealed = vault.seal("5550100", "identity.address.phone")
    with pytest.raises(Unsealable):
        vault.open(sealed, "identity.person.name")
    with pytest.raises(Unsealable):
        vault.open(sealed[:-4] + "AAA=", "identity.address.phone")
    rotated = Vault.of_secret("the first secret of all,the second secret of all")
    assert rotated.open(sealed, "identity.address.phone") == "5550100"
    assert rotated.seal("x", "p").startswith("2:")
    assert rotated.blind("a", "p") == vault.blind("a", "p")
    with pytest.raises(Unsealable):
        Vault.of_secret("another secret entirely").open(sealed, "identity.address.phone")
