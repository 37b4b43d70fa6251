"""Fetching images by C-GET, and by HTTP, from a real Orthanc."""

from __future__ import annotations

import io
import socket
import threading
import zipfile
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


def test_the_archive_of_a_series_from_orthanc(pacs: OrthancServer, tmp_path: Path) -> None:
    (identity,) = pacs.find("Series", SeriesInstanceUID=series_uid("one", "a"))
    source = HttpSource.parse({"url": f"{pacs.url}/series/{identity}/archive"})
    fetched = fetch_http(source, EVERYWHERE, tmp_path, allowance())
    with zipfile.ZipFile(fetched.path) as archive:
        assert sum(name.endswith(".dcm") for name in archive.namelist()) == 4
    sent = {dicom_bytes(slice_) for slice_ in series_datasets(volume(), options("a", "one"))}
    with zipfile.ZipFile(fetched.path) as archive:
        assert {archive.read(name) for name in archive.namelist()} == sent
