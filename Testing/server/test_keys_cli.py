"""``imeasure-server keys`` and ``usage``, and the database on the command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import httpx
import pytest
from contract.server import ServerProcess
from postgres import PostgresServer
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from imeasure_server.cli import app
from imeasure_server.doctor import check_database, check_settings
from imeasure_server.settings import ServerSettings
from imeasure_server.store.database import Database
from imeasure_server.store.keys import Keys
from imeasure_server.store.rates import Rates
from imeasure_server.store.usage import Measurement, Usage

SECRET = "s3cret-of-mine"
Run = Callable[..., Result]


@pytest.fixture
def run(empty_database_url: str) -> Run:
    """The command on a database of its own, of each kind in turn."""
    ours = {name: None for name in os.environ if name.startswith("IMEASURE_")}
    runner = CliRunner(env={**ours, "IMEASURE_DATABASE_URL": empty_database_url, "COLUMNS": "200"})

    def run(*arguments: str, status: int = 0) -> Result:
        done = runner.invoke(app, arguments)
        assert done.exit_code == status, done.output
        assert "Traceback" not in done.output
        return done

    return run


def test_a_key_is_shown_once(run: Run, empty_database_url: str) -> None:
    done = run("keys", "create", "Tierklinik Nord")
    secret = done.stdout.strip()
    assert re.fullmatch(r"imk_[\w-]{43}", secret)
    assert done.stderr == "This is key 1 of Tierklinik Nord. Keep it: it is shown only now.\n"
    listed = run("keys", "list").output
    assert secret not in listed
    today = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    assert re.search(rf"^1   Tierklinik Nord  {today} \d\d:\d\d  never      in use$", listed, re.MULTILINE)
    database = Database(empty_database_url)
    assert Keys(database).identify(secret) is not None
    database.close()


def test_revoking(run: Run, empty_database_url: str) -> None:
    first, second = (run("keys", "create", name).stdout.strip() for name in ("first", "second"))
    assert run("keys", "revoke", "1").stdout.startswith("Key 1 of first is revoked since 20")
    assert run("keys", "revoke", "second").stdout.startswith("Key 2 of second is revoked since 20")
    assert run("keys", "list").stdout.count("  revoked 20") == 2
    database = Database(empty_database_url)
    assert [Keys(database).identify(secret) for secret in (first, second)] == [None, None]
    database.close()


def test_what_cannot_be_done_is_one_sentence(run: Run) -> None:
    run("keys", "create", "Clinic")
    assert run("keys", "create", "Clinic", status=2).stderr == (
        "There is a key named 'Clinic'. Revoke it, or choose another name.\n"
    )
    assert run("keys", "revoke", "8", status=2).stderr == (
        "There is no key '8' in use. See `imeasure-server keys list`.\n"
    )
    assert run("usage", "--month", "2026-13", status=2).stderr == "--month: Give a month as YYYY-MM.\n"


def test_usage_of_a_month(run: Run, empty_database_url: str) -> None:
    run("keys", "create", "Clinic")
    database = Database(empty_database_url)
    usage = Usage(database, Rates.model_validate({"paygo": {"single": 0.05}}))
    for uuid in ("a", "a", None):
        usage.charge(1, "single", True, uuid, datetime(2026, 3, 27, tzinfo=timezone.utc), Measurement(10.0, 2.0))
    database.close()
    header, row = run("usage", "--month", "2026-03").stdout.splitlines()
    assert header.split() == ["KEY", "NAME", "SINGLE", "SESSION", "RECHECKS", "DOLLARS"]
    assert row.split() == ["1", "Clinic", "2", "0", "1", "0.10"]
    assert len(run("usage").stdout.splitlines()) == 1


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMEASURE_")}
    return subprocess.run(
        [sys.executable, "-m", "imeasure_server", *arguments],
        capture_output=True,
        text=True,
        env={**environment, **variables},
        timeout=120,
        check=False,
    )


def refusal(status: int, *arguments: str, **variables: str) -> str:
    done = command(*arguments, **variables)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert done.stderr.strip().count("\n") == 0, done.stderr
    return done.stderr.strip()


def test_a_server_without_its_database_does_not_start(tmp_path: Path) -> None:
    url = f"postgresql://me:{SECRET}@127.0.0.1:1/imeasure"
    arguments = ("serve", "--port", "0", "--device", "cpu", "--workspace", str(tmp_path))
    sentence = refusal(1, *arguments, IMEASURE_DATABASE_URL=url)
    assert sentence.startswith("The database (PostgreSQL at 127.0.0.1:1, database imeasure) cannot be reached: ")
    assert sentence.endswith("Start it, or correct IMEASURE_DATABASE_URL.")
    assert refusal(1, "keys", "list", "--database-url", url) == sentence


def test_the_doctor_examines_the_database() -> None:
    settings = ServerSettings(
        database_url=SecretStr(f"postgresql://me:{SECRET}@127.0.0.1:1/imeasure"), require_api_key=True
    )
    for finding in (check_database(settings), check_settings(settings)):
        assert not finding.is_well
        assert finding.sentence.startswith("The database (PostgreSQL at 127.0.0.1:1, database imeasure) failed: ")
        assert SECRET not in finding.sentence


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--database-url", f"mysql://me:{SECRET}@host/d", "--database-url: The database is PostgreSQL"),
        ("--rates", "/no/such/rates.json", "--rates: The rates in /no/such/rates.json cannot be read"),
        ("--rates", '{"paygo": {"single": -1}}', "--rates: paygo.single: "),
    ],
)
def test_settings_that_are_none(option: str, value: str, said: str) -> None:
    done = CliRunner().invoke(app, ["serve", option, value])
    assert done.exit_code == 2
    assert str(done.stderr).startswith(said)
    assert SECRET not in done.output


def test_a_server_takes_keys_from_its_database(
    start_server: Callable[..., ServerProcess], postgresql: PostgresServer, empty_postgresql_url: str
) -> None:
    url = empty_postgresql_url
    made = command("keys", "create", "Clinic", IMEASURE_DATABASE_URL=url).stdout.strip()
    server = start_server("--require-api-key", environment={"IMEASURE_DATABASE_URL": url})
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        assert client.get("/metrics", headers={"x-api-key": made}).status_code == 200
        assert client.get("/metrics").status_code == 401
        assert command("keys", "revoke", "Clinic", IMEASURE_DATABASE_URL=url).returncode == 0
        assert client.get("/metrics", headers={"x-api-key": made}).status_code == 401
    assert postgresql.password not in server.log.read_text()
