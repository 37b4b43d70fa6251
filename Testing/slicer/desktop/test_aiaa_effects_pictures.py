"""The pictures of the AI effects in docs/: each effect on the mass of the sample CT, against the real server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
from aiaa_effect import AUTO, BOUNDARY, CLICKS, SCRIBBLES, extremePoints
from effect_driver import dice, worldOf
from scipy.ndimage import binary_dilation, distance_transform_edt

SAMPLE_MASK = Path(__file__).resolve().parents[3] / "Resources" / "SampleData" / "STS_051_ct_gtv.nii.gz"


class Mass:
    """The sample CT's mass behind the knee: its voxels (k, j, i), its middle in world RAS, and the shown views."""

    def __init__(self, desktop, volume):
        label = slicer.util.loadLabelVolume(str(SAMPLE_MASK))
        self.truth = slicer.util.arrayFromVolume(label) != 0
        slicer.mrmlScene.RemoveNode(label)
        self.volume = volume
        self.kji = np.argwhere(self.truth).mean(axis=0)
        self.inside = worldOf(volume, self.kji)
        desktop.showFourUp()
        desktop.showVolume(volume, self.inside, fieldOfView=190.0)

    def world(self, j, i):
        """World RAS of a voxel of the middle slice."""
        return worldOf(self.volume, (round(self.kji[0]), j, i))


@pytest.fixture
def mass(desktop, sampleVolume):
    return Mass(desktop, sampleVolume)


def colored(driver):
    driver.segmentation.GetSegmentation().GetSegment(driver.segmentIds[0]).SetColor(1.0, 0.6, 0.1)
    driver.segmentation.GetDisplayNode().SetOpacity2DFill(0.3)
    return driver


def test_smart_clicks(desktop, openAIEffect, mass):
    driver = colored(openAIEffect(CLICKS, mass.volume, names=("Knee mass",), model="segmentation"))
    # From corner to corner of the mass on its middle slice.
    rows = np.argwhere(mass.truth[round(mass.kji[0])])
    (j0, i0), (j1, i1) = rows.min(axis=0) - 3, rows.max(axis=0) + 3
    desktop.pressShortcut("B")
    desktop.drag([mass.world(j0, i0), mass.inside, mass.world(j1, i1)])
    driver.wait()
    desktop.screenshot("aiaa-effect-box")
    boxed = driver.mask()
    assert dice(boxed, mass.truth) > 0.6
    desktop.pressShortcut("P")
    k = round(mass.kji[0])
    depth = distance_transform_edt((boxed & ~mass.truth)[k])
    leak = np.unravel_index(np.argmax(depth), depth.shape)
    desktop.click(mass.world(*leak), ctrl=True)
    driver.wait()
    desktop.screenshot("aiaa-effect-clicks")
    assert not driver.mask()[(k, *leak)]


def test_boundary_points(desktop, openAIEffect, mass):
    driver = colored(openAIEffect(BOUNDARY, mass.volume, names=("Knee mass",)))
    for point in extremePoints(mass.volume, mass.truth):
        desktop.jumpTo(point)
        desktop.click(point)
    driver.wait()
    desktop.jumpTo(mass.inside)
    desktop.screenshot("aiaa-effect-boundary")
    assert dice(driver.mask(), mass.truth) > 0.6


def test_scribbles(desktop, openAIEffect, mass):
    driver = colored(openAIEffect(SCRIBBLES, mass.volume, names=("Knee mass",), model="Histogram+GraphCut"))
    step = np.array([18.0, 0.0, 0.0])
    desktop.drag([mass.inside - step, mass.inside, mass.inside + step])
    desktop.pressShortcut("D")
    around = binary_dilation(mass.truth[round(mass.kji[0])], iterations=10)
    radius = float(np.sqrt(around.sum() / np.pi)) * mass.volume.GetSpacing()[0]
    desktop.drag(desktop.circle(mass.inside, radius))
    # Muscles to both sides look like the mass: they have to be said.
    for side in (-1.15, 1.15):
        ends = [mass.inside + radius * np.array([side, up, 0.0]) for up in (0.85, 0.5, 0.1)]
        desktop.drag(ends)
    driver.tools.boxCheckBox.click()
    assert driver.effect.box.node is not None
    desktop.pressShortcut("A")
    driver.wait()
    desktop.screenshot("aiaa-effect-scribbles")
    assert driver.mask().any()


def test_auto_segmentation(desktop, openAIEffect, mass):
    driver = openAIEffect(AUTO, mass.volume, names=(), model="ct_body_parts")
    desktop.pressShortcut("A")
    driver.wait()
    slicer.util.setSliceViewerLayers(fit=True)
    desktop.screenshot("aiaa-effect-auto")
    assert len(driver.segments()) >= 3
