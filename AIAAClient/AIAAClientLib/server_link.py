"""Which server is used, what it offers, and who wants to know when that changes."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any, Callable

from IMeasureLib.geometry import GeometryError
from IMeasureLib.http_client import ServerError
from IMeasureLib.jobs import BackgroundJob, ManualTimer, TimerFactory
from IMeasureLib.volume_access import VolumeError

from .client_settings import ENVIRONMENT_URL, ClientSettings
from .detection import Connection, baseAddress, refreshed
from .detection import connect as connectTo
from .model_info import ALL_PROMPTS, PROMPTS, ModelInfo
from .sessions import SessionBook
from .task import TaskError


class ConsentError(PermissionError):
    """Images would go to another machine, and nobody has said that they may."""


EXPECTED_ERRORS = (ConsentError, GeometryError, ServerError, TaskError, VolumeError)
"""Their messages are sentences for the person at the screen."""


class ServerLink:
    """The server of the settings. One for panel, effects and console."""

    def __init__(self, settings: ClientSettings | None = None, timerFactory: TimerFactory = ManualTimer) -> None:
        """Without arguments: settings of the application where there is one."""
        self.settings = settings if settings is not None else applicationSettings()
        self._timerFactory = timerFactory
        self._sessions = SessionBook()
        self._connection: Connection | None = None
        self._trouble = ""
        self._looking = 0
        self._prompted: set[tuple[str, str]] = set()
        self._told: Any = (None, "", False)
        self._listeners: list[Callable[[], None]] = []

    @property
    def connection(self) -> Connection | None:
        """The server that answered last, None when none did or the settings name another one now."""
        connection = self._connection
        if connection is None:
            return None
        try:
            return connection if connection.address == baseAddress(self.settings.serverURL) else None
        except ServerError:
            return None

    @property
    def connectionTrouble(self) -> str:
        """Why the last server could not be used, in a sentence; "" when it could, or is not known yet."""
        return "" if self.connection is not None else self._trouble

    @property
    def isConnecting(self) -> bool:
        """Whether a server is being asked (``requestConnection``)."""
        return self._looking > 0

    def connect(self, address: str = "", apiKey: str = "") -> Connection:
        """Use a server from now on, and wait for its answer; without an address, that of the settings.

        Raises:
            ServerError: it does not answer, or is no AIAA or MONAI Label server; says what is wrong. The settings
                are as before then.
        """
        if address and self.settings.isServerURLFromEnvironment:
            raise ServerError(
                f"The environment variable {ENVIRONMENT_URL} says that the server is {self.settings.serverURL}. "
                "Unset it to use another."
            )
        url = address or self.settings.serverURL
        key = apiKey or (self.settings.keyFor(url) if address else self.settings.apiKey)
        connection = connectTo(url, key, self._sessions)
        if address:
            self.settings.serverURL = connection.address
        if apiKey:
            self.settings.apiKey = apiKey
        self.adopt(connection)
        return connection

    def requestConnection(
        self,
        onResult: Callable[[Connection], None] | None = None,
        onFailure: Callable[[Exception], None] | None = None,
        onCancelled: Callable[[], None] | None = None,
    ) -> BackgroundJob[Connection]:
        """Ask the server of the settings in the background; it is used (``connection``) once it answered."""
        look = self.probe(self.settings.serverURL, self.settings.apiKey)

        def answered(connection: Connection) -> None:
            self._looking -= 1
            self.adopt(connection)
            if onResult is not None:
                onResult(connection)

        def failed(error: Exception) -> None:
            self._looking -= 1
            self.adopt(None, self.sentenceFor(error))
            if onFailure is not None:
                onFailure(error)

        def cancelled() -> None:
            self._looking -= 1
            self._tell()
            if onCancelled is not None:
                onCancelled()

        self._looking += 1
        self._tell()
        return BackgroundJob(
            lambda cancel, progress: look(cancel), answered, failed, None, cancelled, self._timerFactory
        ).start()

    def probe(self, url: str, key: str) -> Callable[[threading.Event | None], Connection]:
        """What asks a server whether it is there: to be called on another thread."""
        known = self.connection
        if known is not None and known.client.apiKey == key and url == self.settings.serverURL:
            return lambda cancel: refreshed(known, cancel)
        return lambda cancel: connectTo(url, key, self._sessions, cancel)

    def adopt(self, connection: Connection | None, trouble: str = "") -> None:
        """Use a server that answered, or none (``trouble`` says why), and tell the listeners. GUI thread."""
        self._connection, self._trouble = self._withLearned(connection), trouble
        if connection is not None:
            self.settings.remember(connection.address)
        self._tell()

    def learnPrompts(self, name: str) -> None:
        """A model of the server turned out to take prompts: list it so from now on. GUI thread."""
        if self._connection is not None:
            self._prompted.add((self._connection.address, name))
            self.adopt(self._connection, self._trouble)

    def _withLearned(self, connection: Connection | None) -> Connection | None:
        if connection is None or not self._prompted:
            return connection
        models = [
            replace(model, kinds=frozenset((PROMPTS,)), prompts=ALL_PROMPTS)
            if (connection.address, model.name) in self._prompted
            else model
            for model in connection.models
        ]
        return replace(connection, models=tuple(models))

    def _tell(self) -> None:
        """Call the listeners, when there is something new."""
        connection = self._connection
        known = None if connection is None else (connection.address, connection.protocols, connection.models)
        state = (known, self._trouble, self.isConnecting)
        if state != self._told:
            self._told = state
            for listener in list(self._listeners):
                listener()

    def addListener(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever the server, its models, its trouble or ``isConnecting`` changed."""
        if callback not in self._listeners:
            self._listeners.append(callback)

    def removeListener(self, callback: Callable[[], None]) -> None:
        """Call it no more."""
        if callback in self._listeners:
            self._listeners.remove(callback)

    def models(self, kind: str = "") -> list[ModelInfo]:
        """Ask the server for its models and wait; ``kind`` (one of ``model_info.KINDS``) for those that can do that.

        Raises:
            ServerError: there is no answer.
        """
        self.connect()
        return self.knownModels(kind)

    def knownModels(self, kind: str = "") -> list[ModelInfo]:
        """The same from the last answer, at once."""
        connection = self.connection
        models = connection.models if connection is not None else ()
        return [model for model in models if not kind or kind in model.kinds]

    def close(self) -> None:
        """Let the server forget what it was sent; Slicer exits. Does not wait for it."""
        connection = self._connection
        if connection is not None:
            threading.Thread(target=connection.client.closeSessions, daemon=True).start()

    @staticmethod
    def sentenceFor(error: Exception) -> str:
        """What to tell a person about an error; one that nobody foresaw is logged with its traceback."""
        if isinstance(error, EXPECTED_ERRORS):
            return str(error)
        logging.error("AIAAClient: unexpected error", exc_info=error)
        return "Something unexpected went wrong; the Error Log (Ctrl+0) says what."


def applicationSettings() -> ClientSettings:
    """Settings of the running application; in a script without one, of the environment alone."""
    try:
        import qt
    except ImportError:
        return ClientSettings()
    return ClientSettings(qt.QSettings())
