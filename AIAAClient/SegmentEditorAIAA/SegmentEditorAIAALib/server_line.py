"""The effects' one line about the server: a light, what the matter is, and the way to its settings."""

from __future__ import annotations

from typing import Any, Callable
from urllib.parse import urlsplit

import qt
import slicer
from slicer.i18n import tr as _

from IMeasureLib.server_row import AMBER, GREEN, GREY, RED, light
from IMeasureLib.settings import hostOf

LOOK_MS = 5_000
"""How often a server that is not there is looked for."""


class ServerLine:
    """Shows what the logic knows of the server, and looks for it while it is not there.

    Args:
        ui: widgets serverLight, serverLabel, consentButton, serverButton.
        logic: of the module AIAAClient; panel, effects and console share it.
        onChanged: called when the server or its models came, went or were allowed.
    """

    def __init__(self, ui: Any, logic: Any, onChanged: Callable[[], None]) -> None:
        self._ui, self._logic, self._onChanged = ui, logic, onChanged
        self._isOn = False
        self._timer = qt.QTimer()
        self._timer.setInterval(LOOK_MS)
        self._timer.connect("timeout()", self.look)
        ui.consentButton.connect("clicked()", self._onConsent)
        ui.serverButton.connect("clicked()", self._onSettings)

    @property
    def isUp(self) -> bool:
        """Whether the server of the settings has answered."""
        return self._connection is not None

    @property
    def hasConsent(self) -> bool:
        """Whether the volume may be sent there."""
        return bool(self._logic.settings.hasConsent(self._logic.settings.serverURL))

    @property
    def whyNot(self) -> str:
        """Why nothing can be asked, in a sentence; "" when it can."""
        if self._connection is None:
            return self._logic.connectionTrouble or _("The server at {address} has not answered yet.").format(
                address=self._netloc
            )
        if not self.hasConsent:
            return _("Allow first that the volume is sent to {host}: the button in the first line.").format(
                host=hostOf(self._logic.settings.serverURL)
            )
        return ""

    @property
    def _connection(self) -> Any:
        return self._logic.connection

    @property
    def _netloc(self) -> str:
        address = self._logic.settings.serverURL
        return urlsplit(address).netloc or str(address)

    def start(self) -> None:
        """Follow the server from now on."""
        if not self._isOn:
            self._isOn = True
            self._logic.addListener(self._onLogic)
            self._timer.start()
        self._onLogic()
        self.look()

    def stop(self) -> None:
        """Follow it no more."""
        if self._isOn:
            self._isOn = False
            self._logic.removeListener(self._onLogic)
            self._timer.stop()

    def look(self) -> None:
        """Ask the server what it has, unless that is known or being asked."""
        if self._connection is None and not self._logic.isConnecting:
            self._logic.requestConnection()

    def _onLogic(self) -> None:
        self.show()
        self._onChanged()

    def _onConsent(self) -> None:
        self._logic.settings.giveConsent(self._logic.settings.serverURL)
        self.show()
        self._onChanged()

    def _onSettings(self) -> None:
        slicer.util.selectModule("AIAAClient")

    def show(self) -> None:
        """Say how it stands."""
        color, text = self._words()
        ui = self._ui
        ui.serverLight.setPixmap(light(color))
        ui.serverLabel.text = text
        for widget in (ui.serverLight, ui.serverLabel):
            widget.toolTip = self._logic.connectionTrouble or text
        ui.consentButton.setVisible(self._connection is not None and not self.hasConsent)
        host = hostOf(self._logic.settings.serverURL)
        ui.consentButton.text = _("Send images to {host}").format(host=host)
        ui.consentButton.toolTip = _(
            "The volume, without names or identifiers, will be sent to {host}. "
            "This is asked once for each server that is not on this computer."
        ).format(host=host)

    def _words(self) -> tuple[str, str]:
        """Colour of the light, and what the line says."""
        if self._connection is None and not self._logic.connectionTrouble:
            return GREY, _("Looking for a server at {address}…").format(address=self._netloc)
        if self._connection is None:
            return RED, _("No server at {address}").format(address=self._netloc)
        if not self.hasConsent:
            return AMBER, _("Not allowed yet:")
        return GREEN, f"{self._netloc} ({' + '.join(self._connection.protocols)})"
