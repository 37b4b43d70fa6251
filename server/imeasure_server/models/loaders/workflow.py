"""Pre-transforms, network, post-transforms: how a model with a config answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from imeasure_server.imaging.volume import Volume
from imeasure_server.models.config.aiaa import AiaaConfig
from imeasure_server.models.config.allowed import RESTORING
from imeasure_server.models.config.entries import Entry
from imeasure_server.models.description import ModelType
from imeasure_server.models.inference import LabelArray, ModelFailed, ModelInputError, ModelInputs, ModelOutput
from imeasure_server.models.loaders.answers import as_mask, class_scores, label_values
from imeasure_server.models.loaders.failures import model_failed
from imeasure_server.models.loaders.grids import on_grid
from imeasure_server.models.loaders.networks import module_bytes
from imeasure_server.models.loaders.regions import extreme_region
from imeasure_server.models.loaders.sample import Sample, plain
from imeasure_server.models.loaders.scanning import scan
from imeasure_server.models.loaders.shape_results import shape_results
from imeasure_server.models.loaders.steps import Step, make_steps, need_monai, run_steps
from imeasure_server.segmentation.engine import Cancellation, SegmentationCancelled

SMOOTH_BYTES = 1 << 30
"""Up to this size, what a network says is brought to the image's grid before it becomes labels, if so configured."""
_KEY_ARGUMENTS = ("keys", "ref_image", "image")


class WorkflowModel:
    """A network between transforms. Answers on the grid of the image that it was given, whatever the transforms do."""

    def __init__(self, config: AiaaConfig, network: nn.Module, device: str) -> None:
        """Raises:
        ModelFailed: a transform cannot be made.
        """
        self._config = config
        self._network = network
        self._device = device
        self._pre = make_steps(config.pre_transforms)
        restoring = next((n for n, entry in enumerate(config.post_transforms) if entry.name in RESTORING), None)
        self._post_on_image = () if restoring is None else make_steps(config.post_transforms[restoring:], config.output)
        self._post = make_steps(config.post_transforms[:restoring], config.output if restoring is None else None)
        self._key = _image_key(config.pre_transforms, config.inputs[0])
        names = {entry.name for entry in config.pre_transforms}
        self._in_world = "Orientationd" in names or "AsChannelFirstd" not in names
        by_inferer = config.window is not None and config.window.slice_axis is not None
        self._slice_by_slice = config.dimension == 2 and not by_inferer and "Fetch2DSliced" not in names
        self._bytes = module_bytes(network)

    @property
    def device_bytes(self) -> int:
        return self._bytes

    @torch.inference_mode()
    def infer(self, volume: Volume, inputs: ModelInputs, cancellation: Cancellation | None = None) -> ModelOutput:
        """Answer one request.

        Raises:
            ModelInputError, ModelFailed: see there.
            SegmentationCancelled: ``cancellation`` was set.
        """
        self._check(inputs)
        if self._slice_by_slice:
            return self._slices(volume, inputs, cancellation)
        region = (
            extreme_region(volume, inputs, self._config.padding) if self._config.type is ModelType.ANNOTATION else None
        )
        part, part_inputs = (volume, inputs) if region is None else region.cut(volume, inputs)
        sample = Sample.of(part, part_inputs, self._key, self._in_world)
        output = self._run(sample, cancellation)
        if self._config.type is ModelType.CLASSIFICATION:
            return ModelOutput(None, {}, {**class_scores(output, self._config.labels), **_result(sample, self._config)})
        values = self._values(output, sample)
        mask = as_mask(values if region is None else region.put_back(values, volume.geometry.shape))
        return self._answer(mask, _result(sample, self._config))

    def _check(self, inputs: ModelInputs) -> None:
        if self._config.type is ModelType.DEEPGROW and not inputs.foreground:
            raise ModelInputError("This model needs clicks: send at least one foreground point, as voxel indices.")

    def _slices(self, volume: Volume, inputs: ModelInputs, cancellation: Cancellation | None) -> ModelOutput:
        """One slice after the other, for a 2D model."""
        masks, scores = [], []
        for index in range(volume.array.shape[2]):
            pixels = np.asarray(volume.array[:, :, index])
            sample = Sample.of_slice(pixels, volume.geometry.spacing, self._key, inputs)
            output = self._run(sample, cancellation)
            if self._config.type is ModelType.CLASSIFICATION:
                scores.append(class_scores(output, self._config.labels)["scores"])
            else:
                masks.append(self._values(output, sample))
        if scores:
            mean = {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}
            return ModelOutput(None, {}, {"prediction": max(mean, key=mean.__getitem__), "scores": mean})
        return self._answer(as_mask(np.stack(masks, axis=2)), {})

    def _answer(self, mask: LabelArray, result: Mapping[str, Any]) -> ModelOutput:
        wanted = {entry.name for entry in self._config.post_transforms}
        labels = self._config.labels or {f"label {value}": value for value in range(1, int(mask.max(initial=0)) + 1)}
        return ModelOutput(mask, labels, {**result, **shape_results(mask, wanted)})

    def _run(self, sample: Sample, cancellation: Cancellation | None) -> Tensor:
        """What the network says after the post-transforms."""
        run_steps(self._pre, sample)
        _stop_if(cancellation)
        output = self._ask(sample, cancellation)
        _stop_if(cancellation)
        if self._config.type is ModelType.CLASSIFICATION:
            return self._after(output, sample, self._post, None)
        affine = _affine_of(output, sample)
        output = self._after(output, sample, self._post, affine)
        if not self._post_on_image:
            return output
        if output.is_floating_point() and output.shape[0] * np.prod(sample.shape) * 4 <= SMOOTH_BYTES:
            output = self._restored(output, sample, linear=True)
        return self._after(output, sample, self._post_on_image, sample.affine)

    def _ask(self, sample: Sample, cancellation: Cancellation | None) -> Tensor:
        sample.add_channel()
        keys = [key for key in self._config.inputs if key in sample.data]
        parts = [sample.data[key] for key in keys] or [sample.image]
        tensors = [plain(torch.as_tensor(part)).float() for part in parts]
        batch = (torch.cat(tensors, dim=0) if len(tensors) > 1 else tensors[0]).to(self._device)
        if not (self._config.batched and batch.ndim == sample.spatial + 2):
            batch = batch[None]

        def network(window: Tensor) -> Tensor:
            _stop_if(cancellation)
            return _first_tensor(self._network(window), self._config.output)

        try:
            output = network(batch) if self._config.window is None else scan(network, batch, self._config.window)
        except Exception as error:
            raise model_failed("The network failed on the image", error) from error
        return output[0].float() if output.ndim > 1 else output.float()

    def _after(
        self, output: Tensor, sample: Sample, steps: Sequence[tuple[Entry, Step]], affine: npt.NDArray[Any] | None
    ) -> Tensor:
        """Run post-transforms on an output; where its voxels lie is then in ``sample.affine``."""
        key = self._config.output
        if need_monai(steps):
            sample.wrap()
        after = Sample(
            sample.data, key, sample.shape, sample.original, sample.affine if affine is None else affine,
            output.ndim - 1, sample.inputs, sample.depth_first, sample.slice,
        )  # fmt: skip
        after.image = output
        run_steps(steps, after)
        sample.affine, sample.data = after.affine, after.data
        return plain(after.image)

    def _restored(self, output: Tensor, sample: Sample, linear: bool) -> Tensor:
        """An output, channels first, on the grid of the image that was sent."""
        shape = sample.shape if sample.slice is None else sample.shape[:2]
        channels = [on_grid(c, sample.affine, shape, sample.original, linear) for c in output.cpu().numpy()]
        sample.affine = sample.original
        sample.depth_first = False
        return torch.from_numpy(np.stack(channels))

    def _values(self, output: Tensor, sample: Sample) -> npt.NDArray[np.generic]:
        """Labels on the grid of the image that was sent."""
        spatial = 2 if sample.slice is not None or len(sample.shape) == 2 else 3
        values: npt.NDArray[np.generic] = label_values(output, spatial, self._config.labels)
        shape = sample.shape if sample.slice is None else sample.shape[:2]
        if values.shape != shape or not np.allclose(sample.affine, sample.original):
            values = on_grid(values, sample.affine, shape, sample.original, linear=False)
        if sample.slice is None:
            return values
        mask = np.zeros(sample.shape, values.dtype)
        mask[:, :, sample.slice] = values
        return mask


def _image_key(entries: Sequence[Entry], default: str) -> str:
    """The key of the image: what the first transform works on."""
    for entry in entries:
        for argument in _KEY_ARGUMENTS:
            keys = entry.args.get(argument)
            if isinstance(keys, str):
                return keys
            if isinstance(keys, Sequence) and keys:
                return str(keys[0])
    return default


def _affine_of(output: Tensor, sample: Sample) -> npt.NDArray[Any]:
    """Where the voxels of an output lie: those of the image, unless the network has made it smaller or larger."""
    affine = np.array(sample.affine)
    given, made = np.array(sample.image.shape[1:], float), np.array(output.shape[1:], float)
    if len(given) != len(made):
        raise ModelFailed(f"The model answered {len(made)} spatial axes for an image with {len(given)}.")
    for axis, factor in enumerate(given / made):
        affine[:3, 3] += affine[:3, axis] * (factor - 1) / 2
        affine[:3, axis] *= factor
    return affine


def _first_tensor(output: Any, key: str) -> Tensor:
    """What counts of a network's answer: of several tensors the first, of a dictionary the one under that key."""
    if isinstance(output, Mapping):
        output = output[key] if key in output else next(iter(output.values()), None)
    if isinstance(output, (list, tuple)):
        output = output[0] if output else None
    if not isinstance(output, Tensor):
        raise ModelFailed("The network answered no tensor.")
    return output


def _result(sample: Sample, config: AiaaConfig) -> dict[str, Any]:
    """What the transforms of the model left for the client."""
    result = sample.data.get(config.result)
    return dict(result) if isinstance(result, Mapping) else {}


def _stop_if(cancellation: Cancellation | None) -> None:
    if cancellation is not None and cancellation.is_set():
        raise SegmentationCancelled("Nobody waits for the answer any more.")
