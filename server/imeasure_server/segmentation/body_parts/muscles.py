"""Where muscles are: soft tissue of their density along the wall of the trunk, around the spine, and in the limbs."""

from __future__ import annotations

import cv2
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
)

DENSITY = (-10.0, 110.0)  # HU
SKIN = 3.0  # mm, half its thickness at most
GAPS = 12.0  # mm, half the width of gaps in the wall through which fat goes inwards
WALL = 12.0  # mm, thickness of the wall of chest and abdomen
ROOMY = 45.0  # mm, half the width of a part of the body that holds organs: in narrower ones everything soft is muscle
SURROUNDING = 0.4  # share of the trunk's section that bones surround in chest and pelvis
BESIDE_SPINE = 28.0  # mm from a vertebra's side, psoas
BEHIND_SPINE = 60.0  # mm from the spine's middle, erector spinae
MIDLINE = 60.0  # mm, the farthest that a spine is from the image's middle
SPINE_CORE = 9.0  # mm, half the width of a vertebra's body, at least
TONE = 22.0  # HU about the density of the muscles behind the spine
LEAST_VOLUME = 500.0  # mm³


def find_muscles(frame: Frame, body: BoolArray, bones: BoolArray, air: BoolArray) -> BoolArray:
    """(x, y, z) bool on the frame's grid.

    Args:
        frame: of the image.
        body, bones: found before.
        air: lungs and airways.
    """
    spacing = frame.spacing
    smooth = ndimage.gaussian_filter(frame.hu, 1.0)
    soft = body & ~bones & ~air & (smooth > DENSITY[0]) & (smooth < DENSITY[1])
    spine = _spine(frame, bones)
    behind, beside = _around_spine(frame, spine)
    behind &= soft
    if behind.any():  # enhanced liver, spleen and vessels are brighter
        tone = float(np.median(smooth[behind]))
        soft &= (smooth > tone - 2.5 * TONE) & (smooth < tone + TONE)
    lean = _below_skin(frame, body)
    depth = ndimage.distance_transform_edt(np.pad(lean, ((1, 1), (1, 1), (0, 0))), sampling=spacing)[1:-1, 1:-1]
    wall = lean & (depth <= WALL)
    limbs = lean & ~grown(depth > ROOMY, ROOMY + WALL, spacing)
    found = soft & (wall | limbs | beside | behind | (lean & _outside_bones(bones, lean)))
    return components(opened(found, float(spacing.max()), spacing), LEAST_VOLUME / float(spacing.prod()))


def _below_skin(frame: Frame, body: BoolArray) -> BoolArray:
    """The body without skin and the fat below it, slice by slice; fat between organs belongs to it."""
    fat = body & (frame.hu < DENSITY[0] - 20.0) & (frame.hu > -250.0)
    lean = opened(body & ~fat, SKIN, frame.spacing)
    return filled_slices(closed(lean, GAPS, frame.spacing) & body)


def _outside_bones(bones: BoolArray, lean: BoolArray) -> BoolArray:
    """What lies beside and behind the convex hull of the bones, where they surround the trunk as ribs and hips do."""
    result = np.zeros_like(lean)
    for k in range(lean.shape[2]):
        places = np.argwhere(bones[:, :, k])
        if len(places) < 3:
            continue
        hull = np.zeros(lean.shape[1::-1], dtype=np.uint8)
        cv2.fillConvexPoly(hull, cv2.convexHull(places.astype(np.int32)), 1)
        if hull.sum() >= SURROUNDING * lean[:, :, k].sum():
            result[:, places[:, 1].min() :, k] = hull.T[:, places[:, 1].min() :] == 0
    return result


def _spine(frame: Frame, bones: BoolArray) -> BoolArray:
    """Thick bone: the bodies of the vertebrae, in the slices where there is one part of it near the body's middle."""
    thick = components(opened(bones, SPINE_CORE, frame.spacing), 3_000.0 / float(frame.spacing.prod()))
    result = np.zeros_like(thick)
    middle = (frame.hu.shape[0] - 1) / 2
    for k in range(thick.shape[2]):
        labels, count = ndimage.label(thick[:, :, k])
        centres = [abs(float(np.argwhere(labels == i + 1)[:, 0].mean()) - middle) for i in range(count)]
        if centres and min(centres) * frame.spacing[0] < MIDLINE:
            result[:, :, k] = labels == 1 + int(np.argmin(centres))
    return result


def _around_spine(frame: Frame, spine: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Behind the vertebrae of each slice, and on both sides of them."""
    behind, beside = np.zeros_like(spine), np.zeros_like(spine)
    for k in range(spine.shape[2]):
        found = np.argwhere(spine[:, :, k])
        if not len(found):
            continue
        x = np.abs(np.arange(spine.shape[0]) - found[:, 0].mean()) * frame.spacing[0]
        y = (np.arange(spine.shape[1]) - found[:, 1].max()) * frame.spacing[1]
        front = (np.arange(spine.shape[1]) - found[:, 1].mean()) * frame.spacing[1]
        half = float(np.ptp(found[:, 0])) / 2 * frame.spacing[0]
        behind[:, :, k] = (x <= BEHIND_SPINE)[:, None] & (y > -5.0)
        beside[:, :, k] = (x <= half + BESIDE_SPINE)[:, None] & (front > -5.0)
    return behind, beside
