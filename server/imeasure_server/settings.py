"""How a server is set up: from ``IMEASURE_*`` variables, over which the command line wins."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from imeasure_server.authentication import key_hashes
from imeasure_server.models.device import is_device_name
from imeasure_server.models.weights_listing import WEIGHTS
from imeasure_server.models.worker import WorkerOptions
from imeasure_server.store.database import StoreUnavailable, parse_url
from imeasure_server.store.pop_sessions import PopLimits
from imeasure_server.store.rates import Rates, read_rates

LogLevel = Literal["debug", "info", "warning", "error"]


def _names(value: object) -> object:
    """Names from one string with commas between them, or from several such strings."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        return value
    return tuple(name.strip().lower() for part in parts for name in str(part).split(",") if name.strip())


HostNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]

GIVE_KEYS = "Make one with `imeasure-server keys create NAME`, or give one with --api-key KEY or IMEASURE_API_KEYS"


def default_workspace() -> Path:
    """The folder for this user's data, by the platform's convention; it need not exist yet."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "IMeasure"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "IMeasure"
    return Path(os.environ.get("XDG_DATA_HOME", home / ".local" / "share")) / "imeasure"


class ServerSettings(BaseSettings):
    """Everything that can be set.

    Attributes:
        host, port: where to listen; port 0 takes a free one.
        device: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``; several with commas make one worker each, and
            ``cpu,cpu`` makes two that share the processor.
        engine: the segmentation engine; None for the default one.
        workspace: folder for what the server keeps.
        require_api_key: ask for a key on loopback as well.
        insecure: ask for no key although other machines can reach the server.
        api_keys: SHA-256 of the keys given here, beside those in the database; the keys themselves are not kept.
        database_url: of PostgreSQL, or of a SQLite file; None for a file in the workspace.
        weights: folder of the models' files.
        rates: what a call costs; given as JSON or as the path of a JSON file.
        no_billing: charge nothing; answers then say rate 0.
        pop_max_frames, pop_max_consecutive_failures, pop_session_ttl_seconds: of a picture-of-picture session.
        queue_size: requests that may wait for each worker beside the one that runs.
        request_seconds: the longest that a request of the RadAnalyzer API may take.
        max_body_bytes: of a request whose parts are kept in memory.
        max_voxels: of an image after padding.
        admin_hosts: addresses of clients that may change models; ``*`` for every client.
        auto_reload: notice models that other servers put into the same workspace.
        session_sources: hosts that a session's image may be fetched from: ``host``, ``host:port`` or ``*.domain``.
        session_expiry_seconds: how long an AIAA or MONAI Label session lives after its last use.
        studies: folder of the images that MONAI Label clients are offered; None for one in the workspace.
        max_upload_bytes: of a request whose files are kept on disk.
        image_cache_bytes: of decoded images on disk.
        answer_cache_bytes: of models' answers in memory; 0 to run the model for every request.
        gpu_memory_bytes: that models may take on a GPU before the least recently used moves out; None for nearly all.
        ohif_layout: answer the page of OHIF-AI as its own server does (see docs/protocols.md), against the contract.
        page_origins: of web pages from elsewhere whose scripts may use this server: ``http://viewer.example:3000``, or
            ``*`` for any; none by default, since a page may read whatever this server answers.
    """

    model_config = SettingsConfigDict(env_prefix="IMEASURE_", extra="ignore", frozen=True, hide_input_in_errors=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    device: str = "auto"
    engine: str | None = None
    workspace: Path = Field(default_factory=default_workspace)
    require_api_key: bool = False
    insecure: bool = False
    api_keys: Annotated[frozenset[bytes], NoDecode, BeforeValidator(key_hashes)] = Field(frozenset(), repr=False)
    database_url: SecretStr | None = None
    weights: Path = WEIGHTS
    rates: Annotated[Rates, NoDecode, BeforeValidator(read_rates)] = Rates.model_validate({})
    no_billing: bool = False
    pop_max_frames: int = Field(20, ge=1, le=1000)
    pop_max_consecutive_failures: int = Field(5, ge=1, le=1000)
    pop_session_ttl_seconds: int = Field(300, ge=1, le=86_400)
    log_level: LogLevel = "info"
    queue_size: int = Field(16, ge=1, le=10_000)
    request_seconds: float = Field(300.0, gt=0, le=86_400)
    max_body_bytes: int = Field(256 << 20, ge=1 << 16)
    max_voxels: int = Field(1 << 26, ge=1 << 16)
    admin_hosts: HostNames = ("*",)
    auto_reload: bool = False
    session_sources: HostNames = ()
    session_expiry_seconds: int = Field(3600, ge=1, le=30 * 86_400)
    studies: Path | None = None
    max_upload_bytes: int = Field(4 << 30, ge=1 << 16)
    image_cache_bytes: int = Field(8 << 30, ge=1 << 20)
    answer_cache_bytes: int = Field(64 << 20, ge=0)
    gpu_memory_bytes: int | None = Field(None, ge=1 << 20)
    ohif_layout: bool = False
    page_origins: HostNames = ()

    @field_validator("device")
    @classmethod
    def _known_devices(cls, value: str) -> str:
        for name in value.split(","):
            if not is_device_name(name.strip()):
                raise ValueError(f"There is no device named {name.strip()!r}. Choose auto, cpu, mps, cuda or cuda:N.")
        return value

    @field_validator("database_url")
    @classmethod
    def _usable_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value().strip():
            return None
        parse_url(value.get_secret_value())
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @property
    def models_folder(self) -> Path:
        """One folder in it for each model that was added."""
        return self.workspace / "models"

    @property
    def images_folder(self) -> Path:
        """Decoded images, by the hash of what they came from."""
        return self.workspace / "images"

    @property
    def sessions_folder(self) -> Path:
        """What was uploaded for sessions."""
        return self.workspace / "sessions"

    @property
    def studies_folder(self) -> Path:
        """The images that MONAI Label clients are offered."""
        return self.studies if self.studies is not None else self.workspace / "studies"

    @property
    def devices(self) -> tuple[str, ...]:
        """One name for each worker."""
        return tuple(name.strip() for name in self.device.split(","))

    @property
    def workers(self) -> tuple[WorkerOptions, ...]:
        """One for each worker process."""
        return tuple(
            WorkerOptions(device, self.engine, self.log_level, self.weights, self.gpu_memory_bytes)
            for device in self.devices
        )

    @property
    def charged_rates(self) -> Rates:
        """What calls are charged here."""
        return Rates.free() if self.no_billing else self.rates

    @property
    def pop_limits(self) -> PopLimits:
        """Of a picture-of-picture session."""
        return PopLimits(self.pop_max_frames, self.pop_max_consecutive_failures, self.pop_session_ttl_seconds)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def asks_for_key(self) -> bool:
        """Whether protocol routes need a key."""
        return self.require_api_key or not (self.is_loopback or self.insecure)

    @property
    def problem(self) -> str | None:
        """What makes these settings unusable together, as a sentence, else None. Keys in the database count."""
        from imeasure_server.store.inspection import has_keys

        if not self.asks_for_key or self.api_keys:
            return None
        try:
            if has_keys(self):
                return None
        except StoreUnavailable as error:
            return str(error)
        if self.require_api_key:
            return f"--require-api-key needs keys, and there are none. {GIVE_KEYS}."
        return (
            f"Other machines can reach a server on {self.host}, so it needs keys, and there are none. {GIVE_KEYS}, or "
            "use --insecure to do without."
        )
