"""The AIAAClient panel with the real MONAI Label 0.8.5 and its trivial app."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from aiaa_panel import AIAAPanel

from AIAAClientLib.client_settings import ENVIRONMENT_URL


@pytest.fixture
def panel(desktop, monkeypatch, monailabel_peer):
    monkeypatch.setenv(ENVIRONMENT_URL, monailabel_peer)
    panel = AIAAPanel()
    panel.connect()
    return panel


def test_its_models_are_listed_and_run(panel, desktop, sampleVolume):
    assert panel.serverText.endswith("· MONAI Label")
    assert panel.widget.models.names() == ["threshold", "ball", "Histogram+GraphCut"]
    panel.choose("threshold")
    panel.run()
    assert panel.segmentNames() == ["bright"], panel.status
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(
        panel.segmentation, panel.segmentation.GetSegmentation().GetNthSegmentID(0), sampleVolume
    )
    assert np.array_equal(mask != 0, slicer.util.arrayFromVolume(sampleVolume) > 100)
    desktop.screenshot("aiaa-monailabel")
    panel.run()
    assert "nothing to send" in panel.log
    panel.choose("ball")
    assert "use it in the Segment Editor" in panel.status
