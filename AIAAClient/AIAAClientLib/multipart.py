"""Multipart forms: requests that say how far they are, and replies parsed by their headers and lengths."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP

from IMeasureLib.jobs import Cancelled, Progress

from .nifti import Buffer, FileError

CHUNK = 1 << 20
MEGABYTE = 1e6


@dataclass(frozen=True)
class FilePart:
    """A file of a form, or of a reply.

    Attributes:
        name: of the form's field.
        filename: with the suffix that tells the format.
    """

    name: str
    filename: str
    content: Buffer
    contentType: str = "application/octet-stream"


class MultipartForm:
    """A form as the body of a request: of known length, sent in pieces, and repeatable."""

    def __init__(
        self,
        fields: Mapping[str, str],
        files: tuple[FilePart, ...] = (),
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Take text fields and files; ``progress`` is told how much of a large body is sent."""
        self._cancel, self._progress = cancel, progress
        self._boundary = f"imeasure-{secrets.token_hex(16)}"
        self._pieces: list[Buffer] = []
        for name, value in fields.items():
            self._pieces += [self._head(f'name="{name}"'), value.encode(), b"\r\n"]
        for file in files:
            head = self._head(f'name="{file.name}"; filename="{file.filename}"', file.contentType)
            self._pieces += [head, file.content, b"\r\n"]
        self._pieces.append(f"--{self._boundary}--\r\n".encode())
        self._length = sum(len(piece) for piece in self._pieces)

    @property
    def headers(self) -> dict[str, str]:
        """That go with the body."""
        return {"Content-Type": f"multipart/form-data; boundary={self._boundary}", "Accept": "*/*"}

    def _head(self, disposition: str, contentType: str = "") -> bytes:
        lines = [f"--{self._boundary}", f"Content-Disposition: form-data; {disposition}"]
        lines += [f"Content-Type: {contentType}"] if contentType else []
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Buffer]:
        sent = 0
        for piece in self._pieces:
            for start in range(0, len(piece), CHUNK):
                if self._cancel is not None and self._cancel.is_set():
                    raise Cancelled
                chunk = piece[start : start + CHUNK]
                yield chunk
                sent += len(chunk)
                if self._progress is not None and self._length > CHUNK:
                    self._progress(self._words(sent))

    def _words(self, sent: int) -> str:
        if sent >= self._length - CHUNK:
            return "The server is working."
        return f"Sending the volume: {sent / MEGABYTE:.0f} of {self._length / MEGABYTE:.0f} MB."


@dataclass(frozen=True)
class Part:
    """A part of a reply; ``filename`` is "" for one that is no file."""

    name: str
    filename: str
    contentType: str
    content: bytes


def parseMultipart(body: bytes, contentType: str) -> list[Part]:
    """The parts of a ``multipart/*`` reply.

    A boundary counts only at the beginning of a line, so that a mask that happens to hold one's letters stays whole;
    where a part says its length, that is believed.

    Raises:
        FileError: it is no such reply, or it is cut off.
    """
    found = re.search(r'boundary="?([^";,]+)"?', contentType)
    if found is None:
        raise FileError("The server's reply has no boundary between its parts.")
    marker = b"--" + found.group(1).strip().encode("latin-1")
    position = 0 if body.startswith(marker) else body.find(b"\r\n" + marker) + 2
    if position == 1:
        raise FileError("The server's reply is not in the form that it says.")
    parts: list[Part] = []
    while True:
        position += len(marker)
        if body[position : position + 2] == b"--":
            return parts
        start = body.find(b"\r\n", position) + 2
        headersEnd = body.find(b"\r\n\r\n", start - 2)
        if start == 1 or headersEnd < 0:
            raise FileError("The server's reply is cut off.")
        contentStart = headersEnd + 4
        headers = BytesParser(policy=HTTP).parsebytes(body[start : headersEnd + 4])
        position = _next(body, contentStart, marker, headers.get("Content-Length"))
        parts.append(_part(headers, body[contentStart : max(contentStart, position - 2)]))


def _next(body: bytes, start: int, marker: bytes, length: str | None) -> int:
    """Where the next boundary is, after the content that begins at ``start``."""
    if length is not None and length.strip().isdigit():
        end = start + int(length)
        if body[end : end + 2 + len(marker)] == b"\r\n" + marker:
            return end + 2
    position = start - 2
    while True:
        position = body.find(b"\r\n" + marker, position)
        if position < 0:
            raise FileError("The server's reply is cut off.")
        position += 2
        after = body[position + len(marker) : position + len(marker) + 2]
        if after in (b"--", b"\r\n") or after[:1] in (b" ", b"\t"):
            return position


def _part(headers: Message, content: bytes) -> Part:
    disposition = str(headers.get("Content-Disposition", ""))
    return Part(
        name=_parameter(disposition, "name"),
        filename=_parameter(disposition, "filename"),
        contentType=str(headers.get("Content-Type", "")),
        content=content,
    )


def _parameter(disposition: str, name: str) -> str:
    found = re.search(rf'(?:^|[;\s]){name}\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', disposition)
    return "" if found is None else found.group(1) or found.group(2) or ""
