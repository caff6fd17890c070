"""``pinwheel bench NAME``: one report, as a table or as JSON."""

from __future__ import annotations

import argparse
import sys

import msgspec
import uvloop

from pinwheel.bench import audience, events, ledger, orders, quotes, search
from pinwheel.bench.stand import Report, stand


def bench(arguments: argparse.Namespace) -> int:
    """0 when the target was met, 1 when it was missed."""
    report = uvloop.run(_run(arguments))
    if arguments.json:
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    else:
        sys.stdout.write(table(report))
    return 0 if report.passed else 1


async def _run(arguments: argparse.Namespace) -> Report:
    if arguments.name == "search":
        return search.run(arguments.path)
    async with stand(arguments.database_url or "") as where:
        match arguments.name:
            case "ledger":
                return await ledger.run(where, seconds=arguments.seconds)
            case "events":
                return await events.run(where, seconds=arguments.seconds)
            case "audience":
                return await audience.run(where, people=arguments.people)
            case "quotes":
                return await quotes.run(where, seconds=arguments.seconds)
            case _:
                return await orders.run(where, seconds=arguments.seconds)


def table(report: Report) -> str:
    """The report for a person."""
    verdict = "passed" if report.passed else "MISSED"
    lines = [f"{report.name}: ratio {report.ratio:.2f}, target {report.target:.2f}: {verdict}", ""]
    lines += [f"  {name:<34} {value}" for name, value in report.figures.items()]
    lines += ["", *(f"  {name:<34} {value}" for name, value in report.machine.items())]
    return "\n".join(lines) + "\n"
