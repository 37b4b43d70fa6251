"""Requests as NVIDIA's Python and C++ clients of AIAA (2706251) make them, and answers read as they read them.

The clients are on no package registry; what they send and how they read is written down here byte by byte.
"""

from __future__ import annotations

import gzip
import http.client
import json
import mimetypes
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

import nibabel
import numpy as np
from numpy.typing import NDArray

from imeasure_server.imaging.volume import Volume

LIMIT = "----------lImIt_of_THE_fIle_eW_$"
"""The Python client's boundary, the same in every request."""


@dataclass(frozen=True)
class AiaaReply:
    """An answer.

    Attributes:
        status: HTTP status.
        form: text parts by name, or the body where it is no multipart form.
        files: files by file name.
    """

    status: int
    form: Any
    files: Mapping[str, bytes]

    @property
    def params(self) -> Any:
        """As the client's methods return it."""
        assert self.status == 200, self.form
        return json.loads(self.form["params"]) if self.files else json.loads(self.form)

    @property
    def mask(self) -> nibabel.Nifti1Image:
        """The first file, which the client saves under whatever name its user wants."""
        name, content = next(iter(self.files.items()))
        assert name.endswith(".nii.gz")
        return nibabel.Nifti1Image.from_bytes(gzip.decompress(content))

    @property
    def voxels(self) -> NDArray[Any]:
        return np.asarray(self.mask.dataobj)


def python_client(
    url: str,
    method: str,
    selector: str,
    fields: Mapping[str, str] | None = None,
    files: Mapping[str, Path] | None = None,
) -> AiaaReply:
    """``AIAAUtils.http_multipart``: the whole path of a file goes along, and the answer is read from the raw socket."""
    body = bytearray()
    for name, value in (fields or {}).items():
        body += f'--{LIMIT}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    for name, path in (files or {}).items():
        kind = mimetypes.guess_type(str(path))[0] or "application/octet-stream"
        head = f'--{LIMIT}\r\nContent-Disposition: form-data; name="{name}"; filename="{path}"\r\nContent-Type: {kind}'
        body += f"{head}\r\n\r\n".encode() + path.read_bytes() + b"\r\n"
    body += f"--{LIMIT}--\r\n\r\n".encode()
    headers = {"content-type": f"multipart/form-data; boundary={LIMIT}", "content-length": str(len(body))}
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=120)
    try:
        connection.request(method, f"/{selector.lstrip('/')}", bytes(body), headers)
        response = connection.getresponse()
        kind = str(response.getheader("content-type", ""))
        if "multipart" not in kind or response.status != 200:
            return AiaaReply(response.status, response.read().decode(), {})
        assert response.fp is not None
        return _taken_apart(response.status, response.fp.read(int(str(response.getheader("content-length")))), kind)
    finally:
        connection.close()


def run(
    url: str, address: str, model: str, params: Any, image: Path | None = None, session: str | None = None
) -> AiaaReply:
    """``AIAAClient.segmentation``, ``deepgrow``, ``dextr3d`` and ``inference`` but for the answer."""
    selector = f"/v1/{address}?model={quote_plus(model)}"
    if session:
        selector += f"&session_id={quote_plus(session)}"
    fields = {"params": params if isinstance(params, str) else json.dumps(params)}
    return python_client(url, "POST", selector, fields, {} if image is None else {"datapoint": image})


def cpp_client(
    url: str, method: str, path: str, params: str, image: bytes | None, name: str = "in.nii.gz"
) -> AiaaReply:
    """``CurlUtils::doMethod``: Poco's HTTP/1.0 and its form, with a quoted boundary; read until the connection ends."""
    boundary = "MIME_boundary_0123456789ABCDEF"
    body = f'--{boundary}\r\nContent-Disposition: form-data; name="params"\r\n\r\n{params}'.encode()
    if image is not None:
        head = (
            f'Content-Disposition: form-data; name="image"; filename="{name}"\r\nContent-Type: application/octet-stream'
        )
        body += f"\r\n--{boundary}\r\n{head}\r\n\r\n".encode() + image
    body += f"\r\n--{boundary}--\r\n".encode()
    address = urlsplit(url)
    request = (
        f"{method} {path} HTTP/1.0\r\nConnection: Close\r\nHost: {address.netloc}\r\n"
        f'Content-Type: multipart/form-data; boundary="{boundary}"\r\nContent-Length: {len(body)}\r\n\r\n'
    )
    with socket.create_connection((str(address.hostname), address.port or 80), timeout=120) as connection:
        connection.sendall(request.encode() + body)
        answer = b""
        while block := connection.recv(1 << 16):
            answer += block
    head_bytes, _, content = answer.partition(b"\r\n\r\n")
    status_line, *lines = head_bytes.decode("latin-1").split("\r\n")
    headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
    status = int(status_line.split()[1])
    assert int(headers["content-length"]) == len(content)
    if "multipart" not in headers["content-type"]:
        return AiaaReply(status, content.decode(), {})
    return _taken_apart(status, content, headers["content-type"])


def nifti_file(volume: Volume, path: Path) -> Path:
    """Write a volume with nibabel."""
    nibabel.save(nibabel.Nifti1Image(volume.array, volume.geometry.ras_affine), path)
    return path


def _taken_apart(status: int, body: bytes, content_type: str) -> AiaaReply:
    """As ``cgi.FieldStorage`` does: parts with a file name are files, whatever their type."""
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    first, *parts, last = (b"\r\n" + body).split(b"\r\n--" + boundary)
    assert (first, last.strip()) == (b"", b"--")
    form: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        disposition = dict(
            item.strip().split("=", 1) for item in head.decode().split("\r\n")[0].split(";") if "=" in item
        )
        if "filename" in disposition:
            files[disposition["filename"].strip('"')] = content
        else:
            form[disposition["name"].strip('"')] = content.decode()
    return AiaaReply(status, form, files)
