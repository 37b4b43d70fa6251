"""How a server is set up: from ``IMEASURE_*`` variables, over which the command line wins."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from imeasure_server.authentication import key_hashes
from imeasure_server.models.device import is_device_name
from imeasure_server.models.worker import WorkerOptions

LogLevel = Literal["debug", "info", "warning", "error"]

GIVE_KEYS = "Give at least one with --api-key KEY or IMEASURE_API_KEYS=KEY1,KEY2"


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
        api_keys: SHA-256 of the keys; the keys themselves are not kept.
        queue_size: requests that may wait for each worker beside the one that runs.
        max_body_bytes: of a request.
        max_voxels: of an image after padding.
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
    log_level: LogLevel = "info"
    queue_size: int = Field(16, ge=1, le=10_000)
    max_body_bytes: int = Field(256 << 20, ge=1 << 16)
    max_voxels: int = Field(1 << 26, ge=1 << 16)

    @field_validator("device")
    @classmethod
    def _known_devices(cls, value: str) -> str:
        for name in value.split(","):
            if not is_device_name(name.strip()):
                raise ValueError(f"There is no device named {name.strip()!r}. Choose auto, cpu, mps, cuda or cuda:N.")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @property
    def devices(self) -> tuple[str, ...]:
        """One name for each worker."""
        return tuple(name.strip() for name in self.device.split(","))

    @property
    def workers(self) -> tuple[WorkerOptions, ...]:
        """One for each worker process."""
        return tuple(WorkerOptions(device, self.engine, self.log_level) for device in self.devices)

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
        """What makes these settings unusable together, as a sentence, else None."""
        if not self.asks_for_key or self.api_keys:
            return None
        if self.require_api_key:
            return f"--require-api-key needs keys, and there are none. {GIVE_KEYS}."
        return (
            f"Other machines can reach a server on {self.host}, so it needs keys, and there are none. {GIVE_KEYS}, or "
            "use --insecure to do without."
        )
