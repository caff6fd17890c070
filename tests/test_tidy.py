"""The house rules that a machine can check. Each message says which file breaks which rule."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache, wraps
from pathlib import Path

import pytest
from babel.messages import pofile
from jinja2.ext import babel_extract

from pinwheel import cli

SOURCE = Path(__file__).parents[1] / "src" / "pinwheel"
FILES = sorted(str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py"))
BANNED = {
    *("utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers"),
    *("service", "services", "repository", "factory", "impl", "handler", "handlers"),
}
BANNED_CLASS = re.compile(
    r"(Utils?|Helpers?|Common|Misc|Base|Managers?|Services?|Repository|Factory|Impl|Handlers?)$"
)
COMPOSITION = {"app.py"}  # knows every module: takes their routes and jobs
COMPOSED = {"web", "jobs"}
OTHER_CLOCKS = re.compile(
    r"\b(datetime|dt\.datetime|date|dt\.date)\.(now|utcnow|today)\(|\buuid\.uuid[14]\("
)


def every_file(rule: Callable[[str], None]) -> Callable[[], None]:
    """``rule`` for every file of the house in one test that names each file that breaks it: as
    thousands of tests they took longer to count than to run."""

    @wraps(rule)
    def test() -> None:
        broken = []
        for file in FILES:
            try:
                rule(file)
            except AssertionError as error:
                broken.append(str(error).splitlines()[0])
        assert not broken, "\n".join(broken)

    del test.__wrapped__  # type: ignore[attr-defined]  # whose argument is no fixture
    return test


@cache
def parsed(file: str) -> ast.Module:
    return ast.parse((SOURCE / file).read_text("utf-8"))


def functions(file: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@every_file
def test_size(file: str) -> None:
    lines = (SOURCE / file).read_text("utf-8").splitlines()
    assert len(lines) <= 500, f"{file} has {len(lines)} lines: split it by subject"
    wide = [n for n, line in enumerate(lines, 1) if len(line) > 100]
    assert not wide, f"{file} has lines of more than 100 columns: {wide}"
    for node in functions(file):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        assert length <= 60, f"{file}:{node.lineno} {node.name} has {length} lines"


@every_file
def test_imports_stand_at_the_top(file: str) -> None:
    for function in functions(file):
        inside = [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
        assert not inside, f"{file}:{inside[0].lineno} imports inside {function.name}"
    assert "TYPE_CHECKING" not in (SOURCE / file).read_text("utf-8"), file


@every_file
def test_names(file: str) -> None:
    parts = {part.removesuffix(".py") for part in Path(file).parts}
    assert not parts & BANNED, f"{file} says nothing by its name"
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.ClassDef):
            assert not BANNED_CLASS.search(node.name), f"{file}:{node.lineno} {node.name}"


@every_file
def test_nothing_imports_past_a_door(file: str) -> None:
    for line, target in imported(file):
        room = room_of(target)
        if room is None or room == room_of(dotted(file)):
            continue
        rest = target.removeprefix(room).strip(".")
        allowed = file in COMPOSITION and rest.rpartition("_")[2] in COMPOSED
        assert not rest or allowed or not exists(target), (
            f"{file}:{line} imports {target} past the door {room}"
        )


def dotted(file: str) -> str:
    return ".".join(("pinwheel", *Path(file).with_suffix("").parts)).removesuffix(".__init__")


def room_of(module: str) -> str | None:
    """The module behind one door that ``module`` belongs to: ``pinwheel.wing.room``."""
    parts = module.split(".")
    if parts[0] != "pinwheel" or len(parts) < 3:
        return None
    return ".".join(parts[:3])


def exists(module: str) -> bool:
    path = SOURCE.joinpath(*module.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported(file: str) -> Iterator[tuple[int, str]]:
    """(line, module or module.name) of everything ``file`` imports from the house."""
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            raise AssertionError(f"{file}:{node.lineno} use absolute imports")


@every_file
def test_one_clock(file: str) -> None:
    if file == "kernel/clock.py":
        return
    for number, line in enumerate((SOURCE / file).read_text("utf-8").splitlines(), 1):
        assert not OTHER_CLOCKS.search(line), f"{file}:{number} time is tx.now, ids tx.new_id()"


@every_file
def test_a_model_waits_for_nothing(file: str) -> None:
    if not file.endswith("model.py"):
        return
    for node in ast.walk(parsed(file)):
        waits = isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith)
        assert not waits, f"{file}:{node.lineno} a model is pure"  # type: ignore[attr-defined]


@pytest.mark.parametrize("folder", sorted({str(Path(f).parent) for f in FILES}))
def test_every_folder_has_a_door(folder: str) -> None:
    door = SOURCE / folder / "__init__.py"
    assert door.is_file(), f"{folder} has no __init__.py"
    assert ast.get_docstring(ast.parse(door.read_text("utf-8"))), f"{folder} has no docstring"


def sentences(path: Path) -> Iterator[str]:
    """What a page or a handler says in the reader's language, in English."""
    if path.suffix == ".html":
        how = {"extensions": "jinja2.ext.do,jinja2.ext.i18n", "newstyle_gettext": "true"}
        with path.open("rb") as page:
            for _, _, message, _ in babel_extract(page, ("_", "gettext", "ngettext"), [], how):
                yield message[0] or "" if isinstance(message, tuple) else message or ""
        return
    for node in ast.walk(parsed(str(path.relative_to(SOURCE)))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "say" and node.args:
            said = node.args[0]
            if isinstance(said, ast.Constant) and isinstance(said.value, str):
                yield said.value


@cache
def chinese() -> dict[str, list[str]]:
    """Each English sentence with what it is in Chinese, for one and for many."""
    found: dict[str, list[str]] = {}
    for file in (SOURCE / "words").rglob("*.po"):
        with file.open("rb") as catalogue:
            for entry in pofile.read_po(catalogue):
                of, said = (
                    list(x) if isinstance(x, tuple) else [x] for x in (entry.id, entry.string)
                )
                if of[0] and all(said):
                    assert of[0] not in found, f"“{of[0]}” is translated twice, again in {file}"
                    found[of[0]] = said
    return found


def test_whatever_is_said_is_said_in_chinese_too() -> None:
    missing = [
        f"{path.relative_to(SOURCE)} says “{message}”"
        for path in [*SOURCE.rglob("*.html"), *SOURCE.rglob("*.py")]
        for message in sentences(path)
        if message and message not in chinese() and message.replace("%%", "%") not in chinese()
    ]
    assert not missing, "no words for it in words/zh_CN:\n" + "\n".join(missing)


def test_a_page_can_fill_its_sentences_in_both_languages() -> None:
    """Each names its gaps as ``%(name)s``; a per cent sign of its own is written twice."""
    anything = defaultdict[str, int](int)
    broken = []
    for path in SOURCE.rglob("*.html"):
        for message in sentences(path):
            for said in (message, *chinese().get(message, ())):
                try:
                    said % anything
                except (ValueError, TypeError) as error:
                    broken.append(f"{path.relative_to(SOURCE)} says “{said}”: {error}")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    "line",
    ["audit", "bench orders", "simulate", "replay olist FOLDER", "import olist FOLDER"],
)
def test_what_tells_figures_tells_them_as_json(line: str) -> None:
    assert cli.parser().parse_args([*line.split(), "--json"]).json
