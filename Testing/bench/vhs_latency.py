"""How fast a radiograph is measured: cold and warm over real HTTP, beside the bare ensemble in the same run."""

from __future__ import annotations

import base64
import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import psutil
from contract.server import launch
from PIL import Image

from imeasure_server.models.weights_listing import WEIGHTS
from imeasure_server.vhs.ensemble import LandmarkEnsemble
from phantoms.radiograph import lateral_thorax

REPEATS = 10
KEY = "bench"
HEADERS = {"x-api-key": KEY}
SIZE = (2200, 1760)
"""Pixels, width and height, of the radiograph that is sent: as a detector makes it."""

Figures = dict[str, Any]


def run(output: Path | None = None) -> Figures:
    """Measure, print Markdown, and write JSON when asked.

    Returns:
        Milliseconds: ``cold`` (first answer of a fresh server), ``warm`` and ``rendered`` (median, p95), ``bare``
        (the ensemble alone); ``memory`` in MiB.
    """
    picture = cv2.resize(lateral_thorax(1)[0], SIZE, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=92)
    image = base64.b64encode(content.getvalue()).decode()
    with tempfile.TemporaryDirectory() as folder:
        server = launch(Path(folder), environment={"IMEASURE_API_KEYS": KEY})
        try:
            with httpx.Client(base_url=server.url, trust_env=False, timeout=300, headers=HEADERS) as client:
                figures: Figures = {"machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"}
                figures["cold"] = _milliseconds(lambda: _predict(client, image, False))
                figures["warm"] = _spread(lambda: _predict(client, image, False))
                figures["rendered"] = _spread(lambda: _predict(client, image, True))
            processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(True)]
            figures["memory"] = round(sum(process.memory_info().rss for process in processes) / 2**20)
        finally:
            server.stop()
    ensemble = LandmarkEnsemble.load(WEIGHTS, "cpu")
    ensemble.predict(picture)
    figures["bare"] = _spread(lambda: ensemble.predict(picture))
    if output is not None:
        output.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(markdown(figures))
    return figures


def markdown(figures: Figures) -> str:
    """The figures as a table with the goals."""
    warm, rendered, bare = (figures[name] for name in ("warm", "rendered", "bare"))
    return "\n".join(
        [
            f"## Latency of `POST /v3/predict` ({figures['machine']})",
            "",
            f"{SIZE[0]}×{SIZE[1]} pixels; median / p95 of {REPEATS} requests in ms. Memory {figures['memory']} MiB.",
            "",
            "| | ms | goal |",
            "|---|---|---|",
            f"| first answer of a fresh server (models loaded on demand) | {figures['cold']:.0f} | 6000 |",
            f"| warm | {warm['median']:.0f} / {warm['p95']:.0f} | 1500 |",
            f"| warm, with the rendered image | {rendered['median']:.0f} / {rendered['p95']:.0f} | |",
            f"| the ensemble alone, in this process | {bare['median']:.0f} / {bare['p95']:.0f} | |",
            f"| warm ÷ ensemble alone | {warm['median'] / bare['median']:.2f} × | |",
        ]
    )


def _predict(client: httpx.Client, image: str, render: bool) -> None:
    answer = client.post("/v3/predict", json={"image": image, "render": render})
    answer.raise_for_status()
    if "result_code" not in answer.json():
        raise RuntimeError("The server did not answer as the contract says.")


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def _spread(work: Callable[[], object]) -> dict[str, float]:
    times = [_milliseconds(work) for _ in range(REPEATS)]
    return {"median": statistics.median(times), "p95": float(np.percentile(times, 95))}
