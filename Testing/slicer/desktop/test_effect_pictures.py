"""The pictures of the effect in docs/: the mass of the sample CT before, after one click, after an excluding click."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
from effect_driver import dice, voxelAt, worldOf
from scipy.ndimage import distance_transform_edt

SAMPLE_MASK = Path(__file__).resolve().parents[3] / "Resources" / "SampleData" / "STS_051_ct_gtv.nii.gz"


def test_the_pictures_of_the_documentation(desktop, openEffect, sampleVolume):
    label = slicer.util.loadLabelVolume(str(SAMPLE_MASK))
    truth = slicer.util.arrayFromVolume(label) != 0
    slicer.mrmlScene.RemoveNode(label)
    middle = np.argwhere(truth).mean(axis=0)
    inside = worldOf(sampleVolume, middle)
    desktop.showVolume(sampleVolume, inside, fieldOfView=190.0)
    driver = openEffect(sampleVolume, names=("Knee mass",))
    driver.segmentation.GetSegmentation().GetSegment(driver.segmentIds[0]).SetColor(1.0, 0.6, 0.1)
    driver.segmentation.GetDisplayNode().SetOpacity2DFill(0.3)
    desktop.screenshot("effect-before")
    desktop.click(inside)
    driver.wait()
    after = driver.mask()
    assert dice(after, truth) > 0.7
    showAxes(desktop, driver, middle)
    desktop.screenshot("effect-one-click")
    # What a person would take out: the thickest part of the mask outside the mass, on a slice through its middle half.
    low, high = np.percentile(np.argwhere(truth)[:, 0], [25, 75]).astype(int)
    leaks = after & ~truth
    depth = np.array([distance_transform_edt(leak) for leak in leaks])
    depth[:low] = depth[high:] = 0.0
    leak = np.unravel_index(np.argmax(depth), depth.shape)
    desktop.jumpTo(worldOf(sampleVolume, (leak[0], *middle[1:])))
    desktop.click(worldOf(sampleVolume, leak), ctrl=True)
    driver.wait()
    assert not driver.mask()[leak]
    assert driver.mask()[voxelAt(sampleVolume, inside)]
    assert dice(driver.mask(), truth) > dice(after, truth) - 0.01
    desktop.screenshot("effect-negative-click")


def showAxes(desktop, driver, middle):
    """Go to the slice on which the axes are, keeping the mass in the middle of the view."""
    best = driver.finding().measurements.bestSlice
    desktop.jumpTo(worldOf(driver.volume, (best, *middle[1:])))
