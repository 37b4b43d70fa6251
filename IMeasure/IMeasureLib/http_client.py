"""Talking to a server: time-outs, waiting when it is busy, cancelling, and errors as sentences a person understands.

The protocols (iMeasure, AIAA, MONAI Label, RadAnalyzer) build on ``HttpClient``.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from .cancellable_connections import CancellableAdapter, closedOnCancel
from .jobs import Cancelled, Progress
from .settings import isLoopback

# Slicer logs everything: without this, two lines for every look at whether the server still answers.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

CONNECT_SECONDS = 5.0
READ_SECONDS = 180.0
BUSY_SECONDS = 90.0
"""How long a busy server (503) is asked again before giving up."""
LONGEST_PAUSE = 15.0
"""Seconds between two tries, whatever Retry-After says."""


class ServerError(Exception):
    """The server did not give what was asked for.

    Attributes:
        message: what happened and what to do, for the person who asked.
        status: HTTP status, None when there was no answer.
        code: the protocol's own error code, "" when there is none.
    """

    def __init__(self, message: str, status: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


def normalizeAddress(text: str) -> str:
    """A server's address as typed, made usable: a missing ``http://`` is put before it, a last ``/`` is taken off.

    Raises:
        ServerError: it cannot be an address; says why.
    """
    address = text.strip()
    if not address:
        raise ServerError("Enter the server's address, for example http://127.0.0.1:8000.")
    if "://" not in address:
        mistyped = re.match(r"(https?)[:;/\\]+(?=\D)", address, re.IGNORECASE)
        address = f"{mistyped.group(1)}://{address[mistyped.end() :]}" if mistyped else f"http://{address}"
    example = f"{text.strip()} is not an address. It should look like http://127.0.0.1:8000."
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ServerError(example) from None
    if parts.scheme.lower() not in ("http", "https"):
        raise ServerError(f"The address must begin with http:// or https://, not with {parts.scheme}://.")
    if not host or re.search(r"[\s,;@<>\"'\\]", host) or port == 0:
        raise ServerError(example)
    if host in ("0.0.0.0", "::"):
        suggestion = f"{parts.scheme}://127.0.0.1" + (f":{port}" if port else "")
        raise ServerError(
            f"{host} is what a server listens on, not where it can be reached. "
            f"Use {suggestion} if it runs on this machine, else that machine's name."
        )
    return f"{parts.scheme.lower()}://{parts.netloc}{parts.path.rstrip('/')}"


class HttpClient:
    """One server. Methods block: call them from a background job. Safe to use from several threads.

    Attributes:
        address: ``http://host:port``, without a slash at the end.
        service: what should be running there, for messages.
    """

    service = "server"
    advice: Mapping[str, str] = {}
    """The protocol's error code → what happened and what to do."""

    def __init__(
        self,
        address: str,
        apiKey: str = "",
        connectSeconds: float = CONNECT_SECONDS,
        readSeconds: float = READ_SECONDS,
        busySeconds: float = BUSY_SECONDS,
    ) -> None:
        """ServerError when ``address`` cannot be one."""
        self.address = normalizeAddress(address)
        self._apiKey = apiKey
        self._timeouts = (connectSeconds, readSeconds)
        self._busySeconds = busySeconds

    def request(
        self,
        method: str,
        path: str,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
        **arguments: Any,
    ) -> requests.Response:
        """Ask, and wait for a whole answer with a status below 300.

        Args:
            path: below the address, with its leading slash.
            cancel: when set, the connection is closed and Cancelled raised.
            progress: takes a line when the server is busy.
            arguments: ``files``, ``json``, ``headers``, ... of requests; must be repeatable (bytes, no open files).

        Raises:
            ServerError: anything else came, or nothing.
            Cancelled: ``cancel`` was set.
        """
        deadline = time.monotonic() + self._busySeconds
        while True:
            response = self._once(method, path, cancel, arguments)
            if not self.isBusy(response):
                break
            pause = min(_retryAfter(response), LONGEST_PAUSE)
            if time.monotonic() + pause > deadline:
                break
            if progress is not None:
                progress("The server is busy; waiting.")
            _pause(pause, cancel)
        if response.status_code >= 300:
            raise self._explained(response)
        return response

    def requestJSON(self, method: str, path: str, **arguments: Any) -> Any:
        """As ``request``; the answer's JSON value. ServerError when it is something else."""
        response = self.request(method, path, **arguments)
        try:
            return response.json()
        except ValueError:
            raise self._stranger(response) from None

    def isBusy(self, response: requests.Response) -> bool:
        """Whether an answer only means that the server has no time now, so that asking again may help."""
        return response.status_code == 503

    def _once(
        self, method: str, path: str, cancel: threading.Event | None, arguments: Mapping[str, Any]
    ) -> requests.Response:
        adapter = CancellableAdapter()
        with requests.Session() as session, closedOnCancel(adapter, cancel):
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            session.trust_env = not isLoopback(
                self.address
            )  # a hospital's proxy has no part in this machine's own traffic
            options = dict(arguments)
            headers = {"Accept": "application/json", **options.pop("headers", {})}
            if self._apiKey:
                headers["x-api-key"] = self._apiKey
            try:
                return session.request(
                    method,
                    f"{self.address}{path}",
                    headers=headers,
                    timeout=self._timeouts,
                    allow_redirects=False,
                    **options,
                )
            except (requests.RequestException, UnicodeError, OSError) as error:
                if cancel is not None and cancel.is_set():
                    raise Cancelled from None
                raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> ServerError:
        """What a person can do about an exception of requests."""
        if isinstance(error, requests.exceptions.SSLError):
            return ServerError(
                f"No secure connection to {self.address}. If the server has no certificate, its address begins with "
                "http:// instead of https://."
            )
        if isinstance(error, requests.exceptions.ProxyError):
            return ServerError(
                f"The proxy of this network does not lead to {self.address}. Ask whoever runs the network."
            )
        if isinstance(error, requests.exceptions.ConnectTimeout):
            return ServerError(f"{self.address} cannot be reached: no answer. Check the address and the network.")
        if isinstance(error, requests.exceptions.ReadTimeout) or "Read timed out" in str(error):
            return ServerError(
                f"{self.address} took the request but did not answer within {self._timeouts[1]:.0f} s. "
                "It may be overloaded; try again."
            )
        if isinstance(error, (requests.exceptions.InvalidHeader, UnicodeEncodeError)):
            return ServerError("The API key holds characters that a key cannot have. Enter it again.")
        if isinstance(error, (requests.exceptions.InvalidURL, UnicodeError)):
            return ServerError(f"{self.address} is not an address. It should look like http://127.0.0.1:8000.")
        if isinstance(error, requests.exceptions.ConnectionError):
            return ServerError(self._connectionSentence(str(error)))
        return ServerError(f"The connection to {self.address} broke while the answer came. Try again.")

    def _connectionSentence(self, text: str) -> str:
        host = urlsplit(self.address).hostname
        if any(hint in text for hint in ("Name or service not known", "getaddrinfo", "NameResolution", "nodename nor")):
            return f"There is no machine called {host}. Check the address {self.address}."
        if "refused" in text or "10061" in text:
            return f"No {self.service} is running at {self.address}. Start it, or check the address."
        if any(hint in text for hint in ("aborted", "reset", "BadStatusLine", "Remote end closed")):
            return (
                f"{self.address} closed the connection without an answer. The {self.service} may have stopped, or "
                "something else is running there."
            )
        return f"{self.address} cannot be reached. Check the address and the network."

    def _explained(self, response: requests.Response) -> ServerError:
        """What a person can do about an answer that is an error."""
        status = response.status_code
        error, code, details = _errorOf(response)
        if status in (401, 403):
            what = "does not accept this API key" if self._apiKey else "asks for an API key"
            return ServerError(f"The server at {self.address} {what}. Check the key in the settings.", status, code)
        if code:
            return ServerError(self.sentenceFor(code, error, details), status, code)
        if 300 <= status < 400:
            target = response.headers.get("Location", "another address")
            return ServerError(f"{self.address} has moved to {target}. Enter that address.", status)
        if status == 503:
            return ServerError("The server is busy with other requests. Try again in a moment.", status)
        if status in (502, 504):
            return ServerError(
                f"Something between here and the server gave up waiting ({status}). The server may be down or "
                "overloaded; try again, or ask whoever runs it.",
                status,
            )
        if status == 413:
            return ServerError("The region is larger than the server takes. Click closer to the lesion.", status)
        if status in (404, 405) or _isHTML(response):
            return self._stranger(response)
        message = f"The server answered with an error ({status})" + (f": {error}" if error else ".")
        return ServerError(message, status)

    def _stranger(self, response: requests.Response) -> ServerError:
        kind = "a web page" if _isHTML(response) else "something else"
        return ServerError(
            f"{kind[0].upper()}{kind[1:]}, not an {self.service}, answers at {self.address}. Check address and port.",
            response.status_code,
        )

    def sentenceFor(self, code: str, error: str, details: Mapping[str, Any]) -> str:
        """What to tell a person about an error of the protocol: ``code``, its message and details."""
        return self.advice.get(code) or f"The server says: {error or code}"


def _errorOf(response: requests.Response) -> tuple[str, str, Mapping[str, Any]]:
    """Message, code and details of an error in the contracts' JSON form; empty where there are none."""
    try:
        body = response.json()
    except ValueError:
        return "", "", {}
    if not isinstance(body, dict):
        return "", "", {}
    details = body.get("details")
    message = body.get("error") or body.get("detail") or ""
    return (
        message if isinstance(message, str) else "",
        str(body.get("code") or ""),
        details if isinstance(details, dict) else {},
    )


def _isHTML(response: requests.Response) -> bool:
    return "html" in response.headers.get("Content-Type", "") or response.content[:15].lstrip().lower().startswith(b"<")


def _retryAfter(response: requests.Response) -> float:
    """Seconds that the server asks to wait (RFC 9110: a number or a date); 1 where it does not say."""
    text = response.headers.get("Retry-After", "").strip()
    try:
        return max(0.1, float(text))
    except ValueError:
        pass
    try:
        return max(0.1, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, IndexError):
        return 1.0


def _pause(seconds: float, cancel: threading.Event | None) -> None:
    if cancel is None:
        time.sleep(seconds)
    elif cancel.wait(seconds):
        raise Cancelled
