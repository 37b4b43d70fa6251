"""Fixtures of the tests that need the desktop application. On slicer-core this folder is not collected at all."""

from __future__ import annotations

import os
import pathlib
import sys
import time

import pytest

try:
    import qt
    import slicer

    DESKTOP = hasattr(slicer, "app") and slicer.util.mainWindow() is not None
except (ImportError, AttributeError):
    DESKTOP = False

HERE = pathlib.Path(__file__).parent
REPOSITORY = HERE.parents[2]
SAMPLE_CT = REPOSITORY / "Resources" / "SampleData" / "STS_051_ct.nii.gz"
SAMPLE_MASK = REPOSITORY / "Resources" / "SampleData" / "STS_051_ct_gtv.nii.gz"
UNEXPECTED_DIALOG_AFTER_SECONDS = 15

if str(HERE) not in sys.path:
    # At the end: tests of the folder above import from their own `conftest`.
    sys.path.append(str(HERE))


def pytest_ignore_collect(collection_path, config):
    """These tests drive the main window; without one there is nothing to collect."""
    return True if not DESKTOP else None


@pytest.fixture(scope="session")
def serverUrl():
    """The address of the real server that ``run.py`` started."""
    return os.environ["IMEASURE_SERVER_URL"]


@pytest.fixture
def forwarder(serverUrl):
    """A forwarder in front of the real server that can hold answers back and die."""
    from forwarder import Forwarder

    between = Forwarder(serverUrl)
    yield between
    between.die()


@pytest.fixture(autouse=True)
def desktop():
    """A clean scene in a main window of known size; errors in slots and dialogs that nobody answers fail the test."""
    import driving

    window = slicer.util.mainWindow()
    if (window.width, window.height) != (1600, 1000):
        window.resize(1600, 1000)
    window.show()
    slicer.mrmlScene.Clear(0)
    driving.showOneSlice("Red")
    problems = []
    previousHook = sys.excepthook
    sys.excepthook = lambda kind, value, trace: problems.append(_describe(kind, value, trace))
    watchdog = _DialogWatchdog(problems)
    yield driving
    driving.pump(0.1)
    watchdog.stop()
    sys.excepthook = previousHook
    slicer.util.selectModule("Data")
    slicer.mrmlScene.Clear(0)
    driving.pump(0.05)
    assert not problems, "Errors in event handlers:\n" + "\n".join(problems)


@pytest.fixture
def sampleVolume(desktop):
    """The sample CT (a mass behind the knee), shown in the slice views with a soft-tissue window."""
    volume = slicer.util.loadVolume(str(SAMPLE_CT))
    display = volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(350, 40)
    desktop.showVolume(volume)
    return volume


@pytest.fixture
def openEffect(desktop):
    """Function (volume node, names=("Lesion",), segmentation=None) → an ``EffectDriver`` with the effect on."""
    from effect_driver import EffectDriver

    opened = []

    def open_(volumeNode, *arguments, **options):
        opened.append(EffectDriver(volumeNode, *arguments, **options))
        return opened[-1]

    yield open_
    for driver in opened:
        driver.close()


@pytest.fixture
def openAIEffect(desktop, serverUrl, monkeypatch):
    """Function (effect's name, volume node, names=("Object",), segmentation=None, model="") → an ``AIAAEffect``, on.

    The effect asks the real server; its models are known, and ``model`` is chosen.
    """
    from aiaa_effect import AIAAEffect

    monkeypatch.setenv("AIAA_SERVER_URL", serverUrl)
    opened = []

    def open_(name, volumeNode, *arguments, model="", connect=True, **options):
        opened.append(AIAAEffect(name, volumeNode, *arguments, **options))
        if connect:
            opened[-1].connect()
        if model:
            opened[-1].choose(model)
        return opened[-1]

    yield open_
    for driver in opened:
        driver.close()


class _DialogWatchdog:
    """Closes a modal dialog that a test leaves open, so that the run goes on, and reports it."""

    def __init__(self, problems):
        self._problems = problems
        self._since = {}
        self._timer = qt.QTimer()
        self._timer.setInterval(500)
        self._timer.connect("timeout()", self._look)
        self._timer.start()

    def stop(self):
        self._timer.stop()

    def _look(self):
        dialog = qt.QApplication.activeModalWidget()
        if dialog is None:
            self._since.clear()
            return
        first = self._since.setdefault(dialog.windowTitle, time.monotonic())
        if time.monotonic() - first > UNEXPECTED_DIALOG_AFTER_SECONDS:
            self._problems.append(f"A dialog stayed open: {dialog.windowTitle} {getattr(dialog, 'text', '')}")
            dialog.close()


def _describe(kind, value, trace):
    import traceback

    return "".join(traceback.format_exception(kind, value, trace))
