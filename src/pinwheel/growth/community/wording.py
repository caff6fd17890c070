"""Words: what is kept of them, what they give away, and when two texts are nearly one."""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable

import nh3

from pinwheel.growth.community.model import Signal

SHINGLE = 4
BANDS = 16
ROWS = 4
SHORTEST = 24  # below this, equal words are a habit ("works well, fast delivery") and no sign
ALIKE = 0.7
_FILL = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1

# Invisible and direction-changing characters: they hide words or turn a page around.
_HIDDEN = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e"
                     "\u2060-\u2069\ufeff]")  # fmt: skip
_LINK = re.compile(r"(https?://|www\.)\S+|\b[\w-]+\.(com|cn|net|org|shop|top|xyz|io|ru)\b", re.I)
_CONTACT = re.compile(
    r"[\w.+-]+@[\w-]+\.\w+|(?<!\d)(?:\+?\d[\s-]?){9,14}\d(?!\d)"
    r"|(?:微信|薇信|加[vV微]|QQ|WhatsApp|Telegram)\s*[:：号]?\s*[\w-]{5,}",
    re.I,
)


def plain(text: str) -> str:
    """Text without markup, hidden characters and heaps of empty lines (NFC)."""
    bare = html.unescape(nh3.clean(text, tags=set()))
    bare = _HIDDEN.sub("", unicodedata.normalize("NFC", bare).replace("\r\n", "\n"))
    bare = re.sub(r"[^\S\n]+", " ", bare)
    return re.sub(r"\n{3,}", "\n\n", bare).strip()


def one_line(text: str) -> str:
    return " ".join(plain(text).split())


def wording_signals(text: str) -> list[Signal]:
    """Links and ways to be contacted have no place in a review: a person looks first."""
    signals = []
    if found := _LINK.search(text):
        signals.append(Signal("link", 1.0, {"found": found[0][:80]}))
    if _CONTACT.search(text):
        signals.append(Signal("contact", 1.0, {}))
    return signals


def shingles(text: str) -> set[int]:
    """Hashes of every run of four letters or characters, without case, spaces and punctuation:
    works alike for Chinese and for Latin letters. Empty for a text too short to tell."""
    letters = "".join(c for c in unicodedata.normalize("NFKC", text).lower() if c.isalnum())
    if len(letters) < SHORTEST:
        return set()
    runs = {letters[i : i + SHINGLE] for i in range(len(letters) - SHINGLE + 1)}
    return {
        int.from_bytes(hashlib.blake2b(r.encode(), digest_size=8).digest(), "big") for r in runs
    }


def bands(text: str) -> list[int]:
    """A fingerprint of 16 numbers: texts whose shingles overlap by half share one with probability
    two thirds, by eight tenths nearly surely. One-permutation MinHash with rotation (Li, Owen,
    Zhang 2012; Shrivastava, Li 2014), 64 bins in bands of four."""
    found = shingles(text)
    if not found:
        return []
    bins: list[int | None] = [None] * (BANDS * ROWS)
    for one in found:
        place, value = one % len(bins), one // len(bins)
        held = bins[place]
        if held is None or value < held:
            bins[place] = value
    filled = _rotated(bins)
    out = []
    for band in range(BANDS):
        rows = (band, *filled[band * ROWS : (band + 1) * ROWS])
        digest = hashlib.blake2b(repr(rows).encode(), digest_size=8).digest()
        out.append(int.from_bytes(digest, "big", signed=True))
    return out


def _rotated(bins: list[int | None]) -> list[int]:
    """An empty bin borrows from the next full one, marked by the distance."""
    size = len(bins)
    full = []
    for place in range(size):
        distance = next(d for d in range(size) if bins[(place + d) % size] is not None)
        value = bins[(place + distance) % size] or 0
        full.append((value + distance * _FILL) & _MASK)
    return full


def likeness(a: str, b: str) -> float:
    """Jaccard overlap of the shingles of two texts, 0 to 1."""
    first, second = shingles(a), shingles(b)
    if not first or not second:
        return 0.0
    return len(first & second) / len(first | second)


def nearest(text: str, others: Iterable[tuple[str, str]]) -> tuple[str, float] | None:
    """The id and likeness of the text among ``others`` (id, text) that is nearest to this one, when
    it is near enough to be no chance."""
    best = max(
        ((i, likeness(text, other)) for i, other in others), key=lambda f: f[1], default=None
    )
    return best if best is not None and best[1] >= ALIKE else None
