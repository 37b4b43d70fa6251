"""How fast the server answers: one click on phantoms over real HTTP, beside the bare engine in the same run.

PYTHONPATH=Testing:server .venv/bin/python -m bench.latency [FILE.json]
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from contract import Scan, form, scan_metadata
from contract.client import BOUNDARY, multipart_body
from contract.server import ServerProcess, launch

from imeasure_server.api.multipart import Part
from imeasure_server.api.seg_request import SegRequest, parse_request
from imeasure_server.segmentation.engines import DEFAULT_ENGINE, create_engine
from phantoms import LesionPhantom, first_click, make_lesion_phantom

SIZES = {"128×128×32": (128, 128, 32), "192×192×64": (192, 192, 64), "256×256×64": (256, 256, 64)}
REPEATS = 20
STARTS = 3
CLIENTS = (1, 2, 4, 8)
REQUESTS_PER_THROUGHPUT = 16
HEADERS = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
STAGES = ("receive", "parse", "queue", "transfer", "engine", "measure", "encode")
OWN_STAGES = ("receive", "parse", "measure", "encode")
_TIMING = re.compile(r"([a-z]+);dur=([\d.]+)")

Figures = dict[str, Any]


def run(output: Path | None = None, engine: str = DEFAULT_ENGINE) -> Figures:
    """Measure, print Markdown, and write JSON when asked.

    Args:
        output: JSON file to write, or None.
        engine: name of the engine.

    Returns:
        ``{"machine", "engine", "start", "sizes": {size: {...}}, "memory", "throughput"}``; milliseconds and MiB.
    """
    with tempfile.TemporaryDirectory() as folder:
        start = _starts(Path(folder), engine)
        server = launch(Path(folder), "--engine", engine)
        try:
            sizes = {name: _size(server, engine, shape) for name, shape in SIZES.items()}
            result: Figures = {
                "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
                "engine": engine,
                "start": start,
                "sizes": sizes,
                "memory": _memory(server),
                "throughput": [_throughput(server, clients) for clients in CLIENTS],
            }
        finally:
            server.stop()
    print(markdown(result))
    if output is not None:
        output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def markdown(result: Figures) -> str:
    """The figures as tables."""
    lines = [
        f"### Latency of `POST /seg` ({result['engine']}, {result['machine']})",
        "",
        f"One click; median / p95 of {REPEATS} requests in ms.",
        "",
        f"| crop | request | bare engine | overhead | {' | '.join(STAGES)} |",
        f"|---|---|---|---|{'---|' * len(STAGES)}",
    ]
    for name, size in result["sizes"].items():
        stages = " | ".join(_pair(size["stages"][stage]) for stage in STAGES)
        whole, bare = _pair(size["request"]), _pair(size["bare_engine"])
        lines.append(f"| {name} | {whole} | {bare} | {size['overhead']:.2f} × | {stages} |")
    own = result["sizes"]["128×128×32"]["own"]
    lines += [
        "",
        f"Receive + parse + measure + encode at 128×128×32: {_pair(own)} ms (goal ≤ 30); goal of the overhead: 1.10 ×.",
        "",
        f"From start to healthy: {result['start']['healthy']:.1f} s (median of {STARTS}, goal ≤ 6 s).",
        f"Resident memory: server {result['memory']['server']:.0f} MiB, worker {result['memory']['worker']:.0f} MiB; "
        f"at most {result['memory']['peak']:.0f} MiB together (goal ≤ 1536).",
        "",
        "| clients | requests/s | request, median / p95 ms | `GET /` meanwhile, median / p95 / max ms |",
        "|---|---|---|---|",
    ]
    for row in result["throughput"]:
        health = f"{_pair(row['health'])} / {row['health']['max']:.1f}"
        lines.append(f"| {row['clients']} | {row['per_second']:.2f} | {_pair(row['request'])} | {health} |")
    return "\n".join(lines)


def _pair(figures: Figures) -> str:
    return f"{figures['median']:.1f} / {figures['p95']:.1f}"


def _summary(seconds: list[float]) -> Figures:
    """Median, 95th percentile and maximum in ms."""
    values = np.array(seconds) * 1000
    return {
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": float(values.max()),
    }


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    value = action()
    return time.perf_counter() - start, value


def _starts(folder: Path, engine: str) -> Figures:
    """Seconds from the start of the process until it answers ``GET /``; the device is chosen, as by default."""
    seconds = []
    for _ in range(STARTS):
        spent, server = _timed(lambda: launch(folder, "--engine", engine, "--device", "auto"))
        seconds.append(spent)
        server.stop()
    return {"healthy": statistics.median(seconds), "all": seconds}


def _click(shape: tuple[int, int, int]) -> tuple[bytes, SegRequest]:
    """A request as bytes, and as the server's own reading of it."""
    phantom: LesionPhantom = make_lesion_phantom(3, shape, (0.8, 0.8, 3.0), site="liver", diameter=32.0)
    geometry = phantom.volume.geometry
    scan = Scan.from_hu(phantom.volume.array, geometry.origin, geometry.spacing, geometry.directions)
    click = first_click(phantom.truth, geometry.spacing)
    metadata = scan_metadata(scan, [{"mode": "positive", "points": [scan.world(click.position)]}])
    image = scan.crop_bytes([0, 0, 0], [size - 1 for size in shape])
    parts = {"metadata": json.dumps(metadata).encode(), "image": image}
    read = {name: Part(name, bytearray(data), len(data)) for name, data in parts.items()}
    return multipart_body(form(metadata, image)), parse_request(read, 1 << 26)


def _size(server: ServerProcess, engine: str, shape: tuple[int, int, int]) -> Figures:
    """Requests and the bare engine in turns, so that both meet the same machine."""
    body, request = _click(shape)
    tool = create_engine(engine, "cpu")
    requests, bare, stages = [], [], []
    with httpx.Client(trust_env=False, timeout=300, headers=HEADERS) as client:
        for index in range(REPEATS + 2):
            spent, response = _timed(lambda: client.post(f"{server.url}/seg", content=body))
            response.raise_for_status()
            alone, mask = _timed(lambda: tool.segment(request.volume, request.prompts))
            if int(mask.sum()) != response.json()["volume"]:
                raise RuntimeError("The server and the bare engine do not agree.")
            if index >= 2:  # the first ones warm up
                requests.append(spent)
                bare.append(alone)
                stages.append(
                    {name: float(ms) / 1000 for name, ms in _TIMING.findall(response.headers["server-timing"])}
                )
    return {
        "request": _summary(requests),
        "bare_engine": _summary(bare),
        "overhead": statistics.median(requests) / statistics.median(bare),
        "stages": {name: _summary([row[name] for row in stages]) for name in STAGES},
        "own": _summary([sum(row[name] for name in OWN_STAGES) for row in stages]),
    }


def _server_timing(response: httpx.Response) -> dict[str, float]:
    """Seconds by stage, as the server measured them."""
    return {name: float(ms) / 1000 for name, ms in _TIMING.findall(response.headers["server-timing"])}


def _memory(server: ServerProcess) -> Figures:
    """Resident MiB of the server and its worker: now, and the most so far, of both together."""
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children()]
    resident = [process.memory_info().rss / 2**20 for process in processes]
    return {"server": resident[0], "worker": max(resident[1:]), "peak": sum(_peak(p.pid) for p in processes)}


def _peak(pid: int) -> float:
    """The most MiB that a process has had (Linux: ``VmHWM``)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 2**10


def _throughput(server: ServerProcess, clients: int) -> Figures:
    """Requests a second from several clients at a time, and how ``GET /`` does meanwhile."""
    body, _ = _click(SIZES["128×128×32"])
    ended = threading.Event()

    def ask(_: int) -> float:
        spent, response = _timed(
            lambda: httpx.post(f"{server.url}/seg", content=body, headers=HEADERS, timeout=300, trust_env=False)
        )
        response.raise_for_status()
        return spent

    def watch() -> list[float]:
        seconds = []
        with httpx.Client(trust_env=False, timeout=60) as client:
            while not ended.is_set():
                spent, response = _timed(lambda: client.get(f"{server.url}/"))
                response.raise_for_status()
                seconds.append(spent)
                time.sleep(0.02)
        return seconds

    with ThreadPoolExecutor(1) as watcher:
        health = watcher.submit(watch)
        try:
            with ThreadPoolExecutor(clients) as threads:
                whole, seconds = _timed(lambda: list(threads.map(ask, range(REQUESTS_PER_THROUGHPUT))))
        finally:
            ended.set()
    return {
        "clients": clients,
        "per_second": REQUESTS_PER_THROUGHPUT / whole,
        "request": _summary(seconds),
        "health": _summary(health.result()),
    }


if __name__ == "__main__":
    run(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
