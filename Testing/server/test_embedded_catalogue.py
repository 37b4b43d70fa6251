"""What is told of the embedded models, and that each one told of loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from imeasure_server.models.description import ModelType
from imeasure_server.models.embedded import descriptions, load

from .embedded_cases import context, model

NAMES = {
    "deepgrow_3d": ModelType.DEEPGROW,
    "deepgrow_2d": ModelType.DEEPGROW,
    "dextr3d": ModelType.ANNOTATION,
    "segmentation": ModelType.SEGMENTATION,
    "Histogram+GraphCut": ModelType.SCRIBBLES,
    "GMM+GraphCut": ModelType.SCRIBBLES,
    "ct_body_parts": ModelType.SEGMENTATION,
}


def test_all_are_listed_with_a_sentence_and_labels() -> None:
    found = {description.name: description for description in descriptions()}
    assert {name: description.type for name, description in found.items()} == NAMES
    for description in found.values():
        assert description.description.endswith(".")
        assert list(description.labels.values()) == list(range(1, len(description.labels) + 1))
    assert found["deepgrow_2d"].dimension == 2
    assert found["deepgrow_2d"].deepgrow == "2d"
    assert found["deepgrow_3d"].deepgrow == "3d"
    assert found["dextr3d"].padding
    assert found["dextr3d"].roi
    assert [name for name, description in found.items() if description.interactive] == ["segmentation"]


def test_being_told_of_them_loads_nothing_that_computes() -> None:
    code = (
        "import sys; from imeasure_server.models.embedded import descriptions; assert descriptions();"
        "print([m for m in ('torch', 'monai', 'scipy', 'maxflow', 'cv2') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_each_loads(name: str) -> None:
    assert model(name).device_bytes == 0


def test_another_name_is_no_embedded_model() -> None:
    with pytest.raises(KeyError):
        load("liver", context())
