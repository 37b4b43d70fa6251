"""Pictures of every answer: one sheet for each case and kind of prompt, all methods side by side.

PYTHONPATH=Testing:server:IMeasure .venv/bin/python -m bench.contact_sheets --output bench-output/accuracy

Upper row: the slice of largest true area. Lower row: the coronal plane of largest true area. Green: truth. Magenta:
mask. Yellow: positive (+) and negative (×) clicks, projected into the plane.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from bench.cases import SETS, Case, Source, some, source_of, sources
from bench.comparison import key_of, options_of
from bench.method_table import METHODS
from bench.processes import WorkerDied, spread
from bench.simulation import BESIDE, CORRECTED, CROPPED, HANDED_OVER, ONE_CLICK, PEN, TWO_POINTS
from bench.store import Record, Store
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray

FAMILIES = {
    "clicks": (ONE_CLICK, *CORRECTED),
    "two points and pen": (TWO_POINTS, PEN),
    "beside": BESIDE,
    "module's crop": CROPPED,
    "sphere's mask": (HANDED_OVER,),
}
MARGIN = 20.0  # mm around the truth, or half of its size when that is more
TILE = 2.2  # inches, width
TITLE = 0.12  # of a tile's width, above each picture
TRUTH_COLOUR, MASK_COLOUR, CLICK_COLOUR = "#40e040", "#ff40ff", "#ffe000"

Shown = dict[str, dict[str, tuple[BoolArray, Record]]]
"""Prompt → method → mask and figures."""


@dataclass(frozen=True)
class SheetTask:
    """The sheets of one case; see ``comparison.Task``."""

    case: str
    output: Path
    data: Path


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane through the volume.

    Attributes:
        normal: voxel axis that it is perpendicular to.
        index: on that axis.
        box: what is shown, (first, last) voxel of the two other axes.
        spacing: mm of the two other axes.
        upwards: whether the second of them points up in the picture.
    """

    normal: int
    index: int
    box: tuple[tuple[int, int], tuple[int, int]]
    spacing: tuple[float, float]
    upwards: bool

    @classmethod
    def of(cls, truth: BoolArray, spacing: FloatArray, normal: int, upwards: bool) -> Plane:
        """The plane of largest true area, with room around the truth."""
        axes = [axis for axis in range(3) if axis != normal]
        index = int(np.argmax(truth.sum(axis=tuple(axes))))
        (found,) = ndimage.find_objects(truth.astype(np.uint8))
        box = []
        for axis in axes:
            first, last = found[axis].start, found[axis].stop - 1
            room = int(np.ceil(max(MARGIN / spacing[axis], (last - first) / 2)))
            box.append((max(0, first - room), min(truth.shape[axis] - 1, last + room)))
        return cls(normal, index, (box[0], box[1]), (spacing[axes[0]], spacing[axes[1]]), upwards)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in mm."""
        (a, b), (c, d) = self.box
        return (b - a + 1) * self.spacing[0], (d - c + 1) * self.spacing[1]

    def cut(self, array: NDArray[Any]) -> NDArray[Any]:
        """(rows, columns) of the picture, the first row on top."""
        (a, b), (c, d) = self.box
        part = np.take(array, self.index, axis=self.normal)[a : b + 1, c : d + 1].T
        return part[::-1] if self.upwards else part

    def place(self, voxel: Iterable[float]) -> tuple[float, float]:
        """A voxel's place in the picture, mm from its left and upper edge."""
        first, second = (value for axis, value in enumerate(voxel) if axis != self.normal)
        x, y = (first - self.box[0][0] + 0.5) * self.spacing[0], (second - self.box[1][0] + 0.5) * self.spacing[1]
        return x, self.size[1] - y if self.upwards else y


def draw_sheets(
    output: Path, data: Path, sets: Iterable[str] = tuple(SETS), limit: int | None = None, processes: int = 0
) -> None:
    """Draw the sheets that are missing or older than their answers, to ``sheets/`` in ``output``."""
    tasks = [SheetTask(source.name, output, data) for kind in sets for source in some(sources(kind, data), limit)]
    drawn = 0
    for task, count in spread(draw_case, tasks, processes):
        if isinstance(count, WorkerDied):
            print(f"{task.case}: its sheets could not be drawn, the process died.", flush=True)
        else:
            drawn += count
    print(f"{drawn} contact sheets drawn.", flush=True)


def draw_case(task: SheetTask) -> int:
    """Draw what is missing of one case; returns the number of sheets drawn."""
    store, source = Store(task.output), _source(task.case, task.data)
    methods = [m for m in METHODS if store.records(m, task.case, key_of(m, source)) is not None]
    newest = max((store.changed(method, task.case) for method in methods), default=0.0)
    paths = {family: task.output / "sheets" / f"{task.case}, {family}.png" for family in FAMILIES}
    if not methods or all(path.is_file() and path.stat().st_mtime >= newest for path in paths.values()):
        return 0
    case, count = source.load(), 0
    answers = {m: (store.masks(m, task.case), store.records(m, task.case, key_of(m, source)) or {}) for m in methods}
    for family, prompts in FAMILIES.items():
        shown: Shown = {
            prompt: {
                m: (masks[prompt], records[prompt]) for m, (masks, records) in answers.items() if prompt in records
            }
            for prompt in prompts
        }
        if any(shown.values()):
            paths[family].parent.mkdir(parents=True, exist_ok=True)
            sheet(case, shown).savefig(paths[family])
            count += 1
    return count


def sheet(case: Case, shown: Shown) -> Figure:
    """All methods (columns) on the prompts of one kind (pairs of rows)."""
    spacing = case.volume.geometry.spacing
    planes = [Plane.of(case.truth, spacing, 2, False), Plane.of(case.truth, spacing, 1, True)]
    methods = [m for m in METHODS if any(m in answers for answers in shown.values())]
    width = max(plane.size[0] for plane in planes)
    head = TITLE * width
    height = len(shown) * sum(plane.size[1] + head for plane in planes)
    figure = Figure(figsize=(TILE * len(methods), TILE * height / width), dpi=90)
    axes = figure.add_axes((0, 0, 1, 1))
    low, high = _window(case)
    top = 0.0
    for prompt, answers in shown.items():
        for plane in planes:
            picture = plane.cut(case.volume.array)
            for method, (mask, record) in answers.items():
                corner = (methods.index(method) * width, top + head)
                title = f"{method}, {prompt}: {record['error'] or format(record['dice'], '.2f')}"
                axes.text(corner[0] + head / 4, corner[1] - head / 4, title[:48], fontsize=6.5)
                _draw(axes, plane, corner, (picture, low, high))
                _outline(axes, plane, corner, case.truth, TRUTH_COLOUR)
                _outline(axes, plane, corner, mask, MASK_COLOUR)
                _clicks(axes, plane, corner, record["clicks"])
            top += plane.size[1] + head
    axes.set(xlim=(0, width * len(methods)), ylim=(height, 0), aspect="auto")
    axes.set_axis_off()
    return figure


def _draw(axes: Axes, plane: Plane, corner: tuple[float, float], shown: tuple[NDArray[Any], float, float]) -> None:
    picture, low, high = shown
    (x, y), (width, height) = corner, plane.size
    extent = (x, x + width, y + height, y)
    axes.imshow(picture, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="nearest")


def _outline(axes: Axes, plane: Plane, corner: tuple[float, float], mask: BoolArray, colour: str) -> None:
    cut = np.pad(plane.cut(mask), 1).astype(float)
    if not cut.any():
        return
    rows, columns = cut.shape
    xs = corner[0] + (np.arange(columns) - 0.5) * plane.spacing[0]
    ys = corner[1] + (np.arange(rows) - 0.5) * plane.spacing[1]
    axes.contour(xs, ys, cut, levels=[0.5], colors=colour, linewidths=0.7)


def _clicks(axes: Axes, plane: Plane, corner: tuple[float, float], clicks: Iterable[list[Any]]) -> None:
    for *voxel, positive in clicks:
        x, y = plane.place(voxel)
        if 0 <= x <= plane.size[0] and 0 <= y <= plane.size[1]:
            axes.plot(corner[0] + x, corner[1] + y, "+" if positive else "x", color=CLICK_COLOUR, markersize=4, mew=0.8)


def _window(case: Case) -> tuple[float, float]:
    """Darkest and brightest shown intensity: those near the object, with room on both sides."""
    spacing = case.volume.geometry.spacing
    near = ndimage.distance_transform_edt(~case.truth, sampling=spacing) <= MARGIN / 2
    low, high = np.percentile(case.volume.array[near], (2, 98))
    room = 0.25 * max(float(high - low), 1.0)
    return float(low) - room, float(high) + room


@lru_cache(maxsize=1)
def _source(name: str, data: Path) -> Source:
    return source_of(name, data)


def main() -> None:
    options = options_of("Draw the answers that were compared.").parse_args()
    draw_sheets(options.output, options.data, options.sets or list(SETS), options.limit, options.processes)


if __name__ == "__main__":
    main()
