"""One object from every kind of prompt: what the SAM-style protocols ask for, on top of the engines.

The engines know clicks, pen contours and one box around the object. Everything else is brought to these: a flat box is
filled on its slice first and its filling is a contour; a scribble is a few clicks, and more where the mask still
contradicts it; what is marked as not the object is cut off. All of it happens in a block around the prompts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, FloatArray, Geometry, Volume
from imeasure_server.segmentation.area_edits import area_edit
from imeasure_server.segmentation.areas import Area, spread_out
from imeasure_server.segmentation.binding import CONNECTED, apply_edit
from imeasure_server.segmentation.classical import GraphCutEngine
from imeasure_server.segmentation.engine import (
    Cancellation,
    EmptySegmentationError,
    SegmentationCancelled,
    SegmentationEngine,
)
from imeasure_server.segmentation.extent import Block, block_of
from imeasure_server.segmentation.focus import GROWTH, ROOM, Focus
from imeasure_server.segmentation.local_edit import propose
from imeasure_server.segmentation.object_prompts import ObjectPrompts, VoxelPrompts, cropped, in_voxels, swapped
from imeasure_server.segmentation.prompts import Box, Index, PointPrompt, Prompts, Stroke
from imeasure_server.segmentation.slice_object import fill_box
from imeasure_server.segmentation.suited_engine import suited
from imeasure_server.segmentation.usable_image import usable

SCRIBBLE_CLICKS = 6  # that a scribble is at first
CORRECTIONS = 3  # clicks that a scribble may still need
EDIT_ROOM = 30.0  # mm around a mask that is corrected
EMPTY_BOX = "No object was found in the box: draw it around the object."
LEFT_NOTHING = "Nothing is left of the object: remove a negative prompt or mark the object elsewhere."


def segment_object(
    engine: SegmentationEngine, volume: Volume, prompts: ObjectPrompts, cancellation: Cancellation | None = None
) -> BoolArray:
    """Segment one object.

    Every positive point is in the mask and every negative one outside; scribbles are, too, where no point says
    otherwise; then what lassos enclose is, and negative boxes are not. A positive box holds the object: on its own
    slice when it is flat.

    Args:
        engine: of the server.
        volume: may be mapped from a file; what is far from the prompts is not read.
        prompts: in voxels of ``volume``.
        cancellation: looked at between stages.

    Returns:
        (x, y, z) bool of the volume's shape.

    Raises:
        SegmentationError: there is no object, or the prompts cannot be met; a sentence.
    """
    shape, spacing = volume.geometry.shape, volume.geometry.spacing
    voxels = in_voxels(prompts, shape)
    engine = suited(engine, volume)
    places, room = _places(voxels), ROOM if voxels.previous is None else EDIT_ROOM
    while True:
        focus = Focus.around(places, room, spacing, shape)
        mask = _in_block(engine, focus.crop(volume), cropped(voxels, focus.block), cancellation)
        news = mask if voxels.previous is None else mask & ~voxels.previous[focus.block]
        if focus.is_whole or not focus.is_tight(news):
            break
        room *= GROWTH
    result = np.zeros(shape, dtype=bool) if voxels.previous is None else voxels.previous.copy()
    result[focus.block] = mask
    return result


def _places(prompts: VoxelPrompts) -> FloatArray:
    """(n, 3) what the block must hold."""
    places = [prompts.wanted.astype(np.float64)]
    if prompts.previous is not None:
        block = block_of(prompts.previous)
        places += [np.array([[s.start for s in block], [s.stop - 1 for s in block]], dtype=np.float64)]
        places += [np.array(prompts.negative, dtype=np.float64).reshape(-1, 3)]
    return np.concatenate(places)


def _in_block(
    engine: SegmentationEngine, volume: Volume, prompts: VoxelPrompts, cancellation: Cancellation | None
) -> BoolArray:
    """The object in a block of the volume; contours on slices across another axis than z become contours across z."""
    areas = (*prompts.outlined, *prompts.boxed)
    if areas and not any(area.axis == 2 for area in areas):
        axis = areas[0].axis
        affine = np.array(volume.geometry.affine)
        affine[:, [axis, 2]] = affine[:, [2, axis]]
        array = volume.array.swapaxes(axis, 2)
        turned = Volume(array, Geometry(affine, (array.shape[0], array.shape[1], array.shape[2])))
        return _segmented(engine, turned, swapped(prompts, axis), cancellation).swapaxes(axis, 2)
    return _segmented(engine, volume, prompts, cancellation)


def _segmented(
    engine: SegmentationEngine, volume: Volume, prompts: VoxelPrompts, cancellation: Cancellation | None
) -> BoolArray:
    filled = _filled(volume, prompts, cancellation)
    areas = (*prompts.outlined, *filled)
    mask = _first(engine, volume, prompts, filled, cancellation)
    mask = _with_areas(volume, mask, prompts, areas if prompts.previous is None else prompts.outlined, cancellation)
    for place in {(area.axis, area.index) for area in prompts.boxed} if prompts.previous is None else ():
        _limit(mask, place, prompts)
    mask = _with_scribbles(engine, volume, mask, prompts, cancellation)
    _settle(mask, prompts)
    if prompts.previous is None:
        mask = _asked_for(mask, prompts, areas)
    if not mask.any():
        raise EmptySegmentationError(LEFT_NOTHING)
    return mask


def _filled(volume: Volume, prompts: VoxelPrompts, cancellation: Cancellation | None) -> tuple[Area, ...]:
    """The objects in flat boxes; a box in which there is none says nothing when other prompts say where it is."""
    found = []
    for box in prompts.boxed:
        try:
            found.append(fill_box(volume, box, prompts.positive, prompts.negative, cancellation))
        except EmptySegmentationError as error:
            if not _says_more(prompts):
                raise EmptySegmentationError(EMPTY_BOX) from error
    return tuple(found)


def _first(
    engine: SegmentationEngine,
    volume: Volume,
    prompts: VoxelPrompts,
    filled: tuple[Area, ...],
    cancellation: Cancellation | None,
) -> BoolArray:
    """What the engine makes of the prompts that it knows."""
    spacing = volume.geometry.spacing
    positive = (*prompts.positive, *spread_out(prompts.drawn, SCRIBBLE_CLICKS, spacing))
    boxed = _boxed(engine, volume, prompts, positive, cancellation)
    others = tuple(voxel for voxel in positive if not any(_within(voxel, block) for block in prompts.blocks))
    outlined, rest = _contours(prompts.outlined, spacing)
    contours, seeds = _contours(filled, spacing)
    if prompts.previous is not None:
        # What a box holds is added to the mask, unless most of it was there already.
        found = boxed.copy()
        if contours or seeds:
            asked = Prompts(_clicks(seeds, prompts.negative), strokes=contours)
            found |= _sized(engine, volume, asked, cancellation)
        known = 2 * (prompts.previous & found).sum() >= found.sum()
        mask = prompts.previous.copy() if known else prompts.previous | found
        asked = Prompts(_clicks((*positive, *rest), prompts.negative), strokes=outlined, previous_mask=mask)
        return engine.segment(volume, asked, cancellation)
    clicks = (*others, *rest, *seeds)
    if not (clicks or outlined or contours):
        return boxed
    asked = Prompts(_clicks(clicks, prompts.negative), strokes=(*outlined, *contours))
    if asked.strokes:
        return boxed | _sized(engine, volume, asked, cancellation)
    return boxed | engine.segment(volume, asked, cancellation)


def _boxed(
    engine: SegmentationEngine,
    volume: Volume,
    prompts: VoxelPrompts,
    positive: tuple[Index, ...],
    cancellation: Cancellation | None,
) -> BoolArray:
    """The objects in the boxes of several slices."""
    mask = np.zeros(volume.geometry.shape, dtype=bool)
    for block in prompts.blocks:
        inside = tuple(voxel for voxel in positive if _within(voxel, block))
        corners = Box(_point([s.start for s in block]), _point([s.stop - 1 for s in block]))
        asked = Prompts(_clicks(inside, prompts.negative), box=corners)
        mask[block] |= _sized(engine, volume, asked, cancellation)[block]
    if prompts.blocks and not mask.any() and not _says_more(prompts):
        raise EmptySegmentationError(EMPTY_BOX)
    return mask


def _says_more(prompts: VoxelPrompts) -> bool:
    """Whether there are positive prompts beside boxes."""
    return bool(prompts.positive or len(prompts.drawn) or prompts.outlined)


def _sized(engine: SegmentationEngine, volume: Volume, asked: Prompts, cancellation: Cancellation | None) -> BoolArray:
    """The object of prompts that say how big it is; empty when none of the engines finds one."""
    for one in (engine, GraphCutEngine(engine.device)):
        try:
            return one.segment(volume, asked, cancellation)
        except EmptySegmentationError:
            continue
    return np.zeros(volume.geometry.shape, dtype=bool)


def _contours(areas: tuple[Area, ...], spacing: FloatArray) -> tuple[tuple[Stroke, ...], tuple[Index, ...]]:
    """Areas across z as pen contours, and a voxel inside each of the others."""
    strokes = tuple(stroke for area in areas if area.axis == 2 for stroke in area.strokes())
    return strokes, tuple(_deepest(area, spacing) for area in areas if area.axis != 2)


def _with_areas(
    volume: Volume,
    mask: BoolArray,
    prompts: VoxelPrompts,
    areas: tuple[Area, ...],
    cancellation: Cancellation | None,
) -> BoolArray:
    """The mask with what lassos and flat boxes add to it and cut off."""
    spacing = volume.geometry.spacing
    for block in prompts.removed_blocks:
        mask[block] = False
    changes = [(area, True) for area in areas] + [(area, False) for area in prompts.removed]
    for area, wanted in changes:
        _check(cancellation)
        contrary = _tuples(prompts.erased) + prompts.negative if wanted else _tuples(prompts.drawn) + prompts.positive
        edit = area_edit(area, wanted, mask, contrary, spacing)
        if edit is not None:
            array, floor = usable(volume.array)
            mask = apply_edit(mask, edit, propose(array, spacing, mask, edit, floor))
    return mask


def _limit(mask: BoolArray, place: tuple[int, int], prompts: VoxelPrompts) -> None:
    """Cut off what lies beyond the flat boxes of one slice, save what other prompts of the slice ask for; in place."""
    axis, index = place
    here = Area(axis, index, np.zeros(np.delete(mask.shape, axis), dtype=bool)).on(mask)
    boxes = [box.inside for box in prompts.boxed if (box.axis, box.index) == place]
    beyond = here & ~np.logical_or.reduce(boxes)
    labels, count = ndimage.label(beyond, structure=CONNECTED[1])
    if not count:
        return
    plane = [a for a in range(3) if a != axis]
    kept = {int(labels[tuple(v[plane])]) for v in _wanted_voxels(prompts) if v[axis] == index}
    for area in prompts.outlined:
        if (area.axis, area.index) == place:
            kept |= set(np.unique(labels[area.inside]).tolist())
    here &= ~(beyond & ~np.isin(labels, list(kept - {0})))


def _with_scribbles(
    engine: SegmentationEngine,
    volume: Volume,
    mask: BoolArray,
    prompts: VoxelPrompts,
    cancellation: Cancellation | None,
) -> BoolArray:
    """Click where scribbles are contradicted most."""
    spacing = volume.geometry.spacing
    for voxels, wanted in ((prompts.drawn, True), (prompts.erased, False)):
        for _ in range(CORRECTIONS):
            wrong = voxels[mask[tuple(voxels.T)] != wanted]
            if not len(wrong) or not (mask.any() or wanted):
                break
            _check(cancellation)
            depth = ndimage.distance_transform_edt(mask != wanted, sampling=spacing)[tuple(wrong.T)]
            x, y, z = (int(v) for v in wrong[int(depth.argmax())])
            clicks = ((*prompts.positive, (x, y, z)), prompts.negative)
            clicks = clicks if wanted else (prompts.positive, (*prompts.negative, (x, y, z)))
            mask = engine.segment(volume, Prompts(_clicks(*clicks), previous_mask=mask), cancellation)
    return mask


def _settle(mask: BoolArray, prompts: VoxelPrompts) -> None:
    """Make scribbles, then clicks right, voxel for voxel; in place."""
    mask[tuple(prompts.erased.T)] = False
    mask[tuple(prompts.drawn.T)] = True
    for voxel in prompts.negative:
        mask[voxel] = False
    for voxel in prompts.positive:
        mask[voxel] = True


def _asked_for(mask: BoolArray, prompts: VoxelPrompts, areas: tuple[Area, ...]) -> BoolArray:
    """The parts of a mask that hang together with a positive prompt."""
    labels, count = ndimage.label(mask, structure=CONNECTED)
    if count < 2:
        return mask
    kept = {int(labels[tuple(voxel)]) for voxel in _wanted_voxels(prompts)}
    for area in areas:
        kept |= set(np.unique(area.on(labels)[area.inside]).tolist())
    for block in prompts.blocks:
        kept.add(int(np.bincount(labels[block][labels[block] > 0], minlength=1).argmax()))
    return np.isin(labels, list(kept - {0}))


def _wanted_voxels(prompts: VoxelPrompts) -> FloatArray:
    return np.concatenate([np.array(prompts.positive, dtype=np.int_).reshape(-1, 3), prompts.drawn])


def _deepest(area: Area, spacing: FloatArray) -> Index:
    """The voxel of an area that is farthest from its border."""
    plane = [axis for axis in range(3) if axis != area.axis]
    depth = ndimage.distance_transform_edt(np.pad(area.inside, 1), sampling=spacing[plane])[1:-1, 1:-1]
    found = np.unravel_index(int(depth.argmax()), depth.shape)
    x, y, z = (int(v) for v in np.insert(np.array(found), area.axis, area.index))
    return x, y, z


def _clicks(positive: tuple[Index, ...], negative: tuple[Index, ...]) -> tuple[PointPrompt, ...]:
    clicks = [PointPrompt(_point(voxel), True) for voxel in dict.fromkeys(positive)]
    clicks += [PointPrompt(_point(voxel), False) for voxel in dict.fromkeys(negative)]
    return tuple(replace(click, order=order) for order, click in enumerate(clicks))


def _tuples(voxels: np.ndarray[tuple[int, ...], np.dtype[np.int_]]) -> tuple[Index, ...]:
    return tuple((int(x), int(y), int(z)) for x, y, z in voxels)


def _point(values: tuple[int, ...] | list[int]) -> tuple[float, float, float]:
    x, y, z = map(float, values)
    return x, y, z


def _within(voxel: Index, block: Block) -> bool:
    return all(part.start <= v < part.stop for v, part in zip(voxel, block, strict=True))


def _check(cancellation: Cancellation | None) -> None:
    if cancellation is not None and cancellation.is_set():
        raise SegmentationCancelled("The request was cancelled.")
