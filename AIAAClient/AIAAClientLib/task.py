"""What is asked about a volume in the scene, in world coordinates, and the same in voxels of what is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from IMeasureLib.geometry import VolumeGeometry
from IMeasureLib.volume_access import geometryOf, voxelsOf, worldToLocal

from .mask_grid import Mask
from .model_info import (
    BOXES,
    DEXTR3D,
    INFERENCE,
    KINDS,
    LASSOS,
    POINTS,
    PROMPTS,
    SCRIBBLES,
    SEGMENTATION,
    STROKES,
    ModelInfo,
)
from .region import Region, regionAround
from .segmentation_server import Question

LEAST_BOUNDARY_POINTS = 6
BACKGROUND_VALUE, FOREGROUND_VALUE = 2, 3
"""Of scribbles, as MONAI Label has them."""

Position = npt.ArrayLike
"""(3,) world RAS mm."""
Line = Iterable[npt.ArrayLike]
Model = Union[ModelInfo, str]
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


class TaskError(ValueError):
    """A question that cannot be asked; the message is a sentence for the person who asked."""


@dataclass(frozen=True, eq=False)
class Task:
    """A question to a model about a volume. Make one with the methods that are called as the kinds are.

    Attributes:
        volumeNode: scalar volume, under any parent transform.
        model: what is asked, or its name.
        kind: one of ``model_info.KINDS``.
        positive, negative, boundary: (n, 3) world RAS mm.
        positiveBoxes, negativeBoxes: pairs of opposite corners, world RAS mm; the voxels of both are inside.
        positiveLassos, ...: lines, each (n, 3) world RAS mm.
        label: (k, j, i) on the volume's grid: a mask to refine, or scribbles.
        labelInfo: what the values of ``label`` mean.
        parameters: whatever else the model takes, as JSON.
        roi: ((i0, i1), (j0, j1), (k0, k1)) first and last voxels, outside of which is background.
        labelName: the structure that is meant, of a model that knows several.
        onlyRegion: send only the region around the prompts; what is farther away stays background.
    """

    volumeNode: Any
    model: Model
    kind: str
    positive: tuple[Position, ...] = ()
    negative: tuple[Position, ...] = ()
    boundary: tuple[Position, ...] = ()
    positiveBoxes: tuple[Line, ...] = ()
    negativeBoxes: tuple[Line, ...] = ()
    positiveLassos: tuple[Line, ...] = ()
    negativeLassos: tuple[Line, ...] = ()
    positiveScribbles: tuple[Line, ...] = ()
    negativeScribbles: tuple[Line, ...] = ()
    label: npt.NDArray[Any] | None = None
    labelInfo: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    roi: Box | None = None
    onlyRegion: bool = False
    labelName: str = ""

    @staticmethod
    def segmentation(volumeNode: Any, model: Model, parameters: Mapping[str, Any] | None = None) -> Task:
        """Everything that a model knows, without prompts."""
        return Task(volumeNode, model, SEGMENTATION, parameters=parameters or {})

    @staticmethod
    def inference(volumeNode: Any, model: Model, parameters: Mapping[str, Any] | None = None) -> Task:
        """Any model, with parameters of its own."""
        return Task(volumeNode, model, INFERENCE, parameters=parameters or {})

    @staticmethod
    def dextr3d(volumeNode: Any, model: Model, points: Line) -> Task:
        """What is inside six or more points of a surface: one at each of its extremes.

        Raises:
            TaskError: there are fewer.
        """
        boundary = tuple(points)
        if len(boundary) < LEAST_BOUNDARY_POINTS:
            raise TaskError(
                f"Place at least {LEAST_BOUNDARY_POINTS} points on the boundary: its leftmost, rightmost, foremost, "
                "backmost, highest and lowest."
            )
        return Task(volumeNode, model, DEXTR3D, boundary=boundary)

    @staticmethod
    def deepgrow(volumeNode: Any, model: Model, foreground: Line, background: Line = ()) -> Task:
        """What is around some positions and not around others."""
        return Task.prompts(volumeNode, model, foreground, background)

    @staticmethod
    def prompts(
        volumeNode: Any,
        model: Model,
        positive: Line = (),
        negative: Line = (),
        positiveBoxes: Iterable[Line] = (),
        negativeBoxes: Iterable[Line] = (),
        positiveLassos: Iterable[Line] = (),
        negativeLassos: Iterable[Line] = (),
        positiveScribbles: Iterable[Line] = (),
        negativeScribbles: Iterable[Line] = (),
        label: npt.NDArray[Any] | None = None,
        onlyRegion: bool = False,
        labelName: str = "",
    ) -> Task:
        """What clicks, boxes, lassos and strokes show.

        Args:
            label: (k, j, i) mask to begin from.
            labelName: which of its structures a model that knows several (DeepEdit) is led to.

        Raises:
            TaskError: nothing says where the object is.
        """
        task = Task(
            volumeNode,
            model,
            PROMPTS,
            positive=tuple(positive),
            negative=tuple(negative),
            positiveBoxes=_lines(positiveBoxes),
            negativeBoxes=_lines(negativeBoxes),
            positiveLassos=_lines(positiveLassos),
            negativeLassos=_lines(negativeLassos),
            positiveScribbles=_lines(positiveScribbles),
            negativeScribbles=_lines(negativeScribbles),
            label=label,
            onlyRegion=onlyRegion,
            labelName=labelName,
        )
        shown = task.positive or task.positiveBoxes or task.positiveLassos or task.positiveScribbles
        if not shown and (label is None or not label.any()):
            raise TaskError("Click inside the object first; an excluding prompt alone does not say where it is.")
        return task

    @staticmethod
    def scribbles(
        volumeNode: Any,
        model: Model,
        foreground: npt.NDArray[Any],
        background: npt.NDArray[Any],
        onlyRegion: bool = False,
        roi: Box | None = None,
    ) -> Task:
        """What strokes of two kinds separate: both are masks (k, j, i) on the volume's grid.

        Args:
            roi: ((i0, i1), (j0, j1), (k0, k1)) first and last voxels; outside is background.

        Raises:
            TaskError: one of them is empty.
        """
        if not foreground.any() or not background.any():
            raise TaskError("Draw both kinds of scribbles: some inside the object and some outside.")
        label = np.zeros(foreground.shape, dtype=np.uint8)
        label[background != 0] = BACKGROUND_VALUE
        label[foreground != 0] = FOREGROUND_VALUE
        info = {"background_scribbles": BACKGROUND_VALUE, "foreground_scribbles": FOREGROUND_VALUE}
        return Task(volumeNode, model, SCRIBBLES, label=label, labelInfo=info, roi=roi, onlyRegion=onlyRegion)

    @property
    def promptKinds(self) -> frozenset[str]:
        """Which kinds of prompts it has."""
        present = {
            POINTS: self.positive or self.negative,
            BOXES: self.positiveBoxes or self.negativeBoxes,
            LASSOS: self.positiveLassos or self.negativeLassos,
            STROKES: self.positiveScribbles or self.negativeScribbles,
        }
        return frozenset(kind for kind, prompts in present.items() if prompts)


@dataclass(frozen=True, eq=False)
class PreparedTask:
    """A task in voxels: made on the GUI thread, asked on another.

    Attributes:
        voxels: (k, j, i) view of the whole volume.
        geometry: of the whole volume, in its own space.
        region: what of it is sent, None for all.
        question: in voxel indices of what is sent.
    """

    task: Task
    voxels: npt.NDArray[Any]
    geometry: VolumeGeometry
    region: Region | None
    question: Question

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """4x4, voxel of what is sent to RAS mm of the volume's own space."""
        affine = self.geometry.matrix.copy()
        if self.region is not None:
            affine[:3, 3] = self.geometry.ijkToRAS(self.region.origin)
        return affine

    @property
    def sentVoxels(self) -> npt.NDArray[Any]:
        """(k, j, i) view of what is sent."""
        return self.voxels if self.region is None else self.region.of(self.voxels)

    def whole(self, mask: Mask | None) -> Mask | None:
        """A mask of what was sent, on the grid of the whole volume."""
        if mask is None or self.region is None:
            return mask
        result = np.zeros(self.voxels.shape, dtype=mask.dtype)
        self.region.of(result)[...] = mask
        return result


def prepare(task: Task, former: Region | None = None) -> PreparedTask:
    """Turn a task into voxels; GUI thread only.

    Args:
        former: the region of an earlier question about this volume; taken again while it is large enough, so that the
            server has it already.

    Raises:
        VolumeError, GeometryError: the volume cannot be sent.
        TaskError: a prompt lies outside it, or a mask has another shape.
    """
    if task.kind not in KINDS:
        raise TaskError(f"There is no kind of question called {task.kind}.")
    voxels, geometry = voxelsOf(task.volumeNode), geometryOf(task.volumeNode)
    if task.label is not None and task.label.shape != voxels.shape:
        raise TaskError("The mask is not on the volume's grid.")
    question = _question(task, geometry)
    region = None
    if task.onlyRegion:
        region = regionAround(_extent(question), geometry.shape, geometry.spacing, former)
    if region is not None:
        question = _shifted(question, region)
    return PreparedTask(task, voxels, geometry, region, question)


def _lines(lines: Iterable[Line]) -> tuple[Line, ...]:
    return tuple(tuple(line) for line in lines)


def _question(task: Task, geometry: VolumeGeometry) -> Question:
    def indices(points: Line) -> npt.NDArray[np.float64]:
        local = worldToLocal(task.volumeNode, np.array(list(points), dtype=np.float64).reshape(-1, 3))
        if not np.isfinite(local).all():
            raise TaskError("A position is not a number.")
        return geometry.rasToIJK(local)

    def inside(points: Line) -> npt.NDArray[np.float64]:
        found = indices(points)
        if ((found < -0.5) | (found >= np.array(geometry.shape) - 0.5)).any():
            raise TaskError(f"A position is outside the volume {task.volumeNode.GetName()}.")
        return found

    def clipped(points: Line) -> npt.NDArray[np.float64]:
        return np.asarray(np.clip(indices(points), 0, np.array(geometry.shape) - 1.0))

    def boxes(corners: tuple[Line, ...]) -> tuple[npt.NDArray[np.float64], ...]:
        found = [clipped(pair) for pair in corners]
        return tuple(np.array([box.min(axis=0), box.max(axis=0)]) for box in found)

    return Question(
        kind=task.kind,
        positive=inside(task.positive),
        negative=inside(task.negative),
        boundary=clipped(task.boundary),
        positiveBoxes=boxes(task.positiveBoxes),
        negativeBoxes=boxes(task.negativeBoxes),
        positiveLassos=tuple(clipped(line) for line in task.positiveLassos),
        negativeLassos=tuple(clipped(line) for line in task.negativeLassos),
        positiveScribbles=tuple(clipped(line) for line in task.positiveScribbles),
        negativeScribbles=tuple(clipped(line) for line in task.negativeScribbles),
        label=task.label,
        labelInfo=task.labelInfo,
        parameters=task.parameters,
        roi=task.roi,
        labelName=task.labelName,
    )


def _extent(question: Question) -> npt.NDArray[np.float64]:
    """(n, 3) voxel indices that the region must hold."""
    groups = [question.positive, question.negative, question.boundary, *question.positiveBoxes, *question.negativeBoxes]
    groups += [*question.positiveLassos, *question.negativeLassos]
    groups += [*question.positiveScribbles, *question.negativeScribbles]
    if question.label is not None and question.label.any():
        axes = [np.flatnonzero(question.label.any(axis=others)) for others in ((0, 1), (0, 2), (1, 2))]
        groups.append(np.array([[axis[0] for axis in axes], [axis[-1] for axis in axes]], dtype=np.float64))
    return np.concatenate(groups) if groups else np.zeros((0, 3))


def _shifted(question: Question, region: Region) -> Question:
    """The same question in voxels of the region."""
    origin = np.array(region.origin, dtype=np.float64)

    def all_(lines: tuple[npt.NDArray[np.float64], ...]) -> tuple[npt.NDArray[np.float64], ...]:
        return tuple(line - origin for line in lines)

    return Question(
        kind=question.kind,
        positive=question.positive - origin,
        negative=question.negative - origin,
        boundary=question.boundary - origin,
        positiveBoxes=all_(question.positiveBoxes),
        negativeBoxes=all_(question.negativeBoxes),
        positiveLassos=all_(question.positiveLassos),
        negativeLassos=all_(question.negativeLassos),
        positiveScribbles=all_(question.positiveScribbles),
        negativeScribbles=all_(question.negativeScribbles),
        label=None if question.label is None else region.of(question.label),
        labelInfo=question.labelInfo,
        parameters=question.parameters,
        roi=_shiftedBox(question.roi, region),
        labelName=question.labelName,
    )


def _shiftedBox(roi: Box | None, region: Region) -> Box | None:
    """The same box in voxels of the region, clipped to it."""
    if roi is None:
        return None
    (i, j, k) = (
        (min(max(first - origin, 0), size - 1), min(max(last - origin, 0), size - 1))
        for (first, last), origin, size in zip(roi, region.origin, region.size)
    )
    return i, j, k
