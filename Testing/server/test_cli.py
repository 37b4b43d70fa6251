"""The command ``imeasure-server``."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from contract.server import ServerProcess, free_port
from pydantic import ValidationError
from typer.testing import CliRunner

from imeasure_server import __version__
from imeasure_server.authentication import is_known_key
from imeasure_server.cli import app
from imeasure_server.settings import ServerSettings, default_workspace

StartServer = Callable[..., ServerProcess]
READY = re.compile(r"^IMeasure server ready at (http://127\.0\.0\.1:(\d+))$")


def clean_environment(**variables: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("IMEASURE_")}, **variables}


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [sys.executable, "-m", "imeasure_server", *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(**variables),
        timeout=120,
        check=False,
    )


def refusal(status: int, *arguments: str, **variables: str) -> str:
    """The one sentence (perhaps of several parts) with which it refuses."""
    done = command(*arguments, **variables)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().count("\n") == 0, done.stderr
    return done.stderr.strip()


def misuse(*arguments: str, **variables: str) -> str:
    """The one sentence with which it refuses settings, without a process of its own."""
    done = CliRunner(env={**dict.fromkeys(os.environ.keys() - clean_environment()), **variables}).invoke(app, arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.strip().count("\n") == 0, done.stderr
    return str(done.stderr).strip()


def test_version() -> None:
    assert command("--version").stdout.strip() == f"imeasure-server {__version__}"


def test_the_console_script_is_the_same_command() -> None:
    script = Path(sys.executable).with_name("imeasure-server")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == f"imeasure-server {__version__}"


def test_help_names_every_option() -> None:
    text = command("serve", "--help", COLUMNS="200").stdout
    for option in ("host", "port", "device", "workspace", "engine", "require-api-key", "api-key", "log-level"):
        assert f"--{option}" in text


def test_models_list() -> None:
    done = command("models", "list")
    assert done.returncode == 0
    assert "network (default)  segmentation  " in done.stdout


def test_the_ready_line_tells_the_address(tmp_path: Path) -> None:
    arguments = ["serve", "--port", "0", "--device", "cpu", "--workspace", str(tmp_path / "made" / "for me")]
    process = subprocess.Popen(
        [sys.executable, "-m", "imeasure_server", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=clean_environment(),
    )
    assert process.stdout is not None
    try:
        match = READY.match(process.stdout.readline().strip())
        assert match is not None
        assert httpx.get(match[1], trust_env=False).json() == {"status": "UP"}
        assert int(match[2]) > 0
        assert (tmp_path / "made" / "for me").is_dir()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stdout.read() == ""
    finally:
        process.kill()
        process.stdout.close()


def test_a_taken_port_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sentence = refusal(1, "serve", "--port", str(port), "--device", "cpu")
    assert sentence.startswith(f"Port {port} on 127.0.0.1 is already taken.")
    assert "--port" in sentence


def test_a_taken_port_of_another_server(start_server: StartServer) -> None:
    port = start_server().url.rpartition(":")[2]
    assert refusal(1, "serve", "--port", port, "--device", "cpu").startswith(f"Port {port} on 127.0.0.1 is already")


def test_a_host_that_is_not_here() -> None:
    sentence = refusal(1, "serve", "--host", "192.0.2.1", "--insecure", "--port", "0", "--device", "cpu")
    assert sentence == "This machine cannot listen on 192.0.2.1. Use --host 127.0.0.1."


def test_an_unknown_engine() -> None:
    assert refusal(2, "serve", "--port", "0", "--device", "cpu", "--engine", "magic") == (
        "There is no engine named 'magic'. Choose one of: network, graph-cut."
    )


def test_unknown_names() -> None:
    assert misuse("serve", "--device", "tpu").startswith("--device: There is no device named 'tpu'. Choose auto")
    assert misuse("serve", IMEASURE_PORT="many").startswith("IMEASURE_PORT: ")
    assert misuse("serve", "--log-level", "loud").startswith("--log-level: ")


def test_a_workspace_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sentence = refusal(1, "serve", "--port", "0", "--workspace", str(tmp_path / "file" / "folder"))
    assert sentence.endswith("Choose one with --workspace.")


@pytest.mark.parametrize("arguments", [["--require-api-key"], ["--host", "0.0.0.0"], ["--host", "::"]])
def test_keys_that_are_asked_for_must_be_there(tmp_path: Path, arguments: list[str]) -> None:
    sentence = misuse("serve", *arguments, "--workspace", str(tmp_path))
    assert "needs keys, and there are none" in sentence
    assert "--api-key" in sentence


def test_the_environment_sets_every_option(start_server: StartServer) -> None:
    server = start_server(
        environment={
            "IMEASURE_API_KEYS": "first-key, second-key",
            "IMEASURE_REQUIRE_API_KEY": "true",
            "IMEASURE_QUEUE_SIZE": "3",
            "IMEASURE_LOG_LEVEL": "WARNING",
            "IMEASURE_PORT": "1",  # the command line wins
        }
    )
    url = f"{server.url}/metrics"
    assert httpx.get(url, trust_env=False).status_code == 401
    for key in ("first-key", "second-key"):
        text = httpx.get(url, headers={"x-api-key": key}, trust_env=False).text
        assert 'imeasure_queue_capacity{device="cpu",worker="0"} 3.0' in text
    assert '"level": "info"' not in server.log.read_text()


def test_keys_that_nobody_is_asked_for_are_pointed_out(start_server: StartServer) -> None:
    server = start_server("--api-key", "my-key")
    assert httpx.get(f"{server.url}/metrics", trust_env=False).status_code == 200
    assert "not asked for: add --require-api-key" in server.log.read_text()


def test_settings_read_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "HOST": "localhost",
        "PORT": "8123",
        "DEVICE": "cuda:1, cpu",
        "WORKSPACE": str(tmp_path),
        "ENGINE": "graph-cut",
        "INSECURE": "1",
        "MAX_BODY_BYTES": "100000",
    }.items():
        monkeypatch.setenv(f"IMEASURE_{name}", value)
    settings = ServerSettings(port=9000)
    assert (settings.host, settings.port, settings.devices) == ("localhost", 9000, ("cuda:1", "cpu"))
    assert [worker.engine for worker in settings.workers] == ["graph-cut", "graph-cut"]
    assert (settings.workspace, settings.insecure, settings.max_body_bytes) == (tmp_path, True, 100_000)


def test_keys_are_kept_as_hashes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMEASURE_API_KEYS", "first-key,,second-key ")
    settings = ServerSettings()
    expected = {hashlib.sha256(key).digest() for key in (b"first-key", b"second-key")}
    assert settings.api_keys == expected
    assert is_known_key("first-key", settings.api_keys)
    assert not is_known_key("first-key ", settings.api_keys)
    assert not is_known_key("", settings.api_keys)
    assert "key" not in repr(settings).replace("require_api_key", "")
    assert "second-key" not in settings.model_dump_json(exclude={"api_keys"}) + str(settings)


def test_errors_of_settings_do_not_quote_what_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        ServerSettings(port="secret")  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "insecure", "required", "asks"),
    [
        ("127.0.0.1", False, False, False),
        ("127.8.8.8", False, False, False),
        ("::1", False, False, False),
        ("localhost", False, False, False),
        ("localhost", False, True, True),
        ("0.0.0.0", False, False, True),
        ("::", False, False, True),
        ("192.168.1.5", False, False, True),
        ("slicer.example", False, False, True),
        ("0.0.0.0", True, False, False),
        ("0.0.0.0", True, True, True),
    ],
)
def test_when_keys_are_asked_for(tmp_path: Path, host: str, insecure: bool, required: bool, asks: bool) -> None:
    settings = ServerSettings(host=host, insecure=insecure, require_api_key=required, workspace=tmp_path)
    assert settings.asks_for_key is asks
    assert (settings.problem is not None) is asks
    assert ServerSettings(host=host, require_api_key=required, api_keys="a").problem is None


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/imeasure"),
        ("linux", {}, "HOME/.local/share/imeasure"),
        ("darwin", {}, "HOME/Library/Application Support/IMeasure"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/IMeasure"),
    ],
)
def test_the_default_workspace_is_where_the_platform_keeps_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variables: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_workspace() == Path(expected.replace("HOME", str(tmp_path)))


def test_a_free_port_again_after_a_server_ended(start_server: StartServer) -> None:
    server = start_server()
    port = server.url.rpartition(":")[2]
    assert server.stop() == 0
    assert command("doctor", "--port", port, "--device", "cpu").returncode == 0
    assert free_port() > 0
