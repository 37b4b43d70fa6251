"""A picture of a finding: one panel a step, each with the slice, the mask's outline, both axes and the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from IMeasureLib.findings import MeasuredLine, Measurements
from IMeasureLib.geometry import VolumeGeometry
from IMeasureLib.prompts import Click, PenStroke, PromptHistory

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

SOFT_TISSUE_WINDOW = (-125.0, 225.0)
"""HU."""
MASK, BEFORE, LONG, SHORT, POSITIVE, NEGATIVE, PEN = (
    "#ffb000", "#b8a06a", "#ffffff", "#63c5ff", "#3ddc4f", "#ff4040", "#ff7bd5",
)  # fmt: skip
MARGIN = 22.0
"""mm shown around the mask."""
OUTLINED = [withStroke(linewidth=2.5, foreground="black")]


@dataclass(frozen=True)
class Step:
    """One answer of the server.

    Attributes:
        title: what the person did.
        mask: (k, j, i) bool on the volume's grid.
        measurements: in local RAS mm.
        history: all prompts so far, local RAS mm.
        slice_index: the slice to show.
    """

    title: str
    mask: npt.NDArray[np.bool_]
    measurements: Measurements
    history: PromptHistory
    slice_index: int


def save_picture(path: Path, voxels: npt.NDArray[Any], geometry: VolumeGeometry, steps: Sequence[Step]) -> None:
    """Draw all steps side by side, each on its slice with the mask before it dotted, and the last one measured.

    Args:
        path: PNG to write.
        voxels: (k, j, i) intensities.
        geometry: of the volume.
        steps: oldest first.
    """
    panels = [*steps, _best_slice(steps[-1])]
    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 4.9), facecolor="black", squeeze=False)
    window = _window(voxels)
    for axis, step, before in zip(axes.ravel(), panels, [None, *steps[:-1], None], strict=True):
        _draw_step(axis, voxels, geometry, step, before, window)
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=0.93, wspace=0.02)
    figure.savefig(path, dpi=110, facecolor="black")
    plt.close(figure)


def _best_slice(step: Step) -> Step:
    """The same answer on the slice with the longest axis, without the prompts."""
    best = step.measurements.bestSlice
    return Step(
        f"Measured: {step.measurements.volumeMM3 / 1000:.0f} mL", step.mask, step.measurements, PromptHistory(),
        step.slice_index if best is None else best,
    )  # fmt: skip


def _draw_step(
    axis: Axes,
    voxels: npt.NDArray[Any],
    geometry: VolumeGeometry,
    step: Step,
    before: Step | None,
    window: tuple[float, float],
) -> None:
    k = step.slice_index
    width, height = geometry.spacing[0], geometry.spacing[1]
    extent = (-0.5 * width, (geometry.shape[0] - 0.5) * width, (geometry.shape[1] - 0.5) * height, -0.5 * height)
    axis.imshow(voxels[k], cmap="gray", vmin=window[0], vmax=window[1], extent=extent, interpolation="bilinear")
    if before is not None:
        _draw_outline(axis, geometry, before.mask[k], BEFORE, "dotted")
    _draw_outline(axis, geometry, step.mask[k], MASK, "solid")
    cross = step.measurements.crosses.get(k)
    if cross is not None and not step.history.steps:
        _draw_line(axis, geometry, cross.long, LONG, "long")
        _draw_line(axis, geometry, cross.short, SHORT, "short")
    _draw_prompts(axis, geometry, step.history, k)
    _frame(axis, geometry, step.mask)
    axis.set_axis_off()
    axis.set_title(step.title, color="white", fontsize=13)


def _draw_outline(axis: Axes, geometry: VolumeGeometry, mask: npt.NDArray[np.bool_], color: str, style: str) -> None:
    if mask.any():
        x, y = np.arange(geometry.shape[0]) * geometry.spacing[0], np.arange(geometry.shape[1]) * geometry.spacing[1]
        axis.contour(x, y, mask.astype(float), [0.5], colors=color, linewidths=1.8, linestyles=style)


def _frame(axis: Axes, geometry: VolumeGeometry, mask: npt.NDArray[np.bool_]) -> None:
    """Show the mask and what is around it, the patient's right on the left and the front on top."""
    _, j, i = (np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    x = np.array([i[0], i[-1]]) * geometry.spacing[0] + [-MARGIN, MARGIN]
    y = np.array([j[0], j[-1]]) * geometry.spacing[1] + [-MARGIN, MARGIN]
    axis.set_xlim(*(x[::-1] if geometry.directions[0, 0] > 0 else x))
    axis.set_ylim(*(y if geometry.directions[1, 1] > 0 else y[::-1]))


def _window(voxels: npt.NDArray[Any]) -> tuple[float, float]:
    """The soft-tissue window for CT, the central 98 % of the values for anything else."""
    if voxels.min() < -500:
        return SOFT_TISSUE_WINDOW
    low, high = np.percentile(voxels, [1, 99])
    return float(low), float(high)


def _on_slice(geometry: VolumeGeometry, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Local RAS mm (n, 3) to in-plane mm from the centre of the first voxel (n, 2)."""
    return np.asarray(np.atleast_2d(geometry.rasToIJK(points))[:, :2] * geometry.spacing[:2])


def _draw_line(axis: Axes, geometry: VolumeGeometry, line: MeasuredLine, color: str, name: str) -> None:
    ends = _on_slice(geometry, [line.start, line.end])
    axis.plot(*ends.T, color=color, linewidth=1.6, marker="+", markersize=9, path_effects=OUTLINED)
    far = ends[np.argmax(ends[:, 1])] if name == "short" else ends[np.argmin(ends[:, 1])]
    axis.annotate(
        f"{name} {line.length:.1f} mm", far, xytext=(0, 8 if name == "long" else -14), textcoords="offset points",
        color=color, fontsize=11, ha="center", path_effects=OUTLINED,
    )  # fmt: skip


def _draw_prompts(axis: Axes, geometry: VolumeGeometry, history: PromptHistory, k: int) -> None:
    for step in history.steps:
        if geometry.sliceOf(step.points[0]) != k:
            continue
        points = _on_slice(geometry, step.points)
        if isinstance(step, PenStroke):
            closed = np.vstack([points, points[:1]])
            axis.plot(*closed.T, color=PEN, linewidth=1.2, linestyle="--", path_effects=OUTLINED)
            continue
        negative = isinstance(step, Click) and not step.positive
        axis.plot(
            *points.T, linestyle="none", marker="X" if negative else "o", markersize=8, markeredgecolor="black",
            color=NEGATIVE if negative else POSITIVE,
        )  # fmt: skip
