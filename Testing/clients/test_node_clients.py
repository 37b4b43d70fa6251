"""The contract's TypeScript and JSON examples, sent by Node with ``FormData`` and ``fetch``, answer as documented."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
SHAPE = (128, 128, 32)
SPACING = np.array([0.826171875, 0.826171875, 5.0])
# Voxels of the crop that hold the clicks of the contract's examples.
FIRST_CLICK, SECOND_CLICK, NEGATIVE_CLICK = (70, 26, 16), (57, 101, 16), (47, 96, 17)
FIRST_STROKE, SECOND_STROKE = (61, 74, 16), (69, 72, 16)
Outcomes = dict[str, dict[str, Any]]


def tool(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"These tests need Node 18 or newer, and {name} is not on the PATH: install Node."
    return path


def example_crop() -> bytes:
    """Stored values of the example's crop: an ellipsoid whose longest axis runs from the first click to the second."""
    indices = np.stack(np.meshgrid(*(np.arange(size) for size in SHAPE), indexing="ij"), axis=-1)
    ends = np.array([FIRST_CLICK, SECOND_CLICK])
    offsets = (indices - ends.mean(axis=0)) * SPACING
    half = (ends[1] - ends[0]) * SPACING / 2
    length = np.linalg.norm(half)
    axis = half / length
    along = offsets @ axis
    across = np.linalg.norm((offsets - along[..., None] * axis) / [1, 1, 1.8], axis=-1)
    lesion = (along / (length + 2)) ** 2 + (across / 18) ** 2 <= 1
    noise = np.random.default_rng(8).normal(0, 12, SHAPE)
    hu = np.where(lesion, 80.0, -40.0) + noise
    return np.rint(hu + 1024).astype("<i2").tobytes(order="F")


@pytest.fixture(scope="module")
def compiled() -> Path:
    """The folder of the JavaScript that the type checker of TypeScript made of the contract's types and calls."""
    if not (HERE / "node_modules" / ".package-lock.json").exists():
        subprocess.run([tool("npm"), "ci", "--silent"], cwd=HERE, check=True, timeout=240)
    compiler = HERE / "node_modules" / "typescript" / "bin" / "tsc"
    result = subprocess.run([tool("node"), str(compiler)], cwd=HERE, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stdout
    return HERE / "build"


@pytest.fixture(scope="module")
def outcomes(compiled: Path, live_server: str, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    image = tmp_path_factory.mktemp("node") / "image.bin"
    image.write_bytes(example_crop())
    command = [tool("node"), "examples.mjs", live_server, str(image)]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    result = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
    answers: Outcomes = json.loads(result.stdout)
    return answers


EXAMPLES = json.loads((HERE / "examples.json").read_text())
NAMES = ["static", *EXAMPLES["interactive"]]


def mask_of(outcomes: Outcomes, name: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    body = outcomes[name]["body"]
    return np.frombuffer(base64.b64decode(body["mask"]), np.uint8).reshape(SHAPE, order="F") == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_example_answers_as_documented(outcomes: Outcomes, name: str) -> None:
    outcome = outcomes[name]
    assert outcome["status"] == 200, outcome["body"]
    body = outcome["body"]
    assert set(body) == {
        "id", "mask", "mask_shape", "mask_origin_voxel", "mask_spacing", "measurements", "volume", "volume_mm3",
    }  # fmt: skip
    assert body["id"] == EXAMPLES["context"]["id"]
    assert body["mask_shape"] == [128, 128, 32]
    assert body["mask_origin_voxel"] == [113, 216, 60]
    assert body["mask_spacing"] == [0.826171875, 0.826171875, 5]
    assert outcome["foreground"]["count"] == body["volume"] > 0
    assert body["volume_mm3"] == pytest.approx(body["volume"] * float(np.prod(SPACING)))
    lower, upper = outcome["foreground"]["lower"], outcome["foreground"]["upper"]
    assert sorted(map(int, body["measurements"]["cross"])) == list(range(lower[2], upper[2] + 1))
    assert body["measurements"]["height"]["length_world"] == pytest.approx((upper[2] - lower[2] + 1) * 5)


def test_clicks_and_strokes_bind(outcomes: Outcomes) -> None:
    for name in ("static", "twoClickCreate"):
        assert mask_of(outcomes, name)[FIRST_CLICK]
        assert mask_of(outcomes, name)[SECOND_CLICK]
    for name in ("trueClickCreate", "trueClickEdit"):
        assert mask_of(outcomes, name)[FIRST_CLICK]
    assert not mask_of(outcomes, "trueClickEdit")[NEGATIVE_CLICK]
    assert mask_of(outcomes, "magicPenCreate")[FIRST_STROKE]
    assert mask_of(outcomes, "magicPenEdit")[FIRST_STROKE]
    assert mask_of(outcomes, "magicPenEdit")[SECOND_STROKE]


def test_static_and_two_click_are_one_request(outcomes: Outcomes) -> None:
    assert outcomes["static"]["body"] == outcomes["twoClickCreate"]["body"]


ERRORS = """
const url = process.argv[1];
const answer = async (options) => {
  const response = await fetch(`${url}/seg`, { method: "POST", ...options });
  return [response.status, (await response.json()).code];
};
const metadata = new Blob(["{}"], { type: "application/json" });
const onlyImage = new FormData();
onlyImage.append("image", new Blob([new Uint8Array(4)]), "image.bin");
const onlyMetadata = new FormData();
onlyMetadata.append("metadata", metadata, "metadata.json");
const both = new FormData();
both.append("metadata", metadata, "metadata.json");
both.append("image", new Blob([new Uint8Array(4)]), "image.bin");
const answers = {
  json: await answer({ body: "{}", headers: { "content-type": "application/json" } }),
  onlyImage: await answer({ body: onlyImage }),
  onlyMetadata: await answer({ body: onlyMetadata }),
  both: await answer({ body: both }),
};
process.stdout.write(JSON.stringify(answers));
"""


def test_errors_reach_a_browser_like_client(live_server: str) -> None:
    command = [tool("node"), "--input-type=module", "-e", ERRORS, live_server]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {
        "json": [415, "UNSUPPORTED_MEDIA_TYPE"],
        "onlyImage": [400, "MISSING_METADATA"],
        "onlyMetadata": [400, "MISSING_IMAGE"],
        "both": [422, "VALIDATION_ERROR"],
    }
