"""Reads a multipart/form-data body while it streams, keeping no more of each part than its limit.

The bytes of a part beyond its limit are counted and dropped: the reader never holds more than the limits allow, and can
still say how much was received.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from imeasure_server.errors import PayloadTooLarge, UnsupportedMediaType

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_BOUNDARY_BYTES = 70  # RFC 2046, 5.1.1
MAX_PARTS = 16
MAX_HEADERS_PER_PART = 16
MAX_HEADER_BYTES = 8192
MAX_IGNORED_BYTES = 1 << 20


@dataclass
class Part:
    """One part of a form.

    Attributes:
        name: of the form field.
        data: its bytes, at most its limit.
        size: number of bytes received, of which ``data`` may be the first few.
    """

    name: str
    data: bytearray = field(default_factory=bytearray)
    size: int = 0


@dataclass(frozen=True)
class PartLimit:
    """How much of a part is kept.

    Attributes:
        keep: bytes kept; the rest is counted and dropped.
        strict: more than ``keep`` ends the request with `PayloadTooLarge`.
    """

    keep: int
    strict: bool = False


# The parser logs the byte that it stumbled over; the answer says enough, and a log holds nothing of what was sent.
logging.getLogger("python_multipart.multipart").setLevel(logging.ERROR)

PartLimits = Callable[[str, Mapping[str, Part]], PartLimit | None]
"""Given a part's name and the parts that are complete, its limit; None for a part that nobody asks for."""


class MalformedForm(Exception):
    """The body is not a well-formed form.

    Attributes:
        field: name of the part at fault, or "body".
        parts: the parts that were complete before the fault.
    """

    def __init__(self, message: str, parts: Mapping[str, Part], field: str = "body") -> None:
        super().__init__(message)
        self.field = field
        self.parts = dict(parts)


class DuplicatePart(MalformedForm):
    """A part that the server reads came twice."""


def boundary_of(content_type: str | None) -> bytes:
    """The boundary in a multipart/form-data content type.

    Raises:
        UnsupportedMediaType: it is another type, or has no boundary.
    """
    media_type, options = parse_options_header(content_type or "")
    if media_type.lower() != b"multipart/form-data":
        raise UnsupportedMediaType
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= MAX_BOUNDARY_BYTES:
        raise UnsupportedMediaType({"content_type": ["The boundary parameter is missing or too long."]})
    return boundary


async def read_form(
    stream: AsyncIterable[bytes], boundary: bytes, limits: PartLimits, max_body_bytes: int
) -> dict[str, Part]:
    """Read the parts that ``limits`` asks for; others are dropped as they come.

    Args:
        stream: pieces of the body.
        boundary: without the leading hyphens.
        limits: what to keep of which part.
        max_body_bytes: of the whole body.

    Raises:
        PayloadTooLarge: the body, or a part with a strict limit, is too large.
        MalformedForm: broken syntax, an early end, too many parts, a part without a name.
        DuplicatePart: a part twice.
    """
    reader = _FormReader(boundary, limits)
    received = 0
    async for piece in stream:
        received += len(piece)
        if received > max_body_bytes:
            raise PayloadTooLarge(max_body_bytes)
        reader.feed(piece)
    reader.finish(received)
    return reader.parts


class _FormReader:
    """The callbacks of python-multipart's parser, and what they collect."""

    def __init__(self, boundary: bytes, limits: PartLimits) -> None:
        self.parts: dict[str, Part] = {}
        self._limits = limits
        self._parser = MultipartParser(boundary, self._callbacks())
        self._part_count = 0
        self._header_count = 0
        self._ignored_bytes = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition: bytes | None = None
        self._current: Part | None = None
        self._limit: PartLimit | None = None
        self._ended = False

    def feed(self, piece: bytes) -> None:
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise MalformedForm("The multipart body is malformed.", self.parts) from error

    def finish(self, received: int) -> None:
        if received and not self._ended:
            raise MalformedForm("The multipart body ends before its closing boundary.", self.parts)

    def _callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_begin": self._on_header_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self._part_count += 1
        if self._part_count > MAX_PARTS:
            raise MalformedForm(f"The form has more than {MAX_PARTS} parts.", self.parts)
        self._header_count = 0
        self._disposition = None

    def _on_header_begin(self) -> None:
        self._header_count += 1
        if self._header_count > MAX_HEADERS_PER_PART:
            raise MalformedForm(f"A part has more than {MAX_HEADERS_PER_PART} headers.", self.parts)
        self._header_name.clear()
        self._header_value.clear()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._extend_header(self._header_name, data, start, end)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._extend_header(self._header_value, data, start, end)

    def _extend_header(self, header: bytearray, data: bytes, start: int, end: int) -> None:
        if len(header) + end - start > MAX_HEADER_BYTES:
            raise MalformedForm(f"A header of a part is longer than {MAX_HEADER_BYTES} bytes.", self.parts)
        header += data[start:end]

    def _on_header_end(self) -> None:
        if bytes(self._header_name).lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition or b"")
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if kind.lower() != b"form-data" or not name:
            raise MalformedForm("Every part needs a name.", self.parts)
        if name in self.parts:
            raise DuplicatePart("The part must be sent once.", self.parts, name)
        self._limit = self._limits(name, self.parts)
        self._current = Part(name)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part, limit = self._current, self._limit
        if part is None:
            return
        part.size += end - start
        if limit is None:
            self._ignored_bytes += end - start
            if self._ignored_bytes > MAX_IGNORED_BYTES:
                raise MalformedForm("The form has too much in parts that this request does not take.", self.parts)
            return
        if limit.strict and part.size > limit.keep:
            raise PayloadTooLarge(limit.keep)
        room = limit.keep - len(part.data)
        if room > 0:
            part.data += memoryview(data)[start : min(end, start + room)]

    def _on_part_end(self) -> None:
        if self._current is not None and self._limit is not None:
            self.parts[self._current.name] = self._current
        self._current = None

    def _on_end(self) -> None:
        self._ended = True
