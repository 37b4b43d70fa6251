"""Fetching images by HTTP from a small web server of the test's own, and which hosts may be fetched from."""

from __future__ import annotations

import gzip
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from contract.server import free_port

from imeasure_server.retrieval.http_source import HttpSource, fetch_http
from imeasure_server.retrieval.sources import (
    Allowance,
    AllowedSources,
    RetrievalCancelled,
    SourceFailed,
    SourceInvalid,
    SourceNotAllowed,
    SourceTooLarge,
    SourceTooSlow,
)

EVERYWHERE = AllowedSources(["127.0.0.1"])


def allowance(max_bytes: int = 1 << 26, seconds: float = 60, cancelled: threading.Event | None = None) -> Allowance:
    return Allowance(max_bytes, seconds, cancelled)


@pytest.mark.parametrize(
    ("entries", "host", "port"),
    [
        (["pacs"], "pacs", 104),
        (["pacs:104"], "PACS.", 104),
        (["*.hospital.org"], "a.b.hospital.org", 80),
        (["[::1]:8042"], "::1", 8042),
        (["::1"], "[::1]", 1),
        (["0.0.0.0"], "0.0.0.0", 11112),
    ],
)
def test_hosts_that_are_listed(entries: list[str], host: str, port: int) -> None:
    AllowedSources(entries).check(host, port)


@pytest.mark.parametrize(
    ("entries", "host", "port"),
    [
        ([], "pacs", 104),
        (["pacs:104"], "pacs", 105),
        (["pacs"], "pacs.evil.org", 104),
        (["*.hospital.org"], "hospital.org", 80),
        (["*.hospital.org"], "evilhospital.org", 80),
        (["127.0.0.1"], "localhost", 80),
        (["10.0.0.1"], "10.0.0.11", 80),
    ],
)
def test_hosts_that_are_not(entries: list[str], host: str, port: int) -> None:
    with pytest.raises(SourceNotAllowed, match=r"--session-sources; or upload the image\."):
        AllowedSources(entries).check(host, port)


@dataclass
class Site:
    """A web server whose answers a test writes.

    Attributes:
        url: its address.
        pages: path to what answers it.
        seen: the requests that came: path, headers and body.
    """

    url: str
    port: int
    pages: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]]
    seen: list[tuple[str, dict[str, str], bytes]]


def answer(body: bytes, status: int = 200, **headers: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def page(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return page


@pytest.fixture
def site() -> Iterator[Site]:
    pages: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = {}
    seen: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            pages.get(self.path.partition("?")[0], answer(b"", 404))(self)

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Site(f"http://127.0.0.1:{server.server_port}", server.server_port, pages, seen)
        server.shutdown()
        thread.join()


def fetch(
    folder: Path, url: str, allowed: AllowedSources = EVERYWHERE, limit: Allowance | None = None, **more: Any
) -> Any:
    source = HttpSource.parse({"url": url, **more})
    return fetch_http(source, allowed, folder, limit or allowance())


def test_a_file_and_its_name(site: Site, tmp_path: Path) -> None:
    site.pages["/a%20b/CT.nii.gz"] = site.pages["/named"] = answer(
        b"content", Content_Disposition='attachment; filename="../x/CT 1.nii.gz"'
    )
    fetched = fetch(tmp_path, f"{site.url}/named")
    assert (fetched.path.read_bytes(), fetched.name) == (b"content", "CT 1.nii.gz")
    site.pages["/a%20b/CT.nii.gz"] = answer(b"content")
    assert fetch(tmp_path, f"{site.url}/a b/CT.nii.gz").name == "CT.nii.gz"


def test_the_arguments_of_requests(site: Site, tmp_path: Path) -> None:
    site.pages["/files"] = answer(b"content")
    fetch(tmp_path, f"{site.url}/files", params={"format": "zip"}, headers={"X-A": "b"}, auth=["me", "secret"])
    fetch(tmp_path, f"{site.url}/files", method="post", json={"a": 1})
    fetch(tmp_path, f"{site.url}/files", method="POST", data={"a": "1"})
    (path, headers, _), (_, _, json_body), (_, _, form) = site.seen
    assert path == "/files?format=zip"
    assert headers["x-a"] == "b"
    assert headers["authorization"] == "Basic bWU6c2VjcmV0"
    assert (json_body, form) == (b'{"a": 1}', b"a=1")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("http://a", "url"),
        ({}, "url"),
        ({"url": "http://a", "verify": False}, "not verify"),
        ({"url": "http://a", "proxies": {}}, "not proxies"),
        ({"url": "http://a", "method": "DELETE"}, "GET or POST"),
        ({"url": "http://a", "headers": {"a": 1}}, "headers"),
        ({"url": "http://a", "auth": "me:secret"}, "auth"),
    ],
)
def test_what_is_no_http_source(value: object, sentence: str) -> None:
    with pytest.raises(SourceInvalid, match=sentence):
        HttpSource.parse(value)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/", "127.0.0.1", "http://", "http:///x", "http://127.0.0.1:99999/"]
)
def test_what_is_no_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(SourceInvalid):
        fetch(tmp_path, url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{}/x",
        r"http://evil.example\@127.0.0.1:{}/x",
        "http://127.0.0.1.nip.io:{}/x",
        "http://[::1]:{}/x",
    ],
)
def test_hosts_off_the_list_are_not_called(site: Site, tmp_path: Path, url: str) -> None:
    site.pages["/x"] = answer(b"content")
    with pytest.raises((SourceNotAllowed, SourceInvalid)):
        fetch(tmp_path, url.format(site.port))
    assert not site.seen


def test_a_port_off_the_list_is_not_called(site: Site, tmp_path: Path) -> None:
    site.pages["/x"] = answer(b"content")
    with pytest.raises(SourceNotAllowed):
        fetch(tmp_path, f"{site.url}/x", AllowedSources([f"127.0.0.1:{site.port + 1}"]))
    assert not site.seen


def test_redirects_onto_the_list_are_followed(site: Site, tmp_path: Path) -> None:
    site.pages["/a"] = answer(b"", 302, Location="/b")
    site.pages["/b"] = answer(b"", 307, Location=f"{site.url}/c")
    site.pages["/c"] = answer(b"content")
    assert fetch(tmp_path, f"{site.url}/a").path.read_bytes() == b"content"


def test_redirects_off_the_list_are_refused(site: Site, tmp_path: Path) -> None:
    site.pages["/a"] = answer(b"", 302, Location=f"http://localhost:{site.port}/b")
    site.pages["/b"] = answer(b"content")
    with pytest.raises(SourceNotAllowed, match="localhost"):
        fetch(tmp_path, f"{site.url}/a")
    assert [path for path, _, _ in site.seen] == ["/a"]


def test_a_redirect_to_another_host_takes_no_password_along(site: Site, tmp_path: Path) -> None:
    site.pages["/a"] = answer(b"", 302, Location=f"http://localhost:{site.port}/b")
    site.pages["/b"] = answer(b"content")
    secrets = {"Cookie": "a=b", "X-Other": "kept"}
    fetch(tmp_path, f"{site.url}/a", AllowedSources(["127.0.0.1", "localhost"]), headers=secrets, auth=["me", "secret"])
    first, second = (headers for _, headers, _ in site.seen)
    assert {"authorization", "cookie", "x-other"} <= first.keys()
    assert {"authorization", "cookie"}.isdisjoint(second)
    assert second["x-other"] == "kept"


def test_redirects_end(site: Site, tmp_path: Path) -> None:
    site.pages["/a"] = answer(b"", 302, Location="/a")
    with pytest.raises(SourceFailed, match="more than 5 times"):
        fetch(tmp_path, f"{site.url}/a")
    assert len(site.seen) == 6


def test_answers_that_are_no_image(site: Site, tmp_path: Path) -> None:
    site.pages["/empty"] = answer(b"")
    with pytest.raises(SourceFailed, match="status 404"):
        fetch(tmp_path, f"{site.url}/missing")
    with pytest.raises(SourceFailed, match="nothing"):
        fetch(tmp_path, f"{site.url}/empty")
    with pytest.raises(SourceFailed, match="cannot be reached"):
        fetch(tmp_path, f"http://127.0.0.1:{free_port()}/x")


def _endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(1 << 16))
    except OSError:
        pass


def _trickle(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.05)
    except OSError:
        pass


def test_packed_and_chunked_bodies(site: Site, tmp_path: Path) -> None:
    content = bytes(100_000)

    def chunked(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for start in range(0, len(content), 30_000):
            piece = content[start : start + 30_000]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    def broken(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")

    site.pages["/chunked"] = chunked
    site.pages["/packed"] = answer(gzip.compress(content), Content_Encoding="gzip")
    site.pages["/broken"] = broken
    for page in ("chunked", "packed"):
        assert fetch(tmp_path, f"{site.url}/{page}").path.read_bytes() == content
    with pytest.raises(SourceTooLarge):
        fetch(tmp_path, f"{site.url}/packed", limit=allowance(50_000))
    with pytest.raises(SourceFailed, match="broke off"):
        fetch(tmp_path, f"{site.url}/broken")


def test_answers_that_are_too_large(site: Site, tmp_path: Path) -> None:
    site.pages["/endless"] = _endless
    site.pages["/large"] = answer(bytes(2001))
    for page in ("endless", "large"):
        with pytest.raises(SourceTooLarge, match="2000 bytes"):
            fetch(tmp_path, f"{site.url}/{page}", limit=allowance(2000))
    assert fetch(tmp_path, f"{site.url}/large", limit=allowance(2001)).path.stat().st_size == 2001


def test_answers_that_take_too_long(site: Site, tmp_path: Path) -> None:
    site.pages["/trickle"] = _trickle
    with pytest.raises(SourceTooSlow, match="did not come within"):
        fetch(tmp_path, f"{site.url}/trickle", limit=allowance(seconds=0.5))


def test_nobody_waits_any_more(site: Site, tmp_path: Path) -> None:
    site.pages["/trickle"] = _trickle
    cancelled = threading.Event()
    timer = threading.Timer(0.3, cancelled.set)
    timer.start()
    with pytest.raises(RetrievalCancelled):
        fetch(tmp_path, f"{site.url}/trickle", limit=allowance(cancelled=cancelled))
