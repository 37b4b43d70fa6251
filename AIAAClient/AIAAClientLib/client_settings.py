"""Where the segmentation server is: an address of its own, by default that of IMeasure; with a history of servers."""

from __future__ import annotations

import json
from typing import Any

from IMeasureLib.settings import Settings

SERVER_URL = "AIAAClient/ServerURL"
API_KEYS = "AIAAClient/APIKeys"
HISTORY = "AIAAClient/Servers"
ENVIRONMENT_URL, ENVIRONMENT_KEY = "AIAA_SERVER_URL", "AIAA_API_KEY"
HISTORY_LENGTH = 8


class ClientSettings(Settings):
    """Application settings, with the environment (``AIAA_SERVER_URL``, ``AIAA_API_KEY``) before them.

    A key belongs to the server for which it was typed: another server never gets it.
    """

    @property
    def serverURL(self) -> str:
        """Address of the server, as typed; IMeasure's where nothing was typed here."""
        return self._environment.get(ENVIRONMENT_URL, "").strip() or self._text(SERVER_URL) or self.sharedURL

    @serverURL.setter
    def serverURL(self, url: str) -> None:
        url = url.strip()
        self._store.setValue(SERVER_URL, "" if url.rstrip("/") == self.sharedURL.rstrip("/") else url)

    @property
    def sharedURL(self) -> str:
        """IMeasure's address."""
        return super().serverURL

    @property
    def isServerURLFromEnvironment(self) -> bool:
        """Whether the environment decides, so that what is typed has no effect."""
        return bool(self._environment.get(ENVIRONMENT_URL, "").strip())

    @property
    def typedKey(self) -> str:
        """Key for the server at ``serverURL`` that was entered or that the environment names; "" for none."""
        return self._environment.get(ENVIRONMENT_KEY, "").strip() or self.keyFor(self.serverURL)

    def keyFor(self, url: str) -> str:
        """Key that was entered for a server; for IMeasure's, the one that IMeasure has."""
        own = self._keys().get(_name(url), "")
        if own or _name(url) != _name(self.sharedURL):
            return own
        return super().typedKey

    @property
    def apiKey(self) -> str:
        """Key for the server at ``serverURL``, "" for none."""
        return super().apiKey

    @apiKey.setter
    def apiKey(self, key: str) -> None:
        keys = self._keys()
        if key.strip():
            keys[_name(self.serverURL)] = key.strip()
        else:
            keys.pop(_name(self.serverURL), None)
        self._store.setValue(API_KEYS, json.dumps(keys))

    @property
    def history(self) -> list[str]:
        """Addresses of servers that answered, the newest first."""
        values = self._json(HISTORY)
        return [str(value) for value in values] if isinstance(values, list) else []

    def remember(self, url: str) -> None:
        """A server answered."""
        others = [known for known in self.history if _name(known) != _name(url)]
        if self.history[:1] != [url]:
            self._store.setValue(HISTORY, json.dumps([url, *others][:HISTORY_LENGTH]))

    def _keys(self) -> dict[str, str]:
        values = self._json(API_KEYS)
        return {str(key): str(value) for key, value in values.items()} if isinstance(values, dict) else {}

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self._text(name) or "null")
        except ValueError:
            return None


def _name(url: str) -> str:
    """What an address is kept under, however it is typed."""
    text = url.strip().rstrip("/").lower()
    return text if "://" in text else f"http://{text}"
