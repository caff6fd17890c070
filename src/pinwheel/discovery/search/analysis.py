"""Text to terms: one analysis for what is indexed and for what is asked.

Latin words are folded and stemmed, codes such as ``GTX-1660`` are kept whole and in parts, Chinese
runs are cut into words (jieba) with character pairs beside them so that an unknown word is still
found, and each Chinese word carries its pinyin. A term's beginning tells its sort: ``=`` an exact
spelling, ``2:`` a pair, ``1:`` a single character, ``p:`` pinyin, ``i:`` pinyin initials.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

import msgspec
import rjieba
import tantivy
from pypinyin import Style, lazy_pinyin

HAN = (
    r"\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
MAX_TERM = 64

_TAG = re.compile(r"<[^<>]{0,200}>")
_MARKS = re.compile(r"[®™©\u00ad\u200b-\u200f\ufeff]")
_INCH = re.compile(r"(?<=\d)\s{0,2}(?:\"|″|”|'')")
_NAME_DOT = re.compile(rf"(?<=[{HAN}])\s?[·・•‧∙]\s?(?=[{HAN}])")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_POSSESSIVE = re.compile(r"['’]s\b")
_CHUNK = re.compile(
    rf"[{HAN}]+|[^\W_{HAN}]+(?:[-./+&'’_][^\W_{HAN}]+)*",
)
_PIECE = re.compile(r"\d+(?:\.\d+)*|[^\W\d_]+")
_HAN = re.compile(rf"[{HAN}]")
_stemmer = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw())
    .filter(tantivy.Filter.stemmer("english"))
    .build()
)

UNITS = frozenset(
    (
        *("mm", "cm", "m", "km", "in", "inch", "inches", "ft", "kg", "g", "mg", "lb", "lbs", "oz"),
        *("ml", "l", "cl", "w", "kw", "v", "mv", "a", "ma", "mah", "wh", "hz", "khz", "mhz", "ghz"),
        *(
            "kb",
            "mb",
            "gb",
            "tb",
            "mbps",
            "gbps",
            "dpi",
            "ppm",
            "rpm",
            "db",
            "pcs",
            "pin",
            "p",
            "k",
        ),
    )
)
STOPWORDS = frozenset(
    (
        *("a", "an", "and", "the", "of", "for", "with", "to", "in", "on", "at", "by", "from", "or"),
        *("is", "are", "my", "your", "的", "了", "和", "与", "及", "或"),
    )
)


class Token(msgspec.Struct, frozen=True):
    """A word as it stands in the text: its main term, and the parts it may also be found by."""

    surface: str
    term: str
    parts: tuple[str, ...] = ()
    han: bool = False
    starts_run: bool = False


def fold(text: str) -> str:
    """Lower case, without accents, width or markup; Traditional and Simplified stay as they are."""
    text = _MARKS.sub(" ", text.replace("\x00", " "))
    text = unicodedata.normalize("NFKC", _TAG.sub(" ", text)).casefold()
    text = "".join(c for c in unicodedata.normalize("NFD", text) if not "\u0300" <= c <= "\u036f")
    text = unicodedata.normalize("NFC", text)
    text = _INCH.sub(" inch", _NAME_DOT.sub("", text))
    text = _DECIMAL_COMMA.sub(".", _THOUSANDS.sub("", text))
    return _POSSESSIVE.sub("", text)


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """The English (Snowball) stem; a word with a digit or of another script stays whole."""
    if not word.isascii() or not word.isalpha() or len(word) < 3:
        return word
    stems: list[str] = _stemmer.analyze(word)
    return stems[0] if stems and stems[0] else word


@lru_cache(maxsize=100_000)
def words_of_han(run: str) -> tuple[str, ...]:
    """A Chinese run cut into words, in order."""
    return tuple(rjieba.cut(run))


@lru_cache(maxsize=100_000)
def inner_words(word: str) -> tuple[str, ...]:
    """The shorter words inside a long one (search mode), without the word itself."""
    if len(word) < 3:
        return ()
    return tuple(dict.fromkeys(w for w in rjieba.cut_for_search(word) if 2 <= len(w) < len(word)))


@lru_cache(maxsize=100_000)
def pinyin(word: str) -> tuple[str, str]:
    """Full pinyin and initials of a Chinese word; two empty strings when it isn't all Chinese."""
    syllables: list[str] = lazy_pinyin(word, style=Style.NORMAL, errors="ignore", v_to_u=False)
    if len(syllables) != len(word):
        return "", ""
    return "".join(syllables), "".join(s[0] for s in syllables)


def pairs(word: str) -> list[str]:
    """Neighbouring characters as pair terms; a single character gives its own term."""
    if len(word) == 1:
        return ["1:" + word]
    return ["2:" + a + b for a, b in pairwise(word)]


def tokens(text: str, *, most: int = 2_000) -> list[Token]:
    """The words of a text in order, at most `most` of them."""
    found: list[Token] = []
    for chunk in _CHUNK.findall(fold(text)):
        if len(found) >= most:
            break
        if _HAN.match(chunk):
            found += [
                Token(w, w[:MAX_TERM], inner_words(w), True, i == 0)
                for i, w in enumerate(words_of_han(chunk))
            ]
        else:
            found.append(_latin(chunk))
    return found[:most]


def _latin(chunk: str) -> Token:
    pieces = _PIECE.findall(chunk)
    if len(pieces) <= 1:
        return Token(chunk, stem(chunk)[:MAX_TERM])
    whole = "".join(pieces)[:MAX_TERM]
    return Token(chunk, stem(whole), tuple(stem(p)[:MAX_TERM] for p in pieces[:8]))


def index_terms(words: list[Token], *, with_pinyin: bool) -> list[str]:
    """Every term a text is found by, with repetitions (they are counted)."""
    found: list[str] = []
    for word in words:
        found.append(word.term)
        found += word.parts
        if word.han:
            continue
        if word.surface != word.term and not word.parts:
            found.append("=" + word.surface[:MAX_TERM])
    for left, right in pairwise(words):
        if not left.han and right.term in UNITS and left.term[-1:].isdigit():
            found.append(left.term + right.term)
    for run in _runs(words):
        found += pairs(run) if len(run) > 1 else []
        found += ["1:" + c for c in run]
    if with_pinyin:
        found += _pinyin_terms(words)
    return found


def _runs(words: list[Token]) -> list[str]:
    runs: list[str] = []
    for word in words:
        if word.han and (word.starts_run or not runs):
            runs.append(word.surface)
        elif word.han:
            runs[-1] += word.surface
    return runs


def _pinyin_terms(words: list[Token]) -> list[str]:
    spoken: dict[str, None] = {}
    for run in _runs(words):
        short = [run] if len(run) <= 8 else []
        for word in [*short, *words_of_han(run), *(a + b for a, b in pairwise(run))]:
            full, initials = pinyin(word)
            if full:
                spoken["p:" + full] = None
            if len(initials) > 1 and (word == run or word in words_of_han(run)):
                spoken["i:" + initials] = None
        for word in words_of_han(run):
            for inner in inner_words(word):
                full, initials = pinyin(inner)
                spoken["p:" + full] = None
                spoken["i:" + initials] = None
    return [t for t in spoken if len(t) > 2]


def identifier(text: str) -> str:
    """An identifier without its notation; GTIN-8/12/13 and ISBN-10 become GTIN-14.

    ISBN-10 becomes the ISBN-13 with prefix 978 (ISO 2108); a wrong check digit leaves it as it is.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKC", text).upper() if c.isalnum())[
        :MAX_TERM
    ]
    if re.fullmatch(r"[0-9]{9}[0-9X]", plain) and _isbn10_is_valid(plain):
        plain = "978" + plain[:9]
        plain += _gtin_check_digit(plain)
    if re.fullmatch(r"[0-9]{8}|[0-9]{12,14}", plain) and _gtin_check_digit(plain[:-1]) == plain[-1]:
        return plain.zfill(14)
    return plain


def _isbn10_is_valid(isbn: str) -> bool:
    digits = [10 if c == "X" else int(c) for c in isbn]
    return sum(d * (10 - i) for i, d in enumerate(digits)) % 11 == 0


def _gtin_check_digit(body: str) -> str:
    total = sum(int(c) * (3 if i % 2 == 0 else 1) for i, c in enumerate(reversed(body)))
    return str(-total % 10)
