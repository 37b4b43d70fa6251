"""One click does not say how big the object is: which of several cubes around it shows the object best.

Every cube's answer is described by a few figures, and a fit of these to the Dice that answers had on known lesions
(``server/training/fit_choice.py``) says how good it looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.network.choice_table import COEFFICIENTS, MEAN, SCALE
from imeasure_server.segmentation.network.cube import Cube, Float32Array, interpolation
from imeasure_server.segmentation.network.evidence import change_across
from imeasure_server.segmentation.network.inference import Answer
from imeasure_server.segmentation.prompts import Point

NAMES = (
    "quality",  # as the network says
    "clearness",  # Dice that the mask can expect when the network's own probabilities are right
    "change",  # of the image across the boundary
    "filling",  # log of the mask's longest edge as a share of the cube's
    "cut",  # the mask reaches the cube's face where the volume goes on
    "larger",  # Dice with the answer on the next larger cube
    "smaller",  # and on the next smaller one
    "larger 2",  # and on the ones beyond these
    "smaller 2",
    "size",  # log of the mask's equivalent radius in mm
)
THREADS = 4
LEAST_SHARE = 1e-6
SHARPNESS = 12.0  # an answer whose expected Dice is 0.06 less counts half as much
LEAST_WEIGHT = 0.01

Block = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Candidate:
    """What an answer shows of the object.

    Attributes:
        answer: on one cube.
        mask: (side, side, side).
        volume: mm³.
    """

    answer: Answer
    mask: BoolArray
    volume: float

    @property
    def is_cut(self) -> bool:
        """Whether the mask reaches a face of the cube where the volume goes on."""
        return _is_cut(self.mask, self.answer.cube)


def candidate_of(answer: Answer, clicks: Sequence[Point]) -> Candidate:
    """The parts of an answer that clicks are in.

    Args:
        answer: on one cube.
        clicks: continuous voxel indices.
    """
    labels, _ = ndimage.label(answer.odds > 0)
    wanted = set()
    for click in clicks:
        x, y, z = (int(np.clip(np.floor(cell), 0, answer.cube.side - 2)) for cell in answer.cube.cell_of(click))
        near = labels[x : x + 2, y : y + 2, z : z + 2]
        if near.any():
            wanted.add(int(np.bincount(near[near > 0]).argmax()))
    mask = np.isin(labels, list(wanted))
    return Candidate(answer, mask, float(mask.sum()) * answer.cube.cell**3)


def described(candidates: Sequence[Candidate], images: Sequence[Float32Array]) -> FloatArray:
    """(n, features) figures of each candidate, with their squares and products.

    Args:
        candidates: on cubes around one click, smallest first.
        images: what each cube shows.
    """
    with ThreadPoolExecutor(min(len(candidates), THREADS)) as pool:  # scipy lets other threads run
        own = list(pool.map(_own_figures, candidates, images))
    plain = np.array(
        [
            [
                *own[index],
                *(_agreement(candidate, candidates, index + step) for step in (1, -1, 2, -2)),
                np.log(max(candidate.volume, 0.1) * 3 / (4 * np.pi)) / 3,
            ]
            for index, candidate in enumerate(candidates)
        ]
    )
    products = [plain[:, i] * plain[:, j] for i in range(len(NAMES)) for j in range(i, len(NAMES))]
    return np.column_stack([np.ones(len(plain)), plain, *products])


def expected_dice(features: FloatArray) -> FloatArray:
    """(n,) the Dice with the object that each candidate is expected to have."""
    return np.asarray((features - np.array(MEAN)) / np.array(SCALE) @ np.array(COEFFICIENTS))


def joined(candidates: Sequence[Candidate], expected: FloatArray) -> tuple[Block, Float32Array]:
    """Mean probability at the voxels, the better answers counting for more.

    Args:
        candidates: on cubes around the same place, smallest first.
        expected: the Dice that each is expected to have.

    Returns:
        The block of the volume that the largest cube covers, and probabilities there; 0 beyond a candidate's cube.
    """
    weights = np.exp(SHARPNESS * (expected - expected.max()))
    weights /= weights.sum()
    block, _ = candidates[-1].answer.cube.to_volume(np.zeros_like(candidates[-1].answer.odds))
    total = np.zeros([part.stop - part.start for part in block], dtype=np.float32)
    for candidate, weight in zip(candidates, weights, strict=True):
        if weight >= LEAST_WEIGHT:
            own, odds = candidate.answer.cube.to_volume(candidate.answer.odds)
            place = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(own, block, strict=True))
            total[place] += np.float32(weight) / (1.0 + np.exp(-odds))
    return block, total


def _own_figures(candidate: Candidate, image: Float32Array) -> tuple[float, float, float, float, float]:
    answer, mask, cube = candidate.answer, candidate.mask, candidate.answer.cube
    quality = float(np.clip(answer.quality, LEAST_SHARE, 1 - LEAST_SHARE))
    if not mask.any():
        return float(np.log(quality / (1 - quality))), 0.0, 0.0, -4.0, 0.0
    likely = 1.0 / (1.0 + np.exp(-np.clip(answer.odds, -20, 20)))
    labels, _ = ndimage.label(likely > 0.1)
    own = np.where(labels == labels[mask][0], likely, 0.0)
    clearness = 2.0 * float(likely[mask].sum()) / float(mask.sum() + own.sum())
    known = cube.inside() > 0
    voxel = float(cube.voxel_spacing.prod()) ** (1 / 3) / cube.cell
    change = float(np.log1p(change_across(image, mask, known, voxel) or 0.0))
    places = np.argwhere(mask)
    longest = int((places.max(axis=0) - places.min(axis=0)).max()) + 1
    return (
        float(np.log(quality / (1 - quality))),
        clearness,
        change,
        float(np.log(longest / cube.side)),
        float(_is_cut(mask, cube)),
    )


def _is_cut(mask: BoolArray, cube: Cube) -> bool:
    """Whether a mask on the cells reaches a face of the cube where the volume goes on."""
    for axis in range(3):
        positions = cube.positions(axis)
        if positions[0] > 0 and mask.take(0, axis).any():
            return True
        if positions[-1] < cube.shape[axis] - 1 and mask.take(-1, axis).any():
            return True
    return False


def _agreement(candidate: Candidate, candidates: Sequence[Candidate], index: int) -> float:
    """Dice with a candidate on another cube around the same click; 0 without one."""
    if not 0 <= index < len(candidates) or not candidate.volume or not candidates[index].volume:
        return 0.0
    smaller, larger = sorted((candidate, candidates[index]), key=lambda c: c.answer.cube.extent)
    offsets = (np.arange(smaller.mask.shape[0]) - (smaller.mask.shape[0] - 1) / 2) * smaller.answer.cube.cell
    side = larger.mask.shape[0]
    matrix = interpolation(offsets / larger.answer.cube.cell + (side - 1) / 2, side)
    seen = np.einsum("ai,bj,ck,ijk->abc", matrix, matrix, matrix, larger.mask.astype(np.float32), optimize=True)
    shared = float(seen[smaller.mask].sum()) * smaller.answer.cube.cell**3
    return 2.0 * shared / (candidate.volume + candidates[index].volume)
