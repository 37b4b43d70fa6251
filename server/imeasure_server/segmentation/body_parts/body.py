"""The body, without the table, clothes and tubes, and the air around it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray
from imeasure_server.segmentation.body_parts.frame import Frame
from imeasure_server.segmentation.body_parts.morphology import components, filled_slices, grown, opened, widened

TISSUE = -300.0  # HU, the least of what is neither air nor lung
OPEN_AIR = -930.0  # HU, the most that the air around a body has in the median; -948 on the sample CT
THIN = 6.0  # mm, half the thickness of what is no part of a body: the table's boards, clothes, tubes
LEAST_SHARE = 0.04  # of the largest part's volume, that an arm beside the trunk has
WALL = 0.5  # share of its outline that air in the body has against tissue


def find_body(frame: Frame) -> BoolArray:
    """(x, y, z) bool on the frame's grid; the lungs and all air in the body are parts of it."""
    tissue = frame.hu > TISSUE
    solid = opened(tissue, THIN, frame.spacing)
    if not solid.any():
        return _all_lung(frame)
    labels, _ = ndimage.label(solid)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    solid = np.asarray((sizes >= LEAST_SHARE * sizes.max())[labels])
    near = grown(solid, THIN, frame.spacing) & tissue
    body = filled_slices(components(near, 0.5 * LEAST_SHARE * float(sizes.max())))
    return filled_slices(body | _air_inside(frame, body))


def _air_inside(frame: Frame, body: BoolArray) -> BoolArray:
    """Lung that the field of view cuts, so that it is no hole of its slice."""
    labels, _ = ndimage.label(~body & (frame.hu <= TISSUE))
    result = np.zeros_like(body)
    for label, found in enumerate(ndimage.find_objects(labels), start=1):
        block = widened(found, body.shape)
        part = labels[block] == label
        around = ndimage.binary_dilation(part) & ~part
        if float(np.median(frame.hu[block][part])) > OPEN_AIR and body[block][around].mean() >= WALL:
            result[block] |= part
    return result


def _all_lung(frame: Frame) -> BoolArray:
    """A field of view within a lung."""
    inside = frame.hu > OPEN_AIR
    return np.ones_like(inside) if float(inside.mean()) > WALL else np.zeros_like(inside)
