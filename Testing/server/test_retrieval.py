"""Fetching images: by C-GET from a real Orthanc, and by HTTP from it and from a small web server of the test's own."""

from __future__ import annotations

import gzip
import http.server
import io
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract.server import free_port
from orthanc import AE_TITLE, OrthancServer
from pydicom import dcmread
from pydicom.uid import RLELossless, generate_uid

from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.retrieval.http_source import HttpSource, fetch_http
from imeasure_server.retrieval.pacs import PacsSource, fetch_dicom
from imeasure_server.retrieval.sources import (
    Allowance,
    AllowedSources,
    RetrievalCancelled,
    RetrievalError,
    SourceFailed,
    SourceInvalid,
    SourceNotAllowed,
    SourceTooLarge,
    SourceTooSlow,
)
from phantoms.dicom_series import SeriesOptions, dicom_bytes, series_datasets, series_members

EVERYWHERE = AllowedSources(["127.0.0.1"])
PATIENT = "C-GET-1"


def allowance(max_bytes: int = 1 << 26, seconds: float = 60, cancelled: threading.Event | None = None) -> Allowance:
    return Allowance(max_bytes, seconds, cancelled)


def volume(slices: int = 4) -> Volume:
    values = np.random.default_rng(1).integers(-1000, 1000, (20, 16, slices)).astype(np.int16)
    return Volume(values, Geometry.from_axes((1, 2, 3), (0.7, 0.8, 2.5), np.eye(3), (20, 16, slices)))


def options(series: str, study: str, **more: Any) -> SeriesOptions:
    return SeriesOptions(series=series, study=study, extra={"PatientID": PATIENT}, **more)


def study_uid(study: str) -> str:
    return generate_uid(entropy_srcs=[study])


def series_uid(study: str, series: str) -> str:
    return generate_uid(entropy_srcs=[study, series])


# --- the list of hosts


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


# --- C-GET


@pytest.fixture(scope="module")
def pacs(orthanc: OrthancServer) -> OrthancServer:
    """Orthanc with one patient: study one with two series, study two with one."""
    for study, series in (("one", "a"), ("one", "b"), ("two", "a")):
        orthanc.upload(series_members(volume(), options(series, study)).values())
    return orthanc


def pacs_source(pacs: OrthancServer, level: str, **ids: str) -> PacsSource:
    address = {"server_address": "127.0.0.1", "server_port": pacs.dicom_port, "ae_title": AE_TITLE}
    return PacsSource.parse({**address, "query_level": level, **ids})


def series_in(path: Path) -> list[str]:
    """The SeriesInstanceUID of each file in a zip."""
    with zipfile.ZipFile(path) as archive:
        return [str(dcmread(io.BytesIO(archive.read(name))).SeriesInstanceUID) for name in archive.namelist()]


ONE_A = {"patient_id": PATIENT, "study_uid": study_uid("one"), "series_uid": series_uid("one", "a")}


@pytest.mark.parametrize(
    ("level", "ids", "files"),
    [
        ("PATIENT", {"patient_id": PATIENT}, {("one", "a"): 4, ("one", "b"): 4, ("two", "a"): 4}),
        ("STUDY", {"study_uid": study_uid("one")}, {("one", "a"): 4, ("one", "b"): 4}),
        ("STUDY", {"patient_id": PATIENT, "study_uid": study_uid("two")}, {("two", "a"): 4}),
        ("SERIES", {"study_uid": study_uid("one"), "series_uid": series_uid("one", "b")}, {("one", "b"): 4}),
        ("SERIES", {"series_uid": series_uid("one", "b")}, {("one", "b"): 4}),
        ("PATIENT", ONE_A, {("one", "a"): 4}),
        ("STUDY", ONE_A, {("one", "a"): 4}),
        ("SERIES", ONE_A, {("one", "a"): 4}),
    ],
)
def test_c_get_at_every_level(
    pacs: OrthancServer, tmp_path: Path, level: str, ids: dict[str, str], files: dict[tuple[str, str], int]
) -> None:
    fetched = fetch_dicom(pacs_source(pacs, level, **ids), EVERYWHERE, tmp_path, allowance())
    found = series_in(fetched.path)
    assert {uid: found.count(uid) for uid in found} == {series_uid(*key): count for key, count in files.items()}
    assert fetched.name == "series.zip"


def test_the_images_come_unchanged_and_as_the_same_bytes_again(pacs: OrthancServer, tmp_path: Path) -> None:
    digests = []
    for folder in (tmp_path / "1", tmp_path / "2"):
        folder.mkdir()
        fetched = fetch_dicom(pacs_source(pacs, "SERIES", **ONE_A), EVERYWHERE, folder, allowance())
        digests.append(fetched.sha256)
    assert digests[0] == digests[1]
    sent = {str(slice_.SOPInstanceUID): slice_ for slice_ in series_datasets(volume(), options("a", "one"))}
    with zipfile.ZipFile(fetched.path) as archive:
        for name in archive.namelist():
            came = dcmread(io.BytesIO(archive.read(name)))
            expected = sent.pop(str(came.SOPInstanceUID))
            assert (came.pixel_array == expected.pixel_array).all()
            assert came.ImagePositionPatient == expected.ImagePositionPatient
    assert not sent


def test_a_compressed_series_comes_as_it_is_kept(orthanc: OrthancServer, tmp_path: Path) -> None:
    packed = options("packed", "packed", transfer_syntax=RLELossless)
    orthanc.upload(series_members(volume(), packed).values())
    fetched = fetch_dicom(
        pacs_source(orthanc, "SERIES", series_uid=series_uid("packed", "packed")), EVERYWHERE, tmp_path, allowance()
    )
    with zipfile.ZipFile(fetched.path) as archive:
        came = [dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()]
    expected = {str(slice_.SOPInstanceUID): slice_.pixel_array for slice_ in series_datasets(volume(), packed)}
    assert len(came) == 4
    assert all((slice_.pixel_array == expected[str(slice_.SOPInstanceUID)]).all() for slice_ in came)


def test_a_pacs_without_the_series(pacs: OrthancServer, tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match="does it have the patient"):
        fetch_dicom(pacs_source(pacs, "SERIES", series_uid="1.2.3"), EVERYWHERE, tmp_path, allowance())
    source = pacs_source(pacs, "PATIENT", patient_id=PATIENT, series_uid="1.2.3")
    with pytest.raises(SourceFailed, match="another kind"):
        fetch_dicom(source, EVERYWHERE, tmp_path, allowance())


def test_a_pacs_that_is_not_listed_is_not_called(pacs: OrthancServer, tmp_path: Path) -> None:
    for entries in ([], ["pacs"], [f"127.0.0.1:{pacs.http_port}"]):
        with pytest.raises(SourceNotAllowed):
            fetch_dicom(pacs_source(pacs, "SERIES", **ONE_A), AllowedSources(entries), tmp_path, allowance())


def test_a_pacs_that_is_not_there(pacs: OrthancServer, tmp_path: Path) -> None:
    source = PacsSource("127.0.0.1", free_port(), AE_TITLE, "SERIES", series_uid="1.2.3")
    with pytest.raises(SourceFailed, match="cannot be reached"):
        fetch_dicom(source, EVERYWHERE, tmp_path, allowance())


def test_a_pacs_that_sends_too_much(pacs: OrthancServer, tmp_path: Path) -> None:
    with pytest.raises(SourceTooLarge, match="2000 bytes"):
        fetch_dicom(pacs_source(pacs, "SERIES", **ONE_A), EVERYWHERE, tmp_path, allowance(2000))


def test_a_pacs_that_hangs_or_nobody_waits_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = PacsSource("127.0.0.1", silent.getsockname()[1], AE_TITLE, "SERIES", series_uid="1.2.3")
        with pytest.raises(RetrievalError):
            fetch_dicom(source, EVERYWHERE, tmp_path, allowance(seconds=0.3))
        cancelled = threading.Event()
        cancelled.set()
        with pytest.raises(RetrievalCancelled):
            fetch_dicom(source, EVERYWHERE, tmp_path, allowance(cancelled=cancelled))


PACS = {"server_address": "pacs", "server_port": 104, "ae_title": "PACS"}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("pacs", "an object"),
        ({}, "server_address"),
        ({**PACS, "server_port": "x"}, "server_port"),
        ({**PACS, "server_port": 70000}, "server_port"),
        ({**PACS, "ae_title": "A" * 17}, "ae_title"),
        ({**PACS, "query_level": "IMAGE"}, "query_level"),
        ({**PACS, "query_level": "STUDY"}, "study_uid"),
        ({**PACS, "query_level": "PATIENT", "patient_id": "*"}, "wildcards"),
    ],
)
def test_what_is_no_dicom_source(value: object, sentence: str) -> None:
    with pytest.raises(SourceInvalid, match=sentence):
        PacsSource.parse(value)


def test_the_source_of_the_contract() -> None:
    source = PacsSource.parse(
        {
            "server_address": "0.0.0.0",
            "server_port": 11112,
            "ae_title": "DCM4CHEE",
            "query_level": "PATIENT",
            "patient_id": "ProstateX-0004",
            "study_uid": "1.3.6.1.4.1.14519.5.2.1.7311.5101.170561193612723093192571245493",
            "series_uid": "1.3.6.1.4.1.14519.5.2.1.7311.5101.206828891270520544417996275680",
        }
    )
    assert (source.host, source.port, source.level) == ("0.0.0.0", 11112, "PATIENT")
    assert [str(element.value) for element in source.identifier] == ["PATIENT", "ProstateX-0004"]


# --- HTTP


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


def test_the_archive_of_a_series_from_orthanc(pacs: OrthancServer, tmp_path: Path) -> None:
    (identity,) = pacs.find("Series", SeriesInstanceUID=series_uid("one", "a"))
    fetched = fetch(tmp_path, f"{pacs.url}/series/{identity}/archive")
    with zipfile.ZipFile(fetched.path) as archive:
        assert sum(name.endswith(".dcm") for name in archive.namelist()) == 4
    sent = {dicom_bytes(slice_) for slice_ in series_datasets(volume(), options("a", "one"))}
    with zipfile.ZipFile(fetched.path) as archive:
        assert {archive.read(name) for name in archive.namelist()} == sent
