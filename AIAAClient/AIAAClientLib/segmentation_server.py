"""What the clients of both protocols have in common: sessions, questions, and replies as masks on the volume's grid."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import requests

from IMeasureLib.http_client import HttpClient, ServerError
from IMeasureLib.jobs import Progress
from IMeasureLib.settings import isLoopback

from .mask_grid import Mask, decodeMask, onGrid
from .model_info import ModelInfo
from .multipart import FilePart, MultipartForm, parseMultipart
from .nifti import FileError, encodeNifti
from .sessions import SessionBook, Source

INFERENCE_SECONDS = 3600.0
"""A large model on a small computer; the person can cancel before."""

LIST_SECONDS = 15.0
SESSION_SECONDS = 10.0
SESSION_GONE = 440
NO_SESSIONS = (404, 405, 406, 501)
"""What servers without sessions answer to a new one."""

MAY_BE_GONE = (400, 404, 500)
"""What servers answer, some of them, to a session that they no longer have."""

Points = npt.NDArray[np.float64]
"""(n, 3) voxel indices (i, j, k) of the file that is sent, not rounded."""


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked of a model beside the image. Positions are voxel indices (i, j, k) of the file that is sent.

    Attributes:
        kind: one of ``model_info.KINDS``.
        positive, negative: clicks, oldest first.
        boundary: points on the object's surface.
        positiveBoxes, negativeBoxes: (2, 3) the lowest and the highest voxel.
        positiveLassos, ...: (n, 3) lines.
        label: (k, j, i) mask to refine, or scribbles.
        labelInfo: what the values of ``label`` mean: name → value.
        parameters: whatever else the model takes.
        roi: ((i0, i1), (j0, j1), (k0, k1)) first and last voxels, outside of which is background.
        labelName: the structure that is meant, of a model that knows several.
    """

    kind: str
    positive: Points = field(default_factory=lambda: np.zeros((0, 3)))
    negative: Points = field(default_factory=lambda: np.zeros((0, 3)))
    boundary: Points = field(default_factory=lambda: np.zeros((0, 3)))
    positiveBoxes: tuple[Points, ...] = ()
    negativeBoxes: tuple[Points, ...] = ()
    positiveLassos: tuple[Points, ...] = ()
    negativeLassos: tuple[Points, ...] = ()
    positiveScribbles: tuple[Points, ...] = ()
    negativeScribbles: tuple[Points, ...] = ()
    label: npt.NDArray[Any] | None = None
    labelInfo: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    roi: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None = None
    labelName: str = ""


@dataclass(frozen=True, eq=False)
class Reply:
    """What came.

    Attributes:
        mask: (k, j, i) label values on the grid of the source, None when the model makes none.
        result: the JSON beside it.
        sent: bytes of the image that were sent for it; 0 where the server had it already.
    """

    mask: Mask | None
    result: dict[str, Any]
    sent: int = 0


@dataclass(frozen=True)
class Call:
    """One HTTP request of a protocol: below the address, without the session."""

    path: str
    query: Mapping[str, str]
    fields: Mapping[str, str]
    files: tuple[FilePart, ...] = ()


class SegmentationServer(HttpClient):
    """One server. Methods block, and raise ``ServerError`` with a sentence, or ``Cancelled``."""

    service = "AIAA or MONAI Label server"
    protocol = ""
    uploadField = ""
    """Of a new session."""
    imageField = ""
    """Of an image that goes with a question."""

    def __init__(
        self,
        address: str,
        apiKey: str = "",
        sessions: SessionBook | None = None,
        readSeconds: float = INFERENCE_SECONDS,
        **options: Any,
    ) -> None:
        """``sessions``: what is known of sessions so far; by default nothing."""
        super().__init__(address, apiKey, readSeconds=readSeconds, **options)
        self.sessions = sessions if sessions is not None else SessionBook()

    @property
    def apiKey(self) -> str:
        """That it is asked with, "" for none."""
        return self._apiKey

    # --- what a protocol says

    def models(self, cancel: threading.Event | None = None) -> list[ModelInfo]:
        """All models of the server."""
        raise NotImplementedError

    def callFor(self, model: ModelInfo, question: Question, source: Source) -> Call:
        """How a question is put."""
        raise NotImplementedError

    # --- sessions

    def openSession(
        self,
        image: FilePart,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Send an image; returns the id under which the server keeps it for a while."""
        form = MultipartForm({}, (image,), cancel, progress)
        body = self.requestJSON("PUT", "/session/", data=form, headers=form.headers, cancel=cancel, progress=progress)
        session = body.get("session_id") if isinstance(body, dict) else None
        if not session:
            raise self._odd()
        return str(session)

    def hasSession(self, session: str, cancel: threading.Event | None = None) -> bool:
        """Whether the server still has a session."""
        try:
            self._brief(SESSION_SECONDS).request("GET", f"/session/{quote(session, safe='')}", cancel=cancel)
        except ServerError as error:
            return error.status not in (404, 410, SESSION_GONE)
        return True

    def closeSession(self, session: str) -> None:
        """Let the server forget an image; a server that does not answer will forget it by itself."""
        with suppress(ServerError):
            self._brief(SESSION_SECONDS).request("DELETE", f"/session/{quote(session, safe='')}")

    def closeSessions(self) -> None:
        """Let the server forget all images of this Slicer."""
        for session in self.sessions.takeAll(self.address):
            self.closeSession(session)

    def _session(self, source: Source, cancel: threading.Event | None, progress: Progress | None) -> tuple[str, int]:
        """The session of a source, made when there is none, and the bytes that were sent for it."""
        with self.sessions.uploading:
            session = self.sessions.find(self.address, source)
            if session:
                return session, 0
            image = self._imageFile(source, self.uploadField, progress)
            session = self.openSession(image, cancel, progress)
            useless = self.sessions.remember(self.address, source, session)
        for other in useless:
            self.closeSession(other)
        return session, len(image.content)

    def _imageFile(self, source: Source, name: str, progress: Progress | None) -> FilePart:
        """The volume as a file: packed only where the wire is slower than packing."""
        if progress is not None:
            progress("Preparing the volume.")
        packed = not isLoopback(self.address)
        return FilePart(name, "image.nii.gz" if packed else "image.nii", source.encode(packed))

    # --- questions

    def infer(
        self,
        model: ModelInfo,
        question: Question,
        source: Source,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> Reply:
        """Ask a model about a volume, sending the volume only when the server does not have it.

        A session that the server has given up is silently made again, once.

        Raises:
            ServerError: no answer, or none that can be used.
            Cancelled: ``cancel`` was set; the connection is closed, so that the server can stop working on it.
        """
        call = self.callFor(model, question, source)
        if not self.sessions.hasSessions(self.address):
            return self._askWithImage(call, source, cancel, progress)
        try:
            session, sent = self._session(source, cancel, progress)
        except ServerError as error:
            if error.status not in NO_SESSIONS:
                raise
            self.sessions.setWithoutSessions(self.address)
            return self._askWithImage(call, source, cancel, progress)
        try:
            return self._ask(call, session, (), source, sent, cancel, progress)
        except ServerError as error:
            if not self._isGone(error, session, cancel):
                raise
        self.sessions.forget(self.address, session)
        if progress is not None:
            progress("The server no longer has the volume; sending it again.")
        session, again = self._session(source, cancel, progress)
        return self._ask(call, session, (), source, sent + again, cancel, progress)

    def _isGone(self, error: ServerError, session: str, cancel: threading.Event | None) -> bool:
        """Whether an error means that the session has gone. Only AIAA has a status for that; others are asked."""
        if error.status == SESSION_GONE:
            return True
        return error.status in MAY_BE_GONE and not self.hasSession(session, cancel)

    def _askWithImage(
        self, call: Call, source: Source, cancel: threading.Event | None, progress: Progress | None
    ) -> Reply:
        image = self._imageFile(source, self.imageField, progress)
        return self._ask(call, "", (image,), source, len(image.content), cancel, progress)

    def _ask(
        self,
        call: Call,
        session: str,
        files: tuple[FilePart, ...],
        source: Source,
        sent: int,
        cancel: threading.Event | None,
        progress: Progress | None,
    ) -> Reply:
        if progress is not None:
            progress("The server is working.")
        query = {**call.query, **({"session_id": session} if session else {})}
        form = MultipartForm(call.fields, (*call.files, *files), cancel, progress)
        response = self.request(
            "POST", call.path, params=query, data=form, headers=form.headers, cancel=cancel, progress=progress
        )
        try:
            mask, result = self._read(response)
            if mask is not None:
                return Reply(onGrid(*decodeMask(mask), source.affine, source.shape), result, sent)
        except FileError as error:
            raise ServerError(str(error)) from error
        return Reply(None, result, sent)

    def _read(self, response: requests.Response) -> tuple[bytes | None, dict[str, Any]]:
        """The mask's file and the JSON of a reply: a form of both, or one of them alone."""
        kind = response.headers.get("Content-Type", "")
        if "multipart/" in kind:
            mask, result = None, {}
            for part in parseMultipart(response.content, kind):
                if part.filename:
                    mask = part.content
                elif part.content.strip():
                    result.update(_json(part.content, part.name))
            return mask, result
        if "json" in kind or response.content[:1] in (b"{", b"["):
            return None, _json(response.content, "result")
        return (response.content or None), {}

    # --- trouble

    def _brief(self, seconds: float) -> SegmentationServer:
        """A client of the same server that does not wait long."""
        return type(self)(self.address, self._apiKey, self.sessions, readSeconds=seconds, busySeconds=0.0)

    def _odd(self) -> ServerError:
        return ServerError(f"{self.address} answered, but not as {self.protocol} does. Check the address.", 200)

    def _explained(self, response: requests.Response) -> ServerError:
        """The protocols' errors are sentences in ``detail`` (or in ``error`` or ``message``)."""
        status, words = response.status_code, _detail(response)
        if status == SESSION_GONE:
            return ServerError("The server no longer has the volume.", status)
        if status == 413:
            return ServerError("The volume is larger than the server takes. Crop it first (Crop Volume).", status)
        if words and status not in (401, 403, 502, 503, 504):
            return ServerError(f"The server says: {words}", status)
        return super()._explained(response)


def labelFile(label: npt.NDArray[Any], source: Source, name: str = "label") -> FilePart:
    """A mask on the source's grid as a part of a form; packed, as masks pack well."""
    values = label.astype(np.uint8) if label.dtype == np.bool_ else label
    return FilePart(name, "label.nii.gz", encodeNifti(values, source.affine, True))


def rounded(points: Points) -> list[list[int]]:
    """Positions as the protocols have them: whole voxel indices. A position on a face belongs to the higher voxel."""
    return [[int(value) for value in row] for row in np.floor(np.asarray(points) + 0.5)]


def _json(content: bytes, name: str) -> dict[str, Any]:
    """A JSON object; another value under the part's name."""
    try:
        value = json.loads(content)
        if isinstance(value, str):  # JSON in JSON, as AIAA servers of old sent it
            with suppress(ValueError):
                value = json.loads(value)
    except ValueError:
        raise FileError("The server's reply holds JSON that cannot be read.") from None
    return value if isinstance(value, dict) else {name or "result": value}


def _detail(response: requests.Response) -> str:
    """The words of an error, "" where there are none that a person could use."""
    try:
        body = response.json()
    except ValueError:
        return ""
    words: Any = body
    if isinstance(body, dict):
        words = body.get("detail") or body.get("error") or body.get("message") or body.get("msg") or ""
    if isinstance(words, list):  # FastAPI's list of what is wrong with a request
        words = "; ".join(str(item.get("msg", "")) for item in words if isinstance(item, dict))
    if isinstance(words, dict):
        words = words.get("msg") or words.get("message") or ""
    text = str(words).strip()
    return text if len(text) <= 400 else f"{text[:400]}…"
