"""Which hosts images may be fetched from, how much and for how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

FETCH_SECONDS = 300.0
"""The longest that fetching one image may take."""


class RetrievalError(Exception):
    """An image was not fetched; the message is a sentence for the person who asked."""


class SourceInvalid(RetrievalError):
    """What was asked for cannot be understood."""


class SourceNotAllowed(RetrievalError):
    """The host is not among those that this server fetches from."""


class SourceFailed(RetrievalError):
    """The host did not answer, or not with an image."""


class SourceTooLarge(RetrievalError):
    """It sent more than this server takes."""


class SourceTooSlow(RetrievalError):
    """It took longer than this server waits."""


class RetrievalCancelled(RetrievalError):
    """Nobody waits for the image any more."""


@dataclass(frozen=True)
class FetchedFile:
    """A file that was fetched.

    Attributes:
        path: where it lies.
        name: base name, whose extension tells what it is where the source told.
        sha256: of its bytes, hexadecimal.
    """

    path: Path
    name: str
    sha256: str


class AllowedSources:
    """The hosts of ``--session-sources``: ``host``, ``host:port`` or ``*.domain``; an IPv6 address in brackets.

    Names are compared as they are written, not by what they resolve to: whoever runs the server answers for the names
    that are listed, and nobody else can add one.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = [_split(entry) for entry in entries]

    def check(self, host: str, port: int) -> None:
        """Raises:
        SourceNotAllowed: this host, at this port, is not listed.
        """
        wanted = _normal(host)
        if not self._entries:
            raise SourceNotAllowed(
                "This server does not fetch images from other servers. Whoever runs it can allow hosts with "
                "--session-sources; or upload the image."
            )
        if not any(_covers(name, wanted) and only in (None, port) for name, only in self._entries):
            raise SourceNotAllowed(
                f"This server does not fetch images from {wanted} at port {port}. Whoever runs it can allow that host "
                "with --session-sources; or upload the image."
            )


class Allowance:
    """How much may be fetched, and until when. Safe to use from several threads.

    Args:
        max_bytes: altogether.
        seconds: from now on.
        cancelled: set when nobody waits any more.
    """

    def __init__(
        self, max_bytes: int, seconds: float = FETCH_SECONDS, cancelled: threading.Event | None = None
    ) -> None:
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self.cancelled = cancelled or threading.Event()

    def spend(self, size: int) -> None:
        """Account for ``size`` bytes that came.

        Raises:
            SourceTooLarge, SourceTooSlow, RetrievalCancelled: stop.
        """
        self._left -= size
        if self._left < 0:
            raise SourceTooLarge(f"The image is larger than the {self._max_bytes} bytes that this server takes.")
        self.check_time()

    def check_time(self) -> None:
        """Raises:
        SourceTooSlow, RetrievalCancelled: stop.
        """
        if self.cancelled.is_set():
            raise RetrievalCancelled("Nobody waits for the image any more.")
        if time.monotonic() > self._deadline:
            raise SourceTooSlow(f"The image did not come within {self._seconds:.0f} seconds.")

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())


class Watchdog:
    """Calls ``stop`` from a thread of its own as soon as an allowance is used up, while a block waits for a peer."""

    PERIOD = 0.2

    def __init__(self, allowance: Allowance, stop: Callable[[], None]) -> None:
        self._allowance = allowance
        self._stop = stop
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="fetch-watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(self.PERIOD):
            try:
                self._allowance.check_time()
            except RetrievalError:
                self._stop()
                return


def _normal(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()


def _split(entry: str) -> tuple[str, int | None]:
    """Host and port of an entry; no port means every port."""
    text = entry.strip()
    host, separator, port = text.rpartition(":")
    if separator and port.isdecimal() and (":" not in host or host.endswith("]")):
        return _normal(host), int(port)
    return _normal(text), None


def _covers(entry: str, host: str) -> bool:
    if entry.startswith("*."):
        return host.endswith(entry[1:]) and len(host) > len(entry) - 1
    return host == entry
