"""Every SQL literal in the house is prepared on the migrated schema.

A statement must prepare, take as many arguments as it is given, fill its struct in the order of the
fields, and name only its own module's schema and other modules' published views (``v_…``).
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec
import pytest

import world
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database

SOURCE = Path(__file__).parents[1] / "src" / "pinwheel"
SQL_AT = {"rows": 1, "row": 1, "the": 2, "value": 0, "values": 0, "run": 0}
STRUCT_AT = {"rows": 0, "row": 0, "the": 1}


class Literal(NamedTuple):
    line: int
    sql: str | None  # None: not a literal
    arguments: int | None  # None: a starred argument, counted by nobody
    struct: type | None


class Catalogue(NamedTuple):
    connection: asyncpg.Connection
    names: set[tuple[str, str]]  # (schema, relation or function)
    keys: dict[str, list[str]]  # schema.table: the columns of each unique key


@pytest.fixture(scope="module")
async def catalogue(server_url: str, template: str) -> AsyncIterator[Catalogue]:
    name = world.fresh_name("sql")
    connection = await asyncpg.connect(await world.create_database(server_url, name, template))
    rows = await connection.fetch(
        """
        select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        union all
        select n.nspname, p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        """
    )
    keys = await connection.fetch(
        """
        select format('%s.%s', n.nspname, c.relname) as name,
               array_agg(substring(pg_get_indexdef(i.indexrelid) from '[(].*')) as keys
          from pg_index i join pg_class c on c.oid = i.indrelid
          join pg_namespace n on n.oid = c.relnamespace
         where i.indisunique group by 1
        """
    )
    yield Catalogue(
        connection,
        {(r[0], r[1]) for r in rows if not r[0].startswith("pg_")},
        {r["name"]: r["keys"] for r in keys},
    )
    await connection.close()
    await world.drop_database(server_url, name)


def files() -> list[str]:
    return sorted(
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if re.search(r"\btx\.(rows|row|the|value|values|run)\(", path.read_text("utf-8"))
    )


def module_name(file: str) -> str:
    return ".".join(("pinwheel", *Path(file).with_suffix("").parts)).removesuffix(".__init__")


def own_schema(file: str) -> str:
    parts = Path(file).parts
    if parts[0] in ("kernel", "replay"):
        return parts[0]
    return parts[min(1, len(parts) - 1)].removesuffix(".py")


def literals(file: str) -> Iterator[Literal]:
    tree = ast.parse((SOURCE / file).read_text("utf-8"))
    module = importlib.import_module(module_name(file))
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        verb, receiver = node.func.attr, ast.unparse(node.func.value)
        if verb not in SQL_AT or receiver.rsplit(".", 1)[-1] != "tx":
            continue
        at = SQL_AT[verb]
        if len(node.args) <= at:
            yield Literal(node.lineno, None, None, None)
            continue
        sql, rest = node.args[at], node.args[at + 1 :]
        starred = any(isinstance(a, ast.Starred) for a in rest)
        literal = isinstance(sql, ast.Constant) and isinstance(sql.value, str)
        yield Literal(
            node.lineno,
            sql.value if literal else None,  # type: ignore[attr-defined]
            None if starred else len(rest),
            _resolved(module, node.args[STRUCT_AT[verb]]) if verb in STRUCT_AT else None,
        )


def _resolved(module: Any, node: ast.expr) -> type | None:
    found: Any = module
    for part in ast.unparse(node).split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) else None


def strangers(sql: str, schema: str, names: set[tuple[str, str]]) -> list[str]:
    """Tables of other modules that ``sql`` names."""
    bare = re.sub(r"--[^\n]*|'(?:[^']|'')*'", " ", sql)
    used = re.findall(r'\b([a-z_]+)\s*\.\s*"?([a-z_0-9]+)"?', bare)
    return [
        f"{s}.{n}" for s, n in used if s != schema and (s, n) in names and not n.startswith("v_")
    ]


def losers(sql: str, keys: dict[str, list[str]]) -> list[str]:
    """Tables where ``on conflict (target) do nothing`` loses a race: of two that insert the same
    row at once, the second breaks on the key the target doesn't name."""
    inserted = re.findall(
        r"insert into ([a-z_.]+)(?:(?!insert into).)*?"
        r"on conflict (\([^)]*\))(?:(?!on conflict).)*?do (nothing|update)",
        sql,
        re.DOTALL,
    )
    return [
        table
        for table, target, then in inserted
        if then == "nothing"
        for key in [set(re.findall(r"\w+", key.split(")")[0])) for key in keys[table]]
        if "id" not in key and key != set(re.findall(r"\w+", target))  # an id is made anew
    ]


async def faults(literal: Literal, schema: str, catalogue: Catalogue) -> Iterator[str]:
    if literal.sql is None:
        return iter(["the SQL must be a literal at the call"])
    found = []
    try:
        prepared = await catalogue.connection.prepare(literal.sql)
    except asyncpg.PostgresError as error:
        return iter([f"{type(error).__name__}: {error}"])
    wanted = len(prepared.get_parameters())
    if literal.arguments is not None and wanted != literal.arguments:
        found.append(f"takes {wanted} arguments, is given {literal.arguments}")
    columns = [a.name for a in prepared.get_attributes()]
    if literal.struct is not None and issubclass(literal.struct, msgspec.Struct):
        fields = [f.name for f in msgspec.structs.fields(literal.struct)]
        if columns != fields:
            found.append(f"columns {columns} do not fill {literal.struct.__name__}{fields}")
    found += [
        f"names {name}, which another module owns"
        for name in strangers(literal.sql, schema, catalogue.names)
    ]
    found += [
        f"{name} has another key: write 'on conflict do nothing', for every key"
        for name in losers(literal.sql, catalogue.keys)
    ]
    return iter(found)


@pytest.mark.parametrize("file", files())
async def test_every_literal_prepares(file: str, catalogue: Catalogue) -> None:
    wrong = [
        f"{file}:{literal.line}: {fault}"
        for literal in literals(file)
        for fault in await faults(literal, own_schema(file), catalogue)
    ]
    assert not wrong, "\n" + "\n".join(wrong)


async def test_every_promise_holds_in_an_empty_shop(db: Database) -> None:
    packages = [
        module_name(str(path.relative_to(SOURCE).parent)) for path in SOURCE.rglob("invariants.sql")
    ]
    checks = await audit.run(db, sorted(packages))
    assert checks
    assert [check for check in checks if check.broken] == []


def test_a_strange_table_is_seen() -> None:
    names = {("orders", "order"), ("orders", "v_line"), ("ledger", "account")}
    sql = "select 'ledger.account', o.id from orders.order o join orders.v_line l on l.id = o.id"
    assert strangers(sql, "ledger", names) == ["orders.order"]
    assert strangers(sql, "orders", names) == []


def test_a_race_that_one_key_loses_is_seen() -> None:
    keys = {"ledger.account": ["(id, cell)", "(code, cell)"], "kernel.flag": ["(name, cell)"]}
    account = "with a as (insert into ledger.account values ($1) on conflict"
    assert losers(f"{account} (cell, id) do nothing) select 1", keys) == ["ledger.account"]
    assert losers(f"{account} (cell, id) do update set id = 1) select 1", keys) == []
    assert losers(f"{account} (cell, code) do nothing) select 1", keys) == []
    assert losers(f"{account} do nothing) select 1", keys) == []
    flag = "insert into kernel.flag values ($1) on conflict (cell, name) do nothing"
    assert losers(flag, keys) == []
