"""The AI effects with a server that is slow, goes away, forgets the volume, or must not be asked: nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest
import qt
import requests
import slicer
import vtk
from aiaa_effect import AUTO, BOUNDARY, CLICKS, SCRIBBLES, extremePoints
from effect_driver import dice


@pytest.fixture
def lesion(straight_volume, desktop):
    """A phantom lesion of 25 mm, shown in the Red view around its middle."""
    desktop.showVolume(straight_volume.node, straight_volume.inside, fieldOfView=90.0)
    return straight_volume


@pytest.fixture
def slow(forwarder, openAIEffect, monkeypatch):
    """Function as ``openAIEffect``: the effect asks the real server behind the forwarder."""

    def open_(*arguments, **options):
        monkeypatch.setenv("AIAA_SERVER_URL", forwarder.url)
        return openAIEffect(*arguments, **options)

    return open_


def waitForRequest(desktop, forwarder, before):
    desktop.waitUntil(lambda: forwarder.requests > before, "the request to reach the server")


@pytest.mark.parametrize("how", ["button", "escape"])
def test_slicer_goes_on_and_waiting_can_be_cancelled(desktop, slow, forwarder, lesion, how):
    driver = slow(CLICKS, lesion.node, model="deepgrow_3d")
    forwarder.hold()
    before, ticks = forwarder.requests, []
    timer = qt.QTimer()
    timer.setInterval(10)
    timer.connect("timeout()", lambda: ticks.append(1))
    desktop.click(lesion.inside)
    waitForRequest(desktop, forwarder, before)
    timer.start()
    desktop.waitUntil(lambda: len(ticks) > 20, "the event loop to go on")
    timer.stop()
    assert driver.effect.queue.isBusy
    assert driver.ui.cancelButton.visible
    assert len(driver.markerPositions()) == 1, "the prompt is shown while it is being answered"
    desktop.screenshot("aiaa-effect-waiting")
    if how == "button":
        driver.ui.cancelButton.click()
    else:
        desktop.pressShortcut("Esc")
    assert not driver.effect.queue.isBusy
    assert "Cancelled" in driver.status
    assert driver.isOn
    forwarder.release()
    desktop.pump(0.3)
    assert not driver.mask().any()
    assert len(driver.markerPositions()) == 0
    desktop.pressShortcut("Esc")
    assert not driver.isOn


def test_a_server_that_dies_in_the_middle_loses_nothing(desktop, slow, forwarder, lesion, monkeypatch, serverUrl):
    driver = slow(CLICKS, lesion.node, model="deepgrow_3d")
    desktop.click(lesion.inside)
    driver.wait()
    before = driver.mask()
    assert before.any()
    forwarder.hold()
    asked = forwarder.requests
    desktop.click(lesion.inside + np.array([6.0, 0.0, 0.0]))
    waitForRequest(desktop, forwarder, asked)
    forwarder.die()
    driver.wait()
    desktop.waitUntil(lambda: not driver.effect.server.isUp, "the light to go out")
    desktop.pump(0.2)
    desktop.screenshot("aiaa-effect-server-died")
    assert (driver.mask() == before).all()
    assert len(driver.prompts) == 1
    assert len(driver.markerPositions()) == 2, "the click that was not answered is still there"
    assert "A asks again" in driver.status
    assert "server" in driver.status.lower()
    assert "Traceback" not in driver.status
    assert "No server at" in driver.ui.serverLabel.text
    assert not driver.ui.runButton.enabled
    assert driver.ui.runButton.toolTip
    # The server is back: what was clicked is asked again with one key.
    monkeypatch.setenv("AIAA_SERVER_URL", serverUrl)
    driver.effect.server.look()
    driver.connect()
    desktop.pressShortcut("A")
    driver.wait()
    assert len(driver.prompts) == 2
    assert dice(driver.mask(), lesion.truth) > 0.75


def test_points_and_scribbles_survive_a_server_that_is_not_there(desktop, slow, forwarder, lesion):
    driver = slow(BOUNDARY, lesion.node)
    forwarder.die()
    for point in extremePoints(lesion.node, lesion.truth):
        desktop.jumpTo(point)
        desktop.click(point)
        driver.wait()
    assert len(driver.prompts) == 6
    assert not driver.mask().any()
    assert "⚠" in driver.status
    scribbles = slow(SCRIBBLES, lesion.node, segmentation=driver.segmentation, connect=False)
    desktop.jumpTo(lesion.inside)
    desktop.click(lesion.inside)
    assert len(scribbles.state.strokes) == 1
    assert not scribbles.ui.runButton.enabled
    assert scribbles.ui.runButton.toolTip


def test_a_session_that_expired_is_made_again_without_a_word(desktop, openAIEffect, lesion, serverUrl):
    driver = openAIEffect(CLICKS, lesion.node, model="deepgrow_3d")
    desktop.click(lesion.inside)
    driver.wait()
    sessions = [session for session, _ in driver.effect.logic.connection.client.sessions._sessions.values()]
    assert requests.delete(f"{serverUrl}/session/{sessions[-1]}", timeout=10).status_code == 200
    desktop.click(lesion.inside + np.array([3.0, 0.0, 0.0]))
    driver.wait()
    assert driver.status.startswith("2 points, ")
    assert dice(driver.mask(), lesion.truth) > 0.75


def test_nothing_is_sent_to_another_machine_before_that_is_allowed(desktop, slow, forwarder, lesion, monkeypatch):
    from AIAAClientLib.client_settings import ClientSettings

    allowed: list = []
    monkeypatch.setattr(ClientSettings, "hasConsent", lambda self, url: url in allowed)
    monkeypatch.setattr(ClientSettings, "giveConsent", lambda self, url: allowed.append(url))
    driver = slow(CLICKS, lesion.node, model="deepgrow_3d")
    assert driver.ui.consentButton.visible
    assert "will be sent to 127.0.0.1" in driver.ui.consentButton.toolTip
    before = forwarder.requests
    desktop.click(lesion.inside)
    driver.wait()
    desktop.screenshot("aiaa-effect-consent")
    assert forwarder.requests == before
    assert "A asks again" in driver.status
    assert "Allow first" in driver.status
    assert len(driver.markerPositions()) == 1
    driver.ui.consentButton.click()
    assert not driver.ui.consentButton.visible
    driver.wait()
    assert dice(driver.mask(), lesion.truth) > 0.75


@pytest.mark.parametrize("change", ["segment", "effect", "undo"])
def test_an_answer_that_nobody_waits_for_is_dropped(desktop, slow, forwarder, lesion, change):
    driver = slow(CLICKS, lesion.node, names=("First", "Second"), model="deepgrow_3d")
    first, second = driver.segmentIds
    if change == "undo":
        desktop.click(lesion.inside)
        driver.wait()
    forwarder.hold()
    asked = forwarder.requests
    desktop.click(lesion.inside + np.array([4.0, 0.0, 0.0]))
    waitForRequest(desktop, forwarder, asked)
    if change == "segment":
        driver.select(second)
    elif change == "effect":
        driver.editor.setActiveEffectByName("Paint")
    else:
        driver.undo()
    desktop.pump(0.1)
    assert not driver.effect.queue.isBusy
    forwarder.release()
    desktop.pump(0.3)
    assert not driver.mask(first).any()
    assert not driver.mask(second).any()


def test_a_server_without_a_model_says_so(desktop, slow, forwarder, lesion):
    driver = slow(AUTO, lesion.node)
    if not driver.ui.modelBox.enabled:
        assert "no model for automatic segmentation" in driver.status
        assert "no model" in driver.ui.runButton.toolTip


def test_a_scene_closed_meanwhile_is_no_trouble(desktop, slow, forwarder, lesion):
    driver = slow(CLICKS, lesion.node, model="deepgrow_3d")
    forwarder.hold()
    asked = forwarder.requests
    desktop.click(lesion.inside)
    waitForRequest(desktop, forwarder, asked)

    slicer.mrmlScene.Clear(0)
    desktop.pump(0.1)
    forwarder.release()
    desktop.pump(0.5)
    assert not driver.effect.queue.isBusy
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0


def test_a_colour_volume_is_refused_with_a_sentence(desktop, openAIEffect, lesion):

    image = vtk.vtkImageData()
    image.SetDimensions(8, 8, 8)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    image.GetPointData().GetScalars().Fill(1)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Photo")
    node.SetAndObserveImageData(image)
    desktop.showVolume(node, (4, 4, 4), fieldOfView=20.0)
    driver = openAIEffect(CLICKS, node)
    desktop.click((4, 4, 4))
    driver.wait()
    assert "colour" in driver.status
    assert not driver.mask().any()


@pytest.mark.parametrize("name", [BOUNDARY, CLICKS, SCRIBBLES])
def test_a_sheared_volume_is_refused_with_a_sentence(desktop, openAIEffect, lesion, name):
    matrix = vtk.vtkMatrix4x4()
    lesion.node.GetIJKToRASMatrix(matrix)
    matrix.SetElement(1, 2, 1.5)
    lesion.node.SetIJKToRASMatrix(matrix)
    driver = openAIEffect(name, lesion.node)
    assert "not perpendicular" in driver.status
    assert not driver.ui.runButton.enabled
    assert "not perpendicular" in driver.ui.runButton.toolTip
