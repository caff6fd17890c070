"""``pinwheel simulate``: the growth loop lived by a simulated city, on a database of its own."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random

import msgspec
import uvloop

from pinwheel import app
from pinwheel.bench.stand import stand
from pinwheel.kernel import observe
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.settings import Settings
from pinwheel.serving import say
from pinwheel.strategy import lab

SECRET = "the secret of a city that is gone in an hour"  # noqa: S105


def simulate(arguments: argparse.Namespace) -> int:
    """0 when every promise holds at the end, 1 when one is broken."""
    observe.set_up_logs("critical")
    scenario = lab.Scenario(days=arguments.days, seed=arguments.seed, buyers=arguments.buyers)
    report = uvloop.run(_run(scenario, arguments.database_url or ""))
    if arguments.json:
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    else:
        sys.stdout.write(table(report))
    return 0 if report.clean else 1


async def _run(scenario: lab.Scenario, server_url: str) -> lab.Report:
    with tempfile.TemporaryDirectory(prefix="pinwheel-city-") as folder:
        async with stand(server_url) as where:
            clock = SetClock(lab.BEGINS)
            settings = Settings(
                database_url=where.url,
                secret=SECRET,
                demonstration=True,
                data_dir=Path(folder),
                log_level="critical",
            )
            db = await app.open_database(settings)
            db.clock, db.random = clock, Random(f"city:{scenario.seed}")
            try:
                return await lab.simulate(db, clock, scenario, app.PROMISING, say)
            finally:
                await db.close()


def table(report: lab.Report) -> str:
    """The report for a person."""
    lines = [
        f"SIMULATED / 模拟: {report.scenario.days} days, {report.scenario.buyers} people, "
        f"seed {report.scenario.seed}",
        f"  books {report.hash[:16]}, promises "
        + ("kept" if report.clean else f"BROKEN: {report.broken}"),
        f"  {report.seconds} s, {report.ratio} simulated seconds a second",
        "",
        f"  {'truth':<30}{'planted':>12}{'estimate':>12}{'95 % interval':>26}  covered",
    ]
    for one in report.estimates:
        interval = "-" if one.low is None else f"{one.low:.4f} … {one.high:.4f}"
        value = "-" if one.estimate is None else f"{one.estimate:.4f}"
        covered = "-" if one.covered is None else "yes" if one.covered else "no"
        lines.append(f"  {one.name:<30}{one.planted:>12.4f}{value:>12}{interval:>26}  {covered}")
    lines += ["", *(f"  {name:<30} {value}" for name, value in report.figures.items())]
    lines += ["", *(f"  {name:<30} {value}" for name, value in report.incidents.items())]
    return "\n".join(lines) + "\n"
