"""Gzip, as clients need it written and as they send it.

One documented client finds the file in a multipart answer by splitting the body at blank lines, so what is packed here
never holds one; and it keeps the line end after the file, so what is unpacked here may have something after its end.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

NEVER_INSIDE = (b"\r\n\r\n", b"\r\n--")
"""What separates the parts of a multipart body, and headers from content."""

GZIP_SIGNATURE = b"\x1f\x8b"

_GZIP = 31
_BLOCK = 1 << 20
_ATTEMPTS = 32


def pack(header: Callable[[int], bytes], data: npt.NDArray[Any]) -> bytes:
    """Compress a header and an array (C-contiguous) fast; run lengths do most of the work on masks.

    Args:
        header: for the number of an attempt, a header of the same meaning; another length changes the size that the
            stream ends with.

    Returns:
        A gzip stream without any of `NEVER_INSIDE`, also where a line end follows it; the chance to meet one is one in
        2^32 at each byte, so that the first attempt nearly always is the last.
    """
    content = data.reshape(-1).view(np.uint8).data
    packed = b""
    for attempt in range(_ATTEMPTS):
        strategy = zlib.Z_DEFAULT_STRATEGY if attempt % 2 else zlib.Z_RLE
        packer = zlib.compressobj(1 + attempt % 3, zlib.DEFLATED, _GZIP, 8 - attempt % 4, strategy)
        packed = packer.compress(header(attempt)) + packer.compress(content) + packer.flush()
        if is_safe(packed):
            break
    return packed


def is_safe(packed: bytes) -> bool:
    """Whether a client that splits the body at blank lines finds all of it."""
    return not any(pattern in packed for pattern in NEVER_INSIDE) and not packed.endswith(b"\r\n")


def unpack(file: BinaryIO) -> Iterator[bytes]:
    """The content of a gzip stream in blocks, with its check sums verified; what follows the stream is passed by.

    Raises:
        EOFError: it is incomplete.
        zlib.error: it is damaged.
    """
    unpacker = zlib.decompressobj(_GZIP)
    pending = file.read(_BLOCK)
    while True:
        if unpacker.eof:
            pending = unpacker.unused_data + pending
            if len(pending) < len(GZIP_SIGNATURE):
                pending += file.read(_BLOCK)
            if not pending.startswith(GZIP_SIGNATURE):
                return
            unpacker = zlib.decompressobj(_GZIP)
        if not pending:
            pending = file.read(_BLOCK)
            if not pending:
                raise EOFError("The gzip stream is incomplete.")
        block = unpacker.decompress(pending, 4 * _BLOCK)
        pending = unpacker.unconsumed_tail
        if block:
            yield block
