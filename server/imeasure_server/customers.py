"""Who may come in: the keys that were given when the server was started, and those in its database."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from imeasure_server.authentication import is_known_key, key_hash
from imeasure_server.store.database import StoreUnavailable
from imeasure_server.store.keys import KeyInfo, Keys

logger = logging.getLogger(__name__)

GIVEN = "--api-key"
"""Name in the database of a key that was given when the server was started, so that it has usage and history too."""


class Customers:
    """Tells whose key it is. Asks the database, so that a key is good or revoked at once on every server of it.

    While the database fails, keys that this process has seen before are believed: a measurement is then still answered
    (with a ``billing_error``).

    Args:
        keys: of the database.
        given: SHA-256 of the keys that the server was started with.
    """

    def __init__(self, keys: Keys, given: Iterable[bytes]) -> None:
        self._keys = keys
        self._given = frozenset(given)
        self._seen: dict[bytes, KeyInfo] = {}

    def open(self) -> None:
        """Enter the given keys in the database.

        Raises:
            StoreUnavailable: the database failed.
        """
        for known in sorted(self._given):
            info = self._keys.ensure(known, GIVEN)
            if info.revoked is None:
                self._seen[known] = info
            else:
                logger.warning("A key given with --api-key was revoked and is let in no more: %s", info.name)

    def identify(self, key: str | None) -> KeyInfo | None:
        """Whose key this is; None when nobody's, when it is revoked, or was given to an earlier start only.

        Raises:
            StoreUnavailable: the database failed, and the key has not been seen before.
        """
        if not key:
            return None
        hashed = key_hash(key)
        try:
            info = self._keys.identify(key)
        except StoreUnavailable as error:
            seen = self._seen.get(hashed)
            if seen is None:
                raise
            logger.error("A key was let in from memory. %s", error)
            return seen
        if info is None or (_was_given(info) and hashed not in self._given):
            self._seen.pop(hashed, None)
            return None
        self._seen[hashed] = info
        return info

    def lets_in(self, key: str | None) -> bool:
        """Whether this is anybody's key, for protocols without accounts; given keys are good without a database.

        Raises:
            StoreUnavailable: as `identify`.
        """
        return is_known_key(key, self._given) or self.identify(key) is not None


def _was_given(info: KeyInfo) -> bool:
    """Whether a key came by ``--api-key``, by its name; `Keys.ensure` adds its hash to all names but the first."""
    return info.name == GIVEN or info.name.startswith(f"{GIVEN} (")
