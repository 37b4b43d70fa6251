"""Findings and their tables, the three tools, and the settings."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from conftest import rotation
from IMeasureLib.findings import (
    Cross,
    Finding,
    FindingError,
    FindingRow,
    MeasuredLine,
    Measurements,
    toCSV,
    toJSONTable,
)
from IMeasureLib.geometry import VolumeGeometry
from IMeasureLib.prompts import Click, PenStroke, PromptHistory, TwoClick
from IMeasureLib.settings import MemoryStore, Settings, isLoopback
from IMeasureLib.tools import TOOLS, MagicPenTool, TrueClickTool, TwoClickTool


def line(length):
    return MeasuredLine((0.0, 0.0, 0.0), (length, 0.0, 0.0), length)


MEASUREMENTS = Measurements(
    {3: Cross(line(10.0), line(4.0)), 12: Cross(line(31.25), line(20.5)), 13: Cross(line(31.25), line(21.0))},
    line(40.0),
    line(25.0),
    1234,
    5678.9,
)
FINDING = Finding(name="Lesion 1", history=PromptHistory((Click((1.0, 2.0, 3.0)),)), measurements=MEASUREMENTS)


def test_the_best_slice_has_the_longest_axis_the_lowest_of_equals():
    assert MEASUREMENTS.bestSlice == 12
    assert MEASUREMENTS.short.length == 20.5
    assert Measurements().bestSlice is None


def test_findings_survive_json():
    assert Finding.fromJSON(FINDING.toJSON()) == FINDING
    bare = Finding(name="empty")
    assert Finding.fromJSON(bare.toJSON()) == bare


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 99}', '{"version": 1, "id": 5}'])
def test_other_json_is_no_finding(text):
    with pytest.raises(FindingError):
        Finding.fromJSON(text)


def test_csv_can_be_read_back_and_runs_no_formula():
    names = ["plain", '=HYPERLINK("x")', "+1", "-2", "@sum", 'with "quotes", comma', "two\nlines", "Übergröße"]
    text = toCSV([FINDING.with_(name=name) for name in names] + [Finding(name="not measured")])
    assert text.count("\r\n") == len(names) + 2
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    for name, row in zip(names, rows):
        assert row["Name"].lstrip("'") == name
        assert row["Name"][0] not in "=+-@"
    assert rows[0]["Long axis (mm)"] == "31.25"
    assert rows[0]["Slice"] == "13"
    assert rows[0]["Volume (mm³)"] == "5678.90"
    assert rows[-1]["Long axis (mm)"] == ""


def test_json_table_has_units_and_everything():
    table = json.loads(toJSONTable([FINDING], "CT"))
    assert table["units"]["length"] == "mm"
    assert Finding.fromDict(table["findings"][0]) == FINDING


def test_the_slice_is_that_of_the_volume_as_it_is_now():
    turned = VolumeGeometry(np.diag([1.0, 1.0, -1.0, 1.0]) + _offset(0, 0, 7), (20, 20, 20))
    assert FindingRow.of(FINDING).slice == 13
    assert FindingRow.of(FINDING, turned).slice == 8


def _offset(r, a, s):
    matrix = np.zeros((4, 4))
    matrix[:3, 3] = (r, a, s)
    return matrix


@pytest.fixture
def geometry():
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((1, 1, 0), 30) @ np.diag([1.0, 1.0, 3.0])
    return VolumeGeometry(matrix, (50, 50, 20))


def test_true_click(geometry):
    tool = TrueClickTool(geometry)
    inside = geometry.ijkToRAS((10, 10, 5))
    assert tool.press(inside) == Click(tuple(inside), True)
    assert tool.press(inside, positive=False) == Click(tuple(inside), False)
    assert tool.press(geometry.ijkToRAS((60, 10, 5))) is None
    assert not tool.isBusy


def test_two_clicks_or_a_drag(geometry):
    first, second = (tuple(geometry.ijkToRAS(ijk)) for ijk in ((10, 10, 5), (20, 10, 5)))
    tool = TwoClickTool(geometry)
    assert tool.press(first) is None
    assert tool.release(first) is None
    assert tool.isBusy
    tool.move(second)
    assert tool.preview == (first, second)
    assert tool.press(second) == TwoClick(first, second)
    assert not tool.isBusy
    assert tool.press(first) is None
    assert tool.release(second) == TwoClick(first, second)
    tool.press(first)
    tool.cancel()
    assert not tool.isBusy
    assert tool.press(first, positive=False) is None


def test_a_pen_stroke_lies_on_the_slice_where_it_began(geometry):
    tool = MagicPenTool(geometry)
    angles = np.linspace(0, 2 * np.pi, 60)
    points = [geometry.ijkToRAS((20 + 8 * np.cos(a), 20 + 8 * np.sin(a), 5.4 - 0.3 * a / 6)) for a in angles]
    tool.press(points[0])
    for point in points[1:]:
        assert tool.move(point) is None
    stroke = tool.release(points[-1])
    assert isinstance(stroke, PenStroke)
    ijk = geometry.rasToIJK(stroke.points)
    assert ijk[:, 2] == pytest.approx(np.full(len(ijk), 5.0), abs=1e-9)
    steps = np.linalg.norm(np.diff(np.array(stroke.points), axis=0), axis=1)
    assert steps.min() >= 0.5
    assert not tool.isBusy


def test_strokes_that_enclose_nothing_are_forgotten(geometry):
    tool = MagicPenTool(geometry)
    straight = [geometry.ijkToRAS((10 + n, 20, 5)) for n in range(9)]
    tool.press(straight[0])
    for point in straight:
        tool.move(point)
    assert tool.release(straight[-1]) is None
    tool.press(straight[0])
    assert tool.release(straight[0]) is None
    across = [geometry.ijkToRAS((20 + 6 * np.cos(a), 20, 9 + 5 * np.sin(a))) for a in np.linspace(0, 6, 30)]
    tool.press(across[0])
    for point in across:
        tool.move(point)
    assert tool.release(across[-1]) is None
    assert tool.press(geometry.ijkToRAS((-5, 20, 5))) is None
    assert not tool.isBusy


def test_every_tool_says_what_to_do(geometry):
    assert list(TOOLS) == ["TwoClick", "TrueClick", "MagicPen"]
    for tool in TOOLS.values():
        assert tool(geometry).hint


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "localhost:8000", "http://[::1]:1", "127.8.9.1"])
def test_this_machine(address):
    assert isLoopback(address)
    assert Settings(environment={}).hasConsent(address)


@pytest.mark.parametrize(
    "address", ["http://192.0.2.1", "server.example:8000", "http://localhost.example", "", "http://["]
)
def test_other_machines_need_consent(address):
    assert not isLoopback(address)
    assert not Settings(environment={}).hasConsent(address)


def test_consent_is_given_once_per_host_and_can_be_withdrawn():
    store = MemoryStore()
    settings = Settings(store, {})
    settings.giveConsent("https://server.example/a")
    assert Settings(store, {}).hasConsent("http://SERVER.example:8080")
    assert not Settings(store, {}).hasConsent("http://other.example")
    settings.withdrawConsent("server.example")
    assert not settings.hasConsent("http://server.example")


def test_the_environment_wins():
    store = MemoryStore({"IMeasure/ServerURL": "http://a:1", "IMeasure/APIKey": "typed"})
    settings = Settings(store, {})
    assert (settings.serverURL, settings.apiKey) == ("http://a:1", "typed")
    settings.serverURL = " http://b:2 "
    assert Settings(store, {}).serverURL == "http://b:2"
    environment = {"IMEASURE_SERVER_URL": "http://c:3", "IMEASURE_API_KEY": "given"}
    settings = Settings(store, environment)
    assert (settings.serverURL, settings.apiKey) == ("http://c:3", "given")
    assert settings.isServerURLFromEnvironment
    assert Settings(MemoryStore(), {}).serverURL == "http://127.0.0.1:8000"
