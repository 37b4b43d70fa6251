"""Each loader with a small real model, on an image that is oblique, flipped and anisotropic."""

from __future__ import annotations

import json
import os
import pickle
import threading
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy.spatial.transform import Rotation
from small_models import (
    SMALL_UNET,
    Above,
    NearClick,
    Scores,
    Spots,
    aiaa_config,
    bundle,
    bundle_inference,
    model_folder,
    script,
    small_unet,
)
from torch import Tensor, nn

from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.models.config.problems import ConfigError
from imeasure_server.models.inference import InferenceModel, ModelFailed, ModelInputError, ModelInputs
from imeasure_server.models.loaders import load_model
from imeasure_server.models.loaders.grids import on_grid
from imeasure_server.models.model_folder import read_folder
from imeasure_server.models.reference import ModelReference
from imeasure_server.models.versions import pipeline_digest
from imeasure_server.models.worker import WorkerContext
from imeasure_server.segmentation.engine import SegmentationCancelled

CHANNEL = ("AddChanneld", {"keys": "image"})
RAS = ("Orientationd", {"keys": "image", "axcodes": "RAS"})
SHAPE = (48, 40, 24)
CENTRE = (26, 18, 10)


def geometry() -> Geometry:
    turned = Rotation.from_euler("xyz", [25, -10, 160], degrees=True).as_matrix() @ np.diag([1.0, -1.0, 1.0])
    return Geometry.from_axes([30, -20, 100], [0.8, 1.1, 2.5], turned, SHAPE)


def in_ball(centre: tuple[int, int, int] = CENTRE, radius: float = 9.0) -> NDArray[np.bool_]:
    grid = geometry()
    voxels = np.indices(SHAPE).reshape(3, -1).T
    return np.asarray(np.linalg.norm(grid.to_world(voxels) - grid.to_world(centre), axis=1) < radius).reshape(SHAPE)


@pytest.fixture(scope="module")
def ball() -> NDArray[np.bool_]:
    return in_ball()


@pytest.fixture(scope="module")
def volume(ball: NDArray[np.bool_]) -> Volume:
    array = ball.astype(np.float32)
    array.setflags(write=False)
    return Volume(array, geometry())


@pytest.fixture(scope="module")
def context() -> WorkerContext:
    return WorkerContext("cpu", None, threading.Event())


def load(folder: Path, context: WorkerContext) -> InferenceModel:
    found = read_folder(folder)
    return load_model(ModelReference(folder.name, found.loader, folder, pipeline_digest(found, folder)), context)


def scripted(folder: Path, network: nn.Module, config: dict[str, Any]) -> Path:
    script(network, model_folder(folder, config) / "model.trt.pb")
    return folder


def dice(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_simple_inference(tmp_path: Path, context: WorkerContext, volume: Volume, ball: NDArray[np.bool_]) -> None:
    model = load(scripted(tmp_path / "m", Above(), aiaa_config(pre=[CHANNEL])), context)
    output = model.infer(volume, ModelInputs())
    assert output.mask is not None
    assert output.mask.dtype == np.uint8
    assert np.array_equal(output.mask, ball)
    assert dict(output.label_names) == {"lesion": 1}
    assert model.device_bytes == 4


@pytest.mark.parametrize(
    ("pre", "exact"),
    [
        ([("EnsureChannelFirstd", {"keys": "image"}), ("Orientationd", {"keys": "image", "axcodes": "PIR"})], True),
        ([CHANNEL, RAS, ("CropForegroundd", {"keys": "image", "source_key": "image", "margin": 2})], True),
        ([CHANNEL, ("SpatialPadd", {"keys": "image", "spatial_size": [64, 64, 64]})], True),
        ([CHANNEL, ("Flipd", {"keys": "image", "spatial_axis": 0}), ("Rotate90d", {"keys": "image", "k": 1})], True),
        ([CHANNEL, ("CenterSpatialCropd", {"keys": "image", "roi_size": [40, 30, 22]})], True),
        ([CHANNEL, RAS, ("Spacingd", {"keys": "image", "pixdim": [0.8, 0.8, 0.8], "mode": "bilinear"})], False),
        ([CHANNEL, ("Resized", {"keys": "image", "spatial_size": [96, 80, 48], "mode": "trilinear"})], False),
        ([CHANNEL, ("Zoomd", {"keys": "image", "zoom": 1.5, "keep_size": False})], False),
        ([CHANNEL, ("Rotated", {"keys": "image", "angle": [0.1, 0.0, 0.2], "keep_size": False})], False),
        ([CHANNEL, ("ResizeWithPadOrCropd", {"keys": "image", "spatial_size": [40, 50, 20]})], True),
    ],
    ids=lambda value: value[-1][0] if isinstance(value, list) else None,
)
def test_geometry_is_the_inputs(
    pre: Any, exact: bool, tmp_path: Path, context: WorkerContext, volume: Volume, ball: NDArray[np.bool_]
) -> None:
    output = load(scripted(tmp_path / "m", Above(), aiaa_config(pre=pre)), context).infer(volume, ModelInputs())
    assert output.mask is not None
    assert output.mask.shape == SHAPE
    overlap = dice(output.mask > 0, ball)
    assert overlap == 1.0 if exact else overlap > 0.93


SOFTMAX = ("Activationsd", {"keys": "pred", "softmax": True})
ARGMAX = ("AsDiscreted", {"keys": "pred", "argmax": True})


@pytest.mark.parametrize(
    "post",
    [
        [],
        [SOFTMAX, ARGMAX, ("ToNumpyd", {"keys": "pred"}), ("Restored", {"keys": "pred", "ref_image": "image"})],
        [SOFTMAX, ("Invertd", {"keys": "pred", "transform": "pre", "orig_keys": "image"}), ARGMAX],
        [ARGMAX, ("KeepLargestConnectedComponentd", {"keys": "pred", "applied_labels": [1]}), ("RestoreLabeld", {})],
        [SOFTMAX, ("AsDiscreted", {"keys": "pred", "argmax": True, "to_onehot": True, "n_classes": 2})],
    ],
)
def test_scanning_window_and_post_transforms(
    post: Any, tmp_path: Path, context: WorkerContext, volume: Volume, ball: NDArray[np.bool_]
) -> None:
    pre = [CHANNEL, RAS, ("Spacingd", {"keys": "image", "pixdim": [1, 1, 1], "mode": "bilinear"})]
    window = {"scanning_window": True, "roi": [24, 24, 24], "sw_batch_size": 3, "overlap": 0.3, "mode": "gaussian"}
    model = load(scripted(tmp_path / "m", Above(channels=2), aiaa_config(pre=pre, post=post, args=window)), context)
    output = model.infer(volume, ModelInputs())
    assert output.mask is not None
    assert dice(output.mask > 0, ball) > 0.95


def test_results_of_the_mask(tmp_path: Path, context: WorkerContext, volume: Volume, ball: NDArray[np.bool_]) -> None:
    post = [("aiaa.transforms.ExtremePointsd", {"keys": "pred"}), ("aiaa.transforms.BoundingBoxd", {"keys": "pred"})]
    output = load(scripted(tmp_path / "m", Above(), aiaa_config(pre=[CHANNEL, RAS], post=post)), context).infer(
        volume, ModelInputs()
    )
    voxels = np.argwhere(ball)
    assert output.result["bbox"] == [voxels.min(axis=0).tolist(), voxels.max(axis=0).tolist()]
    assert len(output.result["points"]) == 6
    assert all(ball[tuple(point)] for point in output.result["points"])
    json.dumps(output.result)


class Thirds(nn.Module):
    """Three channels of independent probabilities."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([image * 0.9, image * 0.0, image * 0.8], dim=1)


class Half(nn.Module):
    """Answers at half the resolution, as the first of two outputs."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return nn.functional.avg_pool3d(image, 2), image


def test_channels_become_labels(
    tmp_path: Path, context: WorkerContext, volume: Volume, ball: NDArray[np.bool_]
) -> None:
    config = aiaa_config(labels=["whole", "nothing", "core"], pre=[CHANNEL])
    output = load(scripted(tmp_path / "m", Thirds(), config), context).infer(volume, ModelInputs())
    assert output.mask is not None
    assert np.array_equal(output.mask, np.where(ball, 3, 0))
    mapped = aiaa_config(pre=[CHANNEL])
    mapped["labels"] = {"lesion": 7}
    output = load(scripted(tmp_path / "n", Above(channels=2), mapped), context).infer(volume, ModelInputs())
    assert output.mask is not None
    assert np.array_equal(output.mask, np.where(ball, 7, 0))


def test_smaller_outputs_are_brought_to_the_grid(
    tmp_path: Path, context: WorkerContext, volume: Volume, ball: NDArray[np.bool_]
) -> None:
    output = load(scripted(tmp_path / "m", Half(), aiaa_config(pre=[CHANNEL])), context).infer(volume, ModelInputs())
    assert output.mask is not None
    assert dice(output.mask > 0, ball) > 0.75
    shift = np.argwhere(output.mask).mean(axis=0) - np.argwhere(ball).mean(axis=0)
    assert np.abs(shift).max() < 0.3


def unet_config(**more: Any) -> dict[str, Any]:
    return aiaa_config(
        pre=[CHANNEL], args={"network": {"name": "monai.networks.nets.UNet", "args": SMALL_UNET}}, **more
    )


@pytest.mark.parametrize("form", ["plain", "wrapped", "parallel", "legacy", "safetensors"])
def test_weights_of_a_monai_network(form: str, tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    network = small_unet()
    folder = model_folder(tmp_path / "m", unet_config())
    state = network.state_dict()
    if form == "plain":
        torch.save(state, folder / "model.pt")
    elif form == "wrapped":
        torch.save({"epoch": 3, "model": state}, folder / "weights.bin")
    elif form == "parallel":
        torch.save({f"module.{key}": value for key, value in state.items()}, folder / "model.pt")
    elif form == "legacy":
        torch.save(state, folder / "model.pt", _use_new_zipfile_serialization=False)
    else:
        save_file(state, folder / "weights")
    output = load(folder, context).infer(volume, ModelInputs())
    with torch.no_grad():
        expected = network(torch.from_numpy(np.array(volume.array))[None, None])[0].argmax(dim=0).numpy()
    assert output.mask is not None
    assert np.array_equal(output.mask, expected)
    assert 0 < output.mask.sum() < output.mask.size


def test_bundle(tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    """The bundle's answer is the one that MONAI's own transforms and inferer give, step by step."""
    from monai.bundle import ConfigParser
    from monai.data.meta_tensor import MetaTensor

    model = load(bundle(tmp_path / "sphere"), context)
    output = model.infer(volume, ModelInputs())
    parser = ConfigParser({**bundle_inference(), "imports": []})
    steps = parser.get_parsed_content("preprocessing").transforms[1:5]
    affine = torch.as_tensor(volume.geometry.ras_affine.copy())
    image = MetaTensor(
        torch.from_numpy(np.array(volume.array)), affine=affine, meta={"original_channel_dim": float("nan")}
    )
    data: dict[str, Any] = {"image": image}
    for step in steps:
        data = step(data)
    with torch.no_grad():
        logits = parser.get_parsed_content("inferer")(data["image"][None].as_tensor(), small_unet())[0]
    inside = torch.softmax(logits, dim=0)[1].numpy()
    expected = on_grid(inside, np.asarray(data["image"].affine), SHAPE, volume.geometry.ras_affine, linear=True) > 0.5
    assert output.mask is not None
    assert dict(output.label_names) == {"sphere": 1}
    assert expected.any()
    assert dice(output.mask > 0, expected) > 0.99
    assert model.device_bytes > 1000


def test_bundle_of_torchscript(tmp_path: Path, context: WorkerContext, volume: Volume, ball: NDArray[np.bool_]) -> None:
    folder = bundle(tmp_path / "sphere")
    (folder / "models" / "model.pt").unlink()
    with pytest.raises(ModelFailed, match=r"no models/model\.ts"):
        load(folder, context)
    script(Above(channels=2), folder / "models" / "model.ts")
    output = load(folder, context).infer(volume, ModelInputs())
    assert output.mask is not None
    assert dice(output.mask > 0, ball) > 0.93


CLARA_POST = [
    ("Activationsd", {"keys": "pred", "sigmoid": True}),
    ("AsDiscreted", {"keys": "pred", "threshold_values": True, "logit_thresh": 0.5}),
    ("ToNumpyd", {"keys": "pred"}),
    ("monai.apps.deepgrow.transforms.RestoreLabeld", {"keys": "pred", "ref_image": "image", "mode": "nearest"}),
    ("AsChannelLastd", {"keys": "pred"}),
]


def deepgrow_config(dimension: int) -> dict[str, Any]:
    """The transforms of Clara Train's deepgrow models."""
    size = [24, 48, 48] if dimension == 3 else [48, 48]
    crop = [24, 32, 32] if dimension == 3 else [32, 32]
    pre: list[tuple[str, dict[str, Any]]] = [
        ("AsChannelFirstd", {"keys": "image"}),
        ("Spacingd", {"keys": "image", "pixdim": [1.0, 1.0, 1.0][:dimension], "mode": "bilinear"}),
        ("AddGuidanceFromPointsd", {"ref_image": "image", "guidance": "guidance", "dimensions": dimension}),
    ]
    if dimension == 2:
        pre.append(("Fetch2DSliced", {"keys": "image", "guidance": "guidance"}))
    pre += [
        ("AddChanneld", {"keys": "image"}),
        ("SpatialCropGuidanced", {"keys": "image", "guidance": "guidance", "spatial_size": crop}),
        ("Resized", {"keys": "image", "spatial_size": size, "mode": "area"}),
        ("ResizeGuidanced", {"guidance": "guidance", "ref_image": "image"}),
        ("NormalizeIntensityd", {"keys": "image", "subtrahend": 0.0, "divisor": 1.0}),
        ("AddGuidanceSignald", {"image": "image", "guidance": "guidance"}),
    ]
    return aiaa_config("deepgrow", pre=pre, post=CLARA_POST)


CLICKS = [CENTRE, (3, 36, 22), (45, 3, 1), (4, 4, 12)]


@pytest.mark.parametrize("click", CLICKS)
def test_deepgrow_3d(click: tuple[int, int, int], tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    model = load(scripted(tmp_path / "m", NearClick(), deepgrow_config(3)), context)
    output = model.infer(volume, ModelInputs(foreground=(click,), background=((20.0, 20.0, 10.0),)))
    assert output.mask is not None
    assert output.mask.shape == SHAPE
    assert output.mask[click] == 1
    away = np.abs(np.argwhere(output.mask) - click)
    assert (away.max(axis=0) <= (10, 10, 8)).all()


@pytest.mark.parametrize("click", CLICKS)
def test_deepgrow_2d(click: tuple[int, int, int], tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    folder = scripted(tmp_path / "m", NearClick(), deepgrow_config(2))
    assert read_folder(folder).config.deepgrow == "2d"
    inputs = ModelInputs(foreground=((20.0, 20.0, 5.0), click), background=((30.0, 30.0, 9.0),), current_point=click)
    output = load(folder, context).infer(volume, inputs)
    assert output.mask is not None
    assert set(np.argwhere(output.mask)[:, 2]) == {click[2]}
    assert output.mask[click] == 1
    away = np.abs(np.argwhere(output.mask) - click)
    assert away[:, :2].max() <= 10


def test_a_deep_crop_follows_the_clicks(tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    """MONAI's crop takes the first slices of a deep volume wherever the click is; the object is then not in it."""
    config = deepgrow_config(3)
    for entry in config["pre_transforms"]:
        if entry["name"] == "SpatialCropGuidanced":
            entry["args"].update(spatial_size=[8, 32, 32], margin=2)
    output = load(scripted(tmp_path / "m", NearClick(), config), context).infer(
        volume, ModelInputs(foreground=((26.0, 18.0, 20.0),))
    )
    assert output.mask is not None
    assert output.mask[26, 18, 20] == 1


def test_deepgrow_needs_clicks(tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    model = load(scripted(tmp_path / "m", NearClick(), deepgrow_config(3)), context)
    with pytest.raises(ModelInputError, match="at least one foreground point"):
        model.infer(volume, ModelInputs())


def extremes(mask: NDArray[np.bool_]) -> tuple[tuple[float, float, float], ...]:
    voxels = np.argwhere(mask)
    ends = [voxels[index] for axis in range(3) for index in (voxels[:, axis].argmin(), voxels[:, axis].argmax())]
    return tuple((float(x), float(y), float(z)) for x, y, z in ends)


@pytest.mark.parametrize("padding", [None, 4])
def test_dextr3d(padding: int | None, tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    other = in_ball((8, 30, 18), 6)
    image = Volume(np.maximum(volume.array, other.astype(np.float32)), volume.geometry)
    pre = [
        CHANNEL,
        ("Resized", {"keys": "image", "spatial_size": [48, 48, 48], "mode": "trilinear"}),
        ("aiaa.transforms.AddExtremePointsChanneld", {"keys": "image", "sigma": 3}),
    ]
    config = aiaa_config(
        "annotation", pre=pre, **({} if padding is None else {"padding": padding, "roi": [48, 48, 48]})
    )
    model = load(scripted(tmp_path / "m", Spots(), config), context)
    output = model.infer(image, ModelInputs(extreme_points=extremes(other)))
    assert output.mask is not None
    inside = output.mask > 0
    if padding is not None:
        assert dice(inside, other) > 0.9
    assert dice(inside, (image.array > 0) & inside) > 0.9
    with pytest.raises(ModelInputError, match="six points"):
        model.infer(image, ModelInputs())


def test_classification(tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    config = aiaa_config("classification", labels=["dark", "grey", "bright"], pre=[CHANNEL])
    model = load(scripted(tmp_path / "m", Scores(), config), context)
    for level, name in ((-2.0, "dark"), (0.5, "grey"), (5.0, "bright")):
        output = model.infer(Volume(np.full(SHAPE, level, np.float32), volume.geometry), ModelInputs())
        assert output.mask is None
        assert output.result["prediction"] == name
        assert sum(output.result["scores"].values()) == pytest.approx(1)
        json.dumps(output.result)


def test_classification_of_slices(tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    config = aiaa_config("classification", labels=["dark", "grey", "bright"], pre=[CHANNEL], dimension=2)
    model = load(scripted(tmp_path / "m", Scores(), config), context)
    picture = Volume(np.full((20, 30, 1), 5.0, np.float32), Geometry(np.eye(4), (20, 30, 1)))
    assert model.infer(picture, ModelInputs()).result["prediction"] == "bright"
    assert sum(model.infer(volume, ModelInputs()).result["scores"].values()) == pytest.approx(1)


def test_2d_networks_look_at_every_slice(
    tmp_path: Path, context: WorkerContext, volume: Volume, ball: NDArray[np.bool_]
) -> None:
    pre = [CHANNEL, ("Resized", {"keys": "image", "spatial_size": [96, 80], "mode": "bilinear"})]
    model = load(scripted(tmp_path / "m", Above(), aiaa_config(pre=pre, dimension=2)), context)
    output = model.infer(volume, ModelInputs())
    assert output.mask is not None
    assert dice(output.mask > 0, ball) > 0.95


class BrightestSlice(nn.Module):
    """1 where a slice is above the threshold: a network of two axes."""

    def forward(self, image: Tensor) -> Tensor:
        assert image.dim() == 4
        return (image > 0.5).float()


@pytest.mark.parametrize("axis", [0, 2])
def test_slice_inferer(
    axis: int, tmp_path: Path, context: WorkerContext, volume: Volume, ball: NDArray[np.bool_]
) -> None:
    """The transforms see the volume, the network sees slices."""
    inferer = {"name": "monai.inferers.SliceInferer", "args": {"roi_size": [32, 32], "spatial_dim": axis}}
    config = aiaa_config(pre=[CHANNEL, RAS], args={"inferer": inferer}, dimension=2)
    output = load(scripted(tmp_path / "m", BrightestSlice(), config), context).infer(volume, ModelInputs())
    assert output.mask is not None
    assert np.array_equal(output.mask, ball)


def pipeline_folder(folder: Path, steps: list[Any], labels: Any = ()) -> Path:
    return model_folder(folder, aiaa_config("pipeline", labels=labels, models=steps))


def test_pipeline(tmp_path: Path, context: WorkerContext, volume: Volume, ball: NDArray[np.bool_]) -> None:
    core = in_ball(radius=5)
    image = Volume(np.where(core, 2.0, ball.astype(np.float32)).astype(np.float32), volume.geometry)
    scripted(tmp_path / "whole", Above(0.5), aiaa_config(labels=["organ"], pre=[CHANNEL, RAS]))
    scripted(tmp_path / "core", Above(1.5), aiaa_config(labels=["tumor"], pre=[CHANNEL]))
    folder = pipeline_folder(tmp_path / "both", ["whole", {"model": "core", "region": "previous", "margin": 3}])
    output = load(folder, context).infer(image, ModelInputs())
    assert output.mask is not None
    assert dict(output.label_names) == {"organ": 1, "tumor": 2}
    assert np.array_equal(output.mask, np.where(core, 2, ball))
    nothing = load(folder, context).infer(Volume(np.zeros(SHAPE, np.float32), volume.geometry), ModelInputs())
    assert nothing.mask is not None
    assert not nothing.mask.any()


def test_pipeline_of_models_that_are_not_there(tmp_path: Path, context: WorkerContext) -> None:
    with pytest.raises(ConfigError, match="'nothing', which is not there"):
        load(pipeline_folder(tmp_path / "p", ["nothing"]), context)
    with pytest.raises(ConfigError, match="which is not there"):
        load(pipeline_folder(tmp_path / "q", ["../p"]), context)
    with pytest.raises(ConfigError, match="needs the list"):
        load(pipeline_folder(tmp_path / "r", []), context)
    pipeline_folder(tmp_path / "one", ["segmentation"])
    with pytest.raises(ConfigError, match="a pipeline itself"):
        load(pipeline_folder(tmp_path / "two", ["one"]), context)


class Owned:
    """Pickled, it runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "nested"])
def test_pickles_run_nothing(form: str, tmp_path: Path, context: WorkerContext) -> None:
    folder, owned = model_folder(tmp_path / "m", unet_config()), tmp_path / "owned"
    if form == "pickle":
        (folder / "model.pt").write_bytes(pickle.dumps(Owned(owned), protocol=2))
    elif form == "nested":
        torch.save({"state_dict": {"a": torch.zeros(1), "b": Owned(owned)}}, folder / "model.pt")
    else:
        torch.save(Owned(owned), folder / "model.pt", _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(ModelFailed, match="tensors and nothing else"):
        load(folder, context)
    assert not owned.exists()


class ReadsFiles(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return torch.from_file("/etc/hostname", False, 5, dtype=torch.uint8)


class WritesFiles(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        torch.save(image, "/tmp/imeasure-owned-by-torchscript")
        return image


class WritesWhenLoaded(nn.Module):
    """Its code runs while it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 1

    @torch.jit.export
    def __getstate__(self) -> tuple[int, bool]:
        return self.size, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]) -> None:
        torch.save(torch.zeros(1), "/tmp/imeasure-owned-by-torchscript")
        self.size = state[0]
        self.training = state[1]

    def forward(self, image: Tensor) -> Tensor:
        return image


@pytest.mark.parametrize("network", [ReadsFiles(), WritesFiles(), WritesWhenLoaded()])
def test_torchscript_that_touches_files(network: nn.Module, tmp_path: Path, context: WorkerContext) -> None:
    owned = Path("/tmp/imeasure-owned-by-torchscript")
    owned.unlink(missing_ok=True)
    folder = scripted(tmp_path / "m", network, aiaa_config())
    with pytest.raises(ModelFailed, match=r"uses torch\.(save|from_file), which reads or writes files"):
        load(folder, context)
    assert not owned.exists()


def test_torchscript_with_code_twice(tmp_path: Path, context: WorkerContext) -> None:
    """One reader would see the harmless code, another one the other."""
    folder = scripted(tmp_path / "m", Above(), aiaa_config())
    with zipfile.ZipFile(folder / "model.trt.pb") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    code = next(name for name in members if name.endswith(".py"))
    with warnings.catch_warnings(), zipfile.ZipFile(folder / "model.trt.pb", "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(code.upper().replace("/CODE/", "/code/"), b"torch . save(x)")
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ModelFailed, match=r"a file twice|uses torch\.save"):
        load(folder, context)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (b"torch \\\n . from_file('x')", "torch.from_file"),
        (b"ops.aten.save(x, 'y')", "torch.save"),
        (b"ops.image.read_file('/etc/passwd')", "operators of 'image'"),
        (b"a : __torch__.torch.classes.dist_rpc.WorkerInfo", "operators of 'dist_rpc'"),
    ],
)
def test_code_of_torchscript(code: bytes, sentence: str, tmp_path: Path, context: WorkerContext) -> None:
    folder = scripted(tmp_path / "m", Above(), aiaa_config())
    with zipfile.ZipFile(folder / "model.trt.pb", "a") as archive:
        archive.writestr("model/code/extra.py", code)
    with pytest.raises(ModelFailed, match=sentence):
        load(folder, context)


def test_damaged_and_wrong_data(tmp_path: Path, context: WorkerContext) -> None:
    folder = scripted(tmp_path / "cut", Above(), aiaa_config())
    content = (folder / "model.trt.pb").read_bytes()
    (folder / "model.trt.pb").write_bytes(content[:-100])
    with pytest.raises((ModelFailed, ConfigError), match=r"damaged|neither TorchScript"):
        load(folder, context)
    other = model_folder(tmp_path / "other", unet_config())
    torch.save({"a": torch.zeros(3)}, other / "model.pt")
    with pytest.raises(ModelFailed, match="The weights are not those of UNet"):
        load(other, context)
    torch.save([torch.zeros(3)], other / "model.pt")
    with pytest.raises(ModelFailed, match="no state dict"):
        load(other, context)
    bare = model_folder(tmp_path / "bare", aiaa_config())
    torch.save(small_unet().state_dict(), bare / "model.pt")
    with pytest.raises(ConfigError, match="weights without a network"):
        load(bare, context)
    wrong = aiaa_config(args={"network": {"name": "UNet", "args": {"spatial_dims": 3, "nonsense": 1}}})
    torch.save(small_unet().state_dict(), model_folder(tmp_path / "wrong", wrong) / "model.pt")
    with pytest.raises(ModelFailed, match=r"UNet: the network cannot be made \(TypeError"):
        load(tmp_path / "wrong", context)


@pytest.mark.parametrize(
    ("pre", "sentence"),
    [
        (
            [("Spacingd", {"keys": "image", "pixdim": [1, 1, 1], "nonsense": 2})],
            r"pre_transforms\[1\] Spacingd: the trans",
        ),
        (
            [CHANNEL, ("Resized", {"keys": "nothing", "spatial_size": [2, 2, 2]})],
            r"pre_transforms\[2\] Resized: this transform failed",
        ),
    ],
)
def test_transforms_that_fail_are_named(
    pre: Any, sentence: str, tmp_path: Path, context: WorkerContext, volume: Volume
) -> None:
    folder = scripted(tmp_path / "m", Above(), aiaa_config(pre=pre))
    with pytest.raises(ModelFailed, match=sentence) as failure:
        load(folder, context).infer(volume, ModelInputs())
    assert str(tmp_path) not in str(failure.value)
    assert "\n" not in str(failure.value)


class TooDeep(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        raise ValueError("no such image")


class Wrong(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.flatten() - 5.0


def test_networks_that_fail(tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    with pytest.raises(ModelFailed, match=r"The network failed on the image .*no such image"):
        load(scripted(tmp_path / "a", TooDeep(), aiaa_config()), context).infer(volume, ModelInputs())
    with pytest.raises(ModelFailed, match=r"spatial axes|is no mask"):
        load(scripted(tmp_path / "b", Wrong(), aiaa_config()), context).infer(volume, ModelInputs())


def test_cancellation(tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    cancelled = threading.Event()
    cancelled.set()
    model = load(scripted(tmp_path / "m", Above(), aiaa_config()), context)
    with pytest.raises(SegmentationCancelled):
        model.infer(volume, ModelInputs(), cancelled)


def test_a_version_is_found_after_it_was_replaced(tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    from imeasure_server.models.model_store import ModelStore

    store = ModelStore(tmp_path)
    store.open()
    folder = scripted(tmp_path / "m", Above(), aiaa_config(pre=[CHANNEL]))
    found = read_folder(folder)
    reference = ModelReference("m", found.loader, folder, found.digest)
    store.put(store.stage_config("m", aiaa_config(labels=["other"], pre=[CHANNEL])), "m")
    old = load_model(reference, context).infer(volume, ModelInputs())
    assert list(old.label_names) == ["lesion"]
    assert list(load(folder, context).infer(volume, ModelInputs()).label_names) == ["other"]
    store.remove("m")
    assert load_model(reference, context).device_bytes == 4
    gone = ModelReference("m", found.loader, folder, "0" * 32)
    with pytest.raises(ModelFailed, match="replaced or taken out"):
        load_model(gone, context)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_grids(axes: tuple[int, int, int]) -> None:
    """Permuted, flipped and shifted grids lose nothing; what lies outside is 0."""
    array = np.arange(5 * 6 * 7).reshape(5, 6, 7)
    flipped = np.flip(array.transpose(axes), axis=0)
    affine = np.eye(4)[:, [*axes, 3]]
    affine[:, 3] += affine[:, 0] * (flipped.shape[0] - 1)
    affine[:, 0] *= -1
    assert np.array_equal(on_grid(flipped, affine, (5, 6, 7), np.eye(4), False), array)
    shifted = np.eye(4)
    shifted[:3, 3] = [2, -1, 0]
    moved = on_grid(flipped, affine, (5, 6, 7), shifted, False)
    assert np.array_equal(moved[:3, 1:], array[2:, :-1])
    assert not moved[3:].any()
    assert not moved[:, 0].any()


def test_oblique_grids_agree_with_straight_ones() -> None:
    rng = np.random.default_rng(0)
    array = rng.integers(0, 5, (8, 9, 10)).astype(np.uint8)
    target = np.diag([0.7, 0.6, 0.9, 1.0])
    target[:3, 3] = [-0.3, 0.2, 0.4]
    straight = on_grid(array, np.eye(4), (12, 14, 11), target, False)
    target[0, 1] = 1e-3  # oblique enough for the general way
    assert (straight == on_grid(array, np.eye(4), (12, 14, 11), target, False)).mean() > 0.98


def test_torchscript_goes_before_a_network_in_the_config(
    tmp_path: Path, context: WorkerContext, volume: Volume, ball: NDArray[np.bool_]
) -> None:
    """Clara's configs name the network although the TorchScript file needs none."""
    output = load(scripted(tmp_path / "m", Above(), unet_config()), context).infer(volume, ModelInputs())
    assert output.mask is not None
    assert np.array_equal(output.mask, ball)


def test_labels_without_names(tmp_path: Path, context: WorkerContext, volume: Volume) -> None:
    output = load(scripted(tmp_path / "m", Above(channels=2), aiaa_config(labels=[])), context).infer(
        volume, ModelInputs()
    )
    assert dict(output.label_names) == {"label 1": 1}


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("click", CLICKS)
def test_deepgrow_networks_see_what_monai_shows_them(dimension: int, click: tuple[int, int, int]) -> None:
    """The pre-transforms are those of ``monai.apps.deepgrow`` to the voxel; only where voxels lie is kept track of."""
    from monai.apps.deepgrow import transforms as deepgrow
    from monai.transforms.spatial.dictionary import Resized

    from imeasure_server.models.config.aiaa import read_config
    from imeasure_server.models.loaders.sample import Sample
    from imeasure_server.models.loaders.steps import make_steps, run_steps

    array = np.random.default_rng(3).random(SHAPE).astype(np.float32)
    config = deepgrow_config(dimension)
    spacing = config["pre_transforms"].pop(2)
    assert spacing["name"] == "Spacingd"
    inputs = ModelInputs(foreground=((20.0, 20.0, float(click[2])), click), background=((30.0, 30.0, 9.0),))
    sample = Sample.of(Volume(array, geometry()), inputs, "image", in_world=False)
    run_steps(make_steps(read_config(config).pre_transforms), sample)

    args = {entry["name"]: entry["args"] for entry in config["pre_transforms"]}
    data: dict[str, Any] = {
        "image": np.moveaxis(array, -1, 0),
        "image_meta_dict": {"spatial_shape": np.array(SHAPE)},
        "foreground": [[20, 20, click[2]], list(click)],
        "background": [[30, 30, 9]],
        "slice": click[2],
    }
    data = deepgrow.AddGuidanceFromPointsd("image", "guidance", spatial_dims=dimension)(data)
    if dimension == 2:
        data = deepgrow.Fetch2DSliced("image", "guidance")(data)
    data["image"] = data["image"][None]
    data = deepgrow.SpatialCropGuidanced(**args["SpatialCropGuidanced"])(data)
    data = Resized(**args["Resized"])(data)
    data = deepgrow.ResizeGuidanced(**args["ResizeGuidanced"])(data)
    data = deepgrow.AddGuidanceSignald(**args["AddGuidanceSignald"])(data)
    assert sample.image.shape == data["image"].shape
    np.testing.assert_allclose(np.asarray(sample.image), np.asarray(data["image"]), atol=1e-6)
