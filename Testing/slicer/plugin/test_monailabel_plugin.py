"""MONAI Label's own Slicer plugin, unmodified, against our server: driven as a person drives it."""

from __future__ import annotations

import driving
import numpy as np
import pytest
import qt
import requests
import slicer
import vtk

PHANTOM_SHAPE = (32, 64, 72)
"""Slices, rows, columns (k, j, i)."""
SPACING = (1.5, 1.5, 3.0)
LESION = (40, 30, 16)
"""Its middle (i, j, k)."""
RADIUS = 12.0
"""mm."""


@pytest.fixture
def panel(desktop, serverUrl):
    """The plugin's module, connected to the server as by a person who types the address and presses refresh."""
    settings = qt.QSettings()
    settings.setValue("MONAILabel/autoRunSegmentationOnNextSample", False)
    slicer.util.selectModule("MONAILabel")
    widget = slicer.modules.monailabel.widgetRepresentation().self()
    widget.ui.serverComboBox.currentText = serverUrl
    widget.ui.fetchServerInfoButton.click()
    driving.pump(0.2)
    return widget


@pytest.fixture
def server(serverUrl):
    """The server's side of things, and a studies folder that is empty at the end."""
    with requests.Session() as session:
        session.trust_env = False

        def objects():
            return session.get(f"{serverUrl}/datastore/?output=all", timeout=30).json()["objects"]

        yield objects
        for image in objects():
            session.delete(f"{serverUrl}/datastore/image?id={image}", timeout=30)
        assert objects() == {}


def phantom(name: str = "phantom"):
    """A body with a bright ball, oblique and anisotropic, in HU; the ball as a mask (k, j, i)."""
    rng = np.random.default_rng(0)
    k, j, i = np.meshgrid(*(np.arange(n) for n in PHANTOM_SHAPE), indexing="ij")
    array = np.full(PHANTOM_SHAPE, -1000.0)
    array[((i - 36) / 32.0) ** 2 + ((j - 32) / 26.0) ** 2 < 1] = 40
    distance = np.sqrt(sum(((axis - at) * mm) ** 2 for axis, at, mm in zip((i, j, k), LESION, SPACING)))
    array[distance < RADIUS] = 160
    array += rng.normal(0, 8, PHANTOM_SHAPE)
    angle = 0.2
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([-SPACING[0], -SPACING[1], SPACING[2]])
    matrix[:3, 3] = (60, 40, -30)
    node = slicer.util.addVolumeFromArray(array.astype(np.int16), ijkToRAS=matrix, name=name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevel(400, 60)
    driving.showVolume(node, center=ras(node, LESION))
    return node, distance < RADIUS


def ras(node, ijk):
    """World position of a voxel."""
    matrix = slicer.util.arrayFromVTKMatrix(_ijkToRas(node))
    return (matrix @ np.append(np.asarray(ijk, dtype=float), 1.0))[:3]


def _ijkToRas(node):
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def mask(panel, node, label):
    """A segment's voxels on the volume's grid (k, j, i)."""
    segmentation = panel._segmentNode
    segmentId = segmentation.GetSegmentation().GetSegmentIdBySegmentName(label)
    assert segmentId, f"There is no segment {label}."
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segmentId, node) > 0


def dice(first, second) -> float:
    return 2.0 * (first & second).sum() / (first.sum() + second.sum())


def upload(panel):
    """Press Upload and agree to it."""
    texts = driving.answerNextDialog("OK")
    panel.ui.uploadImageButton.click()
    driving.pump(0.3)
    assert texts
    assert "will be sent" in texts[0]


def test_fetch_lists_the_models_by_kind(panel):
    def items(box):
        return [box.itemText(n) for n in range(box.count)]

    assert "ct_body_parts" in items(panel.ui.segmentationModelSelector)
    assert "deepgrow_3d" in items(panel.ui.deepgrowModelSelector)
    assert {"Histogram+GraphCut", "GMM+GraphCut"} <= set(items(panel.ui.scribblesMethodSelector))
    assert items(panel.ui.strategyBox) == ["random", "first", "last"]


def test_a_session_of_labelling(panel, server, serverUrl):
    """Upload, auto segmentation, smart edit, scribbles, submit and next sample, in one scene as a person works."""
    node, lesion = phantom()
    values = slicer.util.arrayFromVolume(node).copy()
    body = values > -400
    upload(panel)
    assert list(server()) == ["phantom"]

    panel.ui.segmentationModelSelector.currentText = "ct_body_parts"
    panel.ui.segmentationButton.click()
    driving.pump(0.3)
    parts = mask(panel, node, "body") | mask(panel, node, "muscle")  # the body is what is none of its parts
    assert dice(parts, body) > 0.93
    driving.screenshot("monailabel-plugin-auto")

    smart_edit(panel, node, lesion)
    scribbles(panel, node, lesion)
    submit(panel, server)
    next_sample(panel, serverUrl, values)


def smart_edit(panel, node, lesion):
    """One click on the lesion with the plugin's positive point tool."""
    panel.ui.labelComboBox.setCurrentText("object")
    panel.ui.deepgrowModelSelector.currentText = "deepgrow_3d"
    panel.ui.dgPositiveControlPointPlacementWidget.setPlaceModeEnabled(True)
    driving.click(ras(node, LESION))
    driving.pump(0.3)
    panel.ui.dgPositiveControlPointPlacementWidget.setPlaceModeEnabled(False)
    driving.screenshot("monailabel-plugin-smart-edit")
    assert dice(mask(panel, node, "object"), lesion) > 0.95


def scribbles(panel, node, lesion):
    """Lines on the lesion and around it, painted with the mouse."""
    panel.ui.scribblesMethodSelector.currentText = "Histogram+GraphCut"
    panel.ui.scribLabelComboBox.setCurrentText("object")
    panel.ui.brushSizeSlider.value = 1
    panel.ui.paintScribblesButton.click()
    i, j, k = LESION
    driving.drag([ras(node, (x, j, k)) for x in range(i - 4, i + 5)])
    panel.ui.scribblesSelector.setCurrentIndex(1)
    around = np.linspace(0, 2 * np.pi, 40)
    driving.drag([ras(node, (i + 14 * np.cos(a), j + 14 * np.sin(a), k)) for a in around])
    driving.screenshot("monailabel-plugin-scribbles-drawn")
    panel.ui.updateScribblesButton.click()
    driving.pump(0.5)
    driving.screenshot("monailabel-plugin-scribbles")
    assert dice(mask(panel, node, "object"), lesion) > 0.95


def submit(panel, server):
    """Submit Label, and look at what the server has."""
    texts = driving.answerNextDialog("OK")
    panel.ui.saveLabelButton.click()
    driving.pump(0.3)
    assert texts
    assert "saved" in texts[0]
    label = server()["phantom"]["labels"]["final"]
    names = [entry["name"] for entry in label["info"]["label_info"]]
    assert {"body", "object"} <= set(names)


def next_sample(panel, serverUrl, values):
    """Next Sample closes the scene and loads what has no label yet: an image that somebody else put there."""
    copy = requests.get(f"{serverUrl}/datastore/image?image=phantom", timeout=30)
    requests.put(
        f"{serverUrl}/datastore/?image=second", files={"file": ("second.nii.gz", copy.content)}, timeout=30
    ).raise_for_status()
    panel.ui.embeddedSegmentEditorWidget.setActiveEffectByName("")  # with its brush in use, Slicer aborts on closing
    driving.pump(0.2)
    panel.ui.fetchServerInfoButton.click()
    panel.ui.strategyBox.setCurrentText("first")
    texts = driving.answerNextDialog("OK")
    panel.ui.nextSampleButton.click()
    driving.pump(0.5)
    assert "close current scene" in texts[0]
    loaded = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert loaded.GetName().startswith("second")
    assert np.array_equal(slicer.util.arrayFromVolume(loaded), values)
    driving.screenshot("monailabel-plugin-next-sample")
