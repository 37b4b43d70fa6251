"""Transforms that deal with clicks: those of ``monai.apps.deepgrow``, and DExtr3D's channel of extreme points.

Their arguments are those of MONAI and Clara Train. MONAI's own are used where they keep track of where voxels lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from monai.apps.deepgrow.transforms import AddGuidanceFromPointsd, AddGuidanceSignald, ResizeGuidanced
from monai.transforms.croppad.array import SpatialCrop
from monai.transforms.utils import extreme_points_to_image

from imeasure_server.models.inference import ModelFailed, ModelInputError
from imeasure_server.models.loaders.sample import Sample, plain

Step = Callable[[Sample], None]


def _slices_first(args: Mapping[str, Any]) -> Step:
    """``AsChannelFirstd``: (x, y, z) becomes (z, x, y), which is what deepgrow models are trained on."""

    def step(sample: Sample) -> None:
        if sample.has_channel or sample.image.ndim != 3:
            return  # the channel is first already
        sample.depth_first = True
        sample.image = plain(sample.image).movedim(-1, 0).contiguous()

    return step


def _clicks(args: dict[str, Any]) -> Step:
    args = {"spatial_dims" if key == "dimensions" else key: value for key, value in args.items()}
    transform = AddGuidanceFromPointsd(**args)

    def step(sample: Sample) -> None:
        if not sample.data["foreground"] and not sample.data["background"]:
            raise ModelInputError("This model needs clicks: send foreground points, as voxel indices of the image.")
        if transform.dimensions == 2:
            sample.data[transform.slice] = clicked_slice(sample)
        sample.data = transform(sample.data)

    return step


def clicked_slice(sample: Sample) -> int:
    """The slice of the newest click: of ``current_point`` when a click lies there, else of the last one."""
    clicks = [*sample.data["background"], *sample.data["foreground"]]
    current = sample.inputs.current_point
    if current is not None and round(current[2]) in {click[2] for click in clicks}:
        return round(current[2])
    return int(clicks[-1][2])


def _one_slice(args: dict[str, Any]) -> Step:
    axis, guidance = int(args.get("axis", 0)), str(args.get("guidance", "guidance"))

    def step(sample: Sample) -> None:
        if sample.has_channel or axis != (0 if sample.depth_first else 2):
            raise ModelFailed("Fetch2DSliced needs AsChannelFirstd before it and no channel yet.")
        positive, negative, index = sample.data[guidance]
        sample.slice, sample.spatial = int(index), 2
        sample.image = plain(sample.image).select(axis, int(index))
        sample.data[guidance] = [positive, negative]

    return step


def _crop(args: dict[str, Any]) -> Step:
    """``SpatialCropGuidanced``: a box around the clicks, of at least ``spatial_size``.

    MONAI takes the first ``spatial_size`` slices in depth, wherever the clicks are; here they are always inside.
    """
    guidance, size = str(args["guidance"]), [int(n) for n in args["spatial_size"]]
    margin = args.get("margin", 20)
    cropped_shape = str(args.get("cropped_shape_key", "foreground_cropped_shape"))

    def step(sample: Sample) -> None:
        clicks = np.array([*sample.data[guidance][0], *sample.data[guidance][1]])
        shape = np.array(sample.image.shape[1:])
        margins = np.broadcast_to(np.asarray(margin), shape.shape)
        lower = np.maximum(clicks.min(axis=0) - margins, 0)
        upper = np.minimum(clicks.max(axis=0) + margins + 1, shape)
        wanted = np.array([*shape[: max(0, len(shape) - len(size))], *size[-len(shape) :]])
        if (upper - lower < wanted).all():
            centre = (lower + upper) // 2
            if len(shape) == 3:
                half = wanted[0] // 2
                centre[0] = half if shape[0] <= wanted[0] else np.clip(centre[0], half, shape[0] - (wanted[0] - half))
            cropper = SpatialCrop(roi_center=centre.tolist(), roi_size=wanted.tolist())
        else:
            cropper = SpatialCrop(roi_start=lower.tolist(), roi_end=upper.tolist())
        start = np.array([part.start for part in cropper.slices])
        sample.data[sample.key] = cropper(sample.image)
        sample.follow()
        sample.data[f"{sample.key}_meta_dict"][cropped_shape] = sample.image.shape
        sample.data[guidance] = [[(np.array(p) - start).tolist() for p in side] for side in sample.data[guidance][:2]]

    return step


def _resize_clicks(args: dict[str, Any]) -> Step:
    return _of_monai(ResizeGuidanced, args)


def _signal(args: dict[str, Any]) -> Step:
    return _of_monai(AddGuidanceSignald, args)


def _of_monai(kind: Callable[..., Any], args: dict[str, Any]) -> Step:
    transform = kind(**args)

    def step(sample: Sample) -> None:
        sample.data = transform(sample.data)
        sample.follow()

    return step


def _extreme_points(args: dict[str, Any]) -> Step:
    """``AddExtremePointsChanneld``: one more channel, with a soft spot at each point that was clicked."""
    sigma = args.get("sigma", 3.0)
    low, high = float(args.get("rescale_min", -1.0)), float(args.get("rescale_max", 1.0))

    def step(sample: Sample) -> None:
        if len(sample.inputs.extreme_points) < 2 * sample.spatial:
            raise ModelInputError("This model needs extreme points: six points on the boundary of the object.")
        sample.add_channel()
        shape = sample.image.shape[1:]
        points = np.clip(np.rint(sample.to_current(sample.inputs.extreme_points)), 0, np.array(shape) - 1)
        spots = extreme_points_to_image(
            [tuple(int(value) for value in point) for point in points],
            torch.zeros((1, *shape)),
            sigma=sigma,
            rescale_min=low,
            rescale_max=high,
        )
        sample.image = torch.cat([plain(sample.image), plain(torch.as_tensor(spots))], dim=0)

    return step


STEPS: dict[str, Callable[[dict[str, Any]], Step]] = {
    "AsChannelFirstd": _slices_first,
    "AddGuidanceFromPointsd": _clicks,
    "Fetch2DSliced": _one_slice,
    "SpatialCropGuidanced": _crop,
    "ResizeGuidanced": _resize_clicks,
    "AddGuidanceSignald": _signal,
    "AddExtremePointsChanneld": _extreme_points,
}
