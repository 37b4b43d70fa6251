"""The module's panel as it opens, and its first line: the server, its state, and what can be done about it."""

from __future__ import annotations

import pytest
import qt
import slicer
from module_panel import MASS, ModulePanel, mm

PANEL_HEIGHT_AT_1080_LINES = 1000


@pytest.fixture
def panel(desktop):
    panel = ModulePanel()
    yield panel
    panel.widget.onEscape()


def bottomOf(widget):
    """Lower edge of a widget in the main window, in pixels."""
    return widget.mapTo(slicer.util.mainWindow(), qt.QPoint(0, widget.height)).y()


def test_it_opens_ready(panel, desktop):
    assert qt.QApplication.activeModalWidget() is None
    assert panel.ui.sampleButton.visible
    assert not panel.ui.serverDetails.visible
    for button in (panel.ui.twoClickButton, panel.ui.trueClickButton, panel.ui.magicPenButton):
        assert button.visible
        assert not button.enabled
        assert "volume" in button.toolTip
    assert panel.ui.findingsTable.visible
    assert bottomOf(panel.ui.findingsTable) < PANEL_HEIGHT_AT_1080_LINES
    assert panel.ui.findingsTable.height >= 180
    assert "volume" in panel.status
    desktop.screenshot("module-opens")


def test_the_sample_ct_makes_it_usable(panel, desktop):
    panel.connect()
    panel.ui.sampleButton.click()
    desktop.pump(0.2)
    assert panel.widget.volume.GetName().startswith("CTMass")
    assert not panel.ui.sampleButton.visible
    assert panel.ui.trueClickButton.enabled
    assert panel.status == "Choose a tool to begin."
    desktop.screenshot("module-sample")


def test_the_sample_ct_is_registered_and_loads_without_a_network(panel):
    import SampleData

    volume = SampleData.SampleDataLogic().downloadSamples("IMeasureCTMass")[0]
    assert volume.GetImageData().GetDimensions() == (135, 120, 49)


def test_help_says_what_it_is_and_is_not(panel):
    module = slicer.modules.imeasure
    assert "not a medical device" in module.helpText.lower()
    assert "not a medical device" in module.acknowledgementText.lower()
    assert not module.icon.isNull()


def test_connected_is_one_line_with_a_light(panel, desktop, serverUrl):
    panel.connect()
    assert panel.ui.serverLabel.text == f"Connected to {serverUrl.split('//')[1]}"
    assert not panel.ui.startServerButton.visible
    assert not panel.ui.consentButton.visible
    panel.ui.serverDetailsButton.click()
    assert panel.ui.serverDetails.visible
    desktop.screenshot("module-server-details")
    panel.ui.serverDetailsButton.click()
    assert not panel.ui.serverDetails.visible


def test_no_server_offers_to_start_one(panel, desktop, sampleVolume, monkeypatch):
    monkeypatch.setenv("IMEASURE_SERVER_URL", "http://127.0.0.1:9")
    panel.widget._parameterNode.inputVolume = sampleVolume
    panel.widget.server.onTest()
    desktop.waitUntil(lambda: panel.widget.server.trouble, "the refusal", 20)
    assert panel.ui.startServerButton.visible
    assert "No server at 127.0.0.1:9" in panel.ui.serverLabel.text
    assert "Start it, or check the address" in panel.status
    assert not panel.ui.trueClickButton.enabled
    assert "No IMeasure server is running" in panel.ui.trueClickButton.toolTip
    desktop.screenshot("module-no-server")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://0.0.0.0:8000", "Use http://127.0.0.1:8000"),
        ("htp://x", "must begin with http"),
        ("a b", "not an address"),
    ],
)
def test_a_mistyped_address_is_explained(panel, desktop, sampleVolume, monkeypatch, address, sentence):
    monkeypatch.delenv("IMEASURE_SERVER_URL")
    panel.ui.addressEdit.readOnly = False
    before = panel.widget.logic.settings.serverURL
    panel.widget._parameterNode.inputVolume = sampleVolume
    panel.ui.addressEdit.text = address
    panel.ui.testServerButton.click()
    desktop.waitUntil(lambda: panel.widget.server.trouble, "the explanation", 20)
    assert sentence in panel.status
    panel.widget.logic.settings.serverURL = before


def test_nothing_is_sent_to_another_machine_before_a_yes(panel, desktop, sampleVolume, serverUrl, monkeypatch):
    import socket

    port = serverUrl.rsplit(":", 1)[1]
    host = socket.gethostname()
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        host = "127.0.0.1.nip.invalid"
    panel.widget._parameterNode.inputVolume = sampleVolume
    monkeypatch.setattr(type(panel.widget.logic.settings), "hasConsent", lambda self, url: url in self.said)
    panel.widget.logic.settings.said = set()
    monkeypatch.setattr(type(panel.widget.logic.settings), "giveConsent", lambda self, url: self.said.add(url))
    panel.connect()
    assert panel.ui.consentButton.visible
    assert not panel.ui.trueClickButton.enabled
    assert "not on this computer" in panel.ui.trueClickButton.toolTip
    desktop.screenshot("module-consent")
    panel.ui.consentButton.click()
    desktop.pump(0.1)
    assert not panel.ui.consentButton.visible
    assert panel.ui.trueClickButton.enabled


def test_a_server_that_dies_in_the_middle(panel, desktop, sampleVolume, forwarder, monkeypatch):
    monkeypatch.setenv("IMEASURE_SERVER_URL", forwarder.url)
    panel.widget._parameterNode.inputVolume = sampleVolume
    panel.connect()
    desktop.jumpTo(MASS)
    panel.ui.trueClickButton.click()
    panel.click(MASS)
    before = panel.findings
    forwarder.hold()
    requests = forwarder.requests
    desktop.click(MASS + mm(15.0, 12.0, 0.0), button="right")
    desktop.waitUntil(lambda: forwarder.requests > requests, "the request")
    assert panel.widget.status.isBusy
    assert panel.ui.cancelButton.visible
    desktop.screenshot("module-waiting")
    forwarder.die()
    panel.waitForAnswer()
    desktop.waitUntil(lambda: panel.widget.server.trouble, "the light", 20)
    assert panel.findings == before
    assert panel.ui.startServerButton.visible
    assert "http://" in panel.status
    desktop.screenshot("module-server-died")


def test_cancel_changes_nothing_and_the_next_click_works(panel, desktop, sampleVolume, forwarder, monkeypatch):
    monkeypatch.setenv("IMEASURE_SERVER_URL", forwarder.url)
    panel.widget._parameterNode.inputVolume = sampleVolume
    panel.connect()
    desktop.jumpTo(MASS)
    panel.ui.trueClickButton.click()
    forwarder.hold()
    desktop.click(MASS)
    desktop.pump(0.3)
    panel.ui.cancelButton.click()
    desktop.pump(0.1)
    assert not panel.widget.queue.isBusy
    assert panel.findings == []
    assert "Cancelled" in panel.status
    assert not panel.ui.cancelButton.visible
    forwarder.release()
    panel.click(MASS)
    assert len(panel.findings) == 1


def test_the_status_line_moves_nothing(panel, desktop, sampleVolume, forwarder, monkeypatch):
    monkeypatch.setenv("IMEASURE_SERVER_URL", forwarder.url)
    panel.widget._parameterNode.inputVolume = sampleVolume
    panel.connect()
    desktop.jumpTo(MASS)
    panel.ui.trueClickButton.click()
    desktop.pump(0.1)
    before = panel.ui.findingsTable.geometry.y()
    forwarder.hold()
    desktop.click(MASS)
    desktop.pump(0.3)
    assert panel.ui.findingsTable.geometry.y() == before
    forwarder.release()
    panel.waitForAnswer()
    assert panel.ui.findingsTable.geometry.y() == before


def test_the_logic_is_there_for_scripts(panel, sampleVolume):
    logic = slicer.util.getModuleLogic("IMeasure")
    result = logic.segment(sampleVolume, positive=[MASS])
    assert result.segmentId
    assert result.measurements.long.length > 0
    import IMeasure

    again = IMeasure.IMeasureLogic().segment(sampleVolume, positive=[MASS])
    assert again.measurements.volume == result.measurements.volume


def test_the_modules_own_test_passes(panel, serverUrl):
    import IMeasure

    IMeasure.IMeasureTest().runTest()


def test_a_local_server_is_started_used_and_stopped(panel, desktop, sampleVolume, monkeypatch, tmp_path):
    """With the environment's own Python, when it can run here (a Slicer in a chroot may lack its libraries)."""
    monkeypatch.delenv("IMEASURE_SERVER_URL")
    local = panel.widget.server.local
    panel.widget.server.use("http://127.0.0.1:9")
    before = panel.widget.logic.settings.serverURL
    local._installation.folder = tmp_path / "IMeasure"
    python = local._installation.find()
    panel.widget._parameterNode.inputVolume = sampleVolume
    panel.ui.localServerButton.enabled = True
    panel.ui.localServerButton.click()
    desktop.waitUntil(lambda: not local.isBusy, "the local server", 120)
    if python is None:
        assert local.asksToInstall
        assert panel.ui.startServerButton.text == "Install and start"
        assert "2 GB" in panel.ui.startServerButton.toolTip
        desktop.screenshot("module-asks-to-install")
        return
    desktop.waitUntil(lambda: panel.widget.server.isUp, "the connection", 20)
    assert panel.widget.logic.settings.serverURL == local.server.address
    desktop.jumpTo(MASS)
    panel.ui.trueClickButton.click()
    panel.click(MASS)
    assert len(panel.findings) == 1
    panel.ui.serverDetailsButton.checked = True
    desktop.waitUntil(lambda: "ready" in panel.ui.serverLog.toPlainText(), "the log", 10)
    desktop.screenshot("module-local-server")
    panel.ui.serverDetailsButton.checked = False
    panel.ui.localServerButton.click()
    desktop.waitUntil(lambda: not local.isBusy and not local.server.isRunning, "its end", 30)
    assert panel.widget.logic.settings.serverURL == before
