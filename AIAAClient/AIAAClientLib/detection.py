"""Which protocol a server speaks, or in a sentence why it cannot be used."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from IMeasureLib.http_client import HttpClient, ServerError, normalizeAddress

from .aiaa_client import AIAAClient
from .both_protocols import BothProtocols, mergedModels
from .model_info import AIAA, MONAI_LABEL, ModelInfo
from .monailabel_client import MONAILabelClient
from .segmentation_server import SegmentationServer
from .sessions import SessionBook

PAGES = re.compile(
    r"/+((v1|infer|session|admin|ohif|v3)(/.*)?|info|docs|redoc|openapi\.json|index\.html?|seg)$",
)
"""Paths of the protocols and their pages, which people copy with the address."""

PROBE_SECONDS = 10.0


@dataclass(frozen=True)
class Connection:
    """A server that answered.

    Attributes:
        client: to ask it.
        protocols: which it speaks: AIAA, MONAI_LABEL, or both.
        models: that it offers.
    """

    client: SegmentationServer
    protocols: tuple[str, ...]
    models: tuple[ModelInfo, ...]

    @property
    def address(self) -> str:
        return self.client.address

    @property
    def protocolText(self) -> str:
        """For a person."""
        return ", ".join(self.protocols)


def baseAddress(text: str) -> str:
    """A server's address as typed or copied, without the path of one of its pages.

    Raises:
        ServerError: it cannot be an address; says why.
    """
    address = normalizeAddress(text)
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}{PAGES.sub('', parts.path)}"


def connect(
    address: str,
    apiKey: str = "",
    sessions: SessionBook | None = None,
    cancel: threading.Event | None = None,
) -> Connection:
    """Find out what answers at an address; blocks.

    Raises:
        ServerError: nothing that can be used; a sentence says what is wrong.
        Cancelled: ``cancel`` was set.
    """
    book = sessions if sessions is not None else SessionBook()
    base = baseAddress(address)
    book.setWithoutSessions(base, False)
    aiaa, monailabel = AIAAClient(base, apiKey, book), MONAILabelClient(base, apiKey, book)
    ofAIAA, troubleOfAIAA = _models(aiaa, cancel)
    ofMONAILabel, troubleOfMONAILabel = _models(monailabel, cancel)
    if ofAIAA is not None and ofMONAILabel is not None:
        models = mergedModels(ofAIAA, ofMONAILabel)
        return Connection(BothProtocols(aiaa, monailabel), (AIAA, MONAI_LABEL), tuple(models))
    if ofAIAA is not None:
        return Connection(aiaa, (AIAA,), tuple(ofAIAA))
    if ofMONAILabel is not None:
        return Connection(monailabel, (MONAI_LABEL,), tuple(ofMONAILabel))
    # What one protocol's own server says of itself (a model that failed, no key) is worth more than its strangeness.
    troubles = (troubleOfAIAA, troubleOfMONAILabel)
    told = next((trouble for trouble in troubles if trouble is not None and not _isStranger(trouble)), None)
    raise told if told is not None else _explained(base, cancel)


def refreshed(connection: Connection, cancel: threading.Event | None = None) -> Connection:
    """Ask a server that is known already for its models again; blocks. As ``connect`` where it has become another."""
    try:
        return Connection(connection.client, connection.protocols, tuple(connection.client.models(cancel)))
    except ServerError as error:
        if not _isStranger(error):
            raise
    client = connection.client
    return connect(client.address, client.apiKey, client.sessions, cancel)


def _models(
    client: SegmentationServer, cancel: threading.Event | None
) -> tuple[list[ModelInfo] | None, ServerError | None]:
    """The models, or why there are none. A server that does not answer at all is not asked a second time."""
    try:
        return client.models(cancel), None
    except ServerError as error:
        if error.status in (None, 401, 403, 502, 504):
            raise
        return None, error


def _isStranger(error: ServerError) -> bool:
    """Whether something else than the protocol's server answered."""
    return error.status in (200, 404, 405)


class _Probe(HttpClient):
    """Looks at what is there, whatever its status."""

    def status(self, path: str, cancel: threading.Event | None) -> tuple[int, requests.Response | None]:
        try:
            response = self.request("GET", path, cancel=cancel)
        except ServerError as error:
            return error.status or 0, None
        return response.status_code, response


def _explained(base: str, cancel: threading.Event | None) -> ServerError:
    """What else is there, for a person."""
    probe = _Probe(base, readSeconds=PROBE_SECONDS, busySeconds=0.0)
    _, answer = probe.status("/", cancel)
    isUp = answer is not None and "json" in answer.headers.get("Content-Type", "") and "UP" in answer.text
    if isUp and probe.status("/seg", cancel)[0] == 405:
        return ServerError(
            f"An iMeasure server of an older version answers at {base}: it measures, but speaks neither AIAA nor "
            "MONAI Label. Update it.",
            404,
        )
    return ServerError(
        f"Something answers at {base}, but it is neither an AIAA nor a MONAI Label server. Check address and port.", 404
    )
