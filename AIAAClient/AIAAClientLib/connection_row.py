"""The first line of the panel: which server, what it speaks, and a history of servers in the details."""

from __future__ import annotations

from typing import Any, Callable

from slicer.i18n import tr as _

from IMeasureLib.server_row import ServerRow
from IMeasureLib.settings import hostOf

from .detection import Connection
from .logic import AIAAClientLogic


class _Probe:
    """What the row asks whether a server is there."""

    def __init__(self, look: Callable[[Any], Connection]) -> None:
        self._look = look

    def check(self, cancel: Any) -> Connection:
        return self._look(cancel)


class ConnectionRow(ServerRow):
    """Shows the state of the server, and changes the settings that lead to it.

    Args:
        ui: the panel's widgets; ``addressCombo`` is an editable combo box with the servers of former days.
    """

    def __init__(self, ui: Any, logic: AIAAClientLogic, onChanged: Callable[[], None]) -> None:
        self._logic = logic
        ui.addressEdit = ui.addressCombo.lineEdit()
        ui.addressEdit.setPlaceholderText("http://127.0.0.1:8000")
        self._fillHistory(ui)
        super().__init__(
            ui,
            logic,
            onChanged,
            lambda address, key: _Probe(logic.probe(address, key)),
            _("The chosen volume, without names or identifiers,"),
        )
        if self._settings.isServerURLFromEnvironment:
            ui.addressEdit.toolTip = _("The environment variable AIAA_SERVER_URL says where the server is.")
        ui.addressCombo.connect("activated(int)", self._onChosen)
        logic.addListener(self._onLogicChanged)

    def stop(self) -> None:
        self._logic.removeListener(self._onLogicChanged)
        super().stop()

    def use(self, address: str, key: str = "") -> None:
        """Make another server the one that is asked, with the key that was given for it; no other server's."""
        if address != self._settings.serverURL and key in ("", self._settings.typedKey):
            key = self._settings.keyFor(address)
        super().use(address, key)
        self._ui.keyEdit.text = self._settings.typedKey

    def _onChosen(self, index: int) -> None:
        if not self._settings.isServerURLFromEnvironment:
            self.use(self._ui.addressCombo.itemText(index))

    def _onLogicChanged(self) -> None:
        """The console or an effect found a server, or lost it."""
        url, trouble = self._settings.serverURL, self._logic.connectionTrouble
        if self._logic.connection is not None and not (self.isUp and self._ui.addressEdit.text == url):
            self._ui.addressEdit.text, self._ui.keyEdit.text = url, self._settings.typedKey
            self._checked(url, "")
        elif trouble and self.isUp and not self._logic.isConnecting:
            self._checked(url, trouble)

    def _answered(self, address: str, answer: Connection) -> None:
        if address == self._settings.serverURL:
            self._logic.adopt(answer)
            self._fillHistory(self._ui)
        super()._answered(address, answer)

    def _checked(self, address: str, trouble: str, status: int | None = None) -> None:
        if trouble and address == self._settings.serverURL:
            self._logic.adopt(None, trouble)
        super()._checked(address, trouble, status)

    def _fillHistory(self, ui: Any) -> None:
        """The servers that answered once; the text that is being typed stays."""
        known = [ui.addressCombo.itemText(index) for index in range(ui.addressCombo.count)]
        wanted = self._logic.settings.history
        if known == wanted:
            return
        text = ui.addressEdit.text
        blocked = ui.addressCombo.blockSignals(True)
        ui.addressCombo.clear()
        ui.addressCombo.addItems(wanted)
        ui.addressEdit.text = text
        ui.addressCombo.blockSignals(blocked)

    def _connectedText(self, address: str) -> str:
        connection = self._logic.connection
        return f"{address} · {connection.protocolText}" if connection is not None else super()._connectedText(address)

    @property
    def waitsForConsent(self) -> str:
        """Host that images may not be sent to yet, "" when they may."""
        return "" if self.hasConsent else hostOf(self._settings.serverURL)
