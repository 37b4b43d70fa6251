"""Parts of the body as labels on the image's own voxels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, Volume
from imeasure_server.segmentation.body_parts.body import find_body
from imeasure_server.segmentation.body_parts.bones import find_bones, spongy_level
from imeasure_server.segmentation.body_parts.frame import LEAST_HU, Frame, Upsampling
from imeasure_server.segmentation.body_parts.lungs import find_chest
from imeasure_server.segmentation.body_parts.morphology import grown, shrunk
from imeasure_server.segmentation.body_parts.muscles import find_muscles
from imeasure_server.segmentation.engine import Cancellation, EmptySegmentationError, SegmentationCancelled

BODY, LUNGS, BONES, AIRWAYS, FAT, MUSCLE = 1, 2, 3, 4, 5, 6
PARTS: Mapping[str, int] = {
    "body": BODY,
    "lungs": LUNGS,
    "bones": BONES,
    "airways": AIRWAYS,
    "fat": FAT,
    "muscle": MUSCLE,
}
"""Values in the mask; ``body`` is what is in the body and none of the others."""

SLICES = 24  # labelled at a time: bounds memory
LUNG_EDGE = -450.0  # HU, halfway between lung and the wall of the chest
LUMEN_EDGE = -600.0  # HU, between an airway and its wall
FAT_RANGE = (-190.0, -30.0)  # HU
MUSCLE_RANGE = (-29.0, 150.0)  # HU
PARTIAL = 3.0  # mm beside air where a mean of air and tissue looks like fat


def label_parts(volume: Volume, cancellation: Cancellation | None = None) -> npt.NDArray[np.uint8]:
    """Label the parts of a body.

    Args:
        volume: CT in HU, any field of view and orientation.
        cancellation: looked at between stages.

    Returns:
        (x, y, z) values of ``PARTS``, 0 outside the body.

    Raises:
        EmptySegmentationError: it is no CT, or there is no body in it.
        SegmentationCancelled: ``cancellation`` was set.
    """
    frame = Frame.of(volume)
    body = find_body(frame)
    if not body.any():
        raise EmptySegmentationError("There is no body in this image.")
    _check(cancellation)
    chest = find_chest(frame, body)
    _check(cancellation)
    solid = body & ~chest.lungs & ~chest.airways
    spongy = spongy_level(frame, solid)
    bones = find_bones(frame, solid, spongy)
    _check(cancellation)
    muscles = find_muscles(frame, body, bones, chest.lungs | chest.airways)
    _check(cancellation)
    maps = _maps(frame, body, chest.lungs, chest.airways, bones, muscles)
    upsampling = Upsampling(frame.grid, frame.image.shape)
    x, y, z = frame.image.shape
    labels = np.zeros((x, y, z), dtype=np.uint8)
    for start in range(0, z, SLICES):
        _check(cancellation)
        part = slice(start, min(start + SLICES, z))
        hu = np.nan_to_num(np.asarray(frame.image[:, :, part], dtype=np.float32), nan=LEAST_HU)
        seen = {name: upsampling.share(mask, part) > 0.5 for name, mask in maps.items()}
        labels[:, :, part] = _labelled(hu, seen, spongy)
    return frame.back(labels)


def _maps(
    frame: Frame, body: BoolArray, lungs: BoolArray, airways: BoolArray, bones: BoolArray, muscles: BoolArray
) -> dict[str, BoolArray]:
    spacing = frame.spacing
    step = float(spacing.max())
    outside = ~body if body.any() and not body.all() else np.zeros_like(body)
    return {
        "body": body,
        "lungs": lungs,
        "lungs at most": grown(lungs, step, spacing),
        "airways at most": grown(airways, 1.01 * step, spacing),
        "bones": shrunk(bones, 1.2 * step, spacing),
        "bones at most": grown(bones, step, spacing),
        "muscles": grown(muscles, 0.5 * step, spacing),
        "beside air": grown(lungs | airways | outside, PARTIAL, spacing),
    }


def _labelled(hu: npt.NDArray[np.float32], maps: Mapping[str, BoolArray], spongy: float) -> npt.NDArray[np.uint8]:
    """Labels of a few slices: coarse maps say where, intensities say what."""
    smooth = ndimage.gaussian_filter(hu, (0.8, 0.8, 0.0))
    body = maps["body"]
    labels = body.astype(np.uint8) * BODY
    fat = body & (smooth > FAT_RANGE[0]) & (smooth < FAT_RANGE[1]) & ~maps["beside air"]
    labels[fat] = FAT
    labels[body & maps["muscles"] & (smooth > MUSCLE_RANGE[0]) & (smooth < MUSCLE_RANGE[1])] = MUSCLE
    labels[body & (maps["bones"] | (maps["bones at most"] & (smooth > spongy)))] = BONES
    labels[body & (maps["lungs"] | (maps["lungs at most"] & (hu < LUNG_EDGE)))] = LUNGS
    labels[maps["airways at most"] & (smooth < LUMEN_EDGE) & ~maps["lungs"]] = AIRWAYS
    return labels


def _check(cancellation: Cancellation | None) -> None:
    if cancellation is not None and cancellation.is_set():
        raise SegmentationCancelled("The request was cancelled.")
