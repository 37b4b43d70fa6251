"""Bones: what is bright and uneven, which contrast medium in vessels and organs is not."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray
from imeasure_server.segmentation.body_parts.frame import Frame
from imeasure_server.segmentation.body_parts.morphology import closed, components, filled_slices, grown, shrunk
from imeasure_server.segmentation.working_grid import Float32Array

SPONGY, SPONGY_WITH_CONTRAST = 95.0, 150.0  # HU, the least of spongy bone; with contrast medium organs are as bright
ENHANCED, LEAST_ENHANCED = 125.0, 4_000.0  # HU and mm³ of even parts in an image with contrast medium
CORTEX = 280.0  # HU, on the mean of a sample
LEAST_VOLUME = 200.0  # mm³ of cortex in one part
RIND = 6.0  # mm from cortex, where single samples count
REACH = 16.0  # mm from cortex to the marrow in a bone's middle
NOISY = 35.0  # HU below it that a sample of marrow may be
SMOOTHING = 2.5  # mm, where a mean has to tell marrow from muscle
MARROW = 8.0  # mm, half the width of what cortex encloses
GAPS = 4.0  # mm, half the width of gaps in a bone's shell
NEARBY = 7.0  # mm, the width over which texture is measured
EVEN = 0.13  # standard deviation over level of blood and organs with contrast medium
BRIGHTEST_POOL = 650.0  # HU
LEAST_POOL = 400.0  # mm³
RIM = 10.0  # mm around it, at most
SURE, SURE_MORE, SURE_VOLUME = 450.0, 1.4, 100.0  # HU, times the pool's level, mm³: bone beside a pool
RIM_MORE = 1.15  # times its level


def spongy_level(frame: Frame, body: BoolArray) -> float:
    """HU that marks bone: higher where contrast medium makes organs and vessels bright and even."""
    even = body & (frame.hu > ENHANCED) & (frame.hu < BRIGHTEST_POOL) & (_texture(frame) < EVEN * frame.hu)
    thick = components(even, LEAST_POOL / float(frame.spacing.prod()))
    enhanced = float(thick.sum() * frame.spacing.prod()) > LEAST_ENHANCED
    return SPONGY_WITH_CONTRAST if enhanced else SPONGY


def find_bones(frame: Frame, body: BoolArray, least: float) -> BoolArray:
    """(x, y, z) bool on the frame's grid, with the marrow.

    Args:
        frame: of the image.
        body: without lungs and airways.
        least: of ``spongy_level``.
    """
    spacing = frame.spacing
    bright = body & (frame.hu > least)
    pools = _pools(frame, bright)
    cortex = components(bright & ~pools & (frame.hu > CORTEX), max(1.0, LEAST_VOLUME / float(spacing.prod())))
    spongy = (
        body & ~pools & (frame.hu > least - NOISY) & (ndimage.gaussian_filter(frame.hu, SMOOTHING / spacing) > least)
    )
    near = (bright & ~pools & grown(cortex, RIND, spacing)) | (spongy & grown(cortex, REACH, spacing))
    labels, _ = ndimage.label(near)
    kept = np.unique(labels[cortex])
    bones = np.isin(labels, kept[kept > 0])
    shell = closed(bones, GAPS, spacing)
    marrow = filled_slices(shell) & ~bones & ~pools & (frame.hu > -150.0)
    wide = grown(shrunk(marrow, MARROW, spacing), MARROW + 2.0, spacing)  # a ring of ribs and spine encloses no marrow
    canal = frame.hu < least - 40.0  # the spinal canal is no marrow, nor are gaps filled with soft tissue
    return np.asarray((bones | (marrow & ~wide & ~canal)) & body)


def _pools(frame: Frame, bright: BoolArray) -> BoolArray:
    """Bright parts as even as blood and organs with contrast medium are, and no bone is."""
    even = bright & (_texture(frame) < EVEN * frame.hu) & (frame.hu < BRIGHTEST_POOL)
    even = components(even, LEAST_POOL / float(frame.spacing.prod()))
    if not even.any():
        return even
    away, nearest = ndimage.distance_transform_edt(~even, sampling=frame.spacing, return_indices=True)
    level = frame.hu[tuple(nearest)]
    rim = bright & (away <= RIM) & (frame.hu < RIM_MORE * level)
    sure = components(
        bright & (frame.hu > np.maximum(SURE, SURE_MORE * level)), 1.0 + SURE_VOLUME / frame.spacing.prod()
    )
    return np.asarray((rim & ~grown(sure & (away > RIM / 2), RIND / 2, frame.spacing)) | even)


def _texture(frame: Frame) -> Float32Array:
    """Standard deviation of intensities around each sample."""
    size = [max(3, round(NEARBY / step) | 1) for step in frame.spacing]
    mean = ndimage.uniform_filter(frame.hu, size)
    return np.asarray(np.sqrt(np.maximum(ndimage.uniform_filter(frame.hu**2, size) - mean**2, 0.0)))
