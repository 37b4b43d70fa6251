"""How ``POST /seg`` copes with the wire: raw HTTP, large bodies, broken bodies, clients that leave, many clients."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
import pytest
from contract import ellipsoid_scan, form, post, scan_metadata, send
from contract.client import BOUNDARY, multipart_body
from contract.server import ServerProcess

SCAN, LESION = ellipsoid_scan((64, 64, 16), centre=(32, 32, 8), radii_mm=(11, 9, 13))
CENTRE = (32, 32, 8)
IMAGE = SCAN.crop_bytes([0, 0, 0], [63, 63, 15])
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
SMALL_LIMIT = 2_000_000


def request_body(click: tuple[int, int, int] = CENTRE, **changes: Any) -> bytes:
    metadata = scan_metadata(SCAN, [{"mode": "positive", "points": [SCAN.world(click)]}], **changes)
    return multipart_body(form(metadata, IMAGE))


def exchange(url: str, data: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Send raw bytes on a socket of its own and read until the server closes it."""
    address = urlsplit(url)
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(data)
        while piece := connection.recv(1 << 16):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), headers, json.loads(body)


def head(version: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST /seg {version}", "Host: 127.0.0.1", *lines, "", ""]).encode()


def test_http_1_0(live_server: str) -> None:
    body = request_body()
    lines = (f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(body)}")
    status, headers, answer = exchange(live_server, head("HTTP/1.0", *lines) + body)
    assert status == 200
    assert "transfer-encoding" not in headers
    assert int(headers["content-length"]) > LESION.size
    assert answer == send(live_server, body).body


def test_chunked_upload(live_server: str) -> None:
    body = request_body()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 10_007):
            yield body[start : start + 10_007]

    with httpx.Client(trust_env=False, timeout=60) as client:
        response = client.post(f"{live_server}/seg", content=pieces(), headers={"content-type": CONTENT_TYPE})
    assert response.request.headers["transfer-encoding"] == "chunked"
    assert response.status_code == 200
    assert response.content == send(live_server, body).raw


def test_stages_are_timed(live_server: str) -> None:
    stages = {
        entry.split(";")[0].strip() for entry in send(live_server, request_body()).headers["server-timing"].split(",")
    }
    assert {"parse", "engine", "measure", "encode"} <= stages


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that takes bodies of two megabytes."""
    from contract.server import launch

    server = launch(tmp_path_factory.mktemp("small"), environment={"IMEASURE_MAX_BODY_BYTES": str(SMALL_LIMIT)})
    yield server
    server.stop()


def test_a_declared_length_over_the_limit_is_refused_at_once(small_server: ServerProcess) -> None:
    """Nothing of the body is sent, and still the answer comes."""
    lines = (f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {SMALL_LIMIT + 1}", "Connection: close")
    status, _, answer = exchange(small_server.url, head("HTTP/1.1", *lines))
    assert (status, answer["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert answer["details"] == {"limit_bytes": str(SMALL_LIMIT)}


def endless(name: str) -> Iterator[bytes]:
    """A part that never ends."""
    yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'.encode()
    while True:
        yield bytes(1 << 16)


def resident(server: ServerProcess) -> int:
    """Bytes of the process that reads the bodies."""
    return int(psutil.Process(server.process.pid).memory_info().rss)


@pytest.mark.parametrize("name", ["image", "mask", "metadata", "something"])
def test_an_endless_body_is_cut_off(small_server: ServerProcess, name: str) -> None:
    lines = (f"Content-Type: {CONTENT_TYPE}", "Transfer-Encoding: chunked", "Connection: close")
    address = urlsplit(small_server.url)
    sent, received = 0, b""
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(head("HTTP/1.1", *lines))
        try:
            for piece in endless(name):
                connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                sent += len(piece)
                assert sent < 500_000_000
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            while piece := connection.recv(1 << 16):
                received += piece
        except ConnectionResetError:  # its answer was lost to the bytes that crossed it; it did stop reading
            pass
    if received:
        body = json.loads(received.partition(b"\r\n\r\n")[2])
        assert body["code"] in {"PAYLOAD_TOO_LARGE", "MISSING_METADATA"}


def test_memory_does_not_grow_with_oversize_parts(small_server: ServerProcess) -> None:
    metadata = scan_metadata(SCAN, [SCAN.world(CENTRE)])
    excess = bytes(SMALL_LIMIT - len(IMAGE) - 5_000)
    body = multipart_body(form(metadata, IMAGE + excess))
    for _ in range(3):
        send(small_server.url, body)
    before = resident(small_server)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: send(small_server.url, body), range(60)))
    assert {(answer.status, answer.code) for answer in answers} == {(422, "IMAGE_DATA_SIZE_MISMATCH")}
    assert resident(small_server) - before < 60 * len(excess) / 4


def mutations(rng: random.Random) -> Iterator[bytes]:
    """Bodies that are nearly right."""
    edge = f"--{BOUNDARY}".encode()
    good = request_body()
    header = b'Content-Disposition: form-data; name="image"; filename="image.bin"'
    fixed: list[Callable[[bytes], bytes]] = [
        lambda body: body.replace(b"\r\n", b"\n"),
        lambda body: body.replace(b"\r\n", b"\r", 3),
        lambda body: body.replace(edge, edge + edge),
        lambda body: body.replace(header, header.replace(b"image", b"\xff\xfe")),
        lambda body: body.replace(header, header + b"; name=metadata"),
        lambda body: body.replace(header, header.replace(b'"image"', b'"image')),
        lambda body: body.replace(b"Content-Disposition", b"Content-Disposition\x00"),
        lambda body: edge + b"--" + body,
        lambda body: edge + b"\r\n\r\n" + body,
    ]
    for change in fixed:
        yield change(good)
    for _ in range(250):
        body = bytearray(good[: rng.choice([200, 1200, len(good)])])
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(min(len(body), 1400))
            match rng.randrange(4):
                case 0:
                    body[place] = rng.randrange(256)
                case 1:
                    del body[place : place + rng.randint(1, 40)]
                case 2:
                    body[place:place] = rng.choice([edge, b"\r\n", b"--", b"\r\n\r\n", rng.randbytes(9)])
                case _:
                    body[place : place + 3] = rng.choice([b'"', b":", b";", b"\x00\xff", b"}"])
        yield bytes(body)


def test_broken_bodies_get_an_error_of_the_format(live_server: str) -> None:
    statuses = set()
    with httpx.Client(trust_env=False, timeout=60) as client:
        for body in mutations(random.Random(20)):
            response = client.post(f"{live_server}/seg", content=body, headers={"content-type": CONTENT_TYPE})
            answer = response.json()
            statuses.add(response.status_code)
            if response.status_code == 200:  # the change hit a place that does not matter, as in a file name
                assert "mask" in answer
            else:
                assert response.status_code in (400, 413, 415, 422), (response.status_code, answer)
                assert set(answer) in ({"error", "code"}, {"error", "code", "details"})
                assert all(isinstance(answer[name], str) for name in ("error", "code"))
    assert {400, 422} <= statuses


def test_twenty_clients_side_by_side_get_what_they_would_get_alone(live_server: str) -> None:
    rng = np.random.default_rng(6)
    lesion = np.argwhere(LESION)
    clicks = [tuple(int(v) for v in lesion[index]) for index in rng.integers(0, len(lesion), 10)]
    bodies = [request_body((x, y, z)) for x, y, z in clicks]

    def patiently(body: bytes) -> bytes:
        for _ in range(600):
            answer = send(live_server, body)
            if answer.status != 503:
                assert answer.status == 200, answer.body
                return answer.raw
            assert answer.code == "SERVER_BUSY"
            assert int(answer.headers["retry-after"]) >= 1
            time.sleep(0.1)
        raise AssertionError("The server was busy for a minute.")

    alone = [patiently(body) for body in bodies]
    with ThreadPoolExecutor(20) as threads:
        together = list(threads.map(patiently, bodies * 2))
    assert together == alone * 2
    assert len(set(alone)) > 1


def test_a_client_that_leaves_does_not_hold_up_the_next(live_server: str) -> None:
    body = request_body()
    address = urlsplit(live_server)
    lines = (f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(body)}")
    for sent in (body, body[: len(body) // 2]):
        for _ in range(30):
            with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
                connection.sendall(head("HTTP/1.1", *lines) + sent)
    deadline = time.monotonic() + 60
    while (answer := post(live_server, scan_metadata(SCAN, [SCAN.world(CENTRE)]), IMAGE)).status == 503:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert answer.status == 200
