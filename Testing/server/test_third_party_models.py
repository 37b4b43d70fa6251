"""The adapters to nnInteractive and SAM 2: the real packages, with small networks that have random weights.

The packages are in an environment of their own (Testing/third_party); workers get it as the end of their path.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import torch
from contract.server import ServerProcess, launch

from imeasure_server.imaging.label_files import encode_label
from imeasure_server.imaging.stored_image import StoredVolume
from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.models import third_party
from imeasure_server.models.config.problems import ConfigError
from imeasure_server.models.inference import ModelFailed, ModelInputError, ModelInputs, Polyline, PromptBox
from imeasure_server.models.loaders.intensity_window import CT_WINDOWS, choose_window
from imeasure_server.models.loaders.nnunet_files import require_plain_checkpoint, require_plain_plans
from imeasure_server.models.loaders.sam2 import SliceFrames
from imeasure_server.models.loaders.sam2_network import build
from imeasure_server.models.model_folder import folder_digest, read_folder
from imeasure_server.models.model_jobs import CheckModel, ModelOutcome, RunModel
from imeasure_server.models.pool import InferencePool, WorkerOptions
from imeasure_server.models.reference import ModelReference
from imeasure_server.segmentation.engine import EmptySegmentationError

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "Testing" / "third_party"
SHAPE = (48, 40, 24)
OBJECT_VALUE = 3

Mask = npt.NDArray[np.integer[Any]]


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder that the packages are in; installed when they are not there yet."""
    subprocess.run([HERE / "setup.sh"], check=True, timeout=1200)
    (place,) = (ROOT / ".venv-third-party").glob("lib/python*/site-packages")
    return place


@pytest.fixture(scope="session")
def folders(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for each model, as an operator has them in ``workspace/models``."""
    models = tmp_path_factory.mktemp("third-party") / "workspace" / "models"
    python = ROOT / ".venv-third-party" / "bin" / "python"
    for kind in (*third_party.PACKAGES, "sam2_official"):
        folder = models / f"my_{kind}"
        folder.mkdir(parents=True)
        config = {"type": "deepgrow", "loader": kind.removesuffix("_official"), "labels": {"thing": OBJECT_VALUE}}
        if kind == "sam2_official":
            config["inference"] = {"AIAA": {"args": {"image_size": 64}}}
        (folder / "config_aiaa.json").write_text(json.dumps(config))
        subprocess.run([python, HERE / "tiny_models.py", kind, folder], check=True, timeout=300, capture_output=True)
    return models


@pytest.fixture(scope="session")
def pool(packages: Path) -> Iterator[InferencePool]:
    """A worker that has the packages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(packages))
        sys.path.append(sys.path.pop(0))
        pool = InferencePool([WorkerOptions("cpu", engine="graph-cut", log_level="error")], queue_size=4)
        pool.start()
        pool.wait_until_ready()
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> StoredVolume:
    """Noise, oblique and with voxels of three sizes."""
    array = np.random.default_rng(5).normal(size=SHAPE).astype(np.float32)
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, -1]])
    geometry = Geometry.from_axes((10, -20, 30), (0.8, 1.1, 2.5), turn, SHAPE)
    return StoredVolume.save(tmp_path_factory.mktemp("image") / "image.npy", Volume(array, geometry))


class Models:
    """Asks both models in the worker."""

    def __init__(self, pool: InferencePool, folders: Path, image: StoredVolume) -> None:
        self.pool, self.folders, self.image = pool, folders, image

    def ask(self, kind: str, image: StoredVolume | None = None, **inputs: Any) -> Mask:
        folder = self.folders / f"my_{kind}"
        reference = ModelReference(folder.name, kind.removesuffix("_official"), folder, folder_digest(folder))
        job = RunModel(reference, image or self.image, ModelInputs(**inputs))
        outcome: ModelOutcome = asyncio.run(asyncio.wait_for(self.pool.submit(job), 120))
        assert outcome.label_names == {"thing": OBJECT_VALUE}
        assert outcome.mask is not None
        assert outcome.mask.shape == (image or self.image).shape
        assert set(np.unique(outcome.mask)) <= {0, OBJECT_VALUE}
        return outcome.mask


@pytest.fixture(scope="session")
def models(pool: InferencePool, folders: Path, image: StoredVolume) -> Models:
    return Models(pool, folders, image)


def found_near(mask: Mask, point: tuple[float, float, float], reach: float) -> None:
    """Something was found, and all of it is near the point."""
    voxels = np.argwhere(mask)
    assert len(voxels), "nothing was found"
    assert np.abs(voxels - np.asarray(point)).max() <= reach


POINTS = [(5.0, 30.0, 4.0), (40.2, 8.0, 19.0), (24.0, 20.0, 12.0)]


@pytest.mark.parametrize("point", POINTS)
def test_nninteractive_answers_where_it_was_asked(models: Models, point: tuple[float, float, float]) -> None:
    found_near(models.ask("nninteractive", foreground=(point,)), point, 8)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_nninteractive_takes_drawings_on_slices_of_every_direction(models: Models, axis: int) -> None:
    corners = np.array([[12, 10, 8], [20, 10, 8], [20, 18, 8], [12, 18, 8]], dtype=float)
    corners[:, axis] = corners[0, 2]
    if axis < 2:
        corners[:, 2] = [4, 4, 12, 12]
        corners[:, 1 - axis] = [10, 18, 18, 10]
    line = Polyline(tuple((x, y, z) for x, y, z in corners))
    middle = tuple(corners.mean(axis=0))
    found_near(models.ask("nninteractive", lassos=(line,)), middle, 14)
    found_near(models.ask("nninteractive", scribbles=(line,)), middle, 14)
    box = PromptBox(tuple(corners.min(axis=0)), tuple(corners.max(axis=0)))
    found_near(models.ask("nninteractive", boxes=(box,)), middle, 14)


def test_nninteractive_goes_on_where_it_was_with_the_same_answer(models: Models, image: StoredVolume) -> None:
    first = models.ask("nninteractive", foreground=(POINTS[0],))
    both = models.ask("nninteractive", foreground=(POINTS[0], POINTS[1]))
    models.ask("nninteractive", foreground=(POINTS[2],), background=(POINTS[0],))
    np.testing.assert_array_equal(models.ask("nninteractive", foreground=(POINTS[0], POINTS[1])), both)
    np.testing.assert_array_equal(models.ask("nninteractive", foreground=(POINTS[0],)), first)
    assert not np.array_equal(first, both)


def test_nninteractive_refines_a_label(models: Models) -> None:
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[20:28, 16:24, 8:16] = 7
    kept = models.ask("nninteractive", label=label, foreground=(POINTS[0],))
    plain = models.ask("nninteractive", foreground=(POINTS[0],))
    assert not np.array_equal(kept, plain)
    models.ask("nninteractive", label=label)


def test_nninteractive_keeps_images_apart(models: Models, tmp_path: Path) -> None:
    other = np.random.default_rng(6).normal(size=(30, 44, 20)).astype(np.float32)
    stored = StoredVolume.save(tmp_path / "other.npy", Volume(other, Geometry(np.eye(4), other.shape)))
    first = models.ask("nninteractive", foreground=(POINTS[2],))
    found_near(models.ask("nninteractive", image=stored, foreground=((8.0, 36.0, 5.0),)), (8, 36, 5), 8)
    np.testing.assert_array_equal(models.ask("nninteractive", foreground=(POINTS[2],)), first)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sam2_gives_back_the_lasso_on_its_slice(models: Models, axis: int) -> None:
    """A mask that SAM 2 is shown is its answer there, so that any exchange of axes would be seen."""
    lower, upper = np.array([8.0, 5.0, 3.0]), np.array([30.0, 15.0, 16.0])
    lower[axis] = upper[axis] = 9
    u, v = (other for other in range(3) if other != axis)
    corners = np.array([lower] * 3)
    corners[1, u] = corners[2, u] = upper[u]
    corners[2, v] = upper[v]
    mask = models.ask("sam2", lassos=(Polyline(tuple((x, y, z) for x, y, z in corners)),)).take(9, axis=axis) > 0
    first, second = np.meshgrid(np.arange(mask.shape[0]), np.arange(mask.shape[1]), indexing="ij")
    share = (first - lower[u]) / (upper[u] - lower[u])
    inside = (share >= 0) & (share <= 1) & (second >= lower[v]) & (second <= lower[v] + share * (upper[v] - lower[v]))
    assert 2 * (mask & inside).sum() / (mask.sum() + inside.sum()) > 0.85


def test_sam2_follows_an_object_and_stays_in_a_box(models: Models) -> None:
    reached = np.flatnonzero(models.ask("sam2", foreground=(POINTS[2],)).any(axis=(0, 1)))
    assert 12 in reached
    assert len(reached) > 1
    box = PromptBox((10.0, 10.0, 7.0), (30.0, 30.0, 12.0))
    inside = np.flatnonzero(models.ask("sam2", boxes=(box,)).any(axis=(0, 1)))
    assert inside.min() >= 7
    assert inside.max() <= 12


def test_sam2_takes_corrections_labels_and_scribbles(models: Models) -> None:
    first = models.ask("sam2", foreground=(POINTS[2],))
    corrected = models.ask("sam2", foreground=(POINTS[2],), background=((24.0, 30.0, 12.0),))
    elsewhere = models.ask("sam2", foreground=(POINTS[2],), background=((24.0, 30.0, 13.0),))
    assert not np.array_equal(first, corrected)
    assert not np.array_equal(first, elsewhere)
    assert models.ask("sam2", scribbles=(Polyline(((10.0, 10.0, 8.0), (30.0, 20.0, 8.0))),)).any()
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[10:30, 10:20, 6:12] = 1
    assert (models.ask("sam2", label=label) > 0)[15:25, 12:18, 6].mean() > 0.9
    roi = models.ask("sam2", foreground=(POINTS[2],), roi=((20, 30), (15, 25), (10, 14)))
    outside = np.ones(SHAPE, dtype=bool)
    outside[20:31, 15:26, 10:15] = False
    assert not roi[outside].any()


def test_sam2_knows_the_config_of_an_official_checkpoint_by_its_name(models: Models) -> None:
    models.ask("sam2_official", foreground=(POINTS[2],))


REFUSALS = [
    ("nninteractive", {}, "needs a point"),
    ("nninteractive", {"boxes": (PromptBox((2, 2, 2), (9, 9, 9)),)}, "one slice only"),
    ("nninteractive", {"lassos": (Polyline(((2, 2, 2), (9, 2, 2), (9, 9, 9))),)}, "on one slice"),
    ("nninteractive", {"extreme_points": ((1, 1, 1),) * 6}, "no extreme points"),
    ("nninteractive", {"foreground": ((48.0, 1.0, 1.0),)}, "outside the image"),
    ("sam2", {}, "needs a point"),
    ("sam2", {"background": ((4.0, 4.0, 4.0),)}, "needs a point in the object"),
    ("sam2", {"boxes": (PromptBox((2, 2, 2), (9, 9, 2), positive=False),)}, "no negative boxes"),
    ("sam2", {"boxes": (PromptBox((2, 2, 2), (9, 9, 2)), PromptBox((3, 3, 2), (9, 9, 2)))}, "one box on a slice"),
    ("sam2", {"extreme_points": ((1, 1, 1),) * 6}, "no extreme points"),
    ("sam2", {"foreground": ((1.0, 1.0, -2.0),)}, "outside the image"),
    (
        "sam2",
        {"boxes": (PromptBox((2, 2, 2), (9, 9, 2)),), "lassos": (Polyline(((3, 2, 2), (3, 9, 2), (3, 9, 9))),)},
        "one direction",
    ),
]


@pytest.mark.parametrize(("loader", "inputs", "words"), REFUSALS)
def test_what_a_model_cannot_take_is_a_sentence(
    models: Models, loader: str, inputs: dict[str, Any], words: str
) -> None:
    with pytest.raises(ModelInputError, match=words):
        models.ask(loader, **inputs)


def test_an_image_without_contrast(models: Models, tmp_path: Path) -> None:
    flat = StoredVolume.save(tmp_path / "flat.npy", Volume(np.zeros((20, 20, 8)), Geometry(np.eye(4), (20, 20, 8))))
    with pytest.raises(EmptySegmentationError):
        models.ask("nninteractive", image=flat, foreground=((5.0, 5.0, 5.0),))
    models.ask("sam2", image=flat, foreground=((5.0, 5.0, 5.0),))


@pytest.fixture(scope="session")
def server(folders: Path, packages: Path) -> Iterator[ServerProcess]:
    server = launch(folders.parents[1], environment={"PYTHONPATH": str(packages)})
    yield server
    server.stop()


@pytest.mark.parametrize("loader", third_party.PACKAGES)
def test_through_monai_label(server: ServerProcess, image: StoredVolume, loader: str) -> None:
    name = f"my_{loader}"
    content = encode_label(np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.uint8), image.open().geometry, ".nii.gz")
    with httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client:
        told = client.get("/info/").json()["models"][name]
        assert ("CC BY-NC-SA 4.0" if loader == "nninteractive" else "not stated") in json.dumps(told)
        params = {"pos_points": [[24, 20, 12]], "neg_points": [], "nninter": "sam3"}
        answer = client.post(
            f"/infer/{name}?output=json", files={"file": ("a.nii.gz", content)}, data={"params": json.dumps(params)}
        )
        assert answer.status_code == 200, answer.text
        assert "File " not in server.log.read_text()
        assert "interaction: center" not in server.log.read_text()


@pytest.mark.parametrize("loader", third_party.PACKAGES)
def test_without_the_package_it_says_how_to_install_it(folders: Path, loader: str) -> None:
    folder = folders / f"my_{loader}"
    with pytest.raises(ConfigError, match="pip install"):
        read_folder(folder)
    pool = InferencePool([WorkerOptions("cpu", engine="graph-cut", log_level="error")], queue_size=1)
    pool.start()
    try:
        check = CheckModel(ModelReference(f"my_{loader}", loader, folder, folder_digest(folder)))
        with pytest.raises(ModelFailed, match="pip install"):
            asyncio.run(pool.submit(check))
    finally:
        pool.close()
    assert third_party.why_not("torchscript") is None


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this ran",))


def test_files_that_would_run_code_are_not_opened(folders: Path, tmp_path: Path, capfd: Any) -> None:
    plans = json.loads((folders / "my_nninteractive" / "plans.json").read_text())
    require_plain_plans(folders / "my_nninteractive" / "plans.json")
    architecture = plans["configurations"]["3d_fullres"]["architecture"]
    for change in ({"network_class_name": "os.system"}, {"arch_kwargs": {"conv_op": "os.system"}}):
        architecture.update(change)
        (tmp_path / "plans.json").write_text(json.dumps(plans))
        with pytest.raises(ModelFailed, match="no network"):
            require_plain_plans(tmp_path / "plans.json")
        architecture["network_class_name"] = "dynamic_network_architectures.architectures.unet.PlainConvUNet"
    parts = {"trainer_name": "a", "init_args": {}, "network_weights": {}}
    torch.save({**parts, "extra": Evil()}, tmp_path / "a.pth")
    with pytest.raises(ModelFailed, match="could run code"):
        require_plain_checkpoint(tmp_path / "a.pth")
    assert "this ran" not in capfd.readouterr().out
    require_plain_checkpoint(folders / "my_nninteractive" / "fold_0" / "checkpoint_final.pth")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model: {_target_: os.system, image_size: 64}", "asks for more"),
        ("model: {_target_: sam2.modeling.sam2_base.SAM2Base, _partial_: true, image_size: 64}", "asks for more"),
        ("model: {image_size: 64, a: {weights_path: /etc/passwd}}", "asks for more"),
        ("model: {image_size: 64, a: '${oc.env:HOME}'}", "not evaluated"),
        ("model: {image_size: 65}", "multiple of 32"),
        ("other: {}", 'no "model"'),
        ("{", "cannot be read"),
    ],
)
def test_configs_of_sam2_that_ask_for_more_are_refused(tmp_path: Path, change: str, words: str) -> None:
    (tmp_path / "a.yaml").write_text(change)
    torch.save({}, tmp_path / "a.pt")
    with pytest.raises(ModelFailed, match=words):
        build(tmp_path, {}, "cpu")


def test_windows_show_what_was_clicked() -> None:
    ct = np.full((30, 30, 10), -1000.0)
    ct[10:20, 10:20] = 40
    ct[12:16, 12:16] = 900
    ct[22:, 22:] = -850
    assert choose_window(ct, [(18, 18, 5)]) == CT_WINDOWS[0]
    assert choose_window(ct, [(26, 26, 5)]) == CT_WINDOWS[1]
    assert choose_window(ct, [(13.5, 13.5, 5)]) == CT_WINDOWS[2]
    mr = np.random.default_rng(1).uniform(0, 1000, size=(30, 30, 10))
    low, high = choose_window(mr, [(5, 5, 5)])
    assert 0 <= low < 20
    assert 980 < high <= 1000


def test_a_point_and_its_voxel_are_at_the_same_place_of_a_frame() -> None:
    class Predictor:
        image_size = 64

    array = np.zeros((16, 32, 4))
    array[5, 20, 2] = 1
    frames = SliceFrames(array, 2, (0, 3), (0, 1), Predictor())
    picture = frames[2][0].numpy()
    picture = picture - picture.min()
    rows, columns = np.indices(picture.shape)
    centre = [(axis * picture).sum() / picture.sum() for axis in (columns, rows)]
    u, v = frames.coordinates(5, 20)
    np.testing.assert_allclose(centre, [u / frames.width * 64, v / frames.height * 64], atol=0.05)
