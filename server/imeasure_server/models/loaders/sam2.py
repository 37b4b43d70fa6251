"""SAM 2: an object shown on a slice is followed through the volume, as through a video.

Ravi, Gabeur, Hu et al., "SAM 2: Segment Anything in Images and Videos", 2024 (arXiv 2408.00714). The package sam2 does
the work; its weights are the operator's, MedSAM2's among them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import Volume
from imeasure_server.models import third_party
from imeasure_server.models.config.aiaa import CONFIG_NAME, AiaaConfig, load_config, read_config
from imeasure_server.models.inference import ModelFailed, ModelInputs, ModelOutput
from imeasure_server.models.loaders.drawn_prompts import UInt8Array, keep_inside_roi, require_inside
from imeasure_server.models.loaders.failures import model_failed
from imeasure_server.models.loaders.intensity_window import Window, choose_window, given_window
from imeasure_server.models.loaders.networks import module_bytes
from imeasure_server.models.loaders.sam2_network import build
from imeasure_server.models.loaders.slice_prompts import SlicePrompts, SliceRequest, slice_request
from imeasure_server.models.reference import ModelReference
from imeasure_server.segmentation.engine import Cancellation, SegmentationCancelled

if TYPE_CHECKING:
    import torch

    from imeasure_server.models.worker import WorkerContext

EMPTY_SLICES = 2
"""Slices in a row without the object after which it has ended."""
STATE_ON_DEVICE = 200
"""Slices beyond which what SAM 2 remembers of them is kept in the machine's memory."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the photographs that it was trained on (ImageNet)."""


def load(reference: ModelReference, context: WorkerContext) -> Sam2:
    """Load the weights in a model's folder.

    Raises:
        ModelFailed: the package is not installed, or the weights do not load; a sentence.
    """
    reason = third_party.why_not(reference.loader)
    if reason is not None:
        raise ModelFailed(reason)
    assert reference.folder is not None
    config = read_config(load_config(reference.folder / CONFIG_NAME))
    with _quiet():
        _take_slices()
        return Sam2(build(reference.folder, config.args, context.device), config)


class Sam2:
    """The video predictor of the package, for which a volume is a video of its slices."""

    def __init__(self, predictor: Any, config: AiaaConfig) -> None:
        self._predictor = predictor
        self._follows = config.dimension == 3
        self._window = given_window(config.args.get("window"))
        self._label_name, self._label_value = next(iter(config.labels.items()), ("object", 1))

    @property
    def device_bytes(self) -> int:
        return module_bytes(self._predictor)

    def infer(self, volume: Volume, inputs: ModelInputs, cancellation: Cancellation | None = None) -> ModelOutput:
        """See `InferenceModel`. A window of intensities may be sent as the parameter ``window``: ``[low, high]``."""
        require_inside(inputs, volume.geometry)
        request = slice_request(inputs, volume.geometry.shape)
        window = given_window(inputs.parameters.get("window")) or self._window
        window = window or choose_window(volume.array, request.inside)
        mask = np.zeros(volume.geometry.shape, dtype=np.uint8)
        slices = np.moveaxis(mask, request.axis, 0)
        try:
            with _quiet(), self._precision():
                for index, found in self._answer(volume, request, window):
                    if cancellation is not None and cancellation.is_set():
                        raise SegmentationCancelled("Nobody waits for the answer any more.")
                    slices[index] = found
        except Exception as error:
            failed = model_failed("SAM 2 cannot answer this", error)
            if failed is error:
                raise
            raise failed from error
        mask = keep_inside_roi(mask, inputs.roi) * np.uint8(self._label_value)
        return ModelOutput(mask, {self._label_name: self._label_value})

    def _answer(self, volume: Volume, request: SliceRequest, window: Window) -> Iterator[tuple[int, UInt8Array]]:
        """(index, (u, v) mask) of slices; of one that comes again the last counts."""
        if not self._follows:
            for index, prompts in request.slices.items():
                if prompts.shows_object:
                    frames = SliceFrames(volume.array, request.axis, (index, index), window, self._predictor)
                    yield index, self._add(self._predictor.init_state(frames), 0, prompts)
            return
        bounds = (request.first, request.last)
        frames = SliceFrames(volume.array, request.axis, bounds, window, self._predictor)
        state = self._predictor.init_state(
            frames, offload_video_to_cpu=True, offload_state_to_cpu=len(frames) > STATE_ON_DEVICE
        )
        shown = {index - request.first: prompts for index, prompts in request.slices.items() if prompts.shows_object}
        corrected = {i - request.first: prompts for i, prompts in request.slices.items() if not prompts.shows_object}
        reached: set[int] = set(shown)
        for prompted in (shown, corrected):
            added = [self._add(state, frame, prompts) for frame, prompts in prompted.items() if frame in reached]
            if added:
                for frame, found in self._follow(state, min(shown), max((*shown, *corrected)), len(frames)):
                    reached.add(frame)
                    yield frame + request.first, found

    def _add(self, state: Any, frame: int, prompts: SlicePrompts) -> UInt8Array:
        """Show SAM 2 the prompts on one slice; its mask there."""
        predictor, frames = self._predictor, state["images"]
        scores: Any = None
        if prompts.mask is not None:
            _, _, scores = predictor.add_new_mask(state, frame, 1, prompts.mask.T.astype(bool))
        if prompts.points or prompts.box is not None:
            points = np.array([frames.coordinates(u, v) for u, v, _ in prompts.points], dtype=np.float32).reshape(-1, 2)
            labels = np.array([positive for _, _, positive in prompts.points], dtype=np.int32)
            box = prompts.box
            corners = None if box is None else [*frames.coordinates(*box[:2]), *frames.coordinates(*box[2:])]
            _, _, scores = predictor.add_new_points_or_box(
                state,
                frame,
                1,
                points=points,
                labels=labels,
                box=None if corners is None else np.array(corners, dtype=np.float32),
            )
        return _found(scores)

    def _follow(self, state: Any, first: int, last: int, count: int) -> Iterator[tuple[int, UInt8Array]]:
        """The object on the slices from the first prompted one up, then down, each way until it has ended."""
        for reverse in (False, True):
            empty, longest = 0, first if reverse else count - 1 - first
            frames = self._predictor.propagate_in_video(state, first, longest, reverse)
            with closing(frames):
                for frame, _, scores in frames:
                    found = _found(scores)
                    yield frame, found
                    empty = 0 if found.any() else empty + 1
                    if empty >= EMPTY_SLICES and (reverse or frame > last):
                        break

    def _precision(self) -> Any:
        import torch

        on_cuda = self._predictor.device.type == "cuda"
        return torch.autocast("cuda", dtype=torch.bfloat16) if on_cuda else nullcontext()


class SliceFrames:
    """Slices of a volume as the frames that SAM 2 wants, made when they are asked for.

    Attributes:
        height, width: of a slice.
    """

    def __init__(
        self, array: npt.NDArray[Any], axis: int, bounds: tuple[int, int], window: Window, predictor: Any
    ) -> None:
        """``bounds``: the first and the last slice along the axis."""
        self._slices = np.moveaxis(array, axis, 0)
        self._bounds = bounds
        self._window = window
        self._size = int(predictor.image_size)
        self.width, self.height = self._slices.shape[1:]

    def __len__(self) -> int:
        return self._bounds[1] - self._bounds[0] + 1

    def __getitem__(self, frame: int) -> torch.Tensor:
        """(3, size, size), normalised."""
        import torch

        low, high = self._window
        values = np.array(self._slices[self._bounds[0] + frame], dtype=np.float32).T
        shown = torch.from_numpy(np.nan_to_num((values - low) / (high - low), nan=0.0).clip(0, 1))
        size = (self._size, self._size)
        resized = torch.nn.functional.interpolate(
            shown[None, None], size, mode="bilinear", align_corners=False, antialias=True
        )
        mean, deviation = torch.tensor(MEAN)[:, None, None], torch.tensor(DEVIATION)[:, None, None]
        return (resized[0].expand(3, -1, -1) - mean) / deviation

    def coordinates(self, u: float, v: float) -> tuple[float, float]:
        """Where SAM 2 is told that a point is: it scales from 0 … width to its own pixels, then adds half of one."""
        return u + 0.5 - 0.5 * self.width / self._size, v + 0.5 - 0.5 * self.height / self._size


def _found(scores: Any) -> UInt8Array:
    """(u, v), 1 in the object."""
    return np.asarray((scores[0, 0] > 0).cpu().numpy().T, dtype=np.uint8)


def _take_slices() -> None:
    """Let the package's ``init_state`` take `SliceFrames`: by itself it reads videos and folders of JPEG files only."""
    package: Any = import_module("sam2.sam2_video_predictor")
    own = package.load_video_frames
    if getattr(own, "takes_slices", False):
        return

    def load_video_frames(video_path: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(video_path, SliceFrames):
            return video_path, video_path.height, video_path.width
        return own(video_path, *args, **kwargs)

    load_video_frames.takes_slices = True  # type: ignore[attr-defined]
    package.load_video_frames = load_video_frames


@contextmanager
def _quiet() -> Iterator[None]:
    """The package draws progress bars."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
