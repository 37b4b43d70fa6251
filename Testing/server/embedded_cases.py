"""Images with known truth and the inputs of embedded models, for their tests."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.models.embedded import load
from imeasure_server.models.inference import InferenceModel, ModelInputs, ModelOutput, Point
from imeasure_server.models.worker import WorkerContext
from phantoms import LesionPhantom, make_lesion_phantom

Mask = npt.NDArray[np.bool_]

TURNED = np.array([[0.936, -0.275, 0.219], [0.289, 0.957, -0.032], [-0.201, 0.093, 0.975]])
"""Directions of an oblique volume, nearly orthonormal; ``oblique`` makes them so."""


@cache
def context() -> WorkerContext:
    """Of one worker for all tests of the process."""
    return WorkerContext("cpu", None, threading.Event())


@cache
def model(name: str) -> InferenceModel:
    return load(name, context())


def infer(name: str, volume: Volume, **inputs: Any) -> ModelOutput:
    """Ask an embedded model."""
    return model(name).infer(volume, ModelInputs(**inputs))


def mask_of(name: str, volume: Volume, **inputs: Any) -> Mask:
    """The object that an embedded model finds, after a look at what every answer must have."""
    output = infer(name, volume, **inputs)
    assert output.mask is not None
    assert output.mask.dtype == np.uint8
    assert output.mask.shape == volume.geometry.shape
    assert set(np.unique(output.mask)) <= {0, *output.label_names.values()}
    return np.asarray(output.mask > 0)


def oblique() -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.qr(TURNED)[0])


@cache
def lesion(seed: int, turned: bool = False) -> LesionPhantom:
    """A lesion on an anisotropic CT; oblique with ``turned``."""
    directions = oblique() if turned else None
    return make_lesion_phantom(
        seed, (72, 64, 24), (0.9, 0.9, 2.5), directions, diameter=22.0, contrast=90.0, noise=12.0
    )


def dice(first: Mask, second: Mask) -> float:
    return 2.0 * float((first & second).sum()) / max(1, int(first.sum() + second.sum()))


def mirrored(volume: Volume, truth: Mask, axis: int) -> tuple[Volume, Mask]:
    """The same patient, with the voxels along an axis stored the other way round."""
    turn = np.eye(4)
    turn[axis, axis], turn[axis, 3] = -1, volume.geometry.shape[axis] - 1
    geometry = Geometry(volume.geometry.affine @ turn, volume.geometry.shape)
    return Volume(np.flip(volume.array, axis), geometry), np.flip(truth, axis)


def centre_of(truth: Mask) -> Point:
    """The voxel deepest in a mask, roughly: that of its middle slice nearest to the middle there."""
    places = np.argwhere(truth)
    slices = places[:, 2]
    here = places[slices == int(np.median(slices))]
    return as_point(here[((here - here.mean(axis=0)) ** 2).sum(axis=1).argmin()])


def as_point(values: npt.ArrayLike) -> Point:
    x, y, z = (float(v) for v in np.asarray(values))
    return x, y, z


def extreme_points(truth: Mask) -> tuple[Point, ...]:
    """Six voxels: first and last along each axis, in the middle of what is first and last."""
    places = np.argwhere(truth)
    found = []
    for axis in range(3):
        for end in (places[:, axis].min(), places[:, axis].max()):
            here = places[places[:, axis] == end]
            found.append(as_point(here[((here - here.mean(axis=0)) ** 2).sum(axis=1).argmin()]))
    return tuple(found)


def holds(mask: Mask, point: Point) -> bool:
    x, y, z = (int(np.floor(v + 0.5)) for v in point)
    return bool(mask[x, y, z])
