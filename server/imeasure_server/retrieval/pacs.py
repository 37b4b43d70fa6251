"""Images from a PACS by C-GET, with pynetdicom: the ``dicom`` source of AIAA.

C-GET sends the images back on the association that asked for them, so that the PACS need not be told where this server
is. A series arrives as many files; they are put into one zip, which is what a client would have uploaded.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined] # made when it is imported
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    EnhancedUSVolumeStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    NuclearMedicineImageStorage,
    PatientRootQueryRetrieveInformationModelGet,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
    StudyRootQueryRetrieveInformationModelGet,
    UltrasoundMultiFrameImageStorage,
    XRay3DAngiographicImageStorage,
)

from imeasure_server.retrieval.sources import (
    Allowance,
    AllowedSources,
    FetchedFile,
    RetrievalError,
    SourceFailed,
    SourceInvalid,
    Watchdog,
)

CONNECT_SECONDS = 10
ANSWER_SECONDS = 60
OWN_AE_TITLE = "IMEASURE"
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
"""Of the zip's entries: the same images make the same bytes."""

IMAGES = (
    CTImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    NuclearMedicineImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
    EnhancedUSVolumeStorage,
    XRay3DAngiographicImageStorage,
)
UNCOMPRESSED: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
COMPRESSED = (JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless)
"""Offered one by one, for a PACS that sends images only as it keeps them."""

Level = Literal["PATIENT", "STUDY", "SERIES"]
_KEYS = {"PATIENT": "patient_id", "STUDY": "study_uid", "SERIES": "series_uid"}
_TAGS = {"PatientID": "patient_id", "StudyInstanceUID": "study_uid", "SeriesInstanceUID": "series_uid"}
_PENDING = (0xFF00, 0xFF01)


@dataclass(frozen=True)
class PacsSource:
    """What to ask which PACS for.

    Attributes:
        host, port, ae_title: of the PACS.
        level: how much is retrieved.
        patient_id, study_uid, series_uid: that of the level is needed; of the images that come, only those that have
            the others too are kept.
        calling_ae_title: what this server calls itself.
    """

    host: str
    port: int
    ae_title: str
    level: Level
    patient_id: str = ""
    study_uid: str = ""
    series_uid: str = ""
    calling_ae_title: str = OWN_AE_TITLE

    @classmethod
    def parse(cls, value: object) -> PacsSource:
        """From the JSON that a client sent.

        Raises:
            SourceInvalid: see there.
        """
        if not isinstance(value, dict):
            raise SourceInvalid("The dicom source is an object with server_address, server_port and ae_title.")
        text = {name: str(content).strip() for name, content in value.items() if isinstance(content, (str, int))}
        host, port, title = text.get("server_address", ""), text.get("server_port", ""), text.get("ae_title", "")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536 or not _is_title(title):
            raise SourceInvalid(
                "The dicom source needs a server_address, a server_port, and an ae_title of 1 to 16 characters."
            )
        level = text.get("query_level", "SERIES").upper()
        if level not in _KEYS:
            raise SourceInvalid("The query_level of the dicom source is PATIENT, STUDY or SERIES.")
        needed = _KEYS[level]
        ids = {name: text.get(name, "") for name in _KEYS.values()}
        if not ids[needed] or any("*" in content or "?" in content or "\\" in content for content in ids.values()):
            raise SourceInvalid(f"With query_level {level} the dicom source needs one {needed}, without wildcards.")
        calling = text.get("calling_ae_title", OWN_AE_TITLE)
        if not _is_title(calling):
            raise SourceInvalid("The calling_ae_title of the dicom source has 1 to 16 characters.")
        return cls(host, int(port), title, level, **ids, calling_ae_title=calling)  # type: ignore[arg-type]

    @property
    def identifier(self) -> Dataset:
        """What is sent: the keys of this level and of those above it that are known."""
        query = Dataset()
        query.QueryRetrieveLevel = self.level
        if self.patient_id:
            query.PatientID = self.patient_id
        if self.level in ("STUDY", "SERIES") and self.study_uid:
            query.StudyInstanceUID = self.study_uid
        if self.level == "SERIES":
            query.SeriesInstanceUID = self.series_uid
        return query


def fetch_dicom(source: PacsSource, allowed: AllowedSources, folder: Path, allowance: Allowance) -> FetchedFile:
    """Retrieve images into one zip in ``folder``.

    Raises:
        RetrievalError: they were not retrieved, or not all of them; a sentence.
    """
    allowed.check(source.host, source.port)
    received = _Received(source, folder / "instances", allowance)
    entity = AE(ae_title=source.calling_ae_title)
    allowance.check_time()
    entity.connection_timeout = entity.acse_timeout = max(0.1, min(CONNECT_SECONDS, allowance.seconds_left))
    entity.dimse_timeout = entity.network_timeout = ANSWER_SECONDS
    association = entity.associate(
        source.host,
        source.port,
        contexts=_contexts(),
        ae_title=source.ae_title,
        ext_neg=[build_role(image, scp_role=True) for image in IMAGES],
        evt_handlers=[(evt.EVT_C_STORE, received.store)],
    )
    if not association.is_established:
        allowance.check_time()
        raise SourceFailed(_why_not(association, source))
    try:
        with Watchdog(allowance, association.abort):
            _retrieve(association, source, received)
    finally:
        if association.is_established:
            association.release()
    return received.zipped(folder / "fetched.zip")


def _contexts() -> list[PresentationContext]:
    """At most 128, which is what one association can have."""
    models = (PatientRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelGet)
    contexts = [build_context(model) for model in models]
    contexts += [build_context(image, UNCOMPRESSED) for image in IMAGES]
    return contexts + [build_context(image, syntax) for image in IMAGES for syntax in COMPRESSED]


def _retrieve(association: Association, source: PacsSource, received: _Received) -> None:
    by_patient = source.level == "PATIENT" or bool(source.patient_id)
    model = PatientRootQueryRetrieveInformationModelGet if by_patient else StudyRootQueryRetrieveInformationModelGet
    try:
        responses = association.send_c_get(source.identifier, model)
        for status, _ in responses:
            if received.failure is not None:
                association.abort()
                raise received.failure
            if "Status" not in status:
                received.allowance.check_time()
                raise SourceFailed("The DICOM server broke off before all images had come.")
            if status.Status not in _PENDING:
                _check_final(status)
    except (RuntimeError, ValueError):  # no context for C-GET, or the association went away
        if received.failure is not None:
            raise received.failure from None
        received.allowance.check_time()
        raise SourceFailed("The DICOM server does not offer C-GET.") from None


def _check_final(status: Dataset) -> None:
    failed = int(status.get("NumberOfFailedSuboperations", 0) or 0)
    if failed:
        # A series with a hole is worse than none.
        raise SourceFailed(f"The DICOM server could not send {failed} of the images.")
    if status.Status == 0xA900:
        raise SourceFailed("The DICOM server did not understand the query: look at the level and the identifiers.")
    if status.Status not in (0x0000, 0xB000):
        raise SourceFailed(
            f"The DICOM server answered with status {int(status.Status):04X}: does it have the patient, study and "
            "series?"
        )


class _Received:
    """The images of one retrieval, on disk."""

    def __init__(self, source: PacsSource, folder: Path, allowance: Allowance) -> None:
        self._source = source
        self._folder = folder
        self._paths: dict[str, Path] = {}
        self._others = 0
        self.allowance = allowance
        self.failure: RetrievalError | None = None

    def store(self, event: evt.Event) -> int:
        """A C-STORE of the PACS: status 0, or 0xA700 (out of resources) when no more is wanted."""
        try:
            if self.failure is None:
                self._keep(event.encoded_dataset())
        except RetrievalError as error:
            self.failure = error
        except (OSError, InvalidDicomError, ValueError, AttributeError):
            self.failure = SourceFailed("An image that the DICOM server sent cannot be kept.")
        return 0x0000 if self.failure is None else 0xA700

    def _keep(self, content: bytes) -> None:
        self.allowance.spend(len(content))
        header = dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=["SOPInstanceUID", *_TAGS])
        wanted: dict[str, str] = {tag: getattr(self._source, name) for tag, name in _TAGS.items()}
        if any(value and str(header.get(tag, "")).strip() != value for tag, value in wanted.items()):
            self._others += 1
            return
        self._folder.mkdir(exist_ok=True)
        path = self._paths.setdefault(str(header.SOPInstanceUID), self._folder / f"{len(self._paths)}")
        path.write_bytes(content)

    def zipped(self, path: Path) -> FetchedFile:
        """All of them in one zip, in the order of their UIDs.

        Raises:
            SourceFailed: there are none.
        """
        if self.failure is not None:
            raise self.failure
        if not self._paths:
            kind = "images of another kind only" if self._others else "no such images"
            raise SourceFailed(f"The DICOM server has {kind}: look at the patient, study and series identifiers.")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for number, instance in enumerate(sorted(self._paths)):
                self.allowance.check_time()
                entry = zipfile.ZipInfo(f"{number:05d}.dcm", FIXED_DATE)
                archive.writestr(entry, self._paths[instance].read_bytes())
                self._paths[instance].unlink()
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return FetchedFile(path, "series.zip", digest.hexdigest())


def _why_not(association: Association, source: PacsSource) -> str:
    if association.is_rejected:
        return (
            f"The DICOM server refused to talk to this server, which calls itself {source.calling_ae_title}, under the "
            f"AE title {source.ae_title}."
        )
    return "The DICOM server cannot be reached, or there is none at this address."


def _is_title(title: str) -> bool:
    return 0 < len(title) <= 16 and title.isascii() and title.isprintable() and "\\" not in title
