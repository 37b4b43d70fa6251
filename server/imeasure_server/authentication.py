"""API keys, kept only as SHA-256."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


def key_hash(key: str) -> bytes:
    """SHA-256 of a key. Keys are random, so that a slow hash would add nothing."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def key_hashes(keys: str | Iterable[str]) -> frozenset[bytes]:
    """The hashes of keys: an iterable of them, or one string with commas between them. Empty ones are dropped."""
    names = keys.split(",") if isinstance(keys, str) else keys
    return frozenset(key_hash(key.strip()) for key in names if key.strip())


def is_known_key(key: str | None, hashes: Iterable[bytes]) -> bool:
    """Whether a key has one of these hashes; takes the same time whichever it is."""
    if not key:
        return False
    given = key_hash(key)
    return sum(hmac.compare_digest(given, known) for known in hashes) > 0
