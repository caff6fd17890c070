"""The command line. Each command lives where it belongs and is loaded when it is called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, version
from typing import Any

Options = Callable[[argparse.ArgumentParser], Any]


def _place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", help="where this installation keeps its things (var)")
    parser.add_argument("--database-url", help="a PostgreSQL of your own (default: embedded)")


def _web(parser: argparse.ArgumentParser) -> None:
    _place(parser)
    parser.add_argument("--host", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port to listen on (8600)")


def _workers(parser: argparse.ArgumentParser) -> None:
    _web(parser)
    parser.add_argument("--workers", type=int, default=1, help="web processes (1)")


COMMANDS: dict[str, tuple[str, str, Options]] = {
    "run": ("pinwheel.serving:run", "everything in one process: database, web, jobs", _web),
    "serve": ("pinwheel.serving:serve", "web processes on a database of yours", _workers),
    "work": ("pinwheel.serving:work", "jobs on a database of yours", _place),
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
    return int(command(arguments) or 0)


if __name__ == "__main__":
    sys.exit(main())
