"""Read a JSON body that holds pictures as very long strings, while it arrives.

Ten pictures of 10 MB are 140 MB of JSON. A parser takes a second copy of that, and holds the interpreter for 0.15 s
in one piece (measured), during which nobody else is answered. Here every long string is set aside as bytes as it comes
in, and only what is left, a few hundred bytes, is parsed.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

LONG = 4096
"""Strings of more bytes than this are set aside."""

MAX_OTHER_BYTES = 1 << 20
"""Of everything that is not a long string."""

_QUOTE, _BACKSLASH = b'"', 0x5C


class MalformedJson(ValueError):
    """The body is not JSON."""


class StringTooLong(ValueError):
    """A string of the body is longer than the reader was told to take."""


class LongString:
    """A string that was set aside, as it was written between its quotes."""

    def __init__(self, written: bytearray) -> None:
        self._written = written

    def __len__(self) -> int:
        return len(self._written)

    def encoded(self) -> bytes | bytearray:
        """The string in UTF-8, its escapes resolved.

        Raises:
            MalformedJson: it is not a JSON string.
        """
        if _BACKSLASH not in self._written:
            return self._written
        text = json.loads(b'"' + self._written + b'"', strict=False)
        assert isinstance(text, str)
        return text.encode("utf-8", "surrogatepass")


class JsonBody:
    """Takes the pieces of a body in their order.

    Args:
        longest: bytes that one string may have as it is written.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._other = bytearray()
        self._string: bytearray | None = None
        self._long: list[LongString] = []
        self._mark = secrets.token_hex(16)  # a client cannot write a string that stands for another one

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            StringTooLong: see there; also when there is too much beside long strings.
        """
        at = 0
        while at < len(piece):
            quote = piece.find(_QUOTE, at)
            end = len(piece) if quote < 0 else quote
            if self._string is None:
                self._other += piece[at:end]
                if quote >= 0:
                    self._string = bytearray()
            else:
                self._string += piece[at:end]
                if len(self._string) > self._longest:
                    raise StringTooLong
                if quote >= 0:
                    self._end_string(self._string)
            if len(self._other) > MAX_OTHER_BYTES:
                raise StringTooLong
            at = end + 1

    def content(self) -> Any:
        """What the whole body says; long strings in it are `LongString`.

        Raises:
            MalformedJson: it is not JSON.
        """
        if self._string is not None:
            raise MalformedJson
        try:
            parsed = json.loads(self._other.decode("utf-8-sig"), parse_constant=_refuse_constant)
            return self._with_long_strings(parsed)
        except (ValueError, RecursionError) as error:
            raise MalformedJson from error

    def _end_string(self, string: bytearray) -> None:
        """A quote has come: it ends the string unless it is escaped."""
        if (len(string) - len(string.rstrip(b"\\"))) % 2:
            string += _QUOTE
            return
        self._string = None
        if len(string) <= LONG:
            self._other += _QUOTE + string + _QUOTE
        else:
            self._other += f'"{self._mark}{len(self._long)}"'.encode()
            self._long.append(LongString(string))

    def _with_long_strings(self, value: Any) -> Any:
        if isinstance(value, str) and value.startswith(self._mark):
            return self._long[int(value[len(self._mark) :])]
        if isinstance(value, list):
            return [self._with_long_strings(item) for item in value]
        if isinstance(value, dict):
            return {name: self._with_long_strings(item) for name, item in value.items()}
        return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON.")
