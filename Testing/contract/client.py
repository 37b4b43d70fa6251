"""Sends a request and decodes the answer."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

BOUNDARY = "----contract-test-boundary"
Parts = list[tuple[str, str, str, bytes]]


@dataclass(frozen=True, eq=False)
class Answer:
    """A decoded answer.

    Attributes:
        status: HTTP status.
        body: the JSON object.
        raw: the bytes it came as.
        headers: of the response.
    """

    status: int
    body: dict[str, Any]
    raw: bytes
    headers: httpx.Headers

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(x, y, z) bool."""
        values = np.frombuffer(base64.b64decode(self.body["mask"], validate=True), np.uint8)
        assert set(np.unique(values).tolist()) <= {0, 1}
        return values.reshape(self.body["mask_shape"], order="F").astype(bool)

    @property
    def code(self) -> str:
        """Of an error."""
        return str(self.body["code"])


def form(metadata: Any, image: bytes | None, mask: bytes | NDArray[np.bool_] | None = None) -> Parts:
    """The parts of a request as (name, filename, type, content); a part given as None is left out."""
    parts: Parts = []
    if metadata is not None:
        content = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
        parts.append(("metadata", "metadata.json", "application/json", content))
    if image is not None:
        parts.append(("image", "image.bin", "application/octet-stream", image))
    if mask is not None:
        content = mask if isinstance(mask, bytes) else mask.astype(np.uint8).tobytes(order="F")
        parts.append(("mask", "mask.bin", "application/octet-stream", content))
    return parts


def multipart_body(parts: Parts, boundary: str = BOUNDARY) -> bytes:
    lines = []
    for name, filename, kind, content in parts:
        lines.append(f"--{boundary}\r\n".encode())
        lines.append(f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'.encode())
        lines.append(f"Content-Type: {kind}\r\n\r\n".encode())
        lines.append(content + b"\r\n")
    lines.append(f"--{boundary}--\r\n".encode())
    return b"".join(lines)


def send(base_url: str, body: bytes, content_type: str | None = None, **headers: str) -> Answer:
    """POST raw bytes to ``/seg``."""
    kind = f"multipart/form-data; boundary={BOUNDARY}" if content_type is None else content_type
    all_headers = {**({"content-type": kind} if kind else {}), **headers}
    with httpx.Client(trust_env=False, timeout=120) as client:
        response = client.post(f"{base_url}/seg", content=body, headers=all_headers)
    assert response.headers["content-type"].split(";")[0] == "application/json", response.text[:300]
    assert int(response.headers["content-length"]) == len(response.content)
    return Answer(response.status_code, response.json(), response.content, response.headers)


def post(
    base_url: str, metadata: Any, image: bytes | None, mask: bytes | NDArray[np.bool_] | None = None, **headers: str
) -> Answer:
    """POST a request made of its parts."""
    return send(base_url, multipart_body(form(metadata, image, mask)), **headers)
