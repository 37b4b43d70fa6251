"""API keys: one for each customer, kept only as SHA-256."""

from __future__ import annotations

import hmac
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from imeasure_server.authentication import key_hash
from imeasure_server.store.database import Database, StoreUnavailable
from imeasure_server.store.tables import HASH_BYTES, keys

PREFIX = "imk_"
SECRET_BYTES = 32
LAST_USED_PRECISION = timedelta(hours=1)
MAX_NAME = 200


class KeyProblem(ValueError):
    """A key cannot be created or revoked; the message is a sentence."""


@dataclass(frozen=True)
class KeyInfo:
    """What is known of a key.

    Attributes:
        id: never given to another key.
        name: of the customer.
        created, revoked, last_used: UTC; `last_used` to the hour. `revoked` is None as long as the key is good.
    """

    id: int
    name: str
    created: datetime
    revoked: datetime | None
    last_used: datetime | None


@dataclass(frozen=True)
class NewKey:
    """A key that was just made; nothing but this object knows `secret`."""

    id: int
    name: str
    secret: str

    def __repr__(self) -> str:
        return f"NewKey(id={self.id}, name={self.name!r})"


class Keys:
    """The keys in a database. Every method raises `StoreUnavailable` when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str) -> NewKey:
        """Make a key for a customer.

        Raises:
            KeyProblem: the name is empty, too long, only digits, begins with a hyphen, or is that of a key in use.
        """
        name = name.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise KeyProblem(f"Give the key a name of 1 to {MAX_NAME} printable characters.")
        if name.isdecimal() or name.startswith("-"):
            raise KeyProblem("A name cannot be a number, which is an id, or begin with a hyphen.")
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        row = {"name": name, "hash": key_hash(secret), "created": datetime.now(timezone.utc)}
        with self._database.writing() as connection:
            try:
                identity = connection.execute(insert(keys).values(row)).inserted_primary_key
            except IntegrityError:
                raise KeyProblem(f"There is a key named {name!r}. Revoke it, or choose another name.") from None
        assert identity is not None
        return NewKey(int(identity[0]), name, secret)

    def ensure(self, hash: bytes, name: str) -> KeyInfo:
        """Enter a key that the operator gave with ``--api-key``, once; it has usage and history like any other.

        A key that was revoked stays revoked: look at `KeyInfo.revoked`.

        Args:
            hash: its SHA-256.
            name: for a key that is not there yet, beginning with a hyphen; a part of the
                hash is added when a key in use has this name.
        """
        with self._database.writing() as connection:
            found = connection.execute(_KNOWN.where(keys.c.hash == hash)).one_or_none()
            if found is None:
                # The prefix is no secret: SHA-256 of a random key tells nothing about it.
                taken = select(keys.c.id).where(keys.c.name == name, keys.c.revoked.is_(None))
                if connection.execute(taken).one_or_none() is not None:
                    name = f"{name} ({hash.hex()[:16]})"
                try:
                    with connection.begin_nested():
                        row = {"name": name, "hash": hash, "created": datetime.now(timezone.utc)}
                        connection.execute(insert(keys).values(row))
                except IntegrityError:
                    pass  # another server entered it at the same moment
                found = connection.execute(_KNOWN.where(keys.c.hash == hash)).one()
        return _info(found)

    def list(self) -> list[KeyInfo]:
        """All keys, revoked ones too, oldest first."""
        with self._database.reading() as connection:
            return [_info(row) for row in connection.execute(_KNOWN.order_by(keys.c.id))]

    def count(self) -> int:
        """How many keys are good. Those given with ``--api-key``, whose names begin with a hyphen, are not counted:
        they are good for a start that is given them."""
        with self._database.reading() as connection:
            return int(connection.execute(_GOOD).scalar_one())

    def revoke(self, id_or_name: int | str) -> KeyInfo:
        """Let a key in no more, from now on, on every server of this database. Its usage and history stay.

        Raises:
            KeyProblem: there is no such key.
        """
        text = str(id_or_name).strip()
        # A name may have been used before: the key in use is meant.
        is_id = text.isdecimal() and len(text) < 10
        which = keys.c.id == int(text) if is_id else (keys.c.name == text) & keys.c.revoked.is_(None)
        with self._database.writing() as connection:
            now = datetime.now(timezone.utc)
            connection.execute(update(keys).where(which, keys.c.revoked.is_(None)).values(revoked=now))
            again = which if is_id else (keys.c.name == text) & (keys.c.revoked == now)
            found = connection.execute(_KNOWN.where(again)).first()
        if found is None:
            raise KeyProblem(f"There is no key {text!r} in use. See `imeasure-server keys list`.")
        return _info(found)

    def identify(self, secret: str | None) -> KeyInfo | None:
        """Whose key this is; None when it is nobody's or revoked.

        The database looks for the SHA-256, which a client cannot choose, and the final comparison takes the same time
        whatever is found: neither tells how near a guess was.
        """
        if not secret:
            return None
        given, now = key_hash(secret), datetime.now(timezone.utc)
        with self._database.reading() as connection:
            row = connection.execute(_WITH_HASH.where(keys.c.hash == given)).one_or_none()
        same = hmac.compare_digest(given, bytes(HASH_BYTES) if row is None else bytes(row.hash))
        if row is None or not same or row.revoked is not None:
            return None
        if row.last_used is None or now - row.last_used >= LAST_USED_PRECISION:
            # A database that can only be read still lets customers in.
            with suppress(StoreUnavailable), self._database.writing() as connection:
                connection.execute(update(keys).where(keys.c.id == row.id).values(last_used=now))
        return _info(row)


_KNOWN = select(keys.c.id, keys.c.name, keys.c.created, keys.c.revoked, keys.c.last_used)
_WITH_HASH = _KNOWN.add_columns(keys.c.hash)
_GOOD = select(func.count()).select_from(keys).where(keys.c.revoked.is_(None), keys.c.name.not_like("-%"))


def _info(row: Any) -> KeyInfo:
    return KeyInfo(row.id, row.name, row.created, row.revoked, row.last_used)
