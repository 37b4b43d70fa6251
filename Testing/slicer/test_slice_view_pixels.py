"""What a person sees: in a slice view, the mask is where the lesion is, in an oblique volume under a transform."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from vtk.util import numpy_support

from conftest import IS_DESKTOP, rotation
from IMeasureLib.finding_nodes import linesOf
from IMeasureLib.logic import IMeasureLogic
from IMeasureLib.settings import Settings
from IMeasureLib.volume_access import geometryOf, localToWorld, worldToLocal
from known_answers import KnownAnswer

SIZE = (400, 300)


class CoreSliceView:
    """A slice view drawn off screen with slicer-core's own displayable managers."""

    def __init__(self, core):
        self.sliceNode = slicer.vtkMRMLSliceNode()
        self.sliceNode.SetLayoutName("Test")
        self.sliceNode.SetName("Test")
        core.scene.AddNode(self.sliceNode)
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetSize(*SIZE)
        self.window.SetMultiSamples(0)
        renderer = vtk.vtkRenderer()
        self.window.AddRenderer(renderer)
        renderer.GetActiveCamera().ParallelProjectionOn()
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(renderer)
        for name in ("vtkMRMLSegmentationsDisplayableManager2D", "vtkMRMLMarkupsDisplayableManager"):
            manager = getattr(slicer, name)()
            manager.SetMRMLApplicationLogic(core.application)
            self.group.AddDisplayableManager(manager)
        self.group.SetMRMLDisplayableNode(self.sliceNode)

    def pixels(self):
        self.window.Render()
        return grabbed(self.window)


class DesktopSliceView:
    """The red slice view of the application."""

    def __init__(self):
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        slicer.app.processEvents()
        self.widget = slicer.app.layoutManager().sliceWidget("Red")
        self.sliceNode = self.widget.mrmlSliceNode()
        slicer.util.setSliceViewerLayers(background=None, foreground=None, label=None)

    def pixels(self):
        view = self.widget.sliceView()
        view.forceRender()
        slicer.app.processEvents()
        view.forceRender()
        return grabbed(view.renderWindow())


def grabbed(window):
    """(y, x, 3) uint8, first row at the bottom as in slice coordinates."""
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    return numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[:, :, :3]


@pytest.fixture
def view(scene, core):
    return DesktopSliceView() if IS_DESKTOP else CoreSliceView(core)


def show(sliceNode, worldPosition, fieldOfView=90.0):
    """An axial view centred on a world position, with square pixels."""
    width, height = sliceNode.GetDimensions()[:2]
    if IS_DESKTOP:
        sliceNode.SetFieldOfView(fieldOfView, fieldOfView * height / width, 1.0)
    else:
        sliceNode.SetDimensions(*SIZE, 1)
        sliceNode.SetFieldOfView(fieldOfView, fieldOfView * SIZE[1] / SIZE[0], 1.0)
    matrix = sliceNode.GetSliceToRAS()
    matrix.Identity()
    matrix.SetElement(0, 0, -1.0)
    for axis in range(3):
        matrix.SetElement(axis, 3, float(worldPosition[axis]))
    sliceNode.UpdateMatrices()


def worldOfPixels(sliceNode, shape):
    """(y, x, 3) world RAS of the pixels' centres."""
    matrix = sliceNode.GetXYToRAS()
    toRAS = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    y, x = np.indices(shape)
    points = np.stack([x, y, np.zeros_like(x), np.ones_like(x)], axis=-1).astype(float)
    return (points @ toRAS.T)[..., :3]


def expectedMask(sliceNode, shape, volumeNode, mask):
    """(y, x) bool: whether the truth holds each pixel's centre, computed voxel by voxel without Slicer's rendering."""
    world = worldOfPixels(sliceNode, shape).reshape(-1, 3)
    ijk = np.rint(geometryOf(volumeNode).rasToIJK(worldToLocal(volumeNode, world))).astype(int)
    inside = ((ijk >= 0) & (ijk < np.array(mask.shape[::-1]))).all(axis=1)
    held = np.zeros(len(ijk), dtype=bool)
    i, j, k = ijk[inside].T
    held[inside] = mask[k, j, i]
    return held.reshape(shape)


def test_the_mask_is_seen_where_the_lesion_is(scene, view, oblique_volume):
    volume = oblique_volume.node
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, rotation((0, 1, 3), 20)[row, column])
        matrix.SetElement(row, 3, (15.0, -8.0, 30.0)[row])
    transform.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(oblique_volume.truth))
    center = localToWorld(volume, [oblique_volume.inside])[0]
    result = logic.segment(volume, positive=[center])
    node = result.segmentationNode
    node.GetSegmentation().GetSegment(result.segmentId).SetColor(1.0, 0.0, 0.0)
    display = node.GetDisplayNode()
    display.SetOpacity2DFill(1.0)
    display.SetVisibility2DOutline(False)
    for line in linesOf(node).values():
        line.GetDisplayNode().SetVisibility(False)
    show(view.sliceNode, center)
    pixels = view.pixels().astype(int)
    seen = (pixels[..., 0] > 200) & (pixels[..., 1] < 60) & (pixels[..., 2] < 60)
    expected = expectedMask(view.sliceNode, seen.shape, volume, oblique_volume.truth)
    assert expected.sum() > 500
    overlap = 2.0 * (seen & expected).sum() / (seen.sum() + expected.sum())
    assert overlap > 0.97, overlap
    logic.setVisible(node, result.segmentId, False)
    hidden = view.pixels().astype(int)
    assert not ((hidden[..., 0] > 200) & (hidden[..., 1] < 60)).any()


def test_the_long_axis_is_seen_on_its_slice_and_not_beside_it(scene, view, straight_volume):
    volume = straight_volume.node
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(straight_volume.truth))
    result = logic.segment(volume, positive=[straight_volume.inside])
    node = result.segmentationNode
    logic.setColor(node, result.segmentId, (0.0, 1.0, 0.0))
    node.GetDisplayNode().SetVisibility2D(False)
    long = result.measurements.long
    show(view.sliceNode, (np.array(long.start) + np.array(long.end)) / 2)
    pixels = view.pixels().astype(int)
    green = (pixels[..., 1] > 150) & (pixels[..., 0] < 100) & (pixels[..., 2] < 100)
    world = worldOfPixels(view.sliceNode, green.shape)
    start, end = np.array(long.start), np.array(long.end)
    along = np.clip(((world - start) @ (end - start)) / np.sum((end - start) ** 2), 0.05, 0.95)
    near = np.linalg.norm(world - (start + along[..., None] * (end - start)), axis=-1) < 0.4
    # Every tenth of the axis has green pixels.
    tenths = (along[green & near] * 10).astype(int)
    assert set(range(1, 9)) <= set(tenths.tolist())
    above = np.add(long.start, [0.0, 0.0, 3 * geometryOf(volume).spacing[2]])
    show(view.sliceNode, above)
    pixels = view.pixels().astype(int)
    assert not ((pixels[..., 1] > 150) & (pixels[..., 0] < 100) & (pixels[..., 2] < 100)).any()
