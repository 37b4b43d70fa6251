"""The effect with a server that is slow, goes away, or must not be asked: Slicer goes on, and no segment is harmed."""

from __future__ import annotations

import numpy as np
import pytest
import qt
from effect_driver import dice


@pytest.fixture
def lesion(straight_volume, desktop):
    """A phantom lesion of 25 mm, shown in the Red view around its middle."""
    desktop.showVolume(straight_volume.node, straight_volume.inside, fieldOfView=90.0)
    return straight_volume


@pytest.fixture
def slowServer(forwarder, monkeypatch):
    """The real server behind a forwarder; the effect asks there."""
    monkeypatch.setenv("IMEASURE_SERVER_URL", forwarder.url)
    return forwarder


def waitForRequest(desktop, forwarder, count=1):
    desktop.waitUntil(lambda: forwarder.requests >= count, "the request to reach the server")


def test_slicer_goes_on_while_the_server_works(desktop, openEffect, lesion, slowServer):
    driver = openEffect(lesion.node)
    slowServer.hold()
    ticks = []
    timer = qt.QTimer()
    timer.setInterval(10)
    timer.connect("timeout()", lambda: ticks.append(1))
    desktop.click(lesion.inside)
    waitForRequest(desktop, slowServer)
    timer.start()
    desktop.waitUntil(lambda: len(ticks) > 20, "the event loop to go on")
    timer.stop()
    assert driver.effect.queue.isBusy
    assert driver.effect.ui.cancelButton.visible
    assert driver.effect.ui.progressBar.visible
    desktop.screenshot("effect-10-waiting")
    slowServer.release()
    driver.wait()
    assert not driver.effect.ui.cancelButton.visible
    assert dice(driver.mask(), lesion.truth) > 0.75


@pytest.mark.parametrize("how", ["button", "escape"])
def test_waiting_can_be_cancelled(desktop, openEffect, lesion, slowServer, how):
    driver = openEffect(lesion.node)
    slowServer.hold()
    desktop.click(lesion.inside)
    waitForRequest(desktop, slowServer)
    if how == "button":
        driver.effect.ui.cancelButton.click()
    else:
        desktop.pressShortcut("Esc")
    assert not driver.effect.queue.isBusy
    assert "Cancelled" in driver.status
    assert driver.isOn
    slowServer.release()
    desktop.pump(0.5)
    assert not driver.mask().any()
    assert driver.steps() == ()
    assert len(driver.markerPositions()) == 0
    desktop.click(lesion.inside)
    driver.wait()
    assert dice(driver.mask(), lesion.truth) > 0.75


def test_a_server_that_dies_in_the_middle_harms_nothing(
    desktop, openEffect, lesion, slowServer, monkeypatch, serverUrl
):
    driver = openEffect(lesion.node)
    desktop.click(lesion.inside)
    driver.wait()
    before, finding = driver.mask(), driver.finding()
    slowServer.hold()
    asked = slowServer.requests
    desktop.click(lesion.inside + np.array([8.0, 0.0, 0.0]))
    waitForRequest(desktop, slowServer, asked + 1)
    slowServer.die()
    driver.wait()
    desktop.screenshot("effect-11-server-died")
    assert (driver.mask() == before).all()
    assert driver.finding() == finding
    assert len(driver.markerPositions()) == 1
    assert "server" in driver.status.lower()
    assert "\n" not in driver.status
    assert "Traceback" not in driver.status
    # The next click finds nobody there, which is another sentence; then the server is back.
    desktop.click(lesion.inside + np.array([8.0, 0.0, 0.0]))
    driver.wait()
    assert "IMeasure" in driver.status
    assert (driver.mask() == before).all()
    monkeypatch.setenv("IMEASURE_SERVER_URL", serverUrl)
    desktop.click(lesion.inside + np.array([3.0, 0.0, 0.0]))
    driver.wait()
    assert len(driver.steps()) == 2


def test_clicks_made_meanwhile_wait_their_turn(desktop, openEffect, lesion, slowServer):
    driver = openEffect(lesion.node)
    slowServer.hold()
    desktop.click(lesion.inside)
    waitForRequest(desktop, slowServer)
    desktop.click(lesion.inside + np.array([4.0, 0.0, 0.0]))
    desktop.click(lesion.inside + np.array([0.0, 4.0, 0.0]))
    assert "2 more" in driver.status
    slowServer.release()
    driver.wait()
    assert len(driver.steps()) == 3
    assert len(driver.markerPositions()) == 3
    for _ in range(3):
        driver.editor.undo()
    desktop.pump(0.2)
    assert not driver.mask().any()


@pytest.mark.parametrize("change", ["segment", "effect", "undo"])
def test_an_answer_that_nobody_waits_for_is_dropped(desktop, openEffect, lesion, slowServer, change):
    driver = openEffect(lesion.node, names=("First", "Second"))
    first, second = driver.segmentIds
    if change == "undo":
        desktop.click(lesion.inside)
        driver.wait()
    slowServer.hold()
    asked = slowServer.requests
    desktop.click(lesion.inside + np.array([4.0, 0.0, 0.0]))
    waitForRequest(desktop, slowServer, asked + 1)
    if change == "segment":
        driver.select(second)
    elif change == "effect":
        driver.editor.setActiveEffectByName("Paint")
    else:
        driver.editor.undo()
    desktop.pump(0.1)
    assert not driver.effect.queue.isBusy
    slowServer.release()
    desktop.pump(1.0)
    assert not driver.mask(first).any()
    assert not driver.mask(second).any()
    assert driver.steps(first) == driver.steps(second) == ()


def test_the_scene_may_be_closed_meanwhile(desktop, openEffect, lesion, slowServer):
    import slicer

    driver = openEffect(lesion.node)
    slowServer.hold()
    desktop.click(lesion.inside)
    waitForRequest(desktop, slowServer)
    slicer.mrmlScene.Clear(0)
    slowServer.release()
    desktop.pump(1.0)
    assert not driver.effect.queue.isBusy


def test_nothing_is_sent_to_another_machine_that_nobody_agreed_to(desktop, openEffect, lesion, monkeypatch):
    driver = openEffect(lesion.node)
    monkeypatch.setenv("IMEASURE_SERVER_URL", "http://192.0.2.7:8000")  # TEST-NET-1: nobody's
    desktop.click(lesion.inside)
    assert not driver.effect.queue.isBusy
    assert "192.0.2.7" in driver.status
    assert "IMeasure module" in driver.status
    assert driver.steps() == ()


def test_the_server_button_leads_to_the_module(desktop, openEffect, lesion):
    import slicer

    driver = openEffect(lesion.node)
    driver.effect.ui.serverButton.click()
    desktop.pump(0.2)
    assert slicer.util.moduleSelector().selectedModule == "IMeasure"
