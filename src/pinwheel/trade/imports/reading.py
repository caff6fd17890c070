"""Files as tables: CSV in any encoding and delimiter, Parquet, JSON, a zip or a folder of them.

A broken line costs itself and nothing after it. Nothing is held in memory but the row at hand
(JSON, which has no rows, is held a file at a time)."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pinwheel.trade.imports.model import SHOWN, Fault, FileUnreadable, Note

READABLE = (".csv", ".tsv", ".txt", ".parquet", ".json")
BLOCK = 1 << 20
LONGEST_LINE = 1 << 20
LONGEST_RECORD = 500
"""Lines a quoted field may span before its quote counts as never closed."""
MOST_UNPACKED = 8 << 30
MOST_JSON = 512 << 20
DELIMITERS = (",", ";", "\t", "|")
csv.field_size_limit(LONGEST_LINE)


class Row(NamedTuple):
    """``number``: the line it starts on; for tables without lines, its place, the heading being
    1."""

    number: int
    values: dict[str, Any]


class Table(msgspec.Struct, frozen=True):
    """One table: ``rows`` may be gone through again and again, the same each time."""

    name: str
    columns: list[str]
    rows: Callable[[], Iterator[Row | Fault]]
    notes: list[Note] = []


class Part(NamedTuple):
    """One file, in a folder, in a zip or by itself; opened as often as needed."""

    name: str
    open: Callable[[], IO[bytes]]


def parts(path: Path) -> list[Part]:
    """The files at ``path``, in order of name. Refuses ``FileUnreadable``."""
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file())
        found = [part for file in files if _wanted(file.name) for part in parts(file)]
        if not found:
            raise FileUnreadable(
                file=path.name,
                why=f"the folder holds no file of a known kind ({', '.join(READABLE)}, .zip)",
                why_zh="文件夹中没有可识别的文件",
            )
        return found
    if not path.is_file():
        raise FileUnreadable(file=path.name, why="it does not exist", why_zh="文件不存在")
    if not path.stat().st_size:
        raise FileUnreadable(file=path.name, why="it is empty", why_zh="文件为空")
    if zipfile.is_zipfile(path):
        return _unpacked(path)
    return [Part(path.name, lambda: path.open("rb"))]


def _wanted(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith((*READABLE, ".zip"))


def _unpacked(path: Path) -> list[Part]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                i
                for i in archive.infolist()
                if not i.is_dir()
                and "__MACOSX" not in i.filename
                and i.filename.lower().endswith(READABLE)
            ]
            if any(i.flag_bits & 1 for i in members):
                raise FileUnreadable(file=path.name, why="it needs a password", why_zh="需要密码")
    except (zipfile.BadZipFile, OSError) as error:
        raise FileUnreadable(file=path.name, why=str(error), why_zh="压缩文件损坏") from error
    if sum(i.file_size for i in members) > MOST_UNPACKED:
        raise FileUnreadable(
            file=path.name, why="unpacked it is larger than 8 GiB", why_zh="解压后超过 8 GiB"
        )
    if not members:
        raise FileUnreadable(
            file=path.name,
            why="it holds no CSV, JSON or Parquet file",
            why_zh="其中没有 CSV、JSON 或 Parquet 文件",
        )

    def opener(name: str) -> Callable[[], IO[bytes]]:
        return lambda: zipfile.ZipFile(path).open(name)

    ordered = sorted(members, key=lambda i: i.filename)
    return [Part(i.filename, opener(i.filename)) for i in ordered]


def digest(files: Iterable[Part], how: bytes) -> str:
    """The identity of content read in one way."""
    total = hashlib.blake2b(how, digest_size=20)
    for part in files:
        total.update(b"\0" + part.name.encode("utf-8", "replace") + b"\0")
        with part.open() as stream:
            while block := stream.read(BLOCK):
                total.update(block)
    return total.hexdigest()


def tables(files: Iterable[Part]) -> list[Table]:
    """Every file as a table. Refuses ``FileUnreadable``."""
    found = []
    for part in files:
        with part.open() as stream:
            start = stream.read(4)
        if start == b"PAR1":
            found.append(_parquet(part))
        elif part.name.lower().endswith(".json"):
            found.append(_json(part))
        else:
            found.append(_csv(part))
    return found


def _parquet(part: Part) -> Table:
    try:
        columns = list(pq.ParquetFile(_seekable(part)).schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise FileUnreadable(
            file=part.name, why=f"it is no sound Parquet file ({error})", why_zh="Parquet 文件损坏"
        ) from error

    def rows() -> Iterator[Row | Fault]:
        number = 1
        for batch in pq.ParquetFile(_seekable(part)).iter_batches(8192):
            for values in batch.to_pylist():
                number += 1
                yield Row(number, {k: "" if v is None else v for k, v in values.items()})

    return Table(part.name, columns, rows)


def _seekable(part: Part) -> IO[bytes]:
    stream = part.open()
    if isinstance(stream, zipfile.ZipExtFile):
        with stream:
            return io.BytesIO(stream.read())
    return stream


def _json(part: Part) -> Table:
    def load() -> list[Any]:
        with part.open() as stream:
            raw = stream.read(MOST_JSON + 1)
        if len(raw) > MOST_JSON:
            raise FileUnreadable(
                file=part.name,
                why="a JSON file of more than 512 MiB; split it",
                why_zh="JSON 文件超过 512 MiB，请拆分",
            )
        try:
            found = msgspec.json.decode(raw)
        except msgspec.DecodeError as error:
            raise FileUnreadable(file=part.name, why=str(error), why_zh="JSON 格式错误") from error
        return found if isinstance(found, list) else [found]

    def rows() -> Iterator[Row | Fault]:
        for number, value in enumerate(load(), 2):
            if isinstance(value, dict):
                yield Row(number, value)
            else:
                yield Fault(
                    row=number,
                    file=part.name,
                    value=str(value)[:SHOWN],
                    en="It is no object with named fields.",
                    zh="不是带字段名的对象。",
                )

    first = next((v for v in load() if isinstance(v, dict)), {})
    return Table(part.name, list(first), rows)


def _csv(part: Part) -> Table:
    encoding, why = detect_encoding(part)
    head = ""
    for line, _ in _lines(part, encoding):
        head = line
        if head.strip():
            break
    if not head.strip():
        raise FileUnreadable(file=part.name, why="it has no heading", why_zh="缺少表头")
    if chr(0) in head:
        raise FileUnreadable(file=part.name, why="it is no text file", why_zh="不是文本文件")
    delimiter = max(DELIMITERS, key=lambda d: len(_split(head, d)))
    columns = _named(_split(head, delimiter))
    shown = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}[delimiter]
    note = Note(
        f"{part.name}: read as {why}, columns set apart by {shown}.",
        f"{part.name}：按 {why} 读取，列分隔符为 {shown}。",
    )
    return Table(part.name, columns, lambda: _rows(part, encoding, delimiter, columns), [note])


def _named(names: list[str]) -> list[str]:
    """Headings without blanks; one that is empty or there twice gets its place's number."""
    seen: set[str] = set()
    named = []
    for place, name in enumerate(names, 1):
        plain = name.strip().lstrip("\ufeff") or f"column {place}"
        plain = f"{plain} ({place})" if plain in seen else plain
        seen.add(plain)
        named.append(plain)
    return named


def detect_encoding(part: Part) -> tuple[str, str]:
    """(codec, what to tell): the byte order mark, else UTF-8 if it is, else GB18030 if the bytes
    come in pairs as Chinese does, else Windows-1252 (which holds Latin-1). The whole file is looked
    at: a first page in plain ASCII says nothing."""
    utf8, gb = codecs.getincrementaldecoder("utf-8")(), codecs.getincrementaldecoder("gb18030")()
    is_utf8 = is_gb = True
    single = paired = wrong = 0
    with part.open() as stream:
        start = stream.read(4)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16", "UTF-16"
        if start.startswith(codecs.BOM_UTF8):
            return "utf-8-sig", "UTF-8 (BOM)"
        block = start
        while block:
            if not block.isascii():
                is_utf8, bad = _decodes(utf8, block, is_utf8)
                wrong += bad
                is_gb, _ = _decodes(gb, block, is_gb)
                one, two = _runs(block)
                single, paired = single + one, paired + two
            block = stream.read(BLOCK)
    if is_utf8 or wrong * 200 < single + paired:
        return "utf-8", "UTF-8"
    if is_gb and paired > single * 9:
        return "gb18030", "GB18030"
    return "cp1252", "Windows-1252 (Latin-1)"


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, so_far: bool) -> tuple[bool, int]:
    try:
        decoder.decode(block)
        return so_far, 0
    except UnicodeDecodeError:
        decoder.reset()
        text = block.decode("utf-8", "surrogateescape")
        return False, sum(1 for c in text if 0xDC80 <= ord(c) <= 0xDCFF)


def _runs(block: bytes) -> tuple[int, int]:
    """Bytes above ASCII that stand alone (accents in Western text) and in runs of even length
    (Chinese); odd longer runs speak for neither."""
    single = paired = run = 0
    for byte in block[:200_000] + b"\n":
        if byte >= 0x80:
            run += 1
        elif run:
            single += run == 1
            paired += run if run % 2 == 0 else 0
            run = 0
    return single, paired


def _lines(part: Part, encoding: str) -> Iterator[tuple[str, int]]:
    """(line, number). Bytes that do not fit the encoding are kept as lone surrogates, so that their
    row can be named."""
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    with part.open() as raw, io.TextIOWrapper(raw, encoding, errors=errors) as text:
        number = 0
        while line := text.readline(LONGEST_LINE):
            number += 1
            yield line, number


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line.rstrip("\n")], delimiter=delimiter), [])


def _rows(part: Part, encoding: str, delimiter: str, columns: list[str]) -> Iterator[Row | Fault]:
    lines = _lines(part, encoding)
    waiting: list[tuple[str, int]] = []  # lines given back by a record that was not one
    heading = True

    def take() -> tuple[str, int] | None:
        return waiting.pop(0) if waiting else next(lines, None)

    while (taken := take()) is not None:
        line, number = taken
        if not line.strip():
            continue
        if heading:
            heading = False
            continue
        held = [taken]
        if line.count('"') % 2:
            quotes = 1
            while quotes % 2 and len(held) < LONGEST_RECORD and (more := take()) is not None:
                held.append(more)
                quotes += more[0].count('"')
        values, used = _record([text for text, _ in held], delimiter, len(columns))
        waiting[:0] = held[used:]
        yield _judged(part.name, number, values, line, columns)


def _record(held: list[str], delimiter: str, width: int) -> tuple[list[str] | None, int]:
    """(values, lines used). A stray quote (5" pipe) must not swallow what follows: if the lines
    together are no row of the right width, the first stands alone, and falls alone."""
    if len(held) == 1 and '"' not in held[0]:
        return held[0].rstrip("\n").split(delimiter), 1
    if len(held) > 1:
        together = _parsed(held, delimiter)
        if together is not None and len(together) == width:
            return together, len(held)
    return _parsed(held[:1], delimiter), 1


def _parsed(lines: list[str], delimiter: str) -> list[str] | None:
    """The values of one row over ``lines``, or None when a quote stays open or there is more than
    one row."""
    text = [*lines[:-1], lines[-1].rstrip("\n")]
    for strict in (True, False):
        try:
            rows = list(csv.reader(text, delimiter=delimiter, strict=strict))
        except csv.Error as error:
            if "unexpected end" in str(error):
                return None
            continue
        return rows[0] if len(rows) == 1 else None
    return None


def _judged(
    file: str, number: int, values: list[str] | None, line: str, columns: list[str]
) -> Row | Fault:
    shown = line.strip()[:SHOWN]
    if values is None:
        return Fault(row=number, file=file, value=shown,
                     en="A quotation mark opens and is never closed. This row was left out.",
                     zh="引号没有闭合，此行未导入。")  # fmt: skip
    if len(values) != len(columns):
        has, wants = len(values), len(columns)
        return Fault(row=number, file=file, value=shown,
                     en=f"The row has {has} columns, the heading {wants}. It was left out.",
                     zh=f"此行有 {has} 列，而表头有 {wants} 列，未导入。")  # fmt: skip
    if any(0xDC80 <= ord(c) <= 0xDCFF for v in values if not v.isascii() for c in v):
        clean = shown.encode("utf-8", "replace").decode()
        return Fault(row=number, file=file, value=clean,
                     en="The row has bytes that are not of the file's encoding. It was left out.",
                     zh="此行含有与文件编码不符的字节，未导入。")  # fmt: skip
    return Row(number, dict(zip(columns, values, strict=True)))
