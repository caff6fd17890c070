"""The vault: secrets and personal data that need not be searched are stored sealed.

Sealing is AES-256-GCM with a fresh nonce; the value names the key it was sealed with, so a new key
can take over while old values stay readable. A *blind* is a keyed hash: equal inputs meet, nobody
else can tell what they were.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Unsealable(Exception):
    """A value that none of our keys opens: tampered with, moved to another place, or a lost key."""


class Vault:
    """``secrets`` by key id; the last one seals, all of them open. The first one makes blinds, for
    good."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        if not secrets or any(len(secret) < 16 for secret in secrets.values()):
            raise ValueError("the secret needs at least 16 characters")
        self._keys = {
            key_id: hmac.digest(secret.encode(), b"pinwheel vault", "sha256")
            for key_id, secret in secrets.items()
        }
        self._current = list(secrets)[-1]
        self._ciphers = {key_id: AESGCM(key) for key_id, key in self._keys.items()}
        self._blinding = hmac.digest(next(iter(secrets.values())).encode(), b"blind", "sha256")

    @classmethod
    def of_secret(cls, secret: str) -> Vault:
        """A vault of the installation's secret, or of several, the oldest first (``old,new``)."""
        parts = [part.strip() for part in secret.split(",")]
        return cls({str(number): part for number, part in enumerate(parts, 1)})

    def seal(self, text: str, purpose: str) -> str:
        """``text`` sealed for ``purpose`` (``identity.address.phone``): it opens for that one
        alone."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, text.encode(), purpose.encode())
        return f"{self._current}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, purpose: str) -> str:
        key_id, _, encoded = sealed.partition(":")
        try:
            raw = base64.b64decode(encoded, validate=True)
            cipher = self._ciphers[key_id]
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], purpose.encode()).decode()
        except (KeyError, ValueError, binascii.Error, InvalidTag) as error:
            raise Unsealable(purpose) from error

    def blind(self, text: str, purpose: str) -> bytes:
        return hmac.digest(self._blinding, f"{purpose}\n{text}".encode(), "sha256")
