"""The first line of the panel: which server, whether it answers, and what can be done about it; details fold out."""

from __future__ import annotations

from typing import Any, Callable
from urllib.parse import urlsplit

import qt
from slicer.i18n import tr as _

from .http_client import ServerError
from .imeasure_client import IMeasureClient
from .jobs import BackgroundJob
from .local_server_control import LocalServerControl
from .qt_timer import qtTimer
from .settings import hostOf

CHECK_MS = 10_000
LIGHT_SIZE = 12
GREEN, AMBER, RED, GREY = "#2e9e57", "#e0a100", "#c8402f", "#9a9a9a"


class ServerRow:
    """Shows the state of the server and changes the settings that lead to it.

    Args:
        ui: the panel's widgets, by name.
        logic: a module's logic; its ``settings`` are used.
        onChanged: called when the server came, went or was allowed.
        makeClient: (address, key) → a client of the module's protocol; its ``check`` says whether the server is there.
        whatIsSent: what will leave this computer, for the question whether it may.
    """

    def __init__(
        self,
        ui: Any,
        logic: Any,
        onChanged: Callable[[], None],
        makeClient: Callable[[str, str], Any] = IMeasureClient,
        whatIsSent: str = "",
    ) -> None:
        self._ui, self._onChanged, self._makeClient = ui, onChanged, makeClient
        self._whatIsSent = whatIsSent or _("Images around your clicks, without names or identifiers,")
        self._settings = logic.settings
        self._wantsKey = False
        self._job: BackgroundJob[Any] | None = None
        self._up: bool | None = None
        self._trouble = ""
        self._addressBefore = ""
        self._timer = qt.QTimer()
        self._timer.setInterval(CHECK_MS)
        self._timer.connect("timeout()", self.check)
        self.local = LocalServerControl(ui, logic.settings, self._onLocalChanged)
        self._setUp()
        self._show()

    def _setUp(self) -> None:
        ui = self._ui
        ui.serverDetails.hide()
        ui.addressEdit.text = self._settings.serverURL
        ui.keyEdit.text = self._settings.typedKey
        if self._settings.isServerURLFromEnvironment:
            ui.addressEdit.readOnly = True
            ui.addressEdit.toolTip = _("The environment variable IMEASURE_SERVER_URL says where the server is.")
        ui.addressEdit.connect("editingFinished()", self._onEdited)
        ui.keyEdit.connect("editingFinished()", self._onEdited)
        ui.testServerButton.connect("clicked()", self.onTest)
        ui.consentButton.connect("clicked()", self.onConsent)
        ui.startServerButton.connect("clicked()", self.local.start)
        ui.serverDetailsButton.connect("toggled(bool)", self._onDetails)

    # ---- state

    @property
    def isUp(self) -> bool:
        """Whether the server answered last time."""
        return self._up is True

    @property
    def trouble(self) -> str:
        """Why the server cannot be used, in a sentence; "" when it can or is not known yet."""
        if self._trouble and self.local.asksToInstall:
            return _("The server is not installed on this computer yet. “Install and start” fetches about 2 GB.")
        return self._trouble

    @property
    def hasConsent(self) -> bool:
        """Whether images may be sent there."""
        return bool(self._settings.hasConsent(self._settings.serverURL))

    def start(self) -> None:
        """Ask the server whether it is up, now and every few seconds."""
        self._timer.start()
        self.check()

    def pause(self) -> None:
        """Ask no more for now; a local server goes on running."""
        self._timer.stop()
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def stop(self) -> None:
        """Ask no more for good, and forget about a local server's output."""
        self.pause()
        self.local.stop()

    def check(self) -> None:
        """Ask the server whether it is up, without waiting for the answer."""
        if self._job is not None:
            return
        address, key = self._settings.serverURL, self._settings.apiKey
        self._job = BackgroundJob(
            lambda cancel, progress: self._makeClient(address, key).check(cancel),
            lambda answer: self._answered(address, answer),
            lambda error: self._checked(address, self._sentence(error), getattr(error, "status", None)),
            timerFactory=qtTimer,
        ).start()
        self._show()

    def _answered(self, address: str, answer: Any) -> None:
        """The server is there; ``answer`` is what ``check`` of the client gave."""
        self._checked(address, "")

    def _checked(self, address: str, trouble: str, status: int | None = None) -> None:
        self._job = None
        if address != self._settings.serverURL:
            self.check()
            return
        before = (self._up, self._trouble)
        self._up, self._trouble, self._wantsKey = not trouble, trouble, status in (401, 403)
        self._show()
        if before != (self._up, self._trouble):
            self._onChanged()

    @staticmethod
    def _sentence(error: Exception) -> str:
        if isinstance(error, ServerError):
            return error.message
        raise error

    # ---- what the person does

    def onTest(self) -> None:
        """Take the address and key as they stand and ask that server."""
        self._onEdited()
        self._up, self._trouble = None, ""
        self._show()
        self.check()

    def onConsent(self) -> None:
        """Remember that images may be sent to this server."""
        self._settings.giveConsent(self._settings.serverURL)
        self._show()
        self._onChanged()

    def _onEdited(self) -> None:
        address, key = self._ui.addressEdit.text.strip(), self._ui.keyEdit.text.strip()
        if self._settings.isServerURLFromEnvironment:
            address = self._settings.serverURL
        if (address, key) == (self._settings.serverURL, self._settings.typedKey):
            return
        self.use(address, key)

    def use(self, address: str, key: str = "") -> None:
        """Make another server the one that is asked."""
        self._settings.serverURL, self._settings.apiKey = address, key
        self._ui.addressEdit.text = self._settings.serverURL
        self._up, self._trouble = None, ""
        self._onChanged()
        self.check()

    def _onDetails(self, shown: bool) -> None:
        self._ui.serverDetails.setVisible(shown)
        self._ui.serverDetailsButton.arrowType = qt.Qt.DownArrow if shown else qt.Qt.RightArrow

    def _onLocalChanged(self, address: str | None) -> None:
        """Use a local server that got ready; when it has stopped, go back to the address from before it."""
        if address:
            self._addressBefore = self._addressBefore or self._settings.serverURL
            self.use(address, self._settings.typedKey)
        elif address == "" and self._addressBefore:
            self._settings.serverURL, self._addressBefore = self._addressBefore, ""
            self.use(self._settings.serverURL, self._settings.typedKey)
        self._show()
        self._onChanged()

    # ---- what is shown

    def _show(self) -> None:
        color, text = self._words()
        ui = self._ui
        ui.serverLight.setPixmap(light(color))
        ui.serverLabel.text = text
        for widget in (ui.serverLight, ui.serverLabel):
            widget.toolTip = self._trouble or text
        waitsForConsent = self._up is True and not self.hasConsent
        host = hostOf(self._settings.serverURL)
        ui.consentButton.setVisible(waitsForConsent)
        ui.consentButton.toolTip = _(
            "{what} will be sent to {host}. This is asked once for each server that is not on this computer."
        ).format(what=self._whatIsSent, host=host)
        ui.startServerButton.setVisible(self._up is False and not self.local.isBusy)
        ui.startServerButton.enabled = not self.local.whyNot
        ui.startServerButton.text = self.local.startText
        ui.startServerButton.toolTip = self.local.startTip

    def _words(self) -> tuple[str, str]:
        """Colour of the light, and what the line says."""
        address = urlsplit(self._settings.serverURL).netloc or self._settings.serverURL
        if self.local.isBusy and self._up is not True:
            return AMBER, _("Local: {state}…").format(state=self.local.stateText)
        if self._up is None:
            return GREY, _("Looking for a server at {address}…").format(address=address)
        if not self._up and self.local.asksToInstall:
            return AMBER, _("Not installed yet")
        if not self._up and self._wantsKey:
            return RED, _("A key is needed at {address}").format(address=address)
        if not self._up:
            return RED, _("No server at {address}").format(address=address)
        if not self.hasConsent:
            return AMBER, _("Send images to {host}?").format(host=hostOf(self._settings.serverURL))
        return GREEN, self._connectedText(address)

    def _connectedText(self, address: str) -> str:
        return _("Connected to {address}").format(address=address)


def light(color: str) -> Any:
    """A round light of that colour."""
    pixmap = qt.QPixmap(LIGHT_SIZE, LIGHT_SIZE)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    painter.setBrush(qt.QBrush(qt.QColor(color)))
    painter.setPen(qt.QPen(qt.QColor(0, 0, 0, 90)))
    painter.drawEllipse(0, 0, LIGHT_SIZE - 1, LIGHT_SIZE - 1)
    painter.end()
    return pixmap
