"""The last answers of models: given again for the same question, and for no other."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import torch
from monailabel_peer.threshold import CONFIG, save_threshold

from imeasure_server.imaging.stored_image import StoredImage, StoredVolume
from imeasure_server.models.answer_cache import AnswerCache, question_key
from imeasure_server.models.inference import ModelInputs, Polyline, PromptBox
from imeasure_server.models.model_jobs import ModelOutcome
from imeasure_server.models.packed_mask import PackedMask
from imeasure_server.models.reference import ModelReference

MODEL = ModelReference("threshold", "torchscript", Path("somewhere"), "a" * 64)
IMAGE = StoredImage(StoredVolume(Path("voxels.npy"), np.eye(4), (4, 5, 6)), "nifti", "d" * 64)


def mask(value: int = 1, dtype: npt.DTypeLike = np.uint8, shape: tuple[int, ...] = (7, 5, 3)) -> npt.NDArray[Any]:
    voxels = np.zeros(shape, dtype)
    voxels[2:4, 1:3, 1] = value
    return voxels


def outcome(voxels: npt.NDArray[Any] | None) -> ModelOutcome:
    return ModelOutcome(
        None if voxels is None else PackedMask.pack(voxels), {"bright": 1}, {"more": [1, 2]}, {"model": 1}
    )


@pytest.mark.parametrize("order", ["C", "F", "neither"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_masks_are_packed_in_any_order(dtype: npt.DTypeLike, order: str) -> None:
    voxels = mask(9, dtype)
    voxels = voxels[::-1, :, ::-1] if order == "neither" else np.asarray(voxels, order=order)  # type: ignore[call-overload]
    unpacked = PackedMask.pack(voxels).unpack()
    assert unpacked.dtype == voxels.dtype
    assert np.array_equal(unpacked, voxels)


def test_an_empty_mask_and_one_that_does_not_compress() -> None:
    assert PackedMask.pack(np.zeros((3, 0, 2), np.uint8)).unpack().shape == (3, 0, 2)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 64), dtype=np.uint8)
    assert np.array_equal(PackedMask.pack(noise).unpack(), noise)


def test_an_answer_is_given_again() -> None:
    cache = AnswerCache(1 << 20)
    key = question_key(MODEL, IMAGE, ModelInputs())
    assert cache.find(key) is None
    cache.keep(key, outcome(mask()))
    found = cache.find(key)
    assert found is not None
    assert found.mask is not None
    assert np.array_equal(found.mask, mask())
    assert found.label_names == {"bright": 1}
    assert found.result == {"more": [1, 2]}
    assert found.timings == {}


def test_an_answer_cannot_be_changed_by_who_got_it() -> None:
    cache = AnswerCache(1 << 20)
    cache.keep("question", outcome(None))
    first = cache.find("question")
    assert first is not None
    first.result["more"].append(3)
    again = cache.find("question")
    assert again is not None
    assert again.mask is None
    assert again.result == {"more": [1, 2]}


def test_the_least_recently_used_answers_are_forgotten() -> None:
    cache = AnswerCache(3000)
    noise = np.random.default_rng(0).integers(0, 256, (10, 10, 10), dtype=np.uint8)
    for name in ("a", "b"):
        cache.keep(name, outcome(noise))
    assert cache.find("a") is not None
    cache.keep("c", outcome(noise))
    assert [cache.find(name) is not None for name in "abc"] == [True, False, True]
    cache.keep("a", outcome(noise))  # again: it is not counted twice
    assert cache.find("c") is not None


@pytest.mark.parametrize("max_bytes", [0, 500])
def test_what_is_larger_than_all_that_may_be_kept_is_not(max_bytes: int) -> None:
    cache = AnswerCache(max_bytes)
    cache.keep("a", outcome(np.random.default_rng(0).integers(0, 256, (10, 10, 10), dtype=np.uint8)))
    assert cache.find("a") is None


def test_the_same_question_has_the_same_name() -> None:
    first = ModelInputs(
        foreground=((1, 2, 3),),
        boxes=(PromptBox((0, 0, 0), (1, 1, 1)),),
        label=mask(),
        parameters={"a": [1, {"b": None}]},
    )
    second = replace(first, label=np.asfortranarray(mask()), parameters={"a": [1, {"b": None}]})
    assert question_key(MODEL, IMAGE, first) == question_key(MODEL, IMAGE, replace(first, label=mask()))
    assert question_key(MODEL, IMAGE, second) == question_key(MODEL, IMAGE, replace(second))


@pytest.mark.parametrize(
    "change",
    [
        {"foreground": ((1.0, 2.0, 4.0),)},
        {"background": ((1.0, 2.0, 3.0),), "foreground": ()},
        {"boxes": (PromptBox((0, 0, 0), (1, 1, 1), positive=False),)},
        {"scribbles": (Polyline(((0, 0, 0), (1, 1, 1))),)},
        {"lassos": (Polyline(((0, 0, 0), (1, 1, 1))),)},
        {"label": mask(2)},
        {"label": mask(1, np.uint16)},
        {"label_info": {"bright": 2}},
        {"roi": ((0, 1), (0, 1), (0, 1))},
        {"label_name": "bright"},
        {"current_point": (1.0, 2.0, 3.0)},
        {"extreme_points": ((1.0, 2.0, 3.0),)},
        {"parameters": {"a": 2}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_question_has_another_name(change: dict[str, Any]) -> None:
    inputs = ModelInputs(foreground=((1.0, 2.0, 3.0),), label=mask(), parameters={"a": 1})
    assert question_key(MODEL, IMAGE, replace(inputs, **change)) != question_key(MODEL, IMAGE, inputs)


def test_another_version_or_image_has_another_name() -> None:
    inputs = ModelInputs()
    known = question_key(MODEL, IMAGE, inputs)
    assert question_key(replace(MODEL, digest="b" * 64), IMAGE, inputs) != known
    assert question_key(replace(MODEL, name="other"), IMAGE, inputs) != known
    assert question_key(MODEL, replace(IMAGE, digest="e" * 64), inputs) != known
    assert question_key(MODEL, replace(IMAGE, series_uid="1.2.3"), inputs) != known


class Brighter(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return (image > 400.0).to(torch.float32)


def put(server: str, script: Path, config: dict[str, Any]) -> None:
    files = {"config": ("config_aiaa.json", json.dumps(config).encode()), "data": ("model.ts", script.read_bytes())}
    httpx.put(f"{server}/admin/model/remembering", files=files, timeout=60).raise_for_status()


def ask(server: str, address: str, name: str, params: dict[str, Any]) -> tuple[int, bool]:
    """The voxels of the mask that an answer holds, and whether it was remembered."""
    image = nibabel.Nifti1Image(np.arange(8 * 9 * 10, dtype=np.int16).reshape(8, 9, 10), np.eye(4))  # type: ignore[no-untyped-call]
    files = {name: ("image.nii", image.to_bytes())}
    answer = httpx.post(f"{server}{address}", files=files, data={"params": json.dumps(params)}, timeout=60)
    answer.raise_for_status()
    found = nibabel.Nifti1Image.from_bytes(gzip.decompress(answer.content))
    return int(np.asarray(found.dataobj).sum()), "remembered" in answer.headers["Server-Timing"]


@pytest.mark.parametrize(
    ("address", "name"),
    [("/infer/remembering?output=image", "file"), ("/v1/segmentation?model=remembering&output=image", "image")],
)
def test_over_http_until_the_model_changes(live_server: str, tmp_path: Path, address: str, name: str) -> None:
    script = tmp_path / "model.ts"
    save_threshold(script)
    put(live_server, script, CONFIG)
    where = (live_server, address, name)
    bright = 8 * 9 * 10 - 101
    assert ask(*where, {"question": address}) == (bright, False)
    assert ask(*where, {"question": address}) == (bright, True)
    assert ask(*where, {"question": f"another at {address}"}) == (bright, False)
    torch.jit.script(Brighter()).save(str(script))  # type: ignore[no-untyped-call]
    put(live_server, script, CONFIG)
    assert ask(*where, {"question": address}) == (8 * 9 * 10 - 401, False)
    put(live_server, script, {**CONFIG, "repeatable": False})
    assert ask(*where, {"question": "chance"}) == ask(*where, {"question": "chance"})
    assert ask(*where, {"question": "chance"}) == (8 * 9 * 10 - 401, False)
