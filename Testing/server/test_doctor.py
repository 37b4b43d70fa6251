"""``imeasure-server doctor``."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from imeasure_server import doctor
from imeasure_server.models.weights_listing import list_models, list_weights
from imeasure_server.settings import ServerSettings


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMEASURE_")}
    command = [sys.executable, "-m", "imeasure_server", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


def test_all_is_well(tmp_path: Path) -> None:
    done = run("--port", "0", "--workspace", str(tmp_path / "new"))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "All is well."
    assert [line.split()[:2] for line in lines[:-1]] == [
        ["ok", subject]
        for subject in (
            "versions",
            "settings",
            "device",
            "engine",
            "memory",
            "weights",
            "workspace",
            "database",
            "port",
        )
    ]
    assert "torch 2" in done.stdout
    assert list((tmp_path / "new").iterdir()) == []


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run(
            *("--port", port, "--device", "cuda:64", "--workspace", str(tmp_path / "file")),
            *("--engine", "magic", "--require-api-key"),
        )
    assert done.returncode == 1
    assert done.stderr.strip() == "Not well: settings, device, engine, workspace, port."
    wrong = {line.split()[1]: line for line in done.stdout.splitlines() if line.startswith("WRONG")}
    assert wrong.keys() == {"settings", "device", "engine", "workspace", "port"}
    assert "cuda:64 is not available" in wrong["device"]
    assert "no engine named 'magic'" in wrong["engine"]
    assert "--workspace" in wrong["workspace"]
    assert "already taken" in wrong["port"]
    assert "--api-key" in wrong["settings"]


def test_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "available_bytes", lambda: 300 << 20)
    finding = doctor.check_memory(ServerSettings())
    assert not finding.is_well
    assert finding.sentence.startswith("Only 0.3 of ")


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package-here"))
    finding = doctor.check_versions(ServerSettings())
    assert not finding.is_well
    assert finding.sentence.startswith("Not installed: no-such-package-here.")


def weights(folder: Path, *contents: bytes) -> list[str]:
    hashes = [hashlib.sha256(content).hexdigest() for content in contents]
    for index, content in enumerate(contents):
        (folder / f"w{index}.pt").write_bytes(content)
    lines = (f"{digest}  w{index}.pt\n" for index, digest in enumerate(hashes))
    (folder / "SHA256SUMS").write_text("".join(lines))
    return hashes


def test_weights_are_what_they_should_be(tmp_path: Path) -> None:
    hashes = weights(tmp_path, b"one", b"two" * 1_000_000)
    finding = doctor.check_weights(tmp_path)
    assert finding.is_well
    assert all(digest in finding.sentence for digest in hashes)
    assert [file.name for file in list_weights(tmp_path)] == ["w0.pt", "w1.pt"]


def test_changed_and_missing_weights(tmp_path: Path) -> None:
    weights(tmp_path, b"one", b"two", b"three")
    (tmp_path / "w0.pt").write_bytes(b"changed")
    (tmp_path / "w2.pt").unlink()
    finding = doctor.check_weights(tmp_path)
    assert not finding.is_well
    assert "w0.pt is not what it was, w2.pt is missing" in finding.sentence
    assert "w1.pt" not in finding.sentence


@pytest.mark.parametrize("line", ["abc  w.pt", f"{'0' * 64}  ../w.pt", "0" * 64])
def test_a_broken_listing_of_weights(tmp_path: Path, line: str) -> None:
    (tmp_path / "SHA256SUMS").write_text(line)
    assert not doctor.check_weights(tmp_path).is_well


def test_one_model_is_the_default() -> None:
    assert [entry.is_default for entry in list_models()].count(True) == 1
    assert all(entry.summary for entry in list_models())
