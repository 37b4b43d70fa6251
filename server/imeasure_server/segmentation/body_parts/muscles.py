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
    shrunk,
)
from imeasure_server.segmentation.working_grid import Float32Array

TISSUE = (-200.0, 200.0)  # HU, of everything between air and bone
DENSITY = (-10.0, 110.0)  # HU
CANAL = 5.0  # mm, half the width of gaps in the bone around the spinal canal
SKIN = 3.0  # mm, half its thickness at most
GAPS = 12.0  # mm, half the width of gaps in the wall through which fat goes inwards
WALL = 12.0  # mm, thickness of the wall of chest and abdomen
ROOMY = 45.0  # mm, half the width of a part of the body that holds organs: in narrower ones everything soft is muscle
SURROUNDING = 0.4  # share of the trunk's section that bones surround in chest and pelvis
BESIDE_SPINE = 28.0  # mm from a vertebra's side, psoas
BEHIND_SPINE = 60.0  # mm from the spine's middle, erector spinae
MIDLINE = 40.0  # mm, the farthest that a spine is from the body's middle
NEIGHBOURS = 30.0  # mm
SPINE_CORE = 7.0  # mm, half the width of a vertebra's body, at least
TONE = 22.0  # HU about the density of the muscles behind the spine
SHAFT = 600.0  # HU, of the denser part of a shaft of a long bone with its marrow
JOINT = 120.0  # mm, how far from a shaft a joint with its spongy bone reaches
LIMB_SECTION = 30_000.0  # mm², of the widest thigh; a pelvis has twice that
LEAST_VOLUME = 500.0  # mm³


def find_muscles(frame: Frame, body: BoolArray, bones: BoolArray, air: BoolArray) -> BoolArray:
    """(x, y, z) bool on the frame's grid.

    Args:
        frame: of the image.
        body, bones: found before.
        air: lungs and airways.
    """
    spacing = frame.spacing
    smooth = _smooth_tissue(frame)
    canal = filled_slices(closed(bones, CANAL, spacing))
    soft = body & ~canal & ~air & (smooth > DENSITY[0]) & (smooth < DENSITY[1])
    spine = _spine(frame, body, bones)
    behind, beside = _around_spine(frame, spine)
    behind &= soft
    if behind.any():  # enhanced liver, spleen and vessels are brighter
        tone = float(np.median(smooth[behind]))
        soft &= (smooth > tone - 2.5 * TONE) & (smooth < tone + TONE)
    lean = _below_skin(frame, body)
    outer = lean & ~shrunk(lean, WALL, spacing)
    narrow = lean & ~grown(shrunk(lean, ROOMY, spacing), ROOMY + WALL, spacing)
    around = lean & _outside_bones(bones, lean)
    limb_slices = _limb_slices(frame, bones, lean, spine, around)
    limbs = lean & (narrow | limb_slices)
    found = soft & (outer | limbs | beside | behind | around)
    return components(opened(found, 1.01 * float(spacing.min()), spacing), LEAST_VOLUME / float(spacing.prod()))


def _smooth_tissue(frame: Frame) -> Float32Array:
    """Mean HU of the fat and soft tissue around each sample: bone and air beside it do not count."""
    tissue = (frame.hu > TISSUE[0]) & (frame.hu < TISSUE[1])
    weight = ndimage.gaussian_filter(tissue.astype(np.float32), 1.0)
    total = ndimage.gaussian_filter(np.where(tissue, frame.hu, np.float32(0.0)), 1.0)
    return np.asarray(np.where(weight > 0.05, total / np.maximum(weight, np.float32(0.05)), frame.hu))


def _below_skin(frame: Frame, body: BoolArray) -> BoolArray:
    """The body without skin and the fat below it, slice by slice; fat between organs belongs to it."""
    fat = body & (frame.hu < DENSITY[0] - 20.0) & (frame.hu > -250.0)
    lean = opened(body & ~fat, SKIN, frame.spacing)
    return filled_slices(closed(lean, GAPS, frame.spacing) & body)


def _limb_slices(frame: Frame, bones: BoolArray, lean: BoolArray, spine: BoolArray, around: BoolArray) -> BoolArray:
    """(z,) the slices through limbs: those with a shaft, and those of the joints next to them."""
    trunk = spine.any(axis=(0, 1))
    shafts = _long_bones(frame, bones) & ~trunk & ~around.any(axis=(0, 1))
    if not shafts.any():
        return shafts
    slim = np.array([_widest(lean[:, :, k]) for k in range(lean.shape[2])]) * frame.spacing[:2].prod() < LIMB_SECTION
    away = ndimage.distance_transform_edt(~shafts) * frame.spacing[2]
    return np.asarray(shafts | (slim & ~trunk & (away <= JOINT)))


def _widest(section: BoolArray) -> int:
    """Samples of the largest part of a slice."""
    labels, count = ndimage.label(section)
    return int(np.bincount(labels.ravel())[1:].max()) if count else 0


def _long_bones(frame: Frame, bones: BoolArray) -> BoolArray:
    """(z,) the slices with a bone as thick as a vertebra and as dense as a shaft."""
    thick = opened(filled_slices(bones), SPINE_CORE, frame.spacing)
    return np.array([_is_dense(frame.hu[:, :, k][thick[:, :, k]]) for k in range(thick.shape[2])])


def _is_dense(hu: Float32Array) -> bool:
    return bool(hu.size) and float(np.percentile(hu, 75)) > SHAFT


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


def _spine(frame: Frame, body: BoolArray, bones: BoolArray) -> BoolArray:
    """The bodies of the vertebrae: thick bone in the middle of the back; a slice without one takes its neighbour's."""
    thick = components(opened(filled_slices(bones), SPINE_CORE, frame.spacing), 3_000.0 / float(frame.spacing.prod()))
    result = np.zeros_like(thick)
    for k in range(thick.shape[2]):
        result[:, :, k] = _vertebra(frame.hu[:, :, k], thick[:, :, k], body[:, :, k], float(frame.spacing[0]))
    found = np.flatnonzero(result.any(axis=(0, 1)))
    for k in range(thick.shape[2]):
        nearest = int(found[np.abs(found - k).argmin()]) if len(found) else k
        if nearest != k and abs(nearest - k) * frame.spacing[2] <= NEIGHBOURS:
            result[:, :, k] = result[:, :, nearest]
    return result


def _vertebra(hu: Float32Array, thick: BoolArray, body: BoolArray, spacing: float) -> BoolArray:
    """The part of a slice's thick bone that is nearest to the middle of the body's back; empty when none is near."""
    inside = np.argwhere(body)
    labels, count = ndimage.label(thick)
    if not count or not len(inside):
        return np.zeros_like(thick)
    middle = (inside.min(axis=0) + inside.max(axis=0)) / 2
    centres = np.array([np.argwhere(labels == i + 1).mean(axis=0) for i in range(count)])
    likely = (centres[:, 1] > middle[1]) & ~np.array([_is_dense(hu[labels == i + 1]) for i in range(count)])
    away = np.where(likely, np.abs(centres[:, 0] - middle[0]) * spacing, np.inf)
    best = int(away.argmin())
    return np.asarray(labels == best + 1) if away[best] < MIDLINE else np.zeros_like(thick)


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
