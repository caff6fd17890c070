"""The index on disk: one writer, any number of readers, an atomic switch after a rebuild.

A root directory holds generations; the file `CURRENT` names the one in use and its format. The
position in the event feed is a document of the index itself, so it is committed with the changes it
stands for: a crash, or a copy of the directory, resumes where its own contents end.
"""

import fcntl
import logging
import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID

import msgspec
import tantivy

from pinwheel.discovery.search.analysis import HAN, fold, identifier
from pinwheel.discovery.search.model import Document
from pinwheel.discovery.search.ranking import (
    BITS,
    POPULARITY_BITS,
    PRODUCTS_KEPT,
    Terms,
    Texts,
    popularity,
    terms_of,
    texts,
)

log = logging.getLogger("pinwheel.search")
FORMAT = 1
WRITER_HEAP_BYTES = 60_000_000
SWITCHES_SURVIVED = 5
_WORD = re.compile(rf"[^\W\d_{HAN}]{{3,40}}")
_POSITION = "position"


class Card(msgspec.Struct, frozen=True, array_like=True):
    """What a result list needs of a document, kept in the index."""

    document: Document


class Current(msgspec.Struct, frozen=True):
    """The generation in use and the format it was written in."""

    directory: str
    format: int


class IndexBusy(Exception):
    """Another process holds the writer of this index."""


def market_term(channel: str, region: str) -> str:
    """The market a document belongs to, as one term."""
    return f"{channel}\x1f{region}"


def facet_term(code: str, value: str) -> str:
    """One facet value, as one term."""
    return f"{code}\x1f{value}"


def _schema() -> tantivy.Schema:
    build = tantivy.SchemaBuilder()
    for name in ("any", "title", "word", *(f"level{i}" for i in range(BITS))):
        option = "position" if name == "title" else "basic"
        build.add_text_field(name, tokenizer_name="whitespace", index_option=option)
    for name in ("product", "market", "kind", "identifier", "flag", "meta"):
        build.add_text_field(name, tokenizer_name="raw", index_option="basic")
    build.add_text_field("facet", tokenizer_name="raw", index_option="basic", fast=True)
    build.add_integer_field("price", fast=True, indexed=True)
    for name in ("id_high", "id_low", "by_price", "by_popularity", "by_age", "by_rating"):
        build.add_unsigned_field(name, fast=True)
    build.add_bytes_field("card", stored=True)
    return build.build()


SCHEMA = _schema()


def _open(path: Path, *, new: bool = False) -> tantivy.Index:
    index = tantivy.Index(SCHEMA, str(path), reuse=False) if new else tantivy.Index.open(str(path))
    whitespace = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer("whitespace", whitespace)
    index.config_reader(reload_policy="manual")  # no thread of its own that looks for news
    return index


def _entry(document: Document) -> tantivy.Document:
    written = texts(document)
    bought = popularity(document)
    entry = tantivy.Document()
    entry.add_text("product", str(document.product_id))
    entry.add_text("market", market_term(document.channel, document.region))
    _add_terms(entry, terms_of(written), _words(written))
    for given in document.identifiers:
        if key := identifier(given):
            entry.add_text("identifier", key)
    for code, value in _facets(document):
        entry.add_text("facet", facet_term(code, value))
    if document.buyable:
        entry.add_text("flag", "buyable")
    for bit in range(POPULARITY_BITS):
        if bought >> bit & 1:
            entry.add_text("flag", f"popular{bit}")
    _add_orders(entry, document)
    entry.add_bytes("card", msgspec.msgpack.encode(Card(document)))
    return entry


def _add_terms(entry: tantivy.Document, terms: Terms, words: str) -> None:
    entry.add_text("any", " ".join(terms.levels))
    for bit in range(BITS):
        entry.add_text(
            f"level{bit}", " ".join(t for t, (lvl, _) in terms.levels.items() if lvl >> bit & 1)
        )
    for title in terms.titles:
        entry.add_text("title", " ".join(title))
    for kind in terms.kinds:
        entry.add_text("kind", kind)
    entry.add_text("word", words)


@lru_cache(maxsize=PRODUCTS_KEPT)
def _words(written: Texts) -> str:
    """Every word as it is spelled, for mending what is mistyped."""
    return " ".join(sorted({w for _, ts in written for t in ts for w in _WORD.findall(fold(t))}))


def _facets(document: Document) -> Iterator[tuple[str, str]]:
    seen = {("brand", b) for b in document.brands} | {
        ("category", c.id) for c in document.categories
    }
    seen |= {(code, value) for code, values in document.facets.items() for value in values}
    yield from sorted(seen)


def _add_orders(entry: tantivy.Document, document: Document) -> None:
    high, low = document.product_id.int >> 64, document.product_id.int & (1 << 64) - 1
    spread = (high * 0x9E3779B97F4A7C15 ^ low) & 0xFFFFF  # makes ties rare; the id decides the rest
    listed = int(document.listed_at.timestamp()) if document.listed_at else 0
    price = min(max(document.price_minor, 0), (1 << 43) - 1)
    sold = min(max(document.sold_units, 0), (1 << 43) - 1)
    entry.add_integer("price", document.price_minor)
    entry.add_unsigned("id_high", high)
    entry.add_unsigned("id_low", low)
    entry.add_unsigned("by_price", price << 20 | spread)
    entry.add_unsigned("by_popularity", sold << 20 | spread)
    entry.add_unsigned("by_age", max(listed, 0) << 20 | spread)
    entry.add_unsigned(
        "by_rating", round(max(0.0, min(document.rating, 5.0)) * 1000) << 20 | spread
    )


class Snapshot:
    """One committed state of the index; every answer is computed on one snapshot."""

    def __init__(self, searcher: tantivy.Searcher) -> None:
        self.searcher = searcher
        self._counts: dict[tuple[str, str, str], int] = {}
        self._vocabulary: list[str] | None = None

    def count(self, query: tantivy.Query) -> int:
        """How many live documents match."""
        found: Any = self.searcher.search(query, 1, count=True)
        return int(found.count)

    def documents_with(self, term: str, market: str, field: str = "any") -> int:
        """Live documents of a market that hold a term (deleted ones never count)."""
        key = (field, term, market)
        found = self._counts.get(key)
        if found is None:
            found = self.count(_both(exact(field, term), exact("market", market)))
            if len(self._counts) > 500_000:
                self._counts.clear()
            self._counts[key] = found
        return found

    def documents(self, market: str) -> int:
        """Live documents of a market."""
        key = ("", "", market)
        if key not in self._counts:
            self._counts[key] = self.count(exact("market", market))
        return self._counts[key]

    def vocabulary(self) -> list[str]:
        """Words a misspelt one may stand for, alphabetically; may hold a few deleted ones."""
        if self._vocabulary is None:
            found = self.searcher.terms_with_prefix("word", "")
            self._vocabulary = sorted(word for word, _ in found)
        return self._vocabulary

    def card(self, address: tantivy.DocAddress) -> Document:
        """The document at an address."""
        raw: Any = self.searcher.doc(address).get_first("card")
        return msgspec.msgpack.decode(raw, type=Card).document

    def position(self) -> bytes | None:
        """The feed position this state includes, as the follower wrote it."""
        found = self.searcher.search(exact("meta", _POSITION), 1).hits
        if not found:
            return None
        raw: Any = self.searcher.doc(found[0][1]).get_first("card")
        return bytes(raw)


def exact(field: str, value: str) -> tantivy.Query:
    """The documents with this exact term."""
    value = value.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    return tantivy.Query.term_query(SCHEMA, field, value, index_option="basic")


def _both(one: tantivy.Query, other: tantivy.Query) -> tantivy.Query:
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, one), (tantivy.Occur.Must, other)])


class SearchIndex:
    """The readers' side: gives snapshots and notices commits and switches by itself."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._lock = threading.Lock()
        self._seen: tuple[Any, ...] | None = None
        self._index: tantivy.Index | None = None
        self._directory = ""
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """The newest committed state; a directory without an index answers as an empty one."""
        stamp = self._stamp()
        if self._snapshot is not None and stamp == self._seen:
            return self._snapshot
        with self._lock:
            if self._snapshot is None or stamp != self._seen:
                self._reload()
                self._seen = stamp
            assert self._snapshot is not None
            return self._snapshot

    def _stamp(self) -> tuple[Any, ...]:
        stamps: list[Any] = [self._directory]
        for path in (self.root / "CURRENT", self.root / self._directory / "meta.json"):
            try:
                found = os.stat(path)
                stamps.append((found.st_ino, found.st_mtime_ns, found.st_size))
            except OSError:
                stamps.append(None)
        return tuple(stamps)

    def _reload(self) -> None:
        for _ in range(SWITCHES_SURVIVED):
            try:
                self._load()
                return
            except (OSError, ValueError):
                self._index = None  # removed by a switch between its name and its opening
        log.warning(
            "the search index in %s can't be read; answering as if it were empty", self.root
        )
        self._index, self._directory = _empty(), ""
        self._snapshot = Snapshot(self._index.searcher())

    def _load(self) -> None:
        current = read_current(self.root)
        directory = current.directory if current and current.format == FORMAT else ""
        if self._index is None or directory != self._directory:
            self._index = _open(self.root / directory) if directory else _empty()
            self._directory = directory
        self._index.reload()
        self._snapshot = Snapshot(self._index.searcher())


def _empty() -> tantivy.Index:
    return tantivy.Index(SCHEMA)


def read_current(root: Path) -> Current | None:
    """The generation in use, or None where there is none or the file can't be read."""
    try:
        return msgspec.json.decode((root / "CURRENT").read_bytes(), type=Current)
    except (OSError, msgspec.MsgspecError):
        return None


class Writer:
    """The one writer of an index. Use as a context; `IndexBusy` when another process writes."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def __enter__(self) -> "Writer":
        self.root.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.root / "LOCK", "wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise IndexBusy(str(self.root)) from error
        self._index: tantivy.Index | None = None
        self._writer: tantivy.IndexWriter | None = None
        current = read_current(self.root)
        if current and current.format == FORMAT:
            with suppress(OSError, ValueError):  # damaged: no position, so it is built anew
                self._use(self.root / current.directory)
        self._clean()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()
        self._lock.close()

    def position(self) -> bytes | None:
        """Where to go on reading the feed; None means: rebuild."""
        if self._index is None:
            return None
        self._index.reload()
        return Snapshot(self._index.searcher()).position()

    def apply(
        self,
        product_ids: Iterable[UUID],
        documents: Iterable[Document],
        position: bytes | None = None,
    ) -> None:
        """These products now have exactly these documents (none: they leave the index). Atomic."""
        if self._writer is None:
            self._publish(self._fresh())
        writer = self._writer
        assert writer is not None
        try:
            for product_id in product_ids:
                writer.delete_documents_by_term("product", str(product_id))
            for document in documents:
                writer.add_document(_entry(document))
            if position is not None:
                _mark(writer, position)
            writer.commit()
        except BaseException:
            writer.rollback()
            raise

    @contextmanager
    def rebuild(self, position: bytes | None = None) -> Iterator["Rebuild"]:
        """A new generation beside the old; readers switch to it when the block ends well."""
        path = self._fresh()
        index = _open(path)
        writer = index.writer(WRITER_HEAP_BYTES, 1)
        try:
            yield Rebuild(writer)
            if position is not None:
                _mark(writer, position)
            writer.commit()
            writer.wait_merging_threads()
        except BaseException:
            with suppress(ValueError):
                writer.rollback()
                writer.wait_merging_threads()  # its threads would still write into the directory
            shutil.rmtree(path, ignore_errors=True)
            raise
        self._publish(path)

    def _publish(self, path: Path) -> None:
        self._release()
        self._use(path)
        pending = self.root / "CURRENT.new"
        with open(pending, "wb") as file:
            file.write(msgspec.json.encode(Current(path.name, FORMAT)))
            file.flush()
            os.fsync(file.fileno())
        os.replace(pending, self.root / "CURRENT")
        self._clean()

    def _fresh(self) -> Path:
        taken = [int(p.name[1:]) for p in self.root.glob("g*") if p.name[1:].isdigit()]
        path = self.root / f"g{max(taken, default=0) + 1}"
        path.mkdir()
        _open(path, new=True)
        return path

    def _use(self, path: Path) -> None:
        index = _open(path)
        self._writer = index.writer(WRITER_HEAP_BYTES, 1)
        self._index = index

    def _release(self) -> None:
        writer, self._writer, self._index = self._writer, None, None
        if writer is not None:
            with suppress(ValueError):
                writer.wait_merging_threads()

    def _clean(self) -> None:
        """Remove generations that a crash or a switch has left; open readers keep their files."""
        current = read_current(self.root)
        for path in self.root.glob("g*"):
            if current is None or path.name != current.directory:
                shutil.rmtree(path, ignore_errors=True)


class Rebuild:
    """Takes the documents of a new generation."""

    def __init__(self, writer: tantivy.IndexWriter) -> None:
        self._writer = writer

    def add(self, documents: Iterable[Document]) -> None:
        """Add documents; each product and market once."""
        for document in documents:
            self._writer.add_document(_entry(document))

    def flush(self) -> None:
        """Write out what was added; readers see it only after the switch."""
        self._writer.commit()


def _mark(writer: tantivy.IndexWriter, position: bytes) -> None:
    writer.delete_documents_by_term("meta", _POSITION)
    entry = tantivy.Document()
    entry.add_text("meta", _POSITION)
    entry.add_bytes("card", position)
    writer.add_document(entry)
