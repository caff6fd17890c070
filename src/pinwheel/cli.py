"""The command line. Each command lives where it belongs and is loaded when it is called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, version
from typing import Any

from pinwheel.kernel.errors import Refusal

Options = Callable[[argparse.ArgumentParser], Any]


def _place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", help="where this installation keeps its things (var)")
    parser.add_argument("--database-url", help="a PostgreSQL of your own (default: embedded)")


def _web(parser: argparse.ArgumentParser) -> None:
    _place(parser)
    parser.add_argument("--host", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port to listen on (8600)")


def _email(parser: argparse.ArgumentParser) -> None:
    _place(parser)
    parser.add_argument("email", help="who; an account is made when there is none")


def _workers(parser: argparse.ArgumentParser) -> None:
    _web(parser)
    parser.add_argument("--workers", type=int, default=1, help="web processes (1)")


def _audit(parser: argparse.ArgumentParser) -> None:
    _place(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def _bench(parser: argparse.ArgumentParser) -> None:
    _audit(parser)
    parser.add_argument(
        "name",
        choices=("ledger", "orders", "search", "events", "quotes", "audience"),
        help="what to measure",
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each part runs (8)")
    parser.add_argument("--path", help="search: the folder with rated queries")
    parser.add_argument(
        "--people", type=int, default=1_000_000, help="audience: how many (1000000)"
    )


def _import(parser: argparse.ArgumentParser) -> None:
    _audit(parser)
    sources = ("goodbooks", "icecat", "olist", "online-retail", "shopify-csv")
    parser.add_argument("source", choices=sources, help="the file's layout")
    parser.add_argument("path", help="the file or folder")
    parser.add_argument(
        "--map", action="append", default=[], metavar="FIELD=COLUMN", help="which column is what"
    )
    parser.add_argument("--currency", default="", help="of prices that do not say theirs")
    parser.add_argument("--price", default="", help='for a file without prices: "CNY 39.00"')
    parser.add_argument("--pictures", action="store_true", help="keep addresses of pictures")
    parser.add_argument("--faults", help="a CSV file to write: every record that was refused")


def _replay(parser: argparse.ArgumentParser) -> None:
    _place(parser)
    parser.add_argument("--json", action="store_true", help="the summary on one line")
    parser.add_argument("source", choices=("olist", "online-retail"), help="the files' layout")
    parser.add_argument("path", help="the file or folder")
    parser.add_argument("--minutes", type=int, default=0, help="of the clock, played together")
    parser.add_argument("--most", type=int, default=200, help="orders in one batch (200)")
    parser.add_argument("--first-lines", type=int, default=0, help="only so many lines (all)")
    parser.add_argument("--listing", help="a CSV file to write: every line that is no order")


def _simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=30, help="how long they live (30)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed is the same city (7)")
    parser.add_argument("--buyers", type=int, default=10_000, help="who may become buyers (10000)")
    parser.add_argument("--database-url", help="a PostgreSQL of your own (default: embedded)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")


COMMANDS: dict[str, tuple[str, str, Options]] = {
    "run": ("pinwheel.serving:run", "everything in one process: database, web, jobs", _web),
    "serve": ("pinwheel.serving:serve", "web processes on a database of yours", _workers),
    "work": ("pinwheel.serving:work", "jobs on a database of yours", _place),
    "audit": ("pinwheel.auditing:audit", "prove every module's promises", _audit),
    "bench": ("pinwheel.bench.command:bench", "measure, as a ratio to something real", _bench),
    "import": ("pinwheel.importing:take_in", "take a published file in", _import),
    "replay": ("pinwheel.replay.command:replay", "play a real shop's history", _replay),
    "simulate": ("pinwheel.simulating:simulate", "a simulated city lives in the shop", _simulate),
    "operator": ("pinwheel.serving:operator", "make somebody an operator", _email),
    "migrate": ("pinwheel.serving:migrate", "bring the database's schema up to date", _place),
}
"""Command: (module:function of the parsed arguments, help, its options). New commands go here."""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="pinwheel", description="A self-hosted commerce platform.")
    top.add_argument("--version", action="version", version=f"pinwheel {version('pinwheel')}")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for name, (_, text, options) in COMMANDS.items():
        options(commands.add_parser(name, help=text, description=text))
    return top


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    target, _, _ = COMMANDS[arguments.command]
    command = EntryPoint(name=arguments.command, value=target, group="pinwheel").load()
    try:
        return int(command(arguments) or 0)
    except Refusal as refusal:
        sys.stderr.write(f"{refusal.sentence('en')}\n{refusal.sentence('zh')}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
