"""The rules that every engine keeps: prompts bind, and an edit stays near what is new (design.md §3).

An engine proposes a mask and ``bind`` returns the one to answer with; nothing here knows how the proposal was made.
An engine that works edit by edit uses ``new_edits`` and ``apply_edit`` itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray
from imeasure_server.segmentation.engine import ConflictingPromptsError, EmptySegmentationError, OutsideVolumeError
from imeasure_server.segmentation.extent import Block, block_of
from imeasure_server.segmentation.prompts import Index, Prompts, Stroke
from imeasure_server.segmentation.strokes import stroke_mask

LOCALITY = 6.0  # an edit reaches at most this many times its depth from its click
LEAST_VOXELS = 1.5  # the least depth, in voxels
DETACHED = 1.5  # a click farther from the mask than so many of its radii is another part
CORE = 0.5  # share of the depth that a click decides alone
CONNECTED = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class Edit:
    """What one new prompt changes in a mask. All arrays cover ``block`` only.

    Attributes:
        positive: adds (True) or removes (False).
        centre: the click's voxel, or the middle of the stroke's region.
        depth_mm: how deep the click lies in what is wrong (distance to the mask's boundary); a stroke's radius.
        block: the part of the volume that ``region`` can touch.
        core: voxels that change whatever the image shows.
        region: voxels that may change.
        detached: a positive click so far from the mask that it means another part of the object.
    """

    positive: bool
    centre: Index
    depth_mm: float
    block: Block
    core: BoolArray
    region: BoolArray
    detached: bool = False


def check_prompts(prompts: Prompts, shape: tuple[int, int, int]) -> None:
    """Refuse prompts that no mask can satisfy.

    Raises:
        OutsideVolumeError: a click is outside the volume.
        ConflictingPromptsError: one voxel is clicked as object and as not the object.
        EmptySegmentationError: nothing says where the object is.
    """
    for voxel in (*prompts.positive_voxels, *prompts.negative_voxels):
        if any(not 0 <= v < n for v, n in zip(voxel, shape, strict=True)):
            raise OutsideVolumeError("A click is outside the image: click inside it.")
    if any(not 0 <= stroke.slice_index < shape[2] for stroke in prompts.strokes):
        raise OutsideVolumeError("A pen stroke is outside the image: draw inside it.")
    if set(prompts.positive_voxels) & set(prompts.negative_voxels):
        raise ConflictingPromptsError(
            "The same place is clicked both as part of the object and as not part of it: remove one of the two clicks."
        )
    if prompts.is_empty:
        raise EmptySegmentationError("Nothing says where the object is: click on it.")


def bind(proposal: BoolArray, prompts: Prompts, spacing: FloatArray) -> BoolArray:
    """The mask to answer with.

    Without a previous mask the proposal is corrected where it contradicts a prompt, and parts of it that no prompt
    asks for are dropped. With one, only the neighbourhood of each prompt that the previous mask contradicts is taken
    from the proposal.

    Args:
        proposal: (x, y, z) bool, what an engine found.
        prompts: what was asked.
        spacing: (3,) mm.

    Raises:
        EmptySegmentationError: nothing is left.
    """
    editing = prompts.previous_mask is not None and bool(prompts.previous_mask.any())
    mask = np.array(prompts.previous_mask if editing else proposal, dtype=bool)
    for _ in range(2):  # an edit may uncover a part of a stroke that an older prompt owns; twice settles it
        edits = new_edits(mask, prompts, spacing)
        for edit in edits:
            mask = apply_edit(mask, edit, proposal[edit.block])
        if not edits:
            break
    return settle(mask, prompts, keep_all=editing)


def new_edits(mask: BoolArray, prompts: Prompts, spacing: FloatArray) -> list[Edit]:
    """The prompts that a mask does not satisfy, oldest first; those that it satisfies are history."""
    strokes = stroke_mask(prompts.strokes, _shape(mask)) if prompts.strokes else np.zeros((1, 1, 1), dtype=bool)
    wanted: list[tuple[int, bool, Index | Stroke]] = [
        (point.order, point.positive, point.voxel)
        for point in prompts.points
        if bool(mask[point.voxel]) != point.positive
    ]
    for pair in prompts.extreme_pairs:
        wanted.extend((pair.order, True, voxel) for voxel in pair.voxels if not mask[voxel])
    wanted.extend((stroke.order, True, stroke) for stroke in prompts.strokes if _missing(stroke, mask, prompts).any())
    wanted.sort(key=lambda item: item[0])
    return [
        _stroke_edit(what, mask, prompts, spacing)
        if isinstance(what, Stroke)
        else _click_edit(what, positive, mask, prompts, strokes, spacing)
        for _, positive, what in wanted
    ]


def apply_edit(mask: BoolArray, edit: Edit, proposal: BoolArray) -> BoolArray:
    """Take one edit over into a mask.

    Args:
        mask: (x, y, z) bool; not changed.
        edit: from ``new_edits`` of this or an earlier mask.
        proposal: bool over ``edit.block``: the object there, as the engine sees it.

    Returns:
        A new mask, which differs from ``mask`` in the part of ``edit.region`` that hangs together with its core.
    """
    result = mask.copy()
    local = result[edit.block]
    wrong = local != edit.positive
    changing = (wrong & edit.region & (proposal == edit.positive)) | (edit.core & wrong)
    labels, _ = ndimage.label(changing, structure=CONNECTED)
    kept = np.unique(labels[edit.core & changing])
    changing = np.isin(labels, kept[kept > 0])
    local[changing] = edit.positive
    # Crumbs that a removal leaves inside its own region, apart from the rest, go too.
    if not edit.positive and changing.any():
        pieces, count = ndimage.label(local, structure=CONNECTED)
        outside = np.unique(pieces[~edit.region & local])
        crumbs = (pieces > 0) & ~np.isin(pieces, outside)
        local[crumbs & edit.region & (count > 1)] = False
    return result


def settle(mask: BoolArray, prompts: Prompts, keep_all: bool) -> BoolArray:
    """Make the prompts' own voxels right, and drop the parts that no prompt asks for.

    Args:
        mask: (x, y, z) bool; changed in place.
        prompts: what was asked.
        keep_all: keep every part (those of a previous mask).

    Raises:
        EmptySegmentationError: nothing is left.
    """
    for voxel in prompts.negative_voxels:
        mask[voxel] = False
    for voxel in prompts.positive_voxels:
        mask[voxel] = True
    if not keep_all and mask.any():
        block = block_of(mask)
        part = mask[block]
        labels, count = ndimage.label(part, structure=CONNECTED)
        seeds = np.zeros_like(mask)
        for voxel in prompts.positive_voxels:
            seeds[voxel] = True
        for pair in prompts.extreme_pairs:  # what lies between the two ends is asked for, too
            for voxel in _line(*pair.voxels):
                seeds[voxel] = True
        if prompts.strokes:
            seeds |= stroke_mask(prompts.strokes, _shape(mask))
        asked = [int(label) for label in np.unique(labels[seeds[block]])]
        if not seeds.any():  # a box alone
            asked = [int(np.bincount(labels.ravel())[1:].argmax()) + 1]
        if count > 1 or not any(asked):
            part &= np.isin(labels, [label for label in asked if label > 0])
    if not mask.any():
        raise EmptySegmentationError(
            "Nothing is left of the object: remove the last negative click or click elsewhere."
        )
    return mask


def _line(start: Index, end: Index) -> list[Index]:
    """The voxels on the straight line between two voxels."""
    count = int(np.abs(np.subtract(end, start)).max()) + 1
    steps = np.linspace(np.array(start, dtype=np.float64), np.array(end, dtype=np.float64), count)
    return [(int(x), int(y), int(z)) for x, y, z in np.floor(steps + 0.5)]


def _shape(mask: BoolArray) -> tuple[int, int, int]:
    x, y, z = mask.shape
    return x, y, z


def _missing(stroke: Stroke, mask: BoolArray, prompts: Prompts) -> BoolArray:
    """(x, y) bool: what a stroke encloses and the mask lacks, save the holes that negative clicks made."""
    k = stroke.slice_index
    missing = stroke_mask((stroke,), _shape(mask))[:, :, k] & ~mask[:, :, k]
    if not missing.any() or not prompts.negative_voxels:
        return missing
    # A click on another slice removes a ball that reaches into this one: judge by distance in voxels of the hole.
    labels, _ = ndimage.label(missing, structure=CONNECTED[1])
    for x, y, z in prompts.negative_voxels:
        holes = ~mask[x, y, min(k, z) : max(k, z) + 1]
        if holes.all():
            missing &= labels != labels[x, y] if labels[x, y] else missing
    return missing


def _stroke_edit(stroke: Stroke, mask: BoolArray, prompts: Prompts, spacing: FloatArray) -> Edit:
    full = stroke_mask((stroke,), _shape(mask))
    for voxel in prompts.negative_voxels:
        full[voxel] = False
    indices = np.argwhere(full)
    radius = float(np.sqrt(len(indices) * spacing[0] * spacing[1] / np.pi))
    depth = max(radius, LEAST_VOXELS * float(spacing.min()))
    block = _block(indices.min(axis=0), indices.max(axis=0), depth, spacing, _shape(mask))
    core = full[block]
    region = _within_contour(core, stroke.slice_index - block[2].start, spacing)
    x, y, z = (int(v) for v in np.rint(indices.mean(axis=0)))
    for other in prompts.negative_voxels:
        region &= ~_ball_around(other, LEAST_VOXELS * float(spacing.min()), block, spacing)
    return Edit(True, (x, y, z), depth, block, core, region | core)


def _within_contour(core: BoolArray, k: int, spacing: FloatArray) -> BoolArray:
    """What a contour on slice ``k`` allows to change: all it encloses there, less and less on the slices beside it.

    On its own slice a contour says where the object ends; beside it the object narrows like a ball of the radius of
    the greatest circle that the contour holds.
    """
    inside = ndimage.distance_transform_edt(np.pad(core[:, :, k], 1), sampling=spacing[:2])[1:-1, 1:-1]
    radius = float(inside.max())
    away = np.abs(np.arange(core.shape[2]) - k) * spacing[2]
    narrowed = np.where(away < radius, radius - np.sqrt(np.maximum(radius**2 - away**2, 0.0)), np.inf)
    return np.asarray(inside[:, :, None] > narrowed)


def _click_edit(
    voxel: Index, positive: bool, mask: BoolArray, prompts: Prompts, strokes: BoolArray, spacing: FloatArray
) -> Edit:
    least = LEAST_VOXELS * float(spacing.min())
    distance, nearest = _depth(voxel, positive, mask, spacing)
    size = float((mask.sum() * spacing.prod() * 3 / (4 * np.pi)) ** (1 / 3))
    detached = positive and distance > DETACHED * size + least
    depth = max(min(distance, size) if detached else distance, least)
    own = least if detached else CORE * depth
    block = _block(np.array(voxel), np.array(voxel), LOCALITY * depth, spacing, _shape(mask))
    offsets = _squared_distance(voxel, block, spacing)
    region = offsets <= (LOCALITY * depth) ** 2
    core = offsets <= own**2
    if positive and not detached:  # what was missed hangs together with what was found
        core |= _capsule(voxel, nearest, max(0.3 * own, 0.6 * float(spacing.min())), block, spacing)
        core &= region
    others = prompts.negative_voxels if positive else prompts.positive_voxels
    for other in others:  # clicks that contradict each other share the ground between them
        nearer = offsets < _squared_distance(other, block, spacing)
        region &= nearer
        core &= nearer
    if not positive and prompts.strokes and not strokes[voxel]:
        region &= ~strokes[block]
        core &= ~strokes[block]
    x, y, z = (v - s.start for v, s in zip(voxel, block, strict=True))
    core[x, y, z] = region[x, y, z] = True
    return Edit(positive, voxel, depth, block, core & region, region, detached)


def _depth(voxel: Index, positive: bool, mask: BoolArray, spacing: FloatArray) -> tuple[float, Index]:
    """Distance in mm from a wrongly labelled voxel to the nearest voxel of the other label, and that voxel.

    For a missed voxel it is the distance to the near face of the mask: a click on the slice next to the mask says
    little about how much is missing in its plane, however thick the slice is. What lies beyond the volume is not the
    object.
    """
    found = ndimage.find_objects(mask.astype(np.uint8))
    if not found:
        return 0.0, voxel
    part = np.pad(mask[found[0]], 1)
    surface = part & ~ndimage.binary_erosion(part) if positive else ~part & ndimage.binary_dilation(part)
    indices = np.argwhere(surface) + (np.array([s.start for s in found[0]]) - 1)
    squared = (((indices - np.array(voxel)) * spacing) ** 2).sum(axis=1)
    x, y, z = (int(v) for v in indices[int(squared.argmin())])
    distance = float(np.sqrt(squared.min()))
    if positive and distance > 0:
        step = np.abs(np.array([x, y, z]) - np.array(voxel)) * spacing
        distance -= float(step @ spacing) / (2.0 * distance)
    return distance, (x, y, z)


def _capsule(start: Index, end: Index, radius: float, block: Block, spacing: FloatArray) -> BoolArray:
    """The voxels of a block within ``radius`` mm of the straight line between two voxels."""
    capsule = np.zeros(tuple(s.stop - s.start for s in block), dtype=bool)
    for voxel in _line(start, end):
        capsule |= _ball_around(voxel, radius, block, spacing)
    return capsule


def _block(
    lower: npt.NDArray[np.int_],
    upper: npt.NDArray[np.int_],
    reach: float,
    spacing: FloatArray,
    shape: tuple[int, int, int],
) -> Block:
    x, y, z = (
        slice(max(0, int(np.floor(lo - reach / s))), min(n, int(np.ceil(up + reach / s)) + 1))
        for lo, up, s, n in zip(lower, upper, spacing, shape, strict=True)
    )
    return x, y, z


def _squared_distance(voxel: Index, block: Block, spacing: FloatArray) -> FloatArray:
    """Squared distance in mm of each voxel of a block from a voxel."""
    axes = [((np.arange(s.start, s.stop) - v) * d) ** 2 for s, v, d in zip(block, voxel, spacing, strict=True)]
    return np.asarray(axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :])


def _ball_around(voxel: Index, radius: float, block: Block, spacing: FloatArray) -> BoolArray:
    return np.asarray(_squared_distance(voxel, block, spacing) <= radius**2)
