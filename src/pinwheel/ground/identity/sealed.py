"""Opening and sealing this module's personal fields. A sealed value opens for its own column
alone."""

from __future__ import annotations

import hashlib
import uuid

from pinwheel.kernel.db import Database


def session_id_of(token_hash: bytes) -> uuid.UUID:
    """A session's public id; the secret can't be told from it."""
    return uuid.UUID(bytes=hashlib.blake2b(token_hash, digest_size=16).digest())


def token_hash_of(token: str) -> bytes:
    """What is stored of a secret: enough to recognise it, not enough to use it."""
    return hashlib.sha256(token.encode()).digest()


def email_hash_of(db: Database, email: str) -> bytes:
    return db.vault.blind(email, "identity.email")


def seal(db: Database, column: str, text: str) -> str:
    return db.vault.seal(text, f"identity.{column}")


def opened(db: Database, column: str, sealed: str | None) -> str | None:
    return None if sealed is None else db.vault.open(sealed, f"identity.{column}")
