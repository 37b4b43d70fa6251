"""The MONAI Label contract's curl, Python, TypeScript and axios examples run as they stand against the real server;
only the address and the path of the series are changed.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from imeasure_server.imaging.volume import Geometry, Volume
from phantoms.dicom_series import SeriesOptions, series_zip

HERE = Path(__file__).parent
EXAMPLES = HERE / "monailabel_examples.md"
SHAPE = (288, 280, 43)
GEOMETRY = Geometry.from_axes([-90, -80, 30], [0.7, 0.7, 3.0], np.eye(3), SHAPE)
CLICK, SECOND, NEGATIVE = (256, 256, 40), (200, 200, 40), (100, 100, 40)


def series() -> bytes:
    """A bright rod through the clicks of the examples, in a series whose InstanceNumber runs backwards."""
    x, y, z = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    along = np.clip(((x - 180) + (y - 180)) / 2, 0, 80)
    distance = np.sqrt((x - 180 - along) ** 2 + (y - 180 - along) ** 2 + (4 * (z - 39)) ** 2)
    noise = np.random.default_rng(5).normal(0, 8, SHAPE)
    body = (x >= 8) & (y >= 8)  # and air beside it, as a CT has
    array = np.where(distance <= 12, 80, np.where(body, -40, -990))
    array = np.maximum(np.rint(array + noise), -1024).astype(np.int16)
    return series_zip(Volume(array, GEOMETRY), SeriesOptions(reverse_instances=True))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("series") / "dicom_series.zip"
    path.write_bytes(series())
    return path


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", EXAMPLES.read_text(encoding="utf-8"), re.DOTALL)


def run(command: list[str], folder: Path, **more: str) -> bytes:
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **more}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr.decode(errors="replace")
    return result.stdout


def tool(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"These tests need {name} on the PATH."
    return path


# curl


def curl(server: str, archive: Path, example: str, folder: Path) -> tuple[int, str, bytes]:
    """Status, content type and body of one of the contract's lines."""
    command = example.replace("http://localhost:8002", server).replace(
        "/path/to/dicom_series.zip", shlex.quote(str(archive))
    )
    assert server in command
    (folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "\\n%{http_code} %{content_type}"\n')
    body, _, said = run([tool("bash"), "-c", command], folder, CURL_HOME=str(folder)).rpartition(b"\n")
    status, _, content_type = said.decode().partition(" ")
    return int(status), content_type, body


def parts(content_type: str, body: bytes) -> tuple[dict[str, Any], NDArray[Any]]:
    """``params`` and the mask of a multipart answer."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    params, image = message.iter_parts()
    assert image.get_filename().endswith(".nii.gz")
    boundary = content_type.split("boundary=")[1].encode()
    file = body.split(b"--" + boundary)[2].split(b"\r\n\r\n", 1)[1]
    return json.loads(params.get_content()), np.asarray(nifti_of(file[:-2]).dataobj)


def nifti_of(content: bytes) -> Any:
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(content))


def test_every_curl_line(live_server: str, archive: Path, tmp_path: Path) -> None:
    lines = examples("bash")
    assert len(lines) == 7
    health, info, *inference = (curl(live_server, archive, line, tmp_path) for line in lines)
    assert (health[0], json.loads(health[2])) == (200, {"status": "UP"})
    assert json.loads(info[2])["models"]["segmentation"]["type"] == "segmentation"
    first, click, clicks, box, reset = inference
    for status, content_type, body in (first, reset):
        assert (status, content_type, json.loads(body)) == (200, "application/json", {})
    for status, content_type, body in (click, clicks, box):
        assert status == 200, body
        params, mask = parts(content_type, body)
        assert set(params) == {"prompt_info", "nninter_elapsed", "flipped", "label_name"}
        assert {"pos_points", "neg_points", "pos_boxes", "neg_boxes"} == set(params["prompt_info"])
        assert params["flipped"] is True
        assert re.fullmatch(r"nninter_pred_\d{14}", params["label_name"])
        assert mask.dtype == np.uint8
        assert mask.shape == SHAPE
        assert set(np.unique(mask)) == {0, 1}
    assert parts(*click[1:])[0]["prompt_info"]["pos_points"] == [list(CLICK)]
    assert parts(*click[1:])[1][CLICK]
    both = parts(*clicks[1:])[1]
    assert both[CLICK]
    assert both[SECOND]
    assert not both[NEGATIVE]
    assert parts(*box[1:])[1][100:201, 100:201, 40].any()


# Python


def test_the_python_example(live_server: str, archive: Path, tmp_path: Path) -> None:
    """Its naive splitting must leave a file that other programs can read."""
    (code,) = examples("python")
    code = code.replace("http://localhost:8002", live_server).replace("/path/to/series.zip", str(archive))
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    output = run([sys.executable, str(script)], tmp_path).decode()
    assert re.search(r"Inference time: \d+\.\d{3}s\nLabel: nninter_pred_\d{14}\n", output)
    saved = tmp_path / "segmentation_mask.nii.gz"
    by_nibabel = nibabel.load(saved)
    mask = np.asarray(by_nibabel.dataobj)
    by_itk = sitk.ReadImage(str(saved))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(by_itk).T, mask)
    assert mask.shape == SHAPE
    assert mask[CLICK]
    assert not mask[NEGATIVE]
    np.testing.assert_allclose(by_nibabel.affine, GEOMETRY.ras_affine, atol=1e-3)
    np.testing.assert_allclose(by_itk.GetOrigin(), GEOMETRY.origin, atol=1e-3)
    assert mask.sum() == pytest.approx(np.pi * 12**2 * 113 / 4, rel=0.6)  # a rod, and not the whole image


# TypeScript

FETCH = """
export async function main(url: string, path: string): Promise<unknown> {
  const { readFile } = await import("node:fs/promises");
  const blob = new Blob([new Uint8Array(await readFile(path))]);
  const prompts = [{ x: 256, y: 256, slice: 40, positive: true }, { x: 100, y: 100, slice: 40, positive: false }];
  const { metadata, maskBlob } = await runSegmentation(url, blob, prompts);
  return { metadata, size: maskBlob.size };
}
"""
AXIOS = """
export async function main(url: string, path: string): Promise<unknown> {
  const { readFile } = await import("node:fs/promises");
  const file = await readFile(path);
  const started = await initSession(url, file);
  const answer: Buffer = await segment(url, file, [[256, 256, 40]]);
  return { started, answer: answer.toString("base64") };
}
"""
RUN = """
const [module, url, path] = process.argv.slice(2);
process.stdout.write(JSON.stringify(await (await import(module)).main(url, path)));
"""
OPTIONS = ("--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", "--types", "node", "--skipLibCheck")


@pytest.fixture(scope="module")
def compiled() -> Path:
    """The folder of the JavaScript that the type checker made of the two examples."""
    if not (HERE / "node_modules" / "axios").exists():
        subprocess.run([tool("npm"), "ci", "--silent"], cwd=HERE, check=True, timeout=240)
    folder = HERE / "build" / "monailabel"  # below the packages that the examples import
    folder.mkdir(parents=True, exist_ok=True)
    fetch, axios = examples("typescript")
    (folder / "fetch.ts").write_text(fetch + FETCH, encoding="utf-8")
    (folder / "axios.ts").write_text(axios + AXIOS, encoding="utf-8")
    (folder / "run.mjs").write_text(RUN, encoding="utf-8")
    compiler = HERE / "node_modules" / "typescript" / "bin" / "tsc"
    run([tool("node"), str(compiler), *OPTIONS, "fetch.ts", "axios.ts"], folder)
    return folder


def by_node(compiled: Path, example: str, server: str, archive: Path) -> dict[str, Any]:
    module = (compiled / f"{example}.js").as_uri()
    answer: dict[str, Any] = json.loads(
        run([tool("node"), str(compiled / "run.mjs"), module, server, str(archive)], HERE)
    )
    return answer


def test_the_typescript_example(compiled: Path, live_server: str, archive: Path) -> None:
    answer = by_node(compiled, "fetch", live_server, archive)
    assert answer["metadata"]["prompt_info"]["pos_points"] == [list(CLICK)]
    assert answer["metadata"]["prompt_info"]["neg_points"] == [list(NEGATIVE)]
    assert answer["size"] > 100


def test_the_axios_example(compiled: Path, live_server: str, archive: Path) -> None:
    answer = by_node(compiled, "axios", live_server, archive)
    assert answer["started"] == {}
    body = base64.b64decode(answer["answer"])
    boundary = body[2 : body.index(b"\r\n")].decode()
    params, mask = parts(f"multipart/form-data; boundary={boundary}", body)
    assert params["prompt_info"]["pos_points"] == [list(CLICK)]
    assert mask[CLICK]
