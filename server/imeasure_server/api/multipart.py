"""Reads a multipart/form-data body while it streams, keeping no more of each part than its limit.

The bytes of a part beyond its limit are counted and dropped: the reader never holds more than the limits allow, and can
still say how much was received.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

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


async def feed_all(reader: PartReader, stream: AsyncIterable[bytes], max_body_bytes: int) -> None:
    """Give a reader the whole body.

    Raises:
        PayloadTooLarge: the body is too large.
        MalformedForm: see `PartReader`.
    """
    received = 0
    async for piece in stream:
        received += len(piece)
        if received > max_body_bytes:
            raise PayloadTooLarge(max_body_bytes)
        reader.feed(piece)
    reader.finish(received)


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
    await feed_all(reader, stream, max_body_bytes)
    return reader.parts


class PartReader(ABC):
    """The callbacks of python-multipart's parser: headers are read here, parts by the class that derives from it.

    Args:
        boundary: without the leading hyphens.
    """

    max_parts: ClassVar[int] = MAX_PARTS

    def __init__(self, boundary: bytes) -> None:
        self._parser = MultipartParser(boundary, self._callbacks())
        self._part_count = 0
        self._header_count = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._ended = False

    @property
    @abstractmethod
    def parts(self) -> Mapping[str, Part]:
        """The parts that are complete."""

    @abstractmethod
    def begin_part(self, name: str, filename: str | None, content_type: str) -> None:
        """A part begins; ``filename`` is None where there is none."""

    @abstractmethod
    def part_data(self, data: memoryview) -> None:
        """The next bytes of the part."""

    @abstractmethod
    def end_part(self) -> None:
        """The part is complete."""

    def feed(self, piece: bytes) -> None:
        """Raises:
        MalformedForm: broken syntax, too many parts, a part without a name.
        """
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise MalformedForm("The multipart body is malformed.", self.parts) from error

    def finish(self, received: int) -> None:
        """Raises:
        MalformedForm: the body ended too early.
        """
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
            "on_part_end": self.end_part,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self._part_count += 1
        if self._part_count > self.max_parts:
            raise MalformedForm(f"The form has more than {self.max_parts} parts.", self.parts)
        self._header_count = 0
        self._headers = {}

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
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if kind.lower() != b"form-data" or not name:
            raise MalformedForm("Every part needs a name.", self.parts)
        filename = options.get(b"filename")
        self.begin_part(
            name,
            None if filename is None else filename.decode("utf-8", "replace"),
            self._headers.get(b"content-type", b"").decode("latin-1"),
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.part_data(memoryview(data)[start:end])

    def _on_end(self) -> None:
        self._ended = True


class _FormReader(PartReader):
    """Keeps parts in memory, each up to its limit."""

    def __init__(self, boundary: bytes, limits: PartLimits) -> None:
        super().__init__(boundary)
        self._parts: dict[str, Part] = {}
        self._limits = limits
        self._ignored_bytes = 0
        self._current: Part | None = None
        self._limit: PartLimit | None = None

    @property
    def parts(self) -> dict[str, Part]:
        return self._parts

    def begin_part(self, name: str, filename: str | None, content_type: str) -> None:
        if name in self._parts:
            raise DuplicatePart("The part must be sent once.", self._parts, name)
        self._limit = self._limits(name, self._parts)
        self._current = Part(name)

    def part_data(self, data: memoryview) -> None:
        part, limit = self._current, self._limit
        if part is None:
            return
        part.size += len(data)
        if limit is None:
            self._ignored_bytes += len(data)
            if self._ignored_bytes > MAX_IGNORED_BYTES:
                raise MalformedForm("The form has too much in parts that this request does not take.", self._parts)
            return
        if limit.strict and part.size > limit.keep:
            raise PayloadTooLarge(limit.keep)
        room = limit.keep - len(part.data)
        if room > 0:
            part.data += data[:room]

    def end_part(self) -> None:
        if self._current is not None and self._limit is not None:
            self._parts[self._current.name] = self._current
        self._current = None
