"""nnInteractive: points, flat boxes, lassos and scribbles on any 3D image.

Isensee, Rokuss, Krämer et al., "nnInteractive: Redefining 3D Promptable Segmentation", 2025 (arXiv 2503.08373). The
package nnInteractive does the work; its weights are the operator's.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from imeasure_server.imaging.volume import Volume
from imeasure_server.models import third_party
from imeasure_server.models.config.aiaa import CONFIG_NAME, AiaaConfig, load_config, read_config
from imeasure_server.models.inference import (
    ModelFailed,
    ModelInputError,
    ModelInputs,
    ModelOutput,
    Point,
    Polyline,
    PromptBox,
)
from imeasure_server.models.loaders.drawn_prompts import (
    DrawnVoxels,
    UInt8Array,
    box_axis,
    enclosed_area,
    keep_inside_roi,
    require_inside,
    stroke_voxels,
)
from imeasure_server.models.loaders.failures import model_failed
from imeasure_server.models.loaders.nnunet_files import require_plain_checkpoint, require_plain_plans
from imeasure_server.models.reference import ModelReference
from imeasure_server.segmentation.engine import Cancellation, EmptySegmentationError, SegmentationCancelled

if TYPE_CHECKING:
    from imeasure_server.models.worker import WorkerContext

Kind = Literal["points", "bbox", "lasso", "scribble"]

_NAMES = {"points": "points", "bbox2d": "boxes", "bbox3d": "boxes", "lasso": "lassos", "scribble": "scribbles"}


@dataclass(frozen=True)
class Interaction:
    """One thing that a person did; equal to another one that does the same."""

    kind: Kind
    prompt: Point | PromptBox | Polyline
    positive: bool


def load(reference: ModelReference, context: WorkerContext) -> NNInteractive:
    """Load the weights in a model's folder.

    Raises:
        ModelFailed: the package is not installed, or the weights do not load; a sentence.
    """
    reason = third_party.why_not(reference.loader)
    if reason is not None:
        raise ModelFailed(reason)
    assert reference.folder is not None
    config = read_config(load_config(reference.folder / CONFIG_NAME))
    folder = third_party.find_weights(reference.folder, "plans.json")
    if folder is None:
        raise ModelFailed("There is no plans.json in the model's folder. Put the whole folder of the weights there.")
    with _quiet():
        return NNInteractive(_session(folder, config.args, context.device), config)


class NNInteractive:
    """A session of the package, used for one request after the other.

    The session keeps the last image and what was done on it: a request that goes on where the one before ended costs
    one prediction, and has the same answer as from the start.
    """

    def __init__(self, session: Any, config: AiaaConfig) -> None:
        self._session = session
        self._label_name, self._label_value = next(iter(config.labels.items()), ("object", 1))
        self._image = ""
        self._label = ""
        self._done: list[Interaction] = []

    @property
    def device_bytes(self) -> int:
        return sum(int(tensor.nbytes) for tensor in self._session.network.state_dict().values())

    def infer(self, volume: Volume, inputs: ModelInputs, cancellation: Cancellation | None = None) -> ModelOutput:
        """See `InferenceModel`."""
        require_inside(inputs, volume.geometry)
        interactions = _interactions(inputs)
        label = _object_of(inputs)
        self._require_supported(interactions, label is not None)
        try:
            with _quiet():
                self._open(volume, label, interactions)
                for interaction in interactions[len(self._done) :]:
                    if cancellation is not None and cancellation.is_set():
                        raise SegmentationCancelled("Nobody waits for the answer any more.")
                    self._do(interaction, volume.geometry.shape)
        except Exception as error:
            self._image = ""  # what the session holds now is nothing to go on from
            failed = model_failed("nnInteractive cannot answer this", error)
            if failed is error:
                raise
            raise failed from error
        found = np.array(self._session.target_buffer).transpose(2, 1, 0) > 0
        mask = keep_inside_roi(found.astype(np.uint8), inputs.roi) * np.uint8(self._label_value)
        return ModelOutput(mask, {self._label_name: self._label_value})

    def _require_supported(self, interactions: list[Interaction], has_label: bool) -> None:
        if not interactions and not has_label:
            raise ModelInputError("This model needs a point, a box, a lasso or a scribble.")
        supported = self._session.supported_interactions
        for interaction in interactions:
            kind: str = interaction.kind
            if kind == "bbox":
                assert isinstance(interaction.prompt, PromptBox)
                flat = box_axis(interaction.prompt) is not None
                if not flat and not supported.get("bbox3d"):
                    raise ModelInputError("This model takes boxes on one slice only. Draw the box on a single slice.")
                kind = "bbox2d" if flat and supported.get("bbox2d") else "bbox3d"
            if not supported.get(kind):
                raise ModelInputError(f"This model takes no {_NAMES[kind]}.")
        if has_label and not self._session.supports_initial_label:
            raise ModelInputError("This model takes no label to refine. Send prompts only.")
        if not interactions and not self._session.supports_zero_shot_label_refinement:
            raise ModelInputError(
                "This model refines a label by prompts only. Send a point, box, lasso or scribble too."
            )

    def _open(self, volume: Volume, label: UInt8Array | None, wanted: list[Interaction]) -> None:
        """Bring the session to where the wanted interactions go on: where it is, or the start of this image."""
        image = str(getattr(volume.array, "filename", "") or "")
        label_digest = "" if label is None else hashlib.sha256(np.packbits(label).tobytes()).hexdigest()
        same_image = image != "" and image == self._image
        if same_image and self._label == label_digest and self._done and self._done == wanted[: len(self._done)]:
            return
        self._done = []
        session = self._session
        if same_image:
            session.reset_interactions()
        else:
            self._image = ""
            array = np.asarray(volume.array, dtype=np.float32).transpose(2, 1, 0)
            if not np.isfinite(array).all() or array.max() == array.min():
                raise EmptySegmentationError("The image is the same everywhere, so there is nothing to segment.")
            session.set_image(array[None])  # as its training saw images: SimpleITK's arrays, slices first
            session.set_target_buffer(np.zeros(array.shape, dtype=np.uint8))
        if label is not None:
            session.add_initial_seg_interaction(
                np.ascontiguousarray(label.transpose(2, 1, 0)), run_prediction=not wanted
            )
        self._image, self._label = image, label_digest

    def _do(self, interaction: Interaction, shape: tuple[int, int, int]) -> None:
        session, prompt, positive = self._session, interaction.prompt, interaction.positive
        np.random.seed(0)  # the package draws from it where it looks again; the same prompts have the same answer
        if isinstance(prompt, PromptBox):
            low, high = np.rint(prompt.lower).astype(int), np.rint(prompt.upper).astype(int)
            half_open = [[int(a), int(b) + 1] for a, b in zip(low[::-1], high[::-1], strict=True)]
            session.add_bbox_interaction(half_open, positive)
        elif isinstance(prompt, Polyline):
            thickness = max(1, int(session.preferred_scribble_thickness[0]))
            if interaction.kind == "lasso":
                add, drawn = session.add_lasso_interaction, enclosed_area(prompt.points, shape)
            else:
                add, drawn = session.add_scribble_interaction, stroke_voxels(prompt.points, shape, thickness)
            add(_slices_first(drawn), positive, interaction_bbox=_bounds(drawn))
        else:
            x, y, z = (round(value) for value in prompt)
            session.add_point_interaction((z, y, x), positive)
        self._done.append(interaction)


def _interactions(inputs: ModelInputs) -> list[Interaction]:
    """What was done, coarse prompts first: each prediction corrects the one before it."""
    if inputs.extreme_points:
        raise ModelInputError("This model takes no extreme points. Send points, boxes, lassos or scribbles.")
    done = [Interaction("bbox", box, box.positive) for box in inputs.boxes]
    done += [Interaction("lasso", line, line.positive) for line in inputs.lassos]
    done += [Interaction("scribble", line, line.positive) for line in inputs.scribbles if line.points]
    done += [Interaction("points", point, True) for point in inputs.foreground]
    return done + [Interaction("points", point, False) for point in inputs.background]


def _object_of(inputs: ModelInputs) -> UInt8Array | None:
    """The label to refine, or None when there is none or it is empty."""
    if inputs.label is None or not inputs.label.any():
        return None
    return (inputs.label > 0).astype(np.uint8)


def _slices_first(drawn: DrawnVoxels) -> UInt8Array:
    return np.ascontiguousarray(drawn.mask.transpose(2, 1, 0))


def _bounds(drawn: DrawnVoxels) -> list[list[int]]:
    """Half-open, slices first."""
    return [[low, high] for low, high in zip(drawn.lower[::-1], drawn.upper[::-1], strict=True)]


def _session(folder: Path, args: Mapping[str, Any], device: str) -> Any:
    import torch

    fold = args.get("fold")
    name = str(args.get("checkpoint", "checkpoint_final.pth"))
    folds = sorted(item.name for item in folder.glob("fold_*")) if fold is None else [f"fold_{fold}"]
    if len(folds) != 1:
        raise ModelFailed('There is not one fold in the model\'s folder. Say which with "fold" among the args.')
    checkpoint = folder / folds[0] / name
    if checkpoint.parent.parent != folder or not checkpoint.is_file():
        raise ModelFailed(f"There is no {name} in {folds[0]} of the model's folder.")
    require_plain_plans(folder / "plans.json")
    require_plain_checkpoint(checkpoint)
    package = import_module("nnInteractive.inference.inference_session")
    try:
        session = package.nnInteractiveInferenceSession(
            device=torch.device(device), torch_n_threads=torch.get_num_threads(), enable_undo=False
        )
        session.initialize_from_trained_model_folder(str(folder), folds[0].removeprefix("fold_"), name)
    except Exception as error:
        failed = model_failed("nnInteractive cannot load these weights", error)
        if failed is error:
            raise
        raise failed from error
    session.network.eval()
    return session


@contextmanager
def _quiet() -> Iterator[None]:
    """The package prints what it does, coordinates included."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
