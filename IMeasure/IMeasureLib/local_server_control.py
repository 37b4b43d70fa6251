"""Start and stop the server on this machine from the panel; it is installed only after the person said so."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Callable

import qt
import slicer
from slicer.i18n import tr as _

from .http_client import ServerError
from .jobs import BackgroundJob, Progress
from .local_server import LocalServer
from .qt_timer import qtTimer
from .server_installation import InstallationError, ServerInstallation
from .settings import Settings

MODULE_FOLDER = Path(__file__).resolve().parent.parent
LOG_MS = 500


class LocalServerControl:
    """The part of the folded details that has to do with a server on this machine.

    Args:
        ui: the panel's widgets, by name.
        onChanged: called when something changed, with the address of a server that just got ready, "" when the one that
            ran has stopped, None otherwise.
    """

    def __init__(self, ui: Any, settings: Settings, onChanged: Callable[[str | None], None]) -> None:
        self._ui, self._settings, self._onChanged = ui, settings, onChanged
        settingsFolder = Path(slicer.app.slicerUserSettingsFilePath).parent
        self._installation = ServerInstallation(MODULE_FOLDER, settingsFolder, settings.serverPython)
        self.server = LocalServer(self._installation)
        self._job: BackgroundJob[Any] | None = None
        self._asksToInstall = False
        self._state = _("not started from here")
        self._timer = qt.QTimer()
        self._timer.setInterval(LOG_MS)
        self._timer.connect("timeout()", self._follow)
        ui.localServerButton.connect("clicked()", self.onButton)
        slicer.app.connect("aboutToQuit()", self.stop)
        self._show()

    # ---- state

    @property
    def isBusy(self) -> bool:
        """Whether something is being looked for, installed, started or stopped."""
        return self._job is not None

    @property
    def asksToInstall(self) -> bool:
        """Whether the next start installs the server first, so that the button's text asks for it."""
        return self._asksToInstall

    @property
    def whyNot(self) -> str:
        """Why none can be started now, "" when one can."""
        if self._settings.isServerURLFromEnvironment:
            return _("The environment variable IMEASURE_SERVER_URL says which server is used.")
        if self.isBusy or self.server.isRunning:
            return self._state
        return ""

    @property
    def stateText(self) -> str:
        """What it is doing, in a few words."""
        return self._state

    @property
    def startText(self) -> str:
        """What the button that starts it says."""
        return _("Install and start") if self._asksToInstall else _("Start local server")

    @property
    def startTip(self) -> str:
        """What the button that starts it does."""
        if self.whyNot:
            return self.whyNot
        if self._asksToInstall:
            return _(
                "Makes a Python environment in {folder} and installs the server into it: about 2 GB, some minutes. "
                "Slicer's own Python packages are not touched."
            ).format(folder=self._installation.folder)
        return _("Start the server on this computer. It stops when Slicer exits, and images do not leave the computer.")

    # ---- what the person does

    def onButton(self) -> None:
        """Start, stop or cancel, whichever the button says."""
        if self._job is not None:
            self._job.cancel()
        elif self.server.isRunning:
            self._run(_("stopping"), lambda cancel, progress: self.server.stop(), self._stopped)
        else:
            self.start()

    def start(self) -> None:
        """Start the server; when it is not installed, ask for that (``asksToInstall``) and install it next time."""
        if self.whyNot:
            return
        if self._asksToInstall:
            self._run(_("installing"), self._installAndStart, self._started)
        else:
            self._run(_("looking for the server"), self._findAndStart, self._started)

    def stop(self) -> None:
        """End everything at once: Slicer exits or the module is reloaded."""
        self._timer.stop()
        if self._job is not None:
            self._job.cancel()
        wasRunning = self.server.isRunning
        self.server.stop()
        if wasRunning:
            self._onChanged("")

    # ---- on another thread

    def _findAndStart(self, cancel: threading.Event, progress: Progress) -> str:
        python = self._installation.find()
        if python is None or (self._installation.isOutdated and self._installation.venv in python.parents):
            return ""
        return self.server.start(python, cancel, progress)

    def _installAndStart(self, cancel: threading.Event, progress: Progress) -> str:
        return self.server.start(self._installation.install(cancel, progress), cancel, progress)

    # ---- outcome

    def _run(self, state: str, work: Callable[..., Any], onResult: Callable[[Any], None]) -> None:
        self._state = state
        self._job = BackgroundJob(
            work, onResult, self._failed, self._progressed, self._cancelled, timerFactory=qtTimer
        ).start()
        self._timer.start()
        self._show()
        self._onChanged(None)

    def _progressed(self, line: str) -> None:
        if line:
            self._ui.serverLog.appendPlainText(line)

    def _started(self, address: str) -> None:
        self._job = None
        self._asksToInstall = not address
        self._state = (
            _("running at {address}").format(address=address) if address else _("not installed yet (about 2 GB)")
        )
        self._show()
        self._onChanged(address or None)

    def _stopped(self, _result: Any = None) -> None:
        self._job = None
        self._state = _("stopped")
        self._follow()
        self._timer.stop()
        self._show()
        self._onChanged("")

    def _cancelled(self) -> None:
        self._job = None
        self._state = _("cancelled")
        self._show()
        self._onChanged(None)

    def _failed(self, error: Exception) -> None:
        self._job = None
        if not isinstance(error, (ServerError, InstallationError, OSError)):
            raise error
        self._state = str(error)
        self._ui.serverLog.appendPlainText(str(error))
        self._ui.serverDetailsButton.checked = True
        self._show()
        self._onChanged(None)

    def _follow(self) -> None:
        """Show new lines of the log, and notice a server that ended by itself."""
        for line in self.server.newLogLines():
            self._ui.serverLog.appendPlainText(line)
        if self._job is None and self.server.address and not self.server.isRunning:
            self.server.stop()
            self._stopped()

    def _show(self) -> None:
        ui = self._ui
        ui.localServerState.text = self._state
        ui.localServerState.toolTip = self._state
        if self._job is not None:
            ui.localServerButton.text = _("Cancel")
        else:
            ui.localServerButton.text = _("Stop") if self.server.isRunning else self.startText
        ui.localServerButton.enabled = self.isBusy or self.server.isRunning or not self.whyNot
        ui.localServerButton.toolTip = self.startTip
