"""Keys of customers in the database, on SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import text, update

from imeasure_server.settings import ServerSettings
from imeasure_server.store.database import Database
from imeasure_server.store.keys import KeyProblem, Keys
from imeasure_server.store.tables import keys as table


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database)


def test_a_key_lets_its_owner_in(keys: Keys) -> None:
    first, second = keys.create("Klinik Süd"), keys.create("北")
    for made in (first, second):
        known = keys.identify(made.secret)
        assert known is not None
        assert (known.id, known.name, known.revoked) == (made.id, made.name, None)
        assert timedelta(0) <= datetime.now(timezone.utc) - known.created < timedelta(minutes=1)
    assert first.secret != second.secret
    assert len(first.secret) >= 43


@pytest.mark.parametrize("nobodys", [None, "", "x", "imk_", "\0", "\udce9", "x" * 100_000])
def test_what_is_nobodys_key(keys: Keys, nobodys: str | None) -> None:
    made = keys.create("Clinic")
    assert keys.identify(nobodys) is None
    assert keys.identify(made.secret + " ") is None
    assert keys.identify(made.secret[:-1]) is None
    assert keys.identify(hashlib.sha256(made.secret.encode()).hexdigest()) is None


def test_only_the_hash_is_kept(keys: Keys, database: Database) -> None:
    made = keys.create("Clinic")
    with database.reading() as connection:
        row = connection.execute(text("SELECT * FROM api_keys")).one()
    assert made.secret not in str(tuple(row))
    assert bytes(row.hash) == hashlib.sha256(made.secret.encode()).digest()
    assert made.secret not in repr(made)


def test_a_revoked_key_lets_nobody_in(keys: Keys) -> None:
    by_id, by_name, good = keys.create("A"), keys.create("B"), keys.create("C")
    assert keys.revoke(by_id.id).revoked is not None
    assert keys.revoke("B").id == by_name.id
    assert keys.identify(by_id.secret) is None
    assert keys.identify(by_name.secret) is None
    assert keys.identify(good.secret) is not None
    assert [key.revoked is None for key in keys.list()] == [False, False, True]
    assert keys.count() == 1


def test_revoking_again_keeps_the_moment(keys: Keys) -> None:
    made = keys.create("A")
    assert keys.revoke(str(made.id)) == keys.revoke(made.id)


def test_a_name_is_free_again_after_its_key_was_revoked(keys: Keys) -> None:
    old = keys.create("Clinic")
    with pytest.raises(KeyProblem, match="There is a key named 'Clinic'"):
        keys.create(" Clinic ")
    keys.revoke("Clinic")
    new = keys.create("Clinic")
    assert new.id != old.id
    assert keys.identify(old.secret) is None
    assert keys.revoke("Clinic").id == new.id
    with pytest.raises(KeyProblem, match="no key 'Clinic' in use"):
        keys.revoke("Clinic")


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "7", "a\nb", "a\0b", "--api-key"])
def test_names_that_are_none(keys: Keys, name: str) -> None:
    with pytest.raises(KeyProblem):
        keys.create(name)
    assert keys.list() == []


@pytest.mark.parametrize("which", [7, "7", "nobody", "", "9" * 30, "' OR 1=1 --"])
def test_there_is_no_such_key(keys: Keys, which: int | str) -> None:
    made = keys.create("Clinic")
    with pytest.raises(KeyProblem, match="There is no key"):
        keys.revoke(which)
    assert keys.identify(made.secret) is not None


def test_keys_of_the_command_line_are_entered_once(keys: Keys) -> None:
    hashes = [hashlib.sha256(secret).digest() for secret in (b"first", b"second")]
    first, second = (keys.ensure(value, "--api-key") for value in hashes)
    assert first.id != second.id
    assert first.name == "--api-key"
    assert second.name.startswith("--api-key (")
    assert keys.ensure(hashes[0], "--api-key") == first
    assert keys.identify("second") == second
    keys.revoke(first.id)
    assert keys.ensure(hashes[0], "--api-key").revoked is not None
    assert keys.identify("first") is None


def test_servers_that_start_at_once_enter_a_key_once(keys: Keys) -> None:
    known = hashlib.sha256(b"given").digest()
    with ThreadPoolExecutor(8) as pool:
        entered = list(pool.map(lambda _: keys.ensure(known, "--api-key"), range(16)))
    assert len({key.id for key in entered}) == 1
    assert len(keys.list()) == 1


def test_last_use_is_known_to_the_hour(keys: Keys, database: Database) -> None:
    made = keys.create("Clinic")
    assert keys.list()[0].last_used is None
    keys.identify(made.secret)
    first = keys.list()[0].last_used
    assert first is not None
    keys.identify(made.secret)
    assert keys.list()[0].last_used == first
    with database.writing() as connection:
        connection.execute(update(table).values(last_used=first - timedelta(minutes=61)))
    keys.identify(made.secret)
    assert (keys.list()[0].last_used or first) >= first


def test_keys_in_the_database_count_as_keys(keys: Keys, empty_database_url: str) -> None:
    settings = ServerSettings(host="0.0.0.0", database_url=empty_database_url)
    assert "keys create" in (settings.problem or "")
    keys.ensure(hashlib.sha256(b"of an earlier start").digest(), "--api-key")
    assert settings.problem is not None
    made = keys.create("Clinic")
    assert settings.problem is None
    keys.revoke(made.id)
    assert settings.problem is not None
