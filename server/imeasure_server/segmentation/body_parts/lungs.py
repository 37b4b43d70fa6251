"""The lungs and the airways that lead into them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray
from imeasure_server.segmentation.body_parts.frame import Frame
from imeasure_server.segmentation.body_parts.morphology import (
    closed,
    components,
    filled_slices,
    grown,
    opened,
    shrunk,
)

AERATED = -400.0  # HU, the most that lung has on the mean of a sample
PARENCHYMA = (-935.0, -550.0)  # HU: gas in the bowel is below, its rim is thin
LEAST_PARENCHYMA = 0.35  # share of a lung's inner samples
LEAST_VOLUME = 4000.0  # mm³
GAS, GAS_RADIUS, GAS_VOLUME = -960.0, 3.0, 1000.0  # HU, mm, mm³: gas in stomach and bowel
SMALL, GAS_MEDIAN = 300_000.0, -900.0  # mm³, HU: less, and emptier, is gas in the bowel that noise makes uneven
HOLE = 12.0  # mm, half the width of a hole of a slice that is no vessel
CLOSING = 6.0  # mm, half the width of the vessels that belong to a lung

LUMEN = -850.0  # HU, the most that a sample in the trachea has
LUMEN_AREA = (50.0, 800.0)  # mm² of the trachea on a slice
LEAST_LENGTH = 25.0  # mm, of what is taken for a trachea
MIDLINE = 45.0  # mm, the farthest that it runs from the body's middle
ROUND = 0.45  # least share of its bounding ellipse that its section fills
THRESHOLDS = range(-960, -699, 20)  # HU, tried in turn while the airways grow
LEAK = 1.8  # growth of volume from one threshold to the next that has left the airways
MOST_VOLUME = 250_000.0  # mm³


@dataclass(frozen=True, eq=False)
class Chest:
    """Masks on a frame's grid.

    Attributes:
        lungs: with their vessels, without the airways.
        airways: the lumen of trachea and bronchi.
    """

    lungs: BoolArray
    airways: BoolArray


def find_chest(frame: Frame, body: BoolArray) -> Chest:
    """Find both; either may be empty."""
    aerated = body & (frame.hu < AERATED)
    airways = _airways(frame, body)
    gas = components(opened(body & (frame.hu < GAS), GAS_RADIUS, frame.spacing), GAS_VOLUME / frame.spacing.prod())
    lungs = _lungs(frame, aerated & ~grown(airways, 2.0, frame.spacing) & ~grown(gas, GAS_RADIUS, frame.spacing))
    if lungs.any():
        lungs = closed(lungs, CLOSING, frame.spacing) & body
        holes = filled_slices(lungs) & ~lungs
        lungs |= holes & ~opened(holes, HOLE, frame.spacing)
    return Chest(lungs & ~airways, airways)


def _lungs(frame: Frame, aerated: BoolArray) -> BoolArray:
    labels, _ = ndimage.label(aerated)
    result = np.zeros_like(aerated)
    voxel = float(frame.spacing.prod())
    for label, block in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[block] == label
        if part.sum() * voxel < LEAST_VOLUME:
            continue
        inner = shrunk(np.pad(part, 1, mode="edge"), 1.01 * float(frame.spacing.max()), frame.spacing)
        inner = inner[1:-1, 1:-1, 1:-1]
        values = frame.hu[block][inner if inner.any() else part]
        share = float(((values > PARENCHYMA[0]) & (values < PARENCHYMA[1])).mean())
        if part.sum() * voxel < SMALL and float(np.median(values)) < GAS_MEDIAN:
            continue
        if share >= LEAST_PARENCHYMA and inner.any():
            result[block] |= part
    return result


def _airways(frame: Frame, body: BoolArray) -> BoolArray:
    """Grow from the trachea with a rising threshold until the airways leak into a lung."""
    seed = _trachea(frame, body)
    best = np.zeros_like(seed)
    if not seed.any():
        return best
    voxel = float(frame.spacing.prod())
    before = 0.0
    for threshold in THRESHOLDS:
        open_air = body & (frame.hu < threshold)
        labels, _ = ndimage.label(open_air)
        kept = np.unique(labels[seed & open_air])
        found = np.isin(labels, kept[kept > 0])
        volume = float(found.sum()) * voxel
        if volume > MOST_VOLUME or volume > LEAK * max(before, float(seed.sum()) * voxel):
            break
        best, before = found, volume
    return best | (seed & (frame.hu < AERATED))


def _trachea(frame: Frame, body: BoolArray) -> BoolArray:
    """Sections of a tube that runs through the slices near the body's middle; empty when there is none."""
    sections = np.zeros_like(body)
    pixel = float(frame.spacing[0] * frame.spacing[1])
    for k in range(body.shape[2]):
        inside = np.argwhere(body[:, :, k])
        if not len(inside):
            continue
        middle = float(inside[:, 0].min() + inside[:, 0].max()) / 2
        labels, _ = ndimage.label(body[:, :, k] & (frame.hu[:, :, k] < LUMEN))
        for label, block in enumerate(ndimage.find_objects(labels), start=1):
            part = labels[block] == label
            area = float(part.sum()) * pixel
            centre = block[0].start + float(np.argwhere(part)[:, 0].mean())
            fill = float(part.sum()) / (np.pi / 4 * part.shape[0] * part.shape[1])
            central = abs(centre - middle) * float(frame.spacing[0]) <= MIDLINE
            if LUMEN_AREA[0] <= area <= LUMEN_AREA[1] and fill >= ROUND and central:
                sections[:, :, k][block] |= part
    labels, _ = ndimage.label(sections)
    longest, chosen = LEAST_LENGTH, 0
    for label, block in enumerate(ndimage.find_objects(labels), start=1):
        length = (block[2].stop - block[2].start) * float(frame.spacing[2])
        if length >= longest and _is_airway(frame, labels[block] == label, block):
            longest, chosen = length, label
    return np.asarray(labels == chosen) if chosen else np.zeros_like(body)


def _is_airway(frame: Frame, part: BoolArray, block: tuple[slice, ...]) -> bool:
    """Whether lung lies on both sides of a tube, or it runs through a neck: gas in the bowel has no such company."""
    low, high = block[2].start, block[2].stop
    slab = frame.hu[:, :, low:high]
    x = block[0].start + int(np.argwhere(part)[:, 0].mean())
    lung = (slab > PARENCHYMA[0]) & (slab < PARENCHYMA[1] - 100.0)
    voxel = float(frame.spacing.prod())
    beside = [float(side.sum()) * voxel > LEAST_VOLUME for side in (lung[:x], lung[x + 1 :])]
    return all(beside)
