"""``pinwheel audit``: every promise of every module, proved on the database as it stands."""

from __future__ import annotations

import argparse
import sys

import msgspec
import uvloop

from pinwheel import app, serving
from pinwheel.kernel import audit as kernel_audit
from pinwheel.kernel.audit import Check
from pinwheel.kernel.settings import Settings


class Findings(msgspec.Struct, frozen=True):
    """``clean`` when no promise is broken."""

    clean: bool
    checks: list[Check]


async def findings(settings: Settings) -> Findings:
    """Run the audit on the settings' database; it is only read."""
    db = await app.open_database(settings)
    try:
        checks = await kernel_audit.run(db, app.PROMISING)
    finally:
        await db.close()
    return Findings(not any(c.broken for c in checks), checks)


def audit(arguments: argparse.Namespace) -> int:
    """0 when clean, 1 when a promise is broken."""
    found = uvloop.run(_with_database(arguments))
    if arguments.json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    else:
        sys.stdout.write(table(found))
    return 0 if found.clean else 1


async def _with_database(arguments: argparse.Namespace) -> Findings:
    settings = serving.settings_of(arguments)
    async with serving.database_of(settings) as url:
        return await findings(msgspec.structs.replace(settings, database_url=url))


def table(found: Findings) -> str:
    """One line a promise, then the first rows that break one."""
    lines = []
    for check in found.checks:
        mark = f"{len(check.broken)} rows" if check.broken else "kept"
        lines.append(f"{mark:>8}  {check.module:<20} {check.promise}")
        lines += [f"{'':>10}{row}" for row in check.broken]
    broken = sum(bool(c.broken) for c in found.checks)
    lines.append(f"{len(found.checks)} promises, {broken} broken" if broken else
                 f"{len(found.checks)} promises, all kept")  # fmt: skip
    return "\n".join(lines) + "\n"
