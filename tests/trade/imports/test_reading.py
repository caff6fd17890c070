"""Files that are not as they should be: a broken line costs itself and nothing after it."""

import zipfile
from pathlib import Path

import files
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinwheel.trade.imports.model import CellUnreadable, Fault, FileUnreadable, money
from pinwheel.trade.imports.reading import Part, Row, Table, detect_encoding, parts, tables


def table(path: Path) -> Table:
    [found] = tables(parts(path))
    return found


def values(found: Table) -> list[list[str] | str]:
    return [
        list(r.values.values()) if isinstance(r, Row) else f"fault {r.row}" for r in found.rows()
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('1,a\n2,"open\n3,c\n4,d\n', [["1", "a"], "fault 3", ["3", "c"], ["4", "d"]]),
        ('1,a\n2,5" pipe\n3,c\n', [["1", "a"], ["2", '5" pipe'], ["3", "c"]]),
        ('1,"open\n2,b\n3,c",d\n4,e\n', ["fault 2", ["2", "b"], "fault 4", ["4", "e"]]),
        ('1,5" pipe\n2,7" pipe\n', [["1", '5" pipe'], ["2", '7" pipe']]),
        ('1,"two\nlines"\n2,b\n', [["1", "two\nlines"], ["2", "b"]]),
        ('1,"say ""hi"""\n', [["1", 'say "hi"']]),
        ("1\n2,b\n3,c,d\n4,e\n", ["fault 2", ["2", "b"], "fault 4", ["4", "e"]]),
        ('1,"a"x"\n2,b\n', ["fault 2", ["2", "b"]]),
        ("1,a\r\n\r\n2,b", [["1", "a"], ["2", "b"]]),
        ('1,"', ["fault 2"]),
    ],
)
def test_a_broken_line_costs_itself(
    tmp_path: Path, body: str, expected: list[list[str] | str]
) -> None:
    found = values(table(files.write(tmp_path, "id,name\n" + body)))
    if body == '1,"a"x"\n2,b\n':  # how much of a hopeless line is kept does not matter
        assert found[-1] == ["2", "b"] and len(found) == 2
    else:
        assert found == expected


@given(st.lists(st.text(alphabet='a,"\n;5', max_size=12), max_size=12))
def test_no_garbage_takes_a_sound_row_with_it(tmp_path_factory: object, garbage: list[str]) -> None:
    """Whatever stands before it, a row without quotes that follows closed lines is read, or lies
    inside a quoted field that was open."""
    folder = tmp_path_factory.mktemp("garbage")  # type: ignore[attr-defined]
    lines = [line.replace('"', "") for line in garbage]
    body = "id,name\n" + "\n".join(lines) + "\n9,sound\n"
    assert values(table(files.write(folder, body)))[-1] == ["9", "sound"]


CHINESE = "编号,名称\n" + "".join(f"{i},青花瓷杯子和茶壶\n" for i in range(50))
FRENCH = "id,name\n" + "".join(f"{i},Café crème brûlée à la carte\n" for i in range(50))


@pytest.mark.parametrize(
    ("text", "codec", "detected"),
    [
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "utf-8-sig", "utf-8-sig"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "utf-16", "utf-16"),
        (FRENCH, "latin-1", "cp1252"),
        (FRENCH, "utf-8", "utf-8"),
        ("id,name\n1,plain\n", "ascii", "utf-8"),
        ("a,b\n" + "1,plain text\n" * 200_000 + "2,Café\n", "latin-1", "cp1252"),
    ],
)
def test_the_encoding_is_found_and_told(
    tmp_path: Path, text: str, codec: str, detected: str
) -> None:
    path = files.write(tmp_path, text.encode(codec))
    assert detect_encoding(Part("x", lambda: path.open("rb")))[0] == detected
    found = table(path)
    last = [r for r in found.rows() if isinstance(r, Row)][-1]
    assert list(last.values.values()) == text.strip().rsplit("\n", 1)[-1].split(",")
    assert "read as" in found.notes[0].en and "读取" in found.notes[0].zh


def test_a_few_foreign_bytes_in_utf8_cost_their_rows(tmp_path: Path) -> None:
    good = "".join(f"{i},茶壶\n" for i in range(400)).encode()
    found = table(files.write(tmp_path, b"id,name\n" + good + b"x,caf\xe9\n" + b"y,ok\n"))
    assert values(found)[-2:] == ["fault 402", ["y", "ok"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    body = delimiter.join(["id", '"a, b; c"', "d"]) + "\n" + delimiter.join("123") + "\n"
    found = table(files.write(tmp_path, body))
    assert found.columns == ["id", "a, b; c", "d"] and values(found) == [["1", "2", "3"]]


def test_headings_that_are_empty_or_double_are_told_apart(tmp_path: Path) -> None:
    assert table(files.write(tmp_path, "id,,id\n1,2,3\n")).columns == ["id", "column 2", "id (3)"]


def test_a_zip_and_a_folder_are_their_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("in/b.csv", "id,name\n1,b\n")
        archive.writestr("in/a.json", '[{"id": 1, "name": "a"}, 7]')
        archive.writestr("__MACOSX/._b.csv", "junk")
    found = tables(parts(tmp_path / "all.zip"))
    assert [t.name for t in found] == ["in/a.json", "in/b.csv"]
    assert values(found[0]) == [[1, "a"], "fault 3"]
    files.write(tmp_path, "id\n1\n", "c.csv")
    assert [t.name for t in tables(parts(tmp_path))] == ["in/a.json", "in/b.csv", "c.csv"]


def test_parquet_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, None], "name": ["a", "b"]}), tmp_path / "x.parquet")
    assert values(table(tmp_path / "x.parquet")) == [[1, "a"], ["", "b"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"\n\n  \n"),
        ("a.csv", b"\x00\x01\x02\x00,\x00"),
        ("a.json", b"[{"),
        ("a.csv", b"PAR1 and nothing after it"),
        ("a.zip", None),
        ("nothing", None),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    elif name == "a.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.md", "x")
    with pytest.raises(FileUnreadable) as refused:
        tables(parts(path))
    assert "{" not in refused.value.sentence("zh")


@pytest.mark.parametrize(
    ("raw", "currency", "minor"),
    [
        ("12.5", "CNY", 1250),
        ("12,50", "EUR", 1250),
        ("1,234.50", "USD", 123450),
        ("1.234,50", "EUR", 123450),
        ("1,234,567", "USD", 123456700),
        ("1.234.567", "EUR", 123456700),
        ("£2.55", "GBP", 255),
        ("R$ 12,90", "BRL", 1290),
        ("EUR 9", "EUR", 900),
        (2.55, "GBP", 255),
        (0.001, "GBP", 0),
        ("1e-05", "GBP", 0),
        ("0.125", "USD", 13),
        ("1200", "JPY", 1200),
        ("¥ 1,200.00", "JPY", 1200),
    ],
)
def test_money_is_read(raw: object, currency: str, minor: int) -> None:
    assert money(raw, currency) == minor


@pytest.mark.parametrize(
    "raw",
    ["-1", "−1", "(5.00)", -2.5, "free", "", "1,234", float("nan"), float("inf"), "1e99", "."],
)
def test_what_is_no_price_is_refused(raw: object) -> None:
    with pytest.raises(CellUnreadable):
        money(raw, "CNY")


def test_a_fault_keeps_little_of_what_it_saw(tmp_path: Path) -> None:
    [fault] = table(files.write(tmp_path, "id,name\n" + "x" * 5_000 + "\n")).rows()
    assert isinstance(fault, Fault) and len(fault.value) <= 120
