"""Forms whose files go to disk, and multipart answers, over real HTTP with a small application."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from contract.server import free_port
from fastapi import FastAPI, Request

from imeasure_server.api.errors import add_error_handlers
from imeasure_server.api.middleware import RequestRecord
from imeasure_server.api.multipart_reply import multipart_reply
from imeasure_server.api.upload_form import UNNAMED, base_name, receive_form
from imeasure_server.metrics import ServerMetrics
from imeasure_server.models.pool import InferencePool
from imeasure_server.settings import ServerSettings

LIMIT = 1 << 20


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def address(workspace: Path) -> Iterator[str]:
    """An application that tells what it received."""
    app = FastAPI()
    app.state.settings = ServerSettings(workspace=workspace, max_upload_bytes=LIMIT)

    @app.post("/infer/echo")
    async def echo(request: Request) -> dict[str, Any]:
        async with receive_form(request) as form:
            return {
                "fields": form.fields,
                "files": {
                    name: [
                        [file.name, file.sha256, file.size, hashlib.sha256(file.path.read_bytes()).hexdigest()]
                        for file in files
                    ]
                    for name, files in form.files.items()
                },
                "body": form.body.decode("latin-1"),
            }

    add_error_handlers(app)
    app.add_middleware(RequestRecord, metrics=ServerMetrics(InferencePool([], 1)))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/infer/echo"
    server.should_exit = True
    thread.join(10)


def test_files_reach_the_disk_whole_with_their_hash_and_are_gone_after_the_request(
    address: str, workspace: Path
) -> None:
    content = np.random.default_rng(0).bytes(700_001) + b"\r\n--not the boundary\r\n\r\n"
    answer = httpx.post(
        address,
        data={"params": '{"ä": 1}'},
        files=[
            ("file", (r"C:\scans\a b.zip", content)),
            ("file", ("/home/x/../second.dcm", b"")),
            ("label", ("l.nrrd", b"1")),
        ],
    ).json()
    digest = hashlib.sha256(content).hexdigest()
    empty = hashlib.sha256(b"").hexdigest()
    assert answer["fields"] == {"params": '{"ä": 1}'}
    assert answer["files"]["file"] == [["a b.zip", digest, len(content), digest], ["second.dcm", empty, 0, empty]]
    assert answer["files"]["label"][0][0] == "l.nrrd"
    assert not list((workspace / "uploads").iterdir())


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json", "application/octet-stream"])
def test_a_body_that_is_no_form_is_given_as_it_came(address: str, kind: str) -> None:
    answer = httpx.post(address, content=b'{"http": {"url": "x"}}', headers={"Content-Type": kind}).json()
    assert answer == {"fields": {}, "files": {}, "body": '{"http": {"url": "x"}}'}


@pytest.mark.parametrize(
    ("content", "kind", "status", "sentence"),
    [
        (b"--x\r\nnothing", "multipart/form-data; boundary=x", 400, "ends before"),
        (b"--x\r\n\r\n", "multipart/form-data", 400, "no boundary"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--", "multipart/form-data; boundary=x", 400, "name"),
        (
            b'--x\r\nContent-Disposition: form-data; name="params"\r\n\r\n\xff\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            400,
            "UTF-8",
        ),
        (bytes(LIMIT + 1), "multipart/form-data; boundary=x", 413, "larger"),
    ],
)
def test_a_broken_form_is_a_sentence(
    address: str, workspace: Path, content: bytes, kind: str, status: int, sentence: str
) -> None:
    answer = httpx.post(address, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]
    assert not list((workspace / "uploads").iterdir())


def test_a_body_that_says_no_length_is_cut_off_at_the_limit(address: str, workspace: Path) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(40):
            yield bytes(1 << 16)

    answer = httpx.post(address, content=pieces(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 413
    assert not list((workspace / "uploads").iterdir())


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a.nii.gz", "a.nii.gz"),
        ("../../etc/passwd", "passwd"),
        (r"C:\x\y.dcm", "y.dcm"),
        ("..", UNNAMED),
        ("a/", UNNAMED),
        ("\x00\n", UNNAMED),
        (".hidden", "hidden"),
        ("x" * 300 + ".nii.gz", "x" * 248 + ".nii.gz"),
    ],
)
def test_a_file_name_never_is_a_path(given: str, name: str) -> None:
    assert base_name(given) == name


def test_a_multipart_answer_is_read_back_by_the_standard_library() -> None:
    file = np.random.default_rng(1).bytes(5000)
    answer = multipart_reply({"points": [[1, 2, 3]], "flipped": True}, file, "mask.nii.gz", "application/gzip")
    head = b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n"
    message: Message[str, str] = BytesParser().parsebytes(head + bytes(answer.body))
    params, image = message.get_payload()  # type: ignore[misc]
    assert answer.headers["content-length"] == str(len(answer.body))
    assert params.get_payload(decode=True) == b'{"points": [[1, 2, 3]], "flipped": true}'
    assert params.get_filename() is None
    assert image.get_filename() == "mask.nii.gz"
    assert image.get_param("name", header="content-disposition") == "image"
    assert image.get_payload(decode=True) == file
