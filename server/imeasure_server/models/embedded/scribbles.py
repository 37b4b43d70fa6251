"""The scribble models of MONAI Label, without a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import Volume
from imeasure_server.models.embedded.prompted import answer
from imeasure_server.models.inference import ModelInputError, ModelInputs, ModelOutput
from imeasure_server.segmentation.engine import Cancellation
from imeasure_server.segmentation.extent import Block, block_of
from imeasure_server.segmentation.focus import Focus
from imeasure_server.segmentation.scribbles.graph_cut import Fit, Scribbles, segment_scribbles

BACKGROUND, FOREGROUND = "background_scribbles", "foreground_scribbles"
DEFAULTS: Mapping[str, int] = {BACKGROUND: 2, FOREGROUND: 3}
ROOM = 60.0  # mm around the scribbles, where the object is looked for at first
GROWTH = 2.0
SEED = 5  # voxels each way of the middle of a region that holds no scribble of the object, as MONAI Label has it


class ScribblesModel:
    """A cut between what was scribbled on and what was not.

    Args:
        fit: of the likelihoods of intensities.
    """

    device_bytes = 0

    def __init__(self, fit: Fit) -> None:
        self._fit = fit

    def infer(self, volume: Volume, inputs: ModelInputs, cancellation: Cancellation | None = None) -> ModelOutput:
        """See `InferenceModel.infer`; ``parameters["connected"]`` false keeps parts that no scribble is on."""
        scribbles = scribbles_of(inputs, volume.geometry.shape)
        connected = bool(inputs.parameters.get("connected", True))
        mask = np.zeros(volume.geometry.shape, dtype=bool)
        room = ROOM if inputs.roi is None and connected else np.inf
        while True:
            part, focus = _near(scribbles, room, volume)
            found = segment_scribbles(volume, part, self._fit, connected, cancellation)
            if focus is None or not focus.is_tight(found):
                break
            room *= GROWTH
        mask[part.block] = found
        return answer(mask)


def _near(scribbles: Scribbles, room: float, volume: Volume) -> tuple[Scribbles, Focus | None]:
    """What was drawn, in a block that reaches ``room`` mm beyond it; None when that is all there is."""
    shape = volume.geometry.shape
    if not np.isfinite(room):
        return scribbles, None
    blocks = [block_of(drawn) for drawn in (scribbles.object, scribbles.other)]
    corners = [[s.start for s in block] for block in blocks] + [[s.stop - 1 for s in block] for block in blocks]
    focus = Focus.around(corners, room, volume.geometry.spacing, shape)
    if focus.is_whole:
        return scribbles, None
    return Scribbles(scribbles.object[focus.block], scribbles.other[focus.block], focus.block), focus


def scribbles_of(inputs: ModelInputs, shape: tuple[int, int, int]) -> Scribbles:
    """What was drawn where.

    Raises:
        ModelInputError: no scribbles came, or they say too little.
    """
    if inputs.label is None:
        raise ModelInputError("No scribbles came: send an image of them as label.")
    if inputs.label.shape != shape:
        raise ModelInputError("The scribbles have another size than the image: send a label of the image's size.")
    values = {name: int(inputs.label_info.get(name, value)) for name, value in DEFAULTS.items()}
    if values[BACKGROUND] == values[FOREGROUND]:
        raise ModelInputError("Scribbles on the object and beside it have the same value: give them different ones.")
    block = _region(inputs.roi, shape)
    drawn = inputs.label[block]
    wanted, other = drawn == values[FOREGROUND], drawn == values[BACKGROUND]
    limited = any(part.stop - part.start < n for part, n in zip(block, shape, strict=True))
    if not wanted.any():
        if not limited:
            raise ModelInputError(_missing("on the object", FOREGROUND, values[FOREGROUND]))
        wanted = _middle(wanted) & ~other
    if not other.any() and not limited:
        raise ModelInputError(_missing("beside the object", BACKGROUND, values[BACKGROUND]))
    return Scribbles(wanted, other, block, _elsewhere(inputs.label, values[BACKGROUND], block))


def _elsewhere(label: npt.NDArray[Any], value: int, block: Block) -> npt.NDArray[np.int_]:
    """(n, 3) voxels of a value outside a block."""
    places = np.argwhere(label == value)
    first, last = np.array([part.start for part in block]), np.array([part.stop for part in block])
    return np.asarray(places[((places < first) | (places >= last)).any(axis=1)])


def _missing(where: str, name: str, value: int) -> str:
    return f"There is no scribble {where}: draw one, with value {value} in the label or named {name} in label_info."


def _region(roi: tuple[tuple[int, int], ...] | None, shape: tuple[int, int, int]) -> Block:
    if roi is None:
        return slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2])
    x, y, z = (slice(max(0, int(lo)), min(n, int(up) + 1)) for (lo, up), n in zip(roi, shape, strict=True))
    if any(part.stop <= part.start for part in (x, y, z)):
        raise ModelInputError("The region of interest is outside the image: send first and last voxel along each axis.")
    return x, y, z


def _middle(region: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    result = np.zeros(region.shape, dtype=bool)
    reach = [(n // 2, min(SEED, n // 4)) for n in region.shape]
    result[tuple(slice(middle - half, middle + half + 1) for middle, half in reach)] = True
    return result
