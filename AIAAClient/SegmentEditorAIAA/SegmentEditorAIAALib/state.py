"""What an effect remembers of a segment: its prompts, and the voxels that their answer gave it. JSON, for a tag."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.geometry import VolumeGeometry
from IMeasureLib.prompts import PromptError
from IMeasureLib.segment_edit import EMPTY

from . import prompts as promptForms
from . import strokes as strokeForms
from .prompts import Prompts
from .strokes import Strokes

VERSION = 1
LARGEST_MASK = 2_000_000
"""Characters of a mask in the tag; a larger one (it would make the scene slow) is not remembered."""


@dataclass(frozen=True, eq=False)
class EffectState:
    """Of one effect and one segment. Changes give a new state; the old one stays as it was.

    Attributes:
        prompts, strokes: in the own space of the volume on which they were made, oldest first.
        made: the voxels that the segment has from the last answer, on the volume's grid.
        grid: which grid that is (``gridOf``).
        model: name of the model that answered last; "" for none.
    """

    prompts: Prompts = ()
    strokes: Strokes = ()
    made: MaskRegion = EMPTY
    grid: int = 0
    model: str = ""

    @property
    def isEmpty(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.prompts and not self.strokes and self.made.isEmpty

    def with_(self, **changes: Any) -> EffectState:
        """With other attributes."""
        return replace(self, **changes)

    def madeOn(self, geometry: VolumeGeometry) -> MaskRegion:
        """The voxels of the last answer; none when it was given on another grid."""
        return self.made if self.grid == gridOf(geometry) else EMPTY

    def toJSON(self) -> str:
        """Without ``|``, by which Slicer's .seg.nrrd separates tags."""
        data: dict[str, Any] = {"version": VERSION, "space": "RAS", "grid": self.grid, "model": self.model}
        if self.prompts:
            data["prompts"] = promptForms.toList(self.prompts)
        if self.strokes:
            data["strokes"] = strokeForms.toList(self.strokes)
        if not self.made.isEmpty:
            mask = _maskToText(self.made)
            if len(mask) <= LARGEST_MASK:
                data["made"] = {"origin": list(self.made.origin), "size": list(self.made.size), "voxels": mask}
        return json.dumps(data).replace("|", "\\u007c")

    @classmethod
    def fromJSON(cls, text: str) -> EffectState:
        """Read ``toJSON``'s form.

        Raises:
            PromptError: it is something else, or of a newer version.
        """
        try:
            data = json.loads(text)
            if int(data["version"]) > VERSION:
                raise PromptError(
                    "These prompts were written by a newer AIAAClient. Update the extension to read them."
                )
            return cls(
                promptForms.fromList(data.get("prompts", ())),
                strokeForms.fromList(data.get("strokes", ())),
                _maskFromDict(data.get("made")),
                int(data["grid"]),
                str(data["model"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
            if isinstance(error, PromptError):
                raise
            raise PromptError("These prompts are damaged.") from error


def gridOf(geometry: VolumeGeometry) -> int:
    """A number that tells voxel grids apart."""
    text = json.dumps([np.round(geometry.matrix, 4).tolist(), list(geometry.shape)])
    return zlib.crc32(text.encode())


def _maskToText(mask: MaskRegion) -> str:
    return base64.b64encode(zlib.compress(np.packbits(mask.array).tobytes(), 1)).decode("ascii")


def _maskFromDict(data: Any) -> MaskRegion:
    if not data:
        return EMPTY
    i, j, k = (int(value) for value in data["size"])
    bits = np.frombuffer(zlib.decompress(base64.b64decode(data["voxels"])), dtype=np.uint8)
    array = np.unpackbits(bits, count=i * j * k).reshape(k, j, i).astype(bool)
    x, y, z = (int(value) for value in data["origin"])
    return MaskRegion(array, (x, y, z))
