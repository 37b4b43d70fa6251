"""Multipart answers as the clients of AIAA and MONAI Label read them: one part of JSON, then one file."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


def multipart_reply(
    params: Mapping[str, Any],
    file: bytes,
    filename: str,
    content_type: str = "application/octet-stream",
    part_name: str = "image",
    headers: Mapping[str, str] | None = None,
    params_name: str = "params",
) -> Response:
    """``params`` (JSON, no file name) and then one file, in ``multipart/form-data`` with a ``Content-Length``.

    Their Python clients read the raw socket with ``cgi``, which a chunked reply would corrupt. The boundary is the last
    thing in the content type and occurs nowhere else in the body: many clients split at it.

    Args:
        params: must be JSON.
        file: its bytes.
        filename: plain ASCII; its extension tells clients the format.
        part_name: of the file's part.
        headers: more headers of the answer.
        params_name: of the JSON's part.
    """
    text = json.dumps(params, allow_nan=False).encode()
    boundary = secrets.token_hex(16).encode()
    while boundary in file or boundary in text:
        boundary = secrets.token_hex(16).encode()
    body = b"\r\n".join(
        (
            b"--" + boundary,
            f'Content-Disposition: form-data; name="{params_name}"'.encode("ascii"),
            b"Content-Type: application/json",
            b"",
            text,
            b"--" + boundary,
            f'Content-Disposition: form-data; name="{part_name}"; filename="{filename}"'.encode("ascii"),
            f"Content-Type: {content_type}".encode("ascii"),
            b"",
            file,
            b"--" + boundary + b"--",
            b"",
        )
    )
    return Response(
        body, headers={**(headers or {}), "Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}
    )
