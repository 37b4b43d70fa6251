"""What a server says of its models, in one form for both protocols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SEGMENTATION, DEXTR3D, PROMPTS, SCRIBBLES, INFERENCE = "segmentation", "dextr3d", "prompts", "scribbles", "inference"
KINDS = (SEGMENTATION, DEXTR3D, PROMPTS, SCRIBBLES, INFERENCE)
"""What can be asked of a model."""

POINTS, BOXES, LASSOS, STROKES = "points", "boxes", "lassos", "scribbles"
ALL_PROMPTS = frozenset((POINTS, BOXES, LASSOS, STROKES))

AIAA, MONAI_LABEL = "AIAA", "MONAI Label"

TYPE_TITLES = {
    "segmentation": "Automatic segmentation",
    "annotation": "Boundary points",
    "deepgrow": "Clicks",
    "deepedit": "Clicks",
    "scribbles": "Scribbles",
    "classification": "Classification",
    "pipeline": "Pipelines",
}
"""A model's type → the heading that a person sees; all others are "Others"."""


@dataclass(frozen=True)
class ModelInfo:
    """One model of a server.

    Attributes:
        name: how it is asked for.
        type: the protocol's word: segmentation, annotation, deepgrow, deepedit, scribbles, classification, ...
        description: a sentence of the server.
        labels: name → value in the mask, without the background.
        dimension: 2 or 3.
        kinds: what can be asked of it (``KINDS``).
        prompts: which prompts it takes; empty for a model without prompts.
        padding: voxels of room that it wants around boundary points, None when it does not say.
        licence: of its weights, "" when the server does not say.
        protocol: AIAA or MONAI_LABEL: how it is asked.
    """

    name: str
    type: str
    description: str = ""
    labels: Mapping[str, int] = field(default_factory=dict)
    dimension: int = 3
    kinds: frozenset[str] = frozenset()
    prompts: frozenset[str] = frozenset()
    padding: float | None = None
    licence: str = ""
    protocol: str = AIAA

    @property
    def knowsSeveral(self) -> bool:
        """Whether clicks are for one of several structures (``Task.prompts(labelName=)``), as DeepEdit has them."""
        return self.type == "deepedit" and len(self.labels) > 1

    @property
    def title(self) -> str:
        """The heading that it is listed under."""
        return "Clicks, boxes, lassos" if self.prompts == ALL_PROMPTS else TYPE_TITLES.get(self.type, "Others")


def fromAIAA(entry: Mapping[str, Any]) -> ModelInfo:
    """A model of ``GET /v1/models``. ValueError when it has no name."""
    kind, name = str(entry.get("type") or "others").lower(), str(entry.get("name") or "")
    if not name:
        raise ValueError("a model without a name")
    deepgrow = str(entry.get("deepgrow") or "")
    return ModelInfo(
        name=name,
        type=kind,
        description=str(entry.get("description") or ""),
        labels=labelValues(entry.get("labels")),
        dimension=2 if deepgrow == "2d" or str(entry.get("dimension")) == "2" else 3,
        kinds=_kinds(kind),
        prompts=frozenset((POINTS,)) if kind in ("deepgrow", "deepedit") else frozenset(),
        padding=_number(entry.get("padding")),
        licence=str(entry.get("licence") or entry.get("license") or ""),
        protocol=AIAA,
    )


def fromMONAILabel(name: str, entry: Mapping[str, Any]) -> ModelInfo:
    """A model of ``GET /info/``."""
    kind = str(entry.get("type") or "others").lower()
    config = entry.get("config")
    config = config if isinstance(config, Mapping) else {}
    interactive = bool(entry.get("interactive") or config.get("interactive"))
    clicks = kind in ("deepgrow", "deepedit")
    return ModelInfo(
        name=name,
        type=kind,
        description=str(entry.get("description") or ""),
        labels=labelValues(entry.get("labels")),
        dimension=2 if str(entry.get("dimension")) == "2" else 3,
        kinds=frozenset((PROMPTS,)) if interactive else _kinds(kind),
        prompts=ALL_PROMPTS if interactive else frozenset((POINTS,)) if clicks else frozenset(),
        padding=_number(entry.get("padding")),
        licence=str(entry.get("licence") or config.get("licence") or entry.get("license") or ""),
        protocol=MONAI_LABEL,
    )


def labelValues(labels: Any) -> dict[str, int]:
    """Names and values of a mask: from a mapping name → value or value → name, or a list in the order of the values.

    The background is left out: the value 0, or a first entry of a list that is called so.
    """
    if isinstance(labels, Mapping):
        pairs = [_pair(key, value) for key, value in labels.items()]
        return dict(sorted(((name, value) for name, value in pairs if value > 0), key=lambda pair: pair[1]))
    if isinstance(labels, str):
        labels = [labels] if labels else []
    if not isinstance(labels, Iterable):
        return {}
    names = [str(name) for name in labels]
    start = 0 if names and names[0].lower() == "background" else 1
    return {name: value for value, name in enumerate(names, start) if value > 0}


def _pair(key: Any, value: Any) -> tuple[str, int]:
    """Name and value of an entry, whichever way round; value 0 (the background) where there is no number."""
    for name, number in ((key, value), (value, key)):
        try:
            return str(name), int(number)
        except (TypeError, ValueError):
            continue
    return str(key), 0


def _kinds(kind: str) -> frozenset[str]:
    if kind == "segmentation":
        return frozenset((SEGMENTATION, INFERENCE))
    if kind == "annotation":
        return frozenset((DEXTR3D,))
    if kind == "deepgrow":
        return frozenset((PROMPTS,))
    if kind == "deepedit":  # without clicks it segments everything that it knows
        return frozenset((PROMPTS, SEGMENTATION))
    if kind == "scribbles":
        return frozenset((SCRIBBLES,))
    if kind == "pipeline":
        return frozenset((SEGMENTATION, INFERENCE))
    return frozenset((INFERENCE,))


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
