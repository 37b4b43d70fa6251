"""The RadAnalyzer contract's Python, JavaScript and curl examples run as they stand against the real server, with its
trained networks; only the base address and the key are changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.server import launch
from radanalyzer.screens import photographed

from imeasure_server.imaging.pictures import write_jpeg
from phantoms.radiograph import lateral_thorax

EXAMPLES = Path(__file__).with_name("radanalyzer_examples.md")
KEY = "key-of-the-examples"

CAPTURE = """
import { readFile as readFrame } from "node:fs/promises";
let captured = 0;
const captureFrame = async () => (await readFrame(`frame-${captured++ % 6}.jpg`)).toString("base64");
"""
"""What the JavaScript example leaves to its user."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process = launch(tmp_path_factory.mktemp("server"), "--api-key", KEY)
    yield process.url
    process.stop()


def example(language: str, address: str) -> str:
    """The code, with address and key changed."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", EXAMPLES.read_text(encoding="utf-8"), re.DOTALL)
    assert code.count("https://api.radanalyzer.com") == 1
    assert code.count("YOUR_API_KEY") == 1
    return code.replace("https://api.radanalyzer.com", address).replace("YOUR_API_KEY", KEY)


def run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tool(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"These tests need {name}, and it is not on the PATH."
    return path


def test_python(server: str, tmp_path: Path) -> None:
    (tmp_path / "radiograph.jpg").write_bytes(write_jpeg(lateral_thorax(1)[0]))
    printed = run([sys.executable, "-c", example("python", server)], tmp_path)
    lines = dict(line.split(": ", 1) for line in printed.splitlines())
    assert set(lines) == {"VHS", "VLAS", "Confidence", "Spread", "Result"}
    assert 7 < float(lines["VHS"]) < 15
    assert lines["Confidence"] in {"optimal", "good", "review"}
    assert float(lines["Spread"]) > 0
    assert "predicted" in lines["Result"]


def test_javascript(server: str, tmp_path: Path) -> None:
    """The session ends in any case; whether it measures is a matter of the photographs, and tested elsewhere."""
    radiograph, _ = lateral_thorax(1)
    for index in range(6):
        shot = photographed(radiograph, index)
        (tmp_path / f"frame-{index}.jpg").write_bytes(write_jpeg(shot.picture))
    (tmp_path / "session.mjs").write_text(CAPTURE + example("javascript", server), encoding="utf-8")
    printed = run([tool("node"), "session.mjs"], tmp_path)
    feedback = [line for line in printed.splitlines() if line.startswith("Feedback: ")]
    assert "undefined" not in printed
    assert len(feedback) >= 2
    scores = dict(line.split(": ", 1) for line in printed.splitlines()[len(feedback) :])
    assert set(scores) in ({"VHS", "VLAS"}, set())


def test_curl(server: str, tmp_path: Path) -> None:
    tool("curl")
    health = json.loads(run([tool("bash"), "-c", example("bash", server)], tmp_path))
    assert health == {
        "status": "healthy",
        "models_loaded": 5,
        "pop_models_loaded": 5,
        "pop_pipeline_enabled": True,
        "model_version": "3.3.0-ensemble",
    }
