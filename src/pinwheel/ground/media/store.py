"""Files by what they contain: written whole or not at all, found by their digest."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

DIGEST = re.compile(r"[0-9a-f]{64}")


class Store:
    """Files below ``folder``. Every call reads or writes a disk: make it in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise ValueError("a digest is 64 hexadecimal digits")
        return self.folder / digest[:2] / digest

    def put(self, body: bytes) -> str:
        """Keep ``body`` on the disk itself; its digest."""
        digest = hashlib.sha256(body).hexdigest()
        path = self.path(digest)
        if path.exists():
            return digest
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{digest}.{os.getpid()}")
        with draft.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        return digest

    def get(self, digest: str) -> bytes | None:
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)

    def digests(self, first: str, older_than: float) -> Iterator[str]:
        """Files whose digest begins with ``first`` (two digits) and that were written before then
        (seconds of the epoch)."""
        for path in (self.folder / first).glob("*"):
            if DIGEST.fullmatch(path.name) and path.stat().st_mtime < older_than:
                yield path.name
