"""How long it takes to measure a mask, without server or engine.

PYTHONPATH=Testing:server .venv/bin/python -m bench.measurement [FILE.json]
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from imeasure_server.imaging.volume import BoolArray, Geometry
from imeasure_server.measurement import measure

Figures = dict[str, Any]
Triple = tuple[float, float, float]

CASES: dict[str, tuple[tuple[int, int, int], Triple, Triple, int]] = {
    # name: shape, spacing in mm, radii in voxels, repeats
    "lesion, 128×128×32": ((128, 128, 32), (0.826171875, 0.826171875, 5.0), (24.0, 21.0, 14.3), 50),
    "mass, 192×192×64": ((192, 192, 64), (0.8, 0.8, 2.5), (70.0, 60.0, 27.0), 20),
    "organ, 512×512×200": ((512, 512, 200), (0.8, 0.8, 1.5), (150.0, 120.0, 90.0), 5),
    "body, 512×512×200": ((512, 512, 200), (0.8, 0.8, 1.5), (240.0, 180.0, 400.0), 5),
}


def run(output: Path | None = None) -> Figures:
    """Measure ellipsoids, print Markdown, and write JSON when asked.

    Args:
        output: JSON file to write, or None.

    Returns:
        ``{"measurement": [{"case", "voxels", "order", "median_ms", "p95_ms", "cpu_ms"}, ...]}``. Masks are as an
        engine makes them (z fastest) and as they come from a file or a request (x fastest). ``cpu_ms`` is the median
        processor time of the process: what it takes when nothing else runs.
    """
    result: Figures = {"measurement": [_case(name, order) for name in CASES for order in ("z", "x")]}
    print(markdown(result))
    if output is not None:
        output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


def ellipsoid(shape: tuple[int, int, int], radii: Triple) -> BoolArray:
    """An ellipsoid a little off the middle of the grid; radii in voxels."""
    axes = np.ogrid[: shape[0], : shape[1], : shape[2]]
    middle = (np.array(shape) - 1) / 2 + (0.3, -0.2, 0.1)
    terms = [((axis - centre) / radius) ** 2 for axis, centre, radius in zip(axes, middle, radii, strict=True)]
    return np.asarray(terms[0] + terms[1] + terms[2] <= 1)


def markdown(result: Figures) -> str:
    """The figures as a table."""
    lines = [
        "## Measurement",
        "",
        "| mask | voxels | fastest axis | median ms | p95 ms | CPU ms |",
        "|---|---:|---|---:|---:|---:|",
    ]
    for row in result["measurement"]:
        figures = " | ".join(f"{row[key]:.1f}" for key in ("median_ms", "p95_ms", "cpu_ms"))
        lines.append(f"| {row['case']} | {row['voxels']:,} | {row['order']} | {figures} |")
    return "\n".join(lines) + "\n"


def _case(name: str, order: str) -> Figures:
    shape, spacing, radii, repeats = CASES[name]
    mask = np.asarray(ellipsoid(shape, radii), order="F" if order == "x" else "C")
    geometry = Geometry.from_axes((0, 0, 0), spacing, np.eye(3), shape)
    measure(mask, geometry)
    wall, cpu = [], []
    for _ in range(repeats):
        started, spent = time.perf_counter(), time.process_time()
        measure(mask, geometry)
        cpu.append(1000 * (time.process_time() - spent))
        wall.append(1000 * (time.perf_counter() - started))
    return {
        "case": name,
        "voxels": int(np.count_nonzero(mask)),
        "order": order,
        "median_ms": float(np.median(wall)),
        "p95_ms": float(np.percentile(wall, 95)),
        "cpu_ms": float(np.median(cpu)),
    }


if __name__ == "__main__":
    run(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
