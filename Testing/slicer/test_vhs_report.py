"""The report as HTML: everything in one file, and everything said."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from conftest import addVolume
from IMeasureLib.settings import Settings
from vhs_pictures import EXAMPLE_ANSWER, PLAUSIBLE, prediction
from VHSAnalyzerLib.answers import answerOf
from VHSAnalyzerLib.drawing import drawingOf
from VHSAnalyzerLib.logic import VHSAnalyzerLogic
from VHSAnalyzerLib.report import asHTML
from VHSAnalyzerLib.scene_nodes import writePoints
from VHSAnalyzerLib.volume_picture import gridOf


@pytest.fixture
def reported(scene):
    logic = VHSAnalyzerLogic(settings=Settings(environment={}), scene=scene)
    matrix = np.diag([-0.2, -0.2, 1.0, 1.0])
    pixels = np.random.default_rng(0).integers(0, 256, (1, 200, 300), np.uint8)
    picture = addVolume(scene, pixels, matrix, "Rex <lateral>")
    picture.SetAttribute("VHSAnalyzer.PatientId", "rex & co")
    picture.SetAttribute("VHSAnalyzer.Breed", "Whippet")
    answer = answerOf({**EXAMPLE_ANSWER, "prediction": prediction(PLAUSIBLE)}, "2026-11-25T10:00:00+00:00")
    node = logic.apply(picture, answer).landmarksNode
    yield logic, node, picture
    logic.sync.stop()


def test_it_is_one_file_with_the_picture_inside(reported, tmp_path):
    logic, node, _ = reported
    logic.report(node, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:)', text)
    png = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", text).group(1))
    assert png.startswith(b"\x89PNG")
    svg = text[text.index("<svg") : text.index("</svg>") + 6]
    ElementTree.fromstring(svg)
    assert svg.count("<polyline") == 4
    assert svg.count("<circle") == 7


def test_it_says_everything(reported):
    logic, node, picture = reported
    moved = PLAUSIBLE.copy()
    moved[1] += (0.01, 0.05)
    writePoints(node, moved, gridOf(picture))
    text = asHTML(logic.reportContent(node))
    for words in (
        "Not a medical device",
        "Rex &lt;lateral&gt;",
        "rex &amp; co",
        "Whippet",
        "Model version 3.3.0-ensemble",
        "Confidence optimal (spread 0.0032 of the picture)",
        "Moved by hand (1 of 7): heart_bottom",
        "10.4",
        f"{logic.score(node).vhs:.1f}",
        "Measured: 2026-11-25T10:00:00+00:00",
        "Mean vertebra (mm)",
        "Cats are not offered",
        "Bavegems",
    ):
        assert words in text
    assert logic.reportContent(node).date[:4].isdigit()


def test_without_a_model_it_says_so(reported):
    logic, _node, picture = reported
    node = logic.placeByHand(picture)
    writePoints(node, PLAUSIBLE, gridOf(picture))
    text = asHTML(logic.reportContent(node))
    assert "No model was asked" in text
    assert "Placed by hand" in text


def test_drawing_is_legible_at_any_size():
    small, large = drawingOf(PLAUSIBLE, 300, 200, 6), drawingOf(PLAUSIBLE, 3000, 2000, 6)
    assert large.unit == pytest.approx(10 * small.unit)
    assert [words.text for words in large.words][-2:] == ["A (T4)", "B (T9)"]
