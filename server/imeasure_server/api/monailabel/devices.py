"""Which device a request wanted, and on which one it was answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imeasure_server.models.pool import InferencePool

HEADER = "X-IMeasure-Device"


@dataclass(frozen=True)
class Device:
    """What the answer says of it; empty when the request got the device that it asked for.

    Attributes:
        params: more ``params`` of the answer.
        headers: more headers of the answer.
    """

    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def device_for(params: Mapping[str, Any], pool: InferencePool) -> Device:
    """Models run on the devices that the server was started with. A request that asks for a kind of device that is not
    among them is answered all the same, and told so.
    """
    wanted = params.get("device")
    if isinstance(wanted, list):  # what clients make of a choice that nobody made
        wanted = wanted[0] if wanted else None
    if not isinstance(wanted, str) or not wanted.strip():
        return Device()
    available = [state.device for state in pool.states()]
    kind = wanted.strip().lower().partition(":")[0]
    if any(device.partition(":")[0] == kind for device in available):
        return Device()
    used = available[0]
    note = f"This server has no device {kind[:20]!a}; the model ran on {used}."
    return Device({"device": used, "device_note": note}, {HEADER: used})
