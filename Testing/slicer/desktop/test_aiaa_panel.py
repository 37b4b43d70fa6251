"""The AIAAClient panel: servers and what is wrong with them, models, Run, cancel, sessions that expire."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import qt
import slicer
from aiaa_panel import AIAAPanel

from aiaa_fixture import RecordedServer
from AIAAClientLib.client_settings import ENVIRONMENT_KEY, ENVIRONMENT_URL, HISTORY, SERVER_URL
from conftest import SERVER_KEY, addVolume, rotation


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch):
    """The application's settings as they were before, whatever a test types."""
    names = (SERVER_URL, HISTORY, "AIAAClient/APIKeys")
    before = {name: qt.QSettings().value(name) for name in names}
    for name in names:
        qt.QSettings().remove(name)
    monkeypatch.delenv(ENVIRONMENT_URL, raising=False)
    monkeypatch.delenv(ENVIRONMENT_KEY, raising=False)
    yield
    for name, value in before.items():
        if value is None:
            qt.QSettings().remove(name)
        else:
            qt.QSettings().setValue(name, value)


@pytest.fixture
def panel(desktop):
    return AIAAPanel()


@pytest.fixture
def server(odd_server):
    return RecordedServer(odd_server, "AIAA", "MONAI Label")


@pytest.fixture
def bright(desktop):
    """An oblique volume with a bright box, which the fixture's model finds."""
    array = np.random.default_rng(0).integers(0, 40, (24, 64, 72)).astype(np.int16)
    array[8:16, 20:40, 24:50] += 300
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((1, 1, 3), 20) @ np.diag([1.0, -1.0, 2.5])
    volume = addVolume(slicer.mrmlScene, array, matrix)
    desktop.showVolume(volume)
    return volume


@pytest.fixture
def connected(panel, server, bright):
    panel.type(server.address)
    assert panel.widget.server.isUp, panel.status
    panel.ui.serverDetailsButton.checked = False
    return panel


# ---- the real server


def test_the_panel_opens_ready(panel, desktop, sampleVolume):
    panel.connect()
    assert panel.serverText.startswith("127.0.0.1")
    assert panel.serverText.endswith("· AIAA, MONAI Label")
    assert panel.widget.volume is sampleVolume
    names = panel.widget.models.names()
    assert {"ct_body_parts", "deepgrow_3d", "dextr3d", "segmentation", "Histogram+GraphCut"} <= set(names)
    panel.choose("dextr3d")
    assert not panel.ui.runButton.enabled
    assert "use it in the Segment Editor" in panel.ui.runButton.toolTip
    assert panel.ui.editorButton.visible
    desktop.screenshot("aiaa-models")


def test_the_parts_of_a_body_become_segments(panel, desktop, sampleVolume):
    """With the real server and its own model, on a real CT."""
    panel.connect()
    panel.choose("ct_body_parts")
    assert panel.status == "Press Run."
    panel.run()
    assert {"bones", "fat", "muscle"} <= set(panel.segmentNames()), panel.status
    assert panel.status.endswith(" s.")
    ids = panel.segmentation.GetSegmentation()
    bones = slicer.util.arrayFromSegmentBinaryLabelmap(
        panel.segmentation, ids.GetSegmentIdBySegmentName("bones"), sampleVolume
    )
    fat = slicer.util.arrayFromSegmentBinaryLabelmap(
        panel.segmentation, ids.GetSegmentIdBySegmentName("fat"), sampleVolume
    )
    voxels = slicer.util.arrayFromVolume(sampleVolume)
    assert voxels[bones != 0].mean() > 200
    assert -150 < voxels[fat != 0].mean() < -40
    display = panel.segmentation.GetDisplayNode()
    display.SetOpacity2DFill(0.35)
    desktop.screenshot("aiaa-body-parts")


def test_the_real_server_dies_in_the_middle_and_comes_back(panel, desktop, sampleVolume, forwarder, serverUrl):
    panel.type(forwarder.url)
    panel.choose("ct_body_parts")
    forwarder.hold()
    panel.ui.runButton.click()
    desktop.waitUntil(lambda: panel.status.startswith("The server is working"), "the volume to be sent", 30)
    forwarder.die()
    panel.wait()
    assert forwarder.url in panel.status
    assert panel.segmentation is None
    desktop.waitUntil(lambda: not panel.widget.server.isUp, "the light", 30)
    assert "ct_body_parts" in panel.widget.models.names()
    panel.type(serverUrl)
    panel.run()
    assert "bones" in panel.segmentNames()


def test_a_session_that_the_real_server_gave_up(panel, desktop, sampleVolume, serverUrl):
    panel.connect()
    panel.choose("ct_body_parts")
    panel.run()
    newest, _ = list(panel.logic._sessions._sessions.values())[-1]  # earlier tests may have left others
    panel.logic.connection.client.closeSession(newest)
    panel.run()
    assert panel.segmentNames().count("bones (2)") == 1, panel.status
    assert "no longer has the volume" in panel.log


def test_a_key_for_this_server_alone(panel, desktop, serverUrl, server, bright):
    """The key that was typed for one server is not sent to another."""
    server.key = "secret"
    panel.type(server.address)
    assert panel.serverText == f"A key is needed at {server.address.split('//')[1]}"
    assert "asks for an API key" in panel.status
    panel.ui.keyEdit.text = "secret"
    panel.ui.testServerButton.click()
    desktop.waitUntil(lambda: panel.widget.server.isUp, "the server", 30)
    panel.type(serverUrl)
    assert panel.ui.keyEdit.text in ("", SERVER_KEY)
    assert panel.logic.settings.apiKey != "secret"
    panel.ui.addressCombo.setCurrentIndex(1)
    panel.ui.addressCombo.activated(1)
    desktop.waitUntil(lambda: panel.widget.server.isUp, "the server", 30)
    assert panel.logic.settings.serverURL == server.address
    assert panel.logic.settings.apiKey == "secret"
    panel.ui.keyEdit.text = ""
    panel.ui.testServerButton.click()
    desktop.waitUntil(lambda: panel.widget.server.trouble, "the refusal", 30)
    assert panel.logic.settings.apiKey == ""


# ---- addresses


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://0.0.0.0:8000/", "Use http://127.0.0.1:8000 if it runs on this machine"),
        ("127.0.0.1:9", "No AIAA or MONAI Label server is running at http://127.0.0.1:9"),
        ("ftp://somewhere", "must begin with http:// or https://"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(panel, desktop, address, sentence):
    panel.type(address)
    assert sentence in panel.status
    assert sentence in panel.ui.serverLabel.toolTip
    assert not panel.ui.runButton.enabled
    assert panel.widget.models.names() == []
    if "9" in address:
        desktop.screenshot("aiaa-no-server")


def test_a_server_of_something_else(panel, desktop, odd_server):
    odd_server.answer = lambda handler: handler.say(200, b"<html>Welcome</html>", "text/html")
    panel.type(odd_server.address)
    assert "neither an AIAA nor a MONAI Label server" in panel.status
    odd_server.answer = lambda handler: handler.say(504, b"", "text/html")
    panel.ui.testServerButton.click()
    desktop.waitUntil(lambda: "504" in panel.status, "the verdict", 20)


def test_the_protocol_and_the_history(panel, desktop, odd_server, serverUrl):
    server = RecordedServer(odd_server, "AIAA")
    panel.type(server.address + "/v1/models")
    assert panel.serverText.endswith("· AIAA")
    server.protocols = {"MONAI Label"}
    panel.ui.testServerButton.click()
    desktop.waitUntil(lambda: panel.serverText.endswith("· MONAI Label"), "the other protocol", 20)
    panel.type(serverUrl)
    history = [panel.ui.addressCombo.itemText(index) for index in range(panel.ui.addressCombo.count)]
    assert history == [serverUrl, server.address]


# ---- run


def test_each_label_becomes_a_segment(connected, desktop, bright, server):
    connected.choose("organs")
    assert connected.status == "Press Run."
    connected.run()
    assert connected.status.startswith("1 segment · ")
    assert connected.segmentNames() == ["spleen"]
    array = slicer.util.arrayFromSegmentBinaryLabelmap(
        connected.segmentation, connected.segmentation.GetSegmentation().GetNthSegmentID(0), bright
    )
    voxels = slicer.util.arrayFromVolume(bright)
    assert np.array_equal(array != 0, voxels > voxels.mean())
    connected.run()
    assert connected.segmentNames() == ["spleen", "spleen (2)"]
    assert server.uploads == 1
    connected.ui.logSection.collapsed = False
    assert "nothing to send" in connected.log
    desktop.screenshot("aiaa-run")
    connected.ui.logSection.collapsed = True


def test_a_session_that_expires_is_not_noticed(connected, desktop, server):
    connected.choose("organs")
    connected.run()
    server.sessions.clear()
    connected.run()
    assert connected.status.startswith("1 segment · ")
    assert server.uploads == 2


def test_cancel_leaves_the_scene_as_it_was(connected, desktop, server):
    server.hold = threading.Event()
    connected.choose("organs")
    connected.ui.runButton.click()
    desktop.waitUntil(lambda: server.asked, "the question", 20)
    desktop.pump(0.3)
    assert connected.ui.cancelButton.visible
    assert connected.status.startswith("The server is working. ")
    desktop.screenshot("aiaa-working")
    connected.ui.cancelButton.click()
    desktop.pump(0.2)
    server.hold.set()
    assert connected.status == "Cancelled. Nothing was changed."
    assert connected.segmentation is None
    assert connected.ui.runButton.enabled


def test_a_server_that_dies_in_the_middle(connected, desktop, server, odd_server):
    server.hold = threading.Event()
    connected.choose("organs")
    connected.ui.runButton.click()
    desktop.waitUntil(lambda: server.asked, "the question", 20)
    server.failing = (500, {"detail": "The worker died. Try again."})
    server.hold.set()
    connected.wait()
    assert "The worker died. Try again." in connected.status
    assert connected.segmentation is None
    odd_server.stop()
    connected.ui.runButton.click()
    connected.wait()
    assert "No AIAA or MONAI Label server is running" in connected.status
    desktop.waitUntil(lambda: not connected.ui.runButton.enabled, "the light", 30)
    assert connected.serverText.startswith("No server at")


def test_what_a_model_says_without_a_mask(connected, desktop, server):
    server.withMask, server.result = False, {"pneumothorax": 0.93}
    connected.choose("findings")
    connected.run()
    assert connected.status == '{"pneumothorax": 0.93}'
    assert connected.segmentation is None


def test_consent_is_asked_once_before_anything_is_sent(connected, desktop, server, monkeypatch):
    import AIAAClientLib.client_settings as module

    monkeypatch.setattr(module.ClientSettings, "hasConsent", lambda self, url: url in _consented)
    monkeypatch.setattr(module.ClientSettings, "giveConsent", lambda self, url: _consented.append(url))
    _consented: list[str] = []
    connected.connect()
    connected.choose("organs")
    desktop.pump(0.1)
    assert not connected.ui.runButton.enabled
    assert connected.serverText == "Send images to 127.0.0.1?"
    assert "allow sending the volume" in connected.ui.runButton.toolTip
    assert "The chosen volume, without names or identifiers," in connected.ui.consentButton.toolTip
    desktop.screenshot("aiaa-consent")
    assert server.uploads == 0
    connected.ui.consentButton.click()
    desktop.pump(0.1)
    connected.run()
    assert server.uploads == 1


def test_the_segment_editor_opens_with_the_right_effect(connected, desktop, bright):
    for model, effect in (("dextr", "AI Boundary points"), ("sam", "AI Smart clicks")):
        slicer.util.selectModule("AIAAClient")
        connected.choose(model)
        connected.ui.editorButton.click()
        desktop.pump(0.3)
        editor = slicer.util.getModuleWidget("SegmentEditor").editor
        assert editor.sourceVolumeNode() is bright
        assert editor.segmentationNode() is connected.segmentation
        assert editor.activeEffect().name == effect
    editor.setActiveEffectByName("")


def test_the_panel_survives_the_scene_and_a_volume_that_goes(connected, desktop, server):
    server.hold = threading.Event()
    connected.choose("organs")
    connected.ui.runButton.click()
    desktop.waitUntil(lambda: server.asked, "the question", 20)
    slicer.mrmlScene.RemoveNode(connected.widget.volume)
    server.hold.set()
    connected.wait()
    assert connected.status == "The volume was removed meanwhile."
    slicer.mrmlScene.Clear(0)
    desktop.pump(0.2)
    assert connected.status == "Load a volume."
    assert not connected.ui.runButton.enabled


def test_the_console_and_the_panel_share_one_server(panel, desktop, server, bright):
    logic = slicer.util.getModuleLogic("AIAAClient")
    assert logic is panel.logic
    logic.connect(server.address)
    desktop.pump(0.2)
    assert panel.widget.models.names()[0] in ("organs", "spleen")
    assert panel.ui.addressCombo.lineEdit().text == server.address
    result = logic.segment(bright, "organs")
    assert list(result.segmentIds) == ["spleen"]
