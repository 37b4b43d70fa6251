"""The section "Photo of a screen": corners from the server or by hand, then the straightened picture is analysed."""

from __future__ import annotations

from typing import Any, Callable

from slicer.i18n import tr as _

from IMeasureLib.http_client import ServerError

from .logic import ConsentError, VHSAnalyzerLogic, cornersFor, straightened
from .panel_job import EXPECTED_ERRORS, PanelJob
from .picture import PictureError
from .screen_corners import cornersOf, removeCorners, showCorners, volumeFromJPEG
from .volume_picture import capture


class PhotoPanel:
    """Two buttons.

    Args:
        picture: gives the present picture's volume node.
        onStraightened: called with the straightened picture's volume node, to show and analyse it.
    """

    def __init__(
        self,
        ui: Any,
        logic: VHSAnalyzerLogic,
        job: PanelJob,
        picture: Callable[[], Any],
        onStraightened: Callable[[Any], str],
    ) -> None:
        self._logic, self._job, self._picture, self._onStraightened = logic, job, picture, onStraightened
        ui.cornersButton.connect("clicked()", self.onCorners)
        ui.straightenButton.connect("clicked()", self.onStraighten)

    def onCorners(self) -> None:
        """Ask for the corners; without a server, or a screen, they begin inside the picture's own."""
        volume = self._picture()
        try:
            take = capture(volume)
        except PictureError as error:
            self._job.failed(error)
            return
        try:
            client = self._logic.client()
        except (ConsentError, ServerError) as error:
            showCorners(volume, None)  # they can be dragged all the same
            self._job.failed(error)
            return
        self._job.run(
            _("Looking for the screen…"),
            lambda cancel, progress: cornersFor(client, take(), cancel, progress),
            lambda found: self._found(volume, found),
        )

    @staticmethod
    def _found(volume: Any, found: Any) -> str:
        if volume.GetScene() is None:
            return _("The picture was removed meanwhile.")
        showCorners(volume, found)
        if found is None:
            return _("No screen was found. Drag the four corners onto the screen's, then straighten.")
        return _("Check the four corners, drag those that are off, then straighten.")

    def onStraighten(self) -> None:
        """Straighten by the corners, asking for them first when there are none."""
        volume = self._picture()
        if cornersOf(volume) is None:
            self.onCorners()
            return

        try:
            fractions, take = self._logic.cornersFractions(volume), capture(volume)
            client = self._logic.client()
        except EXPECTED_ERRORS as error:
            self._job.failed(error)
            return
        self._job.run(
            _("Straightening…"),
            lambda cancel, progress: straightened(client, take(), fractions, cancel, progress),
            lambda jpeg: self._straight(volume, jpeg),
        )

    def _straight(self, volume: Any, jpeg: bytes) -> str:
        if volume.GetScene() is None:
            return _("The picture was removed meanwhile.")
        flat = volumeFromJPEG(volume.GetScene(), jpeg, volume)
        removeCorners(volume)
        return self._onStraightened(flat)
