"""A private Orthanc, from Debian's package, in a temporary folder: a real PACS for the tests.

Fixture ``orthanc``: one for the whole session. What a test stores in it should be of patients of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.server import free_port
from pydicom import Dataset, dcmread
from pynetdicom import AE

AE_TITLE = "ORTHANC"
START_SECONDS = 60


def program() -> str:
    """Where it is installed.

    Raises:
        RuntimeError: it is not; a sentence.
    """
    found = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError("Orthanc is not installed. Run Testing/install_packages.sh as root, or install it.")
    return found


@dataclass(eq=False)
class OrthancServer:
    """A running Orthanc that listens on this machine, knows no users, and lets every AE title do everything.

    Attributes:
        http_port, dicom_port: on 127.0.0.1.
        folder: everything of it, removed by `stop`.
        process: itself.
    """

    http_port: int
    dicom_port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls) -> OrthancServer:
        """Start an empty one and wait until it answers."""
        folder = Path(tempfile.mkdtemp(prefix="imeasure-orthanc-"))
        http_port, dicom_port = free_port(), free_port()
        configuration = folder / "orthanc.json"
        configuration.write_text(json.dumps(_configuration(folder, http_port, dicom_port)))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([program(), str(configuration)], stdout=log, stderr=log, cwd=folder)
        server = cls(http_port, dicom_port, folder, process)
        try:
            server._wait()
        except BaseException:
            server.stop()
            raise
        return server

    @property
    def url(self) -> str:
        """Of its REST API, without a slash at the end."""
        return f"http://127.0.0.1:{self.http_port}"

    def get(self, path: str) -> Any:
        """What its REST API answers, from JSON: ``get("/series")``."""
        return self._request("GET", path).json()

    def upload(self, files: Iterable[bytes]) -> list[str]:
        """Put DICOM files into it; the identifiers that Orthanc gives to the instances."""
        return [str(self._request("POST", "/instances", content=file).json()["ID"]) for file in files]

    def find(self, level: str, **tags: str) -> list[str]:
        """Orthanc's identifiers of what has these tags: ``find("Series", SeriesInstanceUID="1.2.3")``."""
        found = self._request("POST", "/tools/find", json={"Level": level, "Query": tags}).json()
        return [str(identity) for identity in found]

    def instance(self, identity: str) -> Dataset:
        """The file of an instance."""
        path = self.folder / "instance.dcm"
        path.write_bytes(self._request("GET", f"/instances/{identity}/file").content)
        return dcmread(path)

    def store(self, dataset: Dataset) -> int:
        """Send a DICOM object by C-STORE, as a PACS receives it; the status, 0 when it was taken."""
        entity = AE(ae_title="TEST")
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        association = entity.associate("127.0.0.1", self.dicom_port, ae_title=AE_TITLE)
        if not association.is_established:
            raise RuntimeError("Orthanc did not accept the association.")
        status = association.send_c_store(dataset)
        association.release()
        return int(status.Status)

    def stop(self) -> None:
        """End it and remove what it kept."""
        self.process.kill()  # it takes seconds to end by itself
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=30) as client:
            return client.request(method, self.url + path, **options).raise_for_status()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.get("/system")
                return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise RuntimeError(f"Orthanc did not start:\n{(self.folder / 'log').read_text(errors='replace')}")


@pytest.fixture(scope="session")
def orthanc() -> Iterator[OrthancServer]:
    """One Orthanc for the whole session."""
    server = OrthancServer.start()
    yield server
    server.stop()


def _configuration(folder: Path, http_port: int, dicom_port: int) -> dict[str, Any]:
    return {
        "Name": "IMeasure tests",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [],
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": AE_TITLE,
        "DicomPort": dicom_port,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "UnknownSopClassAccepted": True,
    }
