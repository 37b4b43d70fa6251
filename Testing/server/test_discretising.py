"""``AsDiscreted`` at the end of a model: the labels are those that MONAI's transform leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms.post.dictionary import AsDiscreted

from imeasure_server.models.inference import ModelInputs
from imeasure_server.models.loaders.answers import label_values
from imeasure_server.models.loaders.discretising import Discretising
from imeasure_server.models.loaders.sample import Sample

SHAPE = (6, 5, 4)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(
    "args", [{"threshold": 0.5}, {"threshold": 0}, {"argmax": True}, {"argmax": True, "threshold": 1}, {}], ids=repr
)
@pytest.mark.parametrize("labels", [{}, {"a": 1}, {"a": 1, "b": 2}, {"a": 4, "b": 7, "c": 9}], ids=len)
def test_like_monai(channels: int, args: dict[str, Any], labels: dict[str, int]) -> None:
    output = torch.randn((channels, *SHAPE), generator=torch.Generator().manual_seed(channels))
    step = Discretising.of({"keys": ["model"], **args}, "model")
    assert step is not None
    sample = Sample({"model": output}, "model", SHAPE, np.eye(4), np.eye(4), 3, ModelInputs())
    step(sample)
    expected = torch.as_tensor(np.asarray(AsDiscreted("model", **args)({"model": output})["model"]))
    assert np.array_equal(label_values(sample.image, 3, labels), label_values(expected, 3, labels))


@pytest.mark.parametrize(
    "args",
    [
        {"keys": "image", "threshold": 0.5},
        {"keys": ["model", "other"], "threshold": 0.5},
        {"keys": "model", "to_onehot": 3},
        {"keys": "model", "rounding": "torchrounding"},
        {"keys": "model", "argmax": [True]},
        {"keys": "model", "threshold": True},
        {"keys": "model", "argmax": True, "dim": 1},
    ],
    ids=repr,
)
def test_the_rest_is_left_to_monai(args: dict[str, Any]) -> None:
    assert Discretising.of(args, "model") is None
