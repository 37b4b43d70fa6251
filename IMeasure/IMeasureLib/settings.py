"""The server's address and key, and who may be sent images: application settings, with the environment before them."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

SERVER_URL = "IMeasure/ServerURL"
API_KEY = "IMeasure/APIKey"
CONSENT = "IMeasure/ConsentedServers"
SERVER_PYTHON = "IMeasure/ServerPython"
"""Application settings' names."""

DEFAULT_SERVER_URL = "http://127.0.0.1:8000"

_localKeys: dict[str, str] = {}
"""Address of each server that this Slicer started → the key that it made for it. Forgotten with the server."""


class SettingsStore(Protocol):
    """The part of ``qt.QSettings`` that is used."""

    def value(self, key: str, default: Any = None) -> Any: ...

    def setValue(self, key: str, value: Any) -> None: ...


class MemoryStore:
    """Settings of a script or a test: forgotten when it ends."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = dict(values or {})

    def value(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)

    def setValue(self, key: str, value: Any) -> None:
        self._values[key] = value


def hostOf(url: str) -> str:
    """Host name of an address, lower case; "" when there is none."""
    try:
        return (urlsplit(url if "://" in url else f"http://{url}").hostname or "").lower()
    except ValueError:
        return ""


def isLoopback(url: str) -> bool:
    """Whether an address is on this machine."""
    host = hostOf(url)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def rememberLocalKey(address: str, key: str) -> None:
    """A server at ``address`` was started by this Slicer, with a key of its own; "" when it has ended."""
    if key:
        _localKeys[address.rstrip("/")] = key
    else:
        _localKeys.pop(address.rstrip("/"), None)


class Settings:
    """Where the server is. Modules with an address of their own give other names of settings and variables."""

    def __init__(
        self,
        store: SettingsStore | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Read and write ``store`` (``qt.QSettings()`` in Slicer; by default in memory), the environment before it."""
        self._store: SettingsStore = store if store is not None else MemoryStore()
        self._environment = os.environ if environment is None else environment

    def _text(self, key: str) -> str:
        value = self._store.value(key, "")
        return str(value).strip() if value is not None else ""

    @property
    def serverURL(self) -> str:
        """Address of the server, as typed; never empty."""
        return self._environment.get("IMEASURE_SERVER_URL", "").strip() or self._text(SERVER_URL) or DEFAULT_SERVER_URL

    @serverURL.setter
    def serverURL(self, url: str) -> None:
        self._store.setValue(SERVER_URL, url.strip())

    @property
    def isServerURLFromEnvironment(self) -> bool:
        """Whether IMEASURE_SERVER_URL decides, so that what is typed has no effect."""
        return bool(self._environment.get("IMEASURE_SERVER_URL", "").strip())

    @property
    def typedKey(self) -> str:
        """Key that the person entered, or that the environment names; "" for none."""
        return self._environment.get("IMEASURE_API_KEY", "").strip() or self._text(API_KEY)

    @property
    def apiKey(self) -> str:
        """Key for the server at ``serverURL``, "" for none; of a server that Slicer started itself, the one it made."""
        return _localKeys.get(self.serverURL.rstrip("/"), "") or self.typedKey

    @apiKey.setter
    def apiKey(self, key: str) -> None:
        self._store.setValue(API_KEY, key.strip())

    @property
    def serverPython(self) -> str:
        """Python that has the server installed, chosen by the person; "" to look for one."""
        return self._text(SERVER_PYTHON)

    @serverPython.setter
    def serverPython(self, path: str) -> None:
        self._store.setValue(SERVER_PYTHON, path.strip())

    def _consented(self) -> list[str]:
        try:
            hosts = json.loads(self._text(CONSENT) or "[]")
        except ValueError:
            return []
        return [str(host) for host in hosts] if isinstance(hosts, list) else []

    def hasConsent(self, url: str) -> bool:
        """Whether images may be sent there: it is this machine, or the person said so once for that host."""
        return isLoopback(url) or hostOf(url) in self._consented()

    def giveConsent(self, url: str) -> None:
        """Remember that images may be sent to that host."""
        host = hostOf(url)
        if host and host not in self._consented():
            self._store.setValue(CONSENT, json.dumps([*self._consented(), host]))

    def withdrawConsent(self, url: str) -> None:
        """Ask again before the next image is sent to that host."""
        self._store.setValue(CONSENT, json.dumps([host for host in self._consented() if host != hostOf(url)]))
