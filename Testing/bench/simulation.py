"""A simulated person on one case: the same prompts for every method, by fixed rules.

One click is the voxel deepest inside the object; two extreme points are the ends of the longest axis on the slice of
largest area; a correction is the deepest voxel of all that is wrong (mask xor truth), positive where the object was
missed, sent with the whole history and the previous mask. A person whose mask is right makes no correction.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from bench.cases import Case
from bench.methods import Method, Unavailable, Unsuited, sphere
from bench.module_client import in_module_crops
from skimage.measure import find_contours

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.prompts import ExtremePair, Point, PointPrompt, Prompts, Stroke
from phantoms import correction, extreme_points, first_click

ONE_CLICK = "one click"
TWO_POINTS = "two points"
PEN = "pen"
CORRECTIONS = (1, 3, 5)  # those that are reported; all up to the last are made
CORRECTED = tuple(f"+{order}" for order in CORRECTIONS)
JITTERS = (3.0, 6.0)  # mm
BESIDE = tuple(f"{jitter:.0f} mm beside" for jitter in JITTERS)
CROPPED = (f"{ONE_CLICK}, module's crop", f"{TWO_POINTS}, module's crop")
HANDED_OVER = "sphere's mask, +1"

PROMPTS = (ONE_CLICK, *CORRECTED, TWO_POINTS, PEN, *BESIDE, *CROPPED, HANDED_OVER)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method made of one prompt.

    Attributes:
        prompt: one of ``PROMPTS``.
        mask: (x, y, z) bool, empty when it found nothing or failed.
        clicks: all clicks and extreme points that were given, in voxels.
        seconds: processor time, all requests together.
        error: what went wrong, or "".
        spoiled: of a correction: volume that was right before and is wrong now, as a share of the true volume.
        reach: of a correction: distance in mm from the new click to the farthest voxel that changed.
    """

    prompt: str
    mask: BoolArray
    clicks: tuple[PointPrompt, ...] = ()
    seconds: float = 0.0
    error: str = ""
    spoiled: float | None = None
    reach: float | None = None


def answers(method: Method, case: Case, refines: bool) -> list[Answer]:
    """The answers to all of ``PROMPTS`` that the method knows, in their order.

    Args:
        method: to ask.
        case: to ask about.
        refines: whether the method reads a previous mask, whoever made it.

    Raises:
        Unavailable: the method cannot run here. Any other failure is kept in the answer.
    """
    spacing = case.volume.geometry.spacing
    click = first_click(case.truth, spacing)
    pair = Prompts(extreme_pairs=(ExtremePair(*extreme_points(case.truth, spacing)),))
    given: list[Answer | None] = list(_click_and_corrections(method, case, click))
    given.append(_ask(method, case, TWO_POINTS, pair))
    given.append(_ask(method, case, PEN, Prompts(strokes=(outline(case.truth),))))
    seed = zlib.crc32(case.name.encode())
    for jitter, name in zip(JITTERS, BESIDE, strict=True):
        place = jittered(click.position, case.truth, spacing, jitter, seed)
        given.append(_ask(method, case, name, Prompts(points=(PointPrompt(place, True),))))
    for name, prompts in zip(CROPPED, (Prompts(points=(click,)), pair), strict=True):
        given.append(_ask(lambda volume, asked: in_module_crops(method, volume, asked), case, name, prompts))
    if refines:
        given.append(_corrected(method, case, HANDED_OVER, sphere(case.volume, pair), ()))
    return [answer for answer in given if answer is not None and answer.prompt in PROMPTS]


def _click_and_corrections(method: Method, case: Case, click: PointPrompt) -> Iterator[Answer]:
    answer = _ask(method, case, ONE_CLICK, Prompts(points=(click,)))
    if answer is None:
        return
    yield answer
    for order in range(1, max(CORRECTIONS) + 1):
        last, answer = answer, _corrected(method, case, f"+{order}", answer.mask, answer.clicks)
        if answer is None:  # nothing is wrong: the person is done
            answer = replace(last, prompt=f"+{order}", spoiled=None, reach=None)
        yield answer


def _corrected(
    method: Method, case: Case, name: str, before: BoolArray, clicks: tuple[PointPrompt, ...]
) -> Answer | None:
    """The answer to the click that corrects ``before``, sent after ``clicks``; None when nothing is to correct."""
    spacing = case.volume.geometry.spacing
    fix = correction(before, case.truth, spacing, len(clicks))
    if fix is None:
        return None
    answer = _ask(method, case, name, Prompts(points=(*clicks, fix), previous_mask=before))
    if answer is None:
        return None
    return replace(
        answer,
        spoiled=spoiled_share(before, answer.mask, case.truth),
        reach=farthest_change(before, answer.mask, fix.position, spacing),
    )


def _ask(method: Method, case: Case, name: str, prompts: Prompts) -> Answer | None:
    """One answer; an empty mask and the reason when the method fails, None when it does not know such prompts."""
    start = time.process_time()
    error = ""
    try:
        mask = method(case.volume, prompts)
    except Unsuited:
        return None
    except Unavailable:
        raise
    except Exception as failure:  # noqa: BLE001 - a method that fails is a result, and ends nothing
        mask, error = np.zeros(case.truth.shape, dtype=bool), f"{type(failure).__name__}: {failure}"
    seconds = time.process_time() - start
    ends = [end for pair in prompts.extreme_pairs for end in (pair.first, pair.second)]
    clicks = (*prompts.points, *(PointPrompt(end, True) for end in ends))
    return Answer(name, mask, clicks, seconds, error)


def spoiled_share(before: BoolArray, after: BoolArray, truth: BoolArray) -> float:
    """Voxels that were right before and are wrong after, as a share of the true ones."""
    return float(((before == truth) & (after != truth)).sum()) / float(truth.sum())


def farthest_change(before: BoolArray, after: BoolArray, click: Point, spacing: FloatArray) -> float:
    """Distance in mm from a click (voxels) to the farthest voxel that differs; 0 when none does."""
    changed = np.argwhere(before != after)
    return float(np.linalg.norm((changed - click) * spacing, axis=1).max()) if len(changed) else 0.0


def outline(truth: BoolArray) -> Stroke:
    """The contour of the object on the slice where its area is largest; of its largest part there."""
    k = int(np.argmax(truth.sum(axis=(0, 1))))
    # A little inside the voxels' border: what lies under the pen belongs to what it encloses.
    contours = find_contours(np.pad(truth[:, :, k], 1).astype(float), 0.6)
    longest = max(contours, key=len) - 1.0
    return Stroke(np.column_stack([longest[:-1], np.full(len(longest) - 1, float(k))]))


def jittered(position: Point, truth: BoolArray, spacing: FloatArray, length: float, seed: int) -> Point:
    """A position ``length`` mm beside another in a random direction, nearer where that is not in the object."""
    direction = np.random.default_rng(seed).normal(size=3)
    direction /= np.linalg.norm(direction)
    for share in np.linspace(1.0, 0.0, 21):
        place = np.array(position) + share * length * direction / spacing
        index = np.rint(place).astype(int)
        if (index >= 0).all() and (index < truth.shape).all() and truth[tuple(index)]:
            x, y, z = (float(v) for v in index)
            return x, y, z
    return position
