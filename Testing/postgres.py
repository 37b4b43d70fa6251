"""A private PostgreSQL server for the tests, from Debian's packages, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

DEBIAN = Path("/usr/lib/postgresql")
ACCOUNT = "postgres"
OWNER = "imeasure"
START_SECONDS = 60


def programs() -> Path:
    """The folder with ``initdb`` and ``pg_ctl``.

    Raises:
        RuntimeError: PostgreSQL is not installed; a sentence.
    """
    found = [folder / "bin" for folder in DEBIAN.glob("*") if (folder / "bin" / "initdb").exists()]
    if found:
        return max(found, key=lambda folder: int(folder.parent.name))
    on_path = shutil.which("initdb")
    if on_path is None:
        raise RuntimeError("PostgreSQL is not installed. Run Testing/install_packages.sh as root, or install it.")
    return Path(on_path).resolve().parent


@dataclass(eq=False)
class PostgresServer:
    """A running server that asks for a password and listens on this machine only.

    Attributes:
        port: on 127.0.0.1.
        password: of its one user.
        folder: everything of it, removed by `stop`.
    """

    port: int
    password: str
    folder: Path

    @classmethod
    def start(cls) -> PostgresServer:
        """Make and start one. PostgreSQL refuses to run as root: then it runs as Debian's ``postgres``."""
        # Not pytest's temporary folder: other users may not enter that.
        server = cls(_free_port(), secrets.token_hex(8), Path(tempfile.mkdtemp(prefix="imeasure-pg-")))
        try:
            server._make()
            server.run()
        except BaseException:
            shutil.rmtree(server.folder, ignore_errors=True)
            raise
        return server

    def url(self, database: str = "postgres", scheme: str = "postgresql") -> str:
        return f"{scheme}://{OWNER}:{self.password}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """The URL of a place without tables: a schema, which is made and removed much faster than a database."""
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        yield f"{self.url()}?options=-csearch_path%3D{name}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))

    def run(self) -> None:
        """Start it, or start it again after `halt`."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=100"
        self._control("start", "-w", "-t", str(START_SECONDS), "-l", str(self.folder / "log"), "-o", options)

    def halt(self) -> None:
        """Stop it as a crash would, its connections with it."""
        self._control("stop", "-m", "immediate", "-w")

    def stop(self) -> None:
        """End it and remove what it kept."""
        try:
            self._control("stop", "-m", "immediate", "-w")
        except RuntimeError:
            pass  # a test has stopped it
        finally:
            shutil.rmtree(self.folder)

    def _make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            for path in (self.folder, secret):
                os.chown(path, account.pw_uid, account.pw_gid)
        initdb = [str(programs() / "initdb"), "-D", str(self.folder / "data"), "-U", OWNER, "-E", "UTF8", "--no-sync"]
        self._command(*initdb, "--locale=C", "--auth=scram-sha-256", f"--pwfile={secret}")

    def _control(self, *arguments: str) -> None:
        self._command(str(programs() / "pg_ctl"), "-D", str(self.folder / "data"), *arguments)

    def _command(self, *command: str) -> None:
        options: dict[str, Any] = {}
        if os.geteuid() == 0:
            options = {"user": ACCOUNT, "group": pwd.getpwnam(ACCOUNT).pw_gid, "extra_groups": []}
        # A file, not a pipe: the server that pg_ctl leaves behind would hold a pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command, stdout=output, stderr=output, cwd="/", timeout=2 * START_SECONDS, check=False, **options
            )
            output.seek(0)
            if done.returncode != 0:
                raise RuntimeError(f"{command[0]} failed: {output.read().decode(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
