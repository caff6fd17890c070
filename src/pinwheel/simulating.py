"""``pinwheel simulate``: the growth loop lived by a simulated city, on a database of its own."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

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
    """The report for a person, in both languages; money in units of its currency."""
    days, people = report.scenario.days, report.scenario.buyers
    promises = "kept / 全部遵守" if report.clean else f"BROKEN / 被违反: {report.broken}"
    lines = [
        f"SIMULATED / 模拟: {days} days / 天, {people} people / 人, seed {report.scenario.seed}",
        f"  books / 账目 {report.hash[:16]}, promises / 承诺 {promises}",
        f"  {report.seconds} s, {report.ratio} simulated seconds a second / 模拟速度",
        "",
        f"  {'planted truth':<38}{'planted':>10}{'estimate':>10}{'95 % interval':>22}  covered  "
        "预设真值（预设、估计、95% 区间、是否覆盖）",
    ]
    lines += [_estimate(one) for one in report.estimates]
    currency = str(report.figures.get("currency", ""))
    for block in (report.figures, report.incidents):
        lines.append("")
        for name, value in block.items():
            if name != "currency":
                en, zh = lab.NAMES.get(name, (name, ""))
                lines.append(f"  {en:<38}{_value(name, value, currency)}  {zh}")
    return "\n".join(lines) + "\n"


def _estimate(one: lab.Estimate) -> str:
    en, zh = lab.NAMES.get(one.name, (one.name, ""))
    money = one.unit.endswith("_minor")
    if money:
        currency = one.unit.removesuffix("_minor")
        en, zh = f"{en}, {currency}", f"{zh}，{currency}"

    def said(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{value / 100:,.2f}" if money else f"{value:.4f}"

    interval = "-" if one.low is None else f"{said(one.low)} … {said(one.high)}"
    covered = "-" if one.covered is None else "yes 是" if one.covered else "NO 否"
    figures = f"{said(one.planted):>10}{said(one.estimate):>10}{interval:>22}"
    return f"  {en:<38}{figures}  {covered:<7} {zh}"


def _value(name: str, value: Any, currency: str) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_value(key, one, currency)}" for key, one in value.items()) or "-"
    if isinstance(value, list):
        return ", then ".join(map(str, value))
    if name.endswith("_minor") and isinstance(value, int):
        return f"{value / 100:,.2f} {currency}"
    return f"{value:,}" if isinstance(value, int) else str(value)
