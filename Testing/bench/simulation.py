"""A simulated person on one case: the same prompts for every method, by fixed rules."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from bench.cases import Case
from bench.methods import Method, Unsuited, sphere
from IMeasureLib.crop_region import CropRegion
from IMeasureLib.geometry import VolumeGeometry, lpsToRAS
from IMeasureLib.prompts import Click, PromptHistory, TwoClick
from skimage.measure import find_contours

from imeasure_server.imaging.volume import BoolArray, FloatArray, Geometry, Volume
from imeasure_server.segmentation.prompts import ExtremePair, Point, PointPrompt, Prompts, Stroke
from phantoms import correction, extreme_points, first_click

CORRECTIONS = (1, 3, 5)
JITTERS = (3.0, 6.0)  # mm
CROPS = 3  # requests of the Slicer module for one answer
PROMPTS = (
    "one click",
    *(f"+{order}" for order in CORRECTIONS),
    "two points",
    "pen",
    *(f"{jitter:.0f} mm beside" for jitter in JITTERS),
    "one click, module's crop",
    "two points, module's crop",
    "a sphere's mask, +1",
)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method made of one prompt.

    Attributes:
        prompt: one of ``PROMPTS``.
        mask: (x, y, z) bool, empty when it found nothing.
        seconds: of computing, all requests together.
        spoiled: of a correction: volume that was right before and is wrong now, as a share of the true volume.
    """

    prompt: str
    mask: BoolArray
    seconds: float
    spoiled: float | None = None


def answers(method: Method, case: Case, seed: int, refines: bool) -> list[Answer]:
    """All prompts of ``PROMPTS`` on one case; those that the method does not know are left out.

    Args:
        method: to ask.
        case: to ask about.
        seed: of the direction in which a click is beside its place.
        refines: whether the method reads a previous mask.
    """
    volume, truth, spacing = case.volume, case.truth, case.volume.geometry.spacing
    given: list[Answer] = []

    def ask(name: str, prompts: Prompts, how: Method = method) -> BoolArray | None:
        start = time.perf_counter()
        try:
            mask = how(volume, prompts)
        except Unsuited:
            return None
        seconds = time.perf_counter() - start
        before = prompts.previous_mask
        spoiled = None if before is None else spoiled_share(before, mask, truth)
        given.append(Answer(name, mask, seconds, spoiled))
        return mask

    click = first_click(truth, spacing)
    pair = Prompts(extreme_pairs=(ExtremePair(*extreme_points(truth, spacing)),))
    clicks: tuple[PointPrompt, ...] = (click,)
    mask = ask("one click", Prompts(points=clicks))
    for order in range(1, max(CORRECTIONS) + 1):
        if mask is None:
            break
        fix = correction(mask, truth, spacing, order)
        if fix is not None:
            clicks = (*clicks, fix)
        mask = ask(f"+{order}", Prompts(points=clicks, previous_mask=mask))
    ask("two points", pair)
    ask("pen", Prompts(strokes=(outline(truth),)))
    for jitter in JITTERS:
        beside = jittered(click.position, truth, spacing, jitter, seed)
        ask(f"{jitter:.0f} mm beside", Prompts(points=(PointPrompt(beside, True),)))

    def cropped(_: Volume, prompts: Prompts) -> BoolArray:
        return in_module_crop(method, volume, prompts)

    ask("one click, module's crop", Prompts(points=(click,)), cropped)
    ask("two points, module's crop", pair, cropped)
    if refines:
        strange = sphere(volume, pair)
        fix = correction(strange, truth, spacing, 0)
        ask("a sphere's mask, +1", Prompts(points=(fix,) if fix else (), previous_mask=strange))
    return [answer for answer in given if answer.prompt in PROMPTS]


def spoiled_share(before: BoolArray, after: BoolArray, truth: BoolArray) -> float:
    """Voxels that were right before and are wrong after, as a share of the true ones."""
    return float(((before == truth) & (after != truth)).sum()) / float(truth.sum())


def outline(truth: BoolArray) -> Stroke:
    """The contour of the object on the slice where its area is largest."""
    k = int(np.argmax(truth.sum(axis=(0, 1))))
    contours = find_contours(np.pad(truth[:, :, k], 1).astype(float), 0.5)
    longest = max(contours, key=len) - 1.0
    return Stroke(np.column_stack([longest[:-1], np.full(len(longest) - 1, float(k))]))


def jittered(position: Point, truth: BoolArray, spacing: FloatArray, length: float, seed: int) -> Point:
    """A position ``length`` mm beside another in a random direction, nearer where that is not in the lesion."""
    direction = np.random.default_rng(seed).normal(size=3)
    direction /= np.linalg.norm(direction)
    for share in np.linspace(1.0, 0.0, 21):
        place = np.array(position) + share * length * direction / spacing
        index = np.rint(place).astype(int)
        if (index >= 0).all() and (index < truth.shape).all() and truth[tuple(index)]:
            x, y, z = (float(v) for v in index)
            return x, y, z
    return position


def in_module_crop(method: Method, volume: Volume, prompts: Prompts) -> BoolArray:
    """The answer on the crop that the Slicer module sends, which grows while the mask reaches its border.

    Args:
        method: to ask.
        volume: the whole image.
        prompts: clicks and pairs in its voxels, without a previous mask.
    """
    geometry = volume.geometry
    shape = geometry.shape
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ _matrix(geometry)

    def world(points: Sequence[Point]) -> list[Point]:
        return [tuple(p) for p in lpsToRAS(geometry.to_world(np.array(points)))]

    steps = [Click(world([p.position])[0], p.positive) for p in prompts.points]
    steps += [TwoClick(*world([pair.first, pair.second])) for pair in prompts.extreme_pairs]  # type: ignore[misc]
    region = CropRegion.around(VolumeGeometry(matrix, shape), PromptHistory(tuple(steps)))
    whole = np.zeros(shape, dtype=bool)
    for _ in range(CROPS):
        box = region.slices[::-1]
        mask = method(_cut(volume, box), _shifted(prompts, region.lower))
        whole[:] = False
        whole[box] = mask
        faces = region.touchedFaces(mask.T) if mask.any() else ((True, True),) * 3
        larger = region.grown(faces)  # type: ignore[arg-type]
        if larger.shape == region.shape:
            break
        region = larger
    return whole


def _matrix(geometry: Geometry) -> FloatArray:
    origin = geometry.to_world(np.zeros(3))
    matrix = np.eye(4)
    matrix[:3, 3] = origin
    for axis in range(3):
        matrix[:3, axis] = geometry.to_world(np.eye(3)[axis]) - origin
    return matrix


def _cut(volume: Volume, box: tuple[slice, slice, slice]) -> Volume:
    array = np.ascontiguousarray(volume.array[box])
    geometry = volume.geometry
    matrix = _matrix(geometry)
    x, y, z = array.shape
    start = geometry.to_world(np.array([part.start for part in box], dtype=float))
    return Volume(array, Geometry.from_axes(start, geometry.spacing, matrix[:3, :3] / geometry.spacing, (x, y, z)))


def _shifted(prompts: Prompts, lower: tuple[int, int, int]) -> Prompts:
    def moved(point: Point) -> Point:
        x, y, z = (a - b for a, b in zip(point, lower, strict=True))
        return x, y, z

    return Prompts(
        points=tuple(replace(p, position=moved(p.position)) for p in prompts.points),
        extreme_pairs=tuple(replace(p, first=moved(p.first), second=moved(p.second)) for p in prompts.extreme_pairs),
    )

