"""Forms with files of any size: files go to the disk while they are received and hashed, and no further into memory."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from starlette.requests import ClientDisconnect, Request

from imeasure_server.api.disconnect import ClientDisconnected
from imeasure_server.api.multipart import MalformedForm, Part, PartReader, boundary_of, feed_all
from imeasure_server.api.resources import settings_of
from imeasure_server.errors import BadRequest, PayloadTooLarge, UnsupportedMediaType

MAX_TEXT_BYTES = 32 << 20
"""Of all text parts together."""
MAX_PARTS = 20_000
"""Series are also sent one file a slice."""
UNNAMED = "upload"


@dataclass(frozen=True)
class Upload:
    """A file that was sent.

    Attributes:
        name: base name that the client gave it; never a path.
        path: where it lies until the request ends, unless it is moved away.
        sha256: of its bytes, in hexadecimal.
        size: in bytes.
        content_type: as the client said, "" where it did not.
    """

    name: str
    path: Path
    sha256: str
    size: int
    content_type: str = ""


@dataclass
class UploadForm:
    """What came with a request.

    Attributes:
        fields: text parts by name.
        files: the files of each name, in the order they came.
        body: of a request that is no form.
    """

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[Upload]] = field(default_factory=dict)
    body: bytes = b""

    def file(self, *names: str) -> Upload | None:
        """The first file under the first of these names that has one."""
        return next((self.files[name][0] for name in names if name in self.files), None)


@asynccontextmanager
async def receive_form(request: Request) -> AsyncIterator[UploadForm]:
    """Read the whole body. Its files are deleted at the end of the block, unless they were moved away.

    Any part with a file name is a file. A body that is no multipart form is in ``body``, whatever its type.

    Raises:
        BadRequest: the form is malformed or a text part is no UTF-8.
        PayloadTooLarge: see ``max_upload_bytes`` of the settings.
        UnsupportedMediaType: the body is compressed.
        ClientDisconnected: it never came whole.
    """
    settings = settings_of(request)
    limit = settings.max_upload_bytes
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType({"content_encoding": ["Compressed bodies are not supported."]})
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise PayloadTooLarge(limit)
    folder = Path(tempfile.mkdtemp(prefix="upload-", dir=uploads_folder(settings.workspace)))
    try:
        yield await _read(request, folder, limit)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def uploads_folder(workspace: Path) -> Path:
    """Where files lie while their request is answered; on the workspace's disk, so that they can be moved within it."""
    folder = workspace / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _read(request: Request, folder: Path, limit: int) -> UploadForm:
    form = UploadForm()
    try:
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            reader = _UploadReader(boundary_of(request.headers["content-type"]), folder, form)
            try:
                await feed_all(reader, request.stream(), limit)
            finally:
                reader.close()
        else:
            form.body = await _body(request)
    except UnsupportedMediaType as error:
        raise BadRequest("The form has no boundary that separates its parts.") from error
    except MalformedForm as error:
        raise BadRequest(str(error)) from error
    except ClientDisconnect as error:
        raise ClientDisconnected from error
    return form


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_TEXT_BYTES:
            raise PayloadTooLarge(MAX_TEXT_BYTES)
    return bytes(body)


class _UploadReader(PartReader):
    """Writes files into a folder, keeps text in memory."""

    max_parts = MAX_PARTS

    def __init__(self, boundary: bytes, folder: Path, form: UploadForm) -> None:
        super().__init__(boundary)
        self._folder = folder
        self._form = form
        self._name = ""
        self._filename: str | None = None
        self._content_type = ""
        self._text = bytearray()
        self._text_bytes = 0
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self._size = 0
        self._count = 0

    @property
    def parts(self) -> Mapping[str, Part]:
        return {}

    def begin_part(self, name: str, filename: str | None, content_type: str) -> None:
        self._name, self._content_type = name, content_type
        self._text.clear()
        self._filename = None if filename is None else base_name(filename)
        if self._filename is not None:
            self._hash, self._size = hashlib.sha256(), 0
            self._file = self._path.open("wb")

    def part_data(self, data: memoryview) -> None:
        if self._file is None:
            self._text_bytes += len(data)
            if self._text_bytes > MAX_TEXT_BYTES:
                raise PayloadTooLarge(MAX_TEXT_BYTES)
            self._text += data
            return
        self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def end_part(self) -> None:
        if self._file is None:
            try:
                self._form.fields[self._name] = self._text.decode("utf-8")
            except UnicodeDecodeError:
                raise BadRequest(f"The part {self._name[:64]} is not UTF-8 text.") from None
            return
        assert self._filename is not None
        self._file.close()
        upload = Upload(self._filename, self._path, self._hash.hexdigest(), self._size, self._content_type)
        self._form.files.setdefault(self._name, []).append(upload)
        self._file = None
        self._count += 1

    def close(self) -> None:
        """Close what a broken form left open."""
        if self._file is not None:
            self._file.close()

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._count}"


def base_name(filename: str) -> str:
    """The last part of a file name of any system, without what no file name holds; ``upload`` when nothing is left."""
    last = re.split(r"[/\\]", filename)[-1]
    return re.sub(r"[\x00-\x1f\x7f]", "", last).strip().lstrip(".")[-255:] or UNNAMED
