"""How fast and how large: this server beside the real MONAI Label 0.8.5, same volume, same trivial model.

PYTHONPATH=Testing:server .venv/bin/python -m bench.monailabel_comparison [FILE.json]

Then what the MONAI Label contract reports of an A10: ``init`` and one point, on 512×512×43, on this machine.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import nibabel
import numpy as np
import psutil
from contract.server import ServerProcess, launch
from monailabel_peer.peer import launch_monailabel
from monailabel_peer.threshold import CONFIG, save_threshold

from imeasure_server.imaging.volume import Geometry, Volume
from phantoms.dicom_series import SeriesOptions, series_members, series_zip

SHAPE = (512, 512, 43)
SPACING = (0.78, 0.78, 5.0)
REPEATS = 7
POINT = [300, 256, 21]
SAMPLE_SECONDS = 0.02
MODEL = "threshold"
RESULT = {"result_extension": ".nii.gz", "result_dtype": "uint8"}
SESSION = "DICOM, a file a slice, as a session"

Figures = dict[str, Any]


def run(output: Path | None = None) -> Figures:
    """Measure, print Markdown, and write JSON when asked.

    Returns:
        ``machine``; for each server and kind of upload ``first`` and ``repeated`` (medians in ms) and ``peak`` (MiB,
        all its processes); ``contract``: ms of ``init`` and one point, first and repeated.
    """
    volume = phantom()
    figures: Figures = {"machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores", "uploads": {}}
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder, "ours"), Path(folder, "theirs")
        ours.mkdir()
        theirs.mkdir()
        with stopped(launch(ours)) as mine, stopped(launch_monailabel(theirs)) as other:
            add_model(mine.url, ours)
            figures["uploads"] = compare({"imeasure": mine, "monailabel": other}, volume)
        fresh = Path(folder, "fresh")
        fresh.mkdir()
        with stopped(launch(fresh)) as server:
            figures["contract"] = contract(server, volume)
    if output is not None:
        output.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(markdown(figures))
    return figures


def markdown(figures: Figures) -> str:
    """The figures as two tables with the goals."""
    ours, theirs = figures["uploads"]["imeasure"], figures["uploads"]["monailabel"]
    lines = [
        f"## Beside MONAI Label 0.8.5 ({figures['machine']})",
        "",
        f"`POST /infer/{MODEL}` of {'×'.join(map(str, SHAPE))} voxels with the same TorchScript model; medians of "
        f"{REPEATS} requests in ms, memory of all its processes (PSS) in MiB at most. `repeated`: the same bytes and "
        "parameters, which IMeasure answers from memory; `another question`: the same bytes, other parameters.",
        "",
        "| upload | | IMeasure | MONAI Label | ratio | goal |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for kind in ours:
        if kind == "peak":
            continue
        for which, goal in (("first", 2), ("repeated", 3), ("another question", 1)):
            if which in ours[kind]:
                mine, other = ours[kind][which], theirs[kind][which]
                lines.append(f"| {kind} | {which} | {mine:.0f} | {other:.0f} | {other / mine:.1f} × | {goal} × |")
    share = ours["peak"] / theirs["peak"]
    lines += [
        f"| memory | | {ours['peak']:.0f} | {theirs['peak']:.0f} | {share:.2f} | 0.50 |",
        "",
        f"`POST /infer/segmentation` with a DICOM zip of {'×'.join(map(str, SHAPE))}, ms:",
        "",
        "| | first | again (median) | contract, on an A10 |",
        "|---|---:|---:|---:|",
    ]
    for name, goal in (("init", 180), ("one point", 580)):
        row = figures["contract"][name]
        lines.append(f"| {name} | {row['first']:.0f} | {row['repeated']:.0f} | {goal} |")
    return "\n".join(lines)


def phantom() -> Volume:
    """A body with an organ and a bone, in HU with noise, so that files compress as CT does."""
    rng = np.random.default_rng(0)
    x, y, z = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    array = np.full(SHAPE, -1000.0, np.float32)
    array[np.broadcast_to(((x - 256) / 190) ** 2 + ((y - 256) / 140) ** 2 < 1, SHAPE)] = 40
    array[((x - 300) / 40) ** 2 + ((y - 256) / 35) ** 2 + ((z - 21) / 9) ** 2 < 1] = 130
    array[np.broadcast_to(((x - 256) / 22) ** 2 + ((y - 350) / 22) ** 2 < 1, SHAPE)] = 500
    array = np.maximum(array + rng.normal(0, 12, SHAPE), -1024)
    geometry = Geometry.from_axes((-200.0, -200.0, -100.0), SPACING, np.eye(3), SHAPE)
    return Volume(array.round().astype(np.int16), geometry)


def add_model(url: str, folder: Path) -> None:
    """Give our server the model that the app of MONAI Label has."""
    model = folder / "threshold.ts"
    save_threshold(model)
    files = {
        "config": ("config_aiaa.json", json.dumps(CONFIG), "application/json"),
        "data": (model.name, model.read_bytes(), "application/octet-stream"),
    }
    answer = httpx.put(f"{url}/admin/model/{MODEL}", files=files, timeout=120, trust_env=False)
    if answer.is_error:
        raise RuntimeError(answer.text)


def compare(servers: Mapping[str, ServerProcess], volume: Volume) -> Figures:
    """Times of uploads to each server, in turn, so that whatever else the machine does meets both; then, in requests
    of its own since looking disturbs what it looks at, the most memory that each had.
    """
    times: dict[str, dict[str, dict[str, list[float]]]] = {}
    clients = {name: Client(server.url) for name, server in servers.items()}

    def ask(kind: str, which: str, question: Callable[[Client], float]) -> None:
        for name, client in clients.items():
            times.setdefault(name, {}).setdefault(kind, {}).setdefault(which, []).append(question(client))

    expected = int((volume.array > 100).sum())
    for number in range(3):  # the model is loaded, imports are done, code is compiled
        for client in clients.values():
            infer(client, "warm-up.nii", nifti(volume, -number, ".nii"), 0)
            infer_session(client, series_members(volume, SeriesOptions(series=f"warm-up {number}")), expected)
    for extension in (".nii", ".nii.gz"):
        files = [nifti(volume, number + 1, extension) for number in range(REPEATS)]
        upload = partial(infer, name=f"a{extension}", expected=expected)
        for content in files:
            ask(extension, "first", partial(upload, content=content))
        for number in range(REPEATS):
            ask(extension, "repeated", partial(upload, content=files[0]))
            ask(extension, "another question", partial(upload, content=files[0], question=number))
    series = [series_members(volume, SeriesOptions(series=f"series {number}")) for number in range(REPEATS)]
    for members in series:
        ask(SESSION, "first", partial(infer_session, members=members, expected=expected))
    for _ in range(REPEATS):
        ask(SESSION, "repeated", partial(infer_session, members=series[0], expected=expected))
    figures: Figures = {
        name: {
            kind: {which: statistics.median(values) for which, values in of_kind.items()}
            for kind, of_kind in of_server.items()
        }
        for name, of_server in times.items()
    }
    for name, client in clients.items():
        with Peak(servers[name].process.pid) as peak:
            for number in range(REPEATS):
                for extension in (".nii", ".nii.gz"):
                    infer(client, f"a{extension}", nifti(volume, 100 + number, extension), expected)
                infer_session(client, series_members(volume, SeriesOptions(series=f"more {number}")), expected)
        figures[name]["peak"] = peak.mebibytes
    return figures


def nifti(volume: Volume, number: int, extension: str) -> bytes:
    """A NIfTI file; ``number`` makes its bytes differ from others' and changes no voxel."""
    image = nibabel.Nifti1Image(volume.array, volume.geometry.ras_affine)
    image.header["descrip"] = f"number {number}".encode()
    content = io.BytesIO()
    image.to_stream(content)
    if extension == ".nii":
        return content.getvalue()
    return gzip.compress(content.getvalue(), 6, mtime=0)


class Client:
    """Sends forms that are encoded before the clock starts, each on a connection of its own: so does MONAI Label's."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, form: httpx.Request) -> tuple[bytes, float]:
        """The body of the answer, and the milliseconds that it took.

        Raises:
            RuntimeError: an error was answered.
        """
        body, headers = form.read(), dict(form.headers)
        connection = HTTPConnection(self._url.partition("//")[2], timeout=300)
        start = time.perf_counter()
        connection.request(form.method, form.url.raw_path.decode(), body, headers)
        answer = connection.getresponse()
        content = answer.read()
        spent = 1000 * (time.perf_counter() - start)
        connection.close()
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(content[:500].decode("utf-8", "replace"))
        return content, spent

    def form(self, method: str, address: str, **parts: Any) -> httpx.Request:
        return httpx.Request(method, f"{self._url}{address}", **parts)


def infer(client: Client, name: str, content: bytes, expected: int, question: int | None = None) -> float:
    """Milliseconds of one request; its answer is checked afterwards (0: it is not).

    Args:
        question: a number among the parameters, which neither server has seen with this image: the model runs.
    """
    params = RESULT if question is None else {**RESULT, "question": str(question)}
    files, data = {"file": (name, content)}, {"params": json.dumps(params)}
    answer, spent = client.send(client.form("POST", f"/infer/{MODEL}?output=image", files=files, data=data))
    if expected:
        check(answer, expected)
    return spent


def infer_session(client: Client, members: Mapping[str, bytes], expected: int) -> float:
    """Milliseconds of uploading a DICOM series as a session, as both servers take it, and asking about it."""
    files = [("files", (name, content, "application/dicom")) for name, content in members.items()]
    session, uploaded = client.send(client.form("PUT", "/session/", files=files))
    address = f"/infer/{MODEL}?output=image&session_id={json.loads(session)['session_id']}"
    answer, asked = client.send(client.form("POST", address, data={"params": json.dumps(RESULT)}))
    check(answer, expected)
    return uploaded + asked


def check(answer: bytes, expected: int) -> None:
    """Raises:
    RuntimeError: it is not the mask of the phantom.
    """
    mask = nibabel.Nifti1Image.from_bytes(gzip.decompress(answer))
    found = int(np.asarray(mask.dataobj).sum())
    if mask.shape != SHAPE or found != expected:
        raise RuntimeError(f"The answer has {found} voxels and not {expected}.")


def contract(server: ServerProcess, volume: Volume) -> Figures:
    """``init`` and one point on a DICOM zip, the first time and again."""
    content = series_zip(volume)
    figures: Figures = {}
    client = Client(server.url)
    for name in ("init", "one point"):
        times = []
        for number in range(REPEATS + 1):  # every point is another one: no answer is remembered
            point = [POINT[0] + number, *POINT[1:]]
            params = {"nninter": "init"} if name == "init" else {"nninter": "sam3", "pos_points": [point]}
            files = {"file": ("series.zip", content, "application/zip")}
            form = client.form("POST", "/infer/segmentation", files=files, data={"params": json.dumps(params)})
            times.append(client.send(form)[1])
        figures[name] = {"first": times[0], "repeated": statistics.median(times[1:])}
    return figures


@contextmanager
def stopped(server: ServerProcess) -> Iterator[ServerProcess]:
    """The server, which ends with the block."""
    try:
        yield server
    finally:
        server.stop()


class Peak:
    """The most memory that a process and its children had during the block (proportional set size)."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.mebibytes = 0.0

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            total = 0
            for process in (self._process, *self._process.children(recursive=True)):
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.mebibytes = max(self.mebibytes, total / 2**20)


if __name__ == "__main__":
    run(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
