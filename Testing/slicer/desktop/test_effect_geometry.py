"""The effect on oblique, flipped and transformed volumes, on other grids, and after the scene was saved and loaded."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from effect_driver import dice, voxelAt, worldOf


def putUnder(node, degrees, translation):
    """A linear parent transform for a node."""
    transform = vtk.vtkTransform()
    transform.RotateWXYZ(degrees, 1.0, 0.5, 0.3)
    transform.Translate(*translation)
    transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Placed")
    transformNode.SetMatrixTransformToParent(transform.GetMatrix())
    node.SetAndObserveTransformNodeID(transformNode.GetID())
    return transformNode


def clickInside(desktop, driver, phantom):
    """Click the lesion's deepest voxel in the world, in a view along the volume's slices."""
    world = worldOf(phantom.node, voxelOfLesion(phantom))
    desktop.showVolume(phantom.node, world, fieldOfView=90.0)
    desktop.click(world)
    driver.wait()
    return world


def voxelOfLesion(phantom):
    """(k, j, i) of the lesion's deepest voxel."""
    ijk = np.linalg.inv(phantom.ijkToRAS) @ np.append(phantom.inside, 1.0)
    return tuple(round(value) for value in ijk[:3])[::-1]


def pixelSize(desktop):
    return np.linalg.norm(desktop.xyToRas((1, 0)) - desktop.xyToRas((0, 0)))


def test_an_oblique_flipped_volume(desktop, openEffect, oblique_volume):
    driver = openEffect(oblique_volume.node)
    world = clickInside(desktop, driver, oblique_volume)
    desktop.screenshot("effect-12-oblique")
    assert dice(driver.mask(), oblique_volume.truth) > 0.75
    assert np.linalg.norm(driver.markerPositions()[0] - world) <= 1.5 * pixelSize(desktop)


@pytest.mark.parametrize("together", [True, False], ids=["segmentation moved too", "volume alone"])
def test_a_volume_under_a_transform(desktop, openEffect, straight_volume, together):
    if not together:
        driver = openEffect(straight_volume.node)
    putUnder(straight_volume.node, 25.0, (30.0, -20.0, 15.0))
    if together:
        driver = openEffect(straight_volume.node)
        assert driver.segmentation.GetTransformNodeID() == straight_volume.node.GetTransformNodeID()
    world = clickInside(desktop, driver, straight_volume)
    desktop.screenshot("effect-13-transformed")
    # On another grid the mask is resampled twice, hence a little less.
    assert dice(driver.mask(), straight_volume.truth) > (0.75 if together else 0.7)
    assert np.linalg.norm(driver.markerPositions()[0] - world) <= 1.5 * pixelSize(desktop)
    voxel = voxelAt(straight_volume.node, world)
    assert driver.mask()[voxel]
    # What is kept is in the volume's own space: moving the volume moves the marker along.
    local = np.array(driver.steps()[0].position)
    straight_volume.node.SetAndObserveTransformNodeID(None)
    desktop.pump(0.2)
    assert np.allclose(driver.markerPositions()[0], local, atol=1e-3)


def test_a_segmentation_on_a_finer_grid(desktop, openEffect, straight_volume):
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Fine")
    segmentation.CreateDefaultDisplayNodes()
    fine = slicer.vtkOrientedImageData()
    matrix = vtk.vtkMatrix4x4()
    straight_volume.node.GetIJKToRASMatrix(matrix)
    for row in range(3):
        matrix.SetElement(row, 2, matrix.GetElement(row, 2) / 3.0)
    fine.SetGeometryFromImageToWorldMatrix(matrix)
    i, j, k = straight_volume.node.GetImageData().GetDimensions()
    fine.SetExtent(0, i - 1, 0, j - 1, 0, 3 * k - 1)
    segmentation.GetSegmentation().SetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(),
        slicer.vtkSegmentationConverter.SerializeImageGeometry(fine),
    )
    segmentation.GetSegmentation().AddEmptySegment("Lesion", "Lesion")
    driver = openEffect(straight_volume.node, segmentation=segmentation)
    clickInside(desktop, driver, straight_volume)
    assert dice(driver.mask(), straight_volume.truth) > 0.75


def test_prompts_and_numbers_come_back_with_the_scene(desktop, openEffect, straight_volume, tmp_path):
    driver = openEffect(straight_volume.node)
    world = clickInside(desktop, driver, straight_volume)
    desktop.rightClick(world + np.array([14.0, 0.0, 0.0]))
    driver.wait()
    finding, mask = driver.finding(), driver.mask()
    assert len(finding.history.steps) == 2
    scene = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(scene))
    driver.close()
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(scene))
    segmentation = slicer.util.getNode("Segmentation")
    restored = openEffect(slicer.util.getNode("CT"), segmentation=segmentation)
    # Slicer writes colours with six digits.
    assert restored.finding().with_(color=finding.color) == finding
    assert restored.finding().color == pytest.approx(finding.color, abs=1e-5)
    assert (restored.mask() == mask).all()
    assert len(restored.markerPositions()) == 2
    # One node per kind of click: they were made anew from the segment's tag, not saved beside it.
    assert len(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")) == 2
    assert restored.status.startswith("2 clicks:")
    desktop.click(world + np.array([2.0, 2.0, 0.0]))
    restored.wait()
    assert len(restored.steps()) == 3


def test_a_colour_volume_is_refused_with_a_sentence(desktop, openEffect, straight_volume):
    image = vtk.vtkImageData()
    image.SetDimensions(8, 8, 8)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    colour = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Photo")
    colour.SetAndObserveImageData(image)
    colour.CreateDefaultDisplayNodes()
    driver = openEffect(straight_volume.node)
    driver.editor.setSourceVolumeNode(colour)
    desktop.showVolume(colour, (4.0, 4.0, 4.0))
    desktop.click((4.0, 4.0, 4.0))
    driver.wait()
    assert "\n" not in driver.status
    assert driver.steps() == ()
