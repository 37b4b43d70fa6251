"""The iMeasure client: what it sends, what it takes, and how it grows the crop."""

from __future__ import annotations

import base64
import json
from email.parser import BytesParser

import numpy as np
import pytest

from conftest import rotation
from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.geometry import VolumeGeometry
from IMeasureLib.http_client import ServerError
from IMeasureLib.imeasure_client import IMeasureClient
from IMeasureLib.prompts import Click, PromptError, PromptHistory


def parts(headers, body):
    """name → (filename, content type, bytes) of a multipart body, by Python's own MIME parser."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + body)
    return {
        part.get_param("name", header="content-disposition"): (
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.get_payload()
    }


class ContractServer:
    """Answers ``/seg`` in the contract's form with the part of a known mask that the crop holds."""

    def __init__(self, server, truth):
        self.truth = truth
        self.seen = []
        server.answer = self.answer
        self.server = server
        self.change = lambda body: body

    def answer(self, handler):
        _, _, headers, body = self.server.requests[-1]
        received = parts(headers, body)
        metadata = json.loads(received["metadata"][2])
        self.seen.append((metadata, received))
        (i0, j0, k0), (i1, j1, k1) = metadata["crop_boundaries_voxel"]
        mask = self.truth[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1].astype(np.uint8)
        line = {"coords_world": [[1.0, 2.0, 3.0], [1.0, 5.0, 7.0]], "length_world": 5.0}
        cross = {str(k): {"long": line, "short": line} for k in np.flatnonzero(mask.any(axis=(1, 2)))}
        answer = {
            "id": metadata["id"],
            "mask": base64.b64encode(mask.tobytes()).decode(),
            "mask_shape": metadata["shape"],
            "mask_origin_voxel": metadata["crop_boundaries_voxel"][0],
            "mask_spacing": metadata["world_spacing"],
            "measurements": {"cross": cross, "diameter": line, "height": line},
            "volume": int(mask.sum()),
            "volume_mm3": 12.5,
        }
        handler.say(200, json.dumps(self.change(answer)).encode())


SHAPE = (60, 150, 140)
CENTER = (70, 80, 30)


def ball(radius):
    k, j, i = np.indices(SHAPE)
    return (i - CENTER[0]) ** 2 + (j - CENTER[1]) ** 2 + (k - CENTER[2]) ** 2 <= radius**2


@pytest.fixture
def geometry():
    """Oblique, left-handed, 1 mm voxels."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((3, 1, 2), 40) @ np.diag([1.0, 1.0, -1.0])
    matrix[:3, 3] = (-100.0, 50.0, 25.0)
    return VolumeGeometry(matrix, SHAPE[::-1])


@pytest.fixture
def history(geometry):
    return PromptHistory((Click(tuple(geometry.ijkToRAS(CENTER))),))


@pytest.fixture
def voxels():
    return np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)


def test_the_request_is_the_contracts(odd_server, geometry, history, voxels):
    contract = ContractServer(odd_server, ball(8))
    previous = ball(9)
    answer = IMeasureClient(odd_server.address).segment(voxels, geometry, history, previous, "abc123")
    ((metadata, received),) = contract.seen
    assert {name: part[:2] for name, part in received.items()} == {
        "metadata": ("metadata.json", "application/json"),
        "image": ("image.bin", "application/octet-stream"),
        "mask": ("mask.bin", "application/octet-stream"),
    }
    i0, j0, k0 = metadata["crop_boundaries_voxel"][0]
    nx, ny, nz = metadata["shape"]
    image = np.frombuffer(received["image"][2], "<i2")
    mask = np.frombuffer(received["mask"][2], np.uint8)
    for x, y, z in ((0, 0, 0), (nx - 1, 3, 2), (5, ny - 1, nz - 1)):
        place = x + nx * (y + ny * z)  # X fastest
        assert image[place] == voxels[k0 + z, j0 + y, i0 + x]
        assert mask[place] == previous[k0 + z, j0 + y, i0 + x]
    assert mask.sum() == previous.sum()
    assert metadata["finding_id"] == "abc123"
    assert metadata["image_count"] == SHAPE[0]
    # Rebuild the grid from the metadata alone, in LPS, and find the click in it.
    x, y = np.array(metadata["image_orientation_patient"]).reshape(2, 3)
    last = np.array(metadata["world_bounding_image_positions"])
    origin = np.array(metadata["world_origin"])
    far = last[np.argmax(np.linalg.norm(last - origin, axis=1))] - origin
    columns = np.stack([x, y, far / np.linalg.norm(far)], axis=1) * metadata["world_spacing"]
    (click,) = metadata["clicks"][0]["points"]
    assert np.linalg.solve(columns, np.array(click) - origin) == pytest.approx(CENTER, abs=1e-6)
    for corner, voxel in zip(metadata["crop_boundaries_world"], metadata["crop_boundaries_voxel"]):
        assert origin + columns @ voxel == pytest.approx(corner, abs=1e-6)
    assert np.array_equal(answer.mask.full(SHAPE[::-1]), ball(8))


def test_the_answer_is_in_the_volumes_own_ras_and_slices(odd_server, geometry, history, voxels):
    ContractServer(odd_server, ball(8))
    answer = IMeasureClient(odd_server.address).segment(voxels, geometry, history)
    assert set(answer.measurements.crosses) == set(range(CENTER[2] - 8, CENTER[2] + 9))
    assert answer.measurements.long.start == (-1.0, -2.0, 3.0)
    assert answer.measurements.long.end == (-1.0, -5.0, 7.0)
    assert answer.measurements.volume == ball(8).sum()
    assert not answer.warning


def test_a_mask_at_the_border_makes_the_crop_grow(odd_server, geometry, history, voxels):
    contract = ContractServer(odd_server, ball(45))
    told = []
    answer = IMeasureClient(odd_server.address).segment(voxels, geometry, history, progress=told.append)
    assert len(contract.seen) > 1
    assert len({metadata["id"] for metadata, _ in contract.seen}) == len(contract.seen)
    assert np.array_equal(answer.mask.full(SHAPE[::-1]), ball(45))
    assert told[0].startswith("Sending: 64×64")
    assert told[1].startswith("Looking at more")


def test_a_mask_that_reaches_the_volumes_own_border_is_whole(odd_server, geometry, voxels):
    k, j, i = np.indices(SHAPE)
    half = (i**2 + (j - 80) ** 2 + (k - 30) ** 2) <= 100
    contract = ContractServer(odd_server, half)
    history = PromptHistory((Click(tuple(geometry.ijkToRAS((2, 80, 30)))),))
    answer = IMeasureClient(odd_server.address).segment(voxels, geometry, history)
    assert len(contract.seen) == 1
    assert np.array_equal(answer.mask.full(SHAPE[::-1]), half)
    assert not answer.warning


def test_what_lies_beyond_a_bounded_crop_is_kept(odd_server, geometry, history, voxels, monkeypatch):
    import IMeasureLib.imeasure_client as module

    monkeypatch.setattr(module, "MAX_CROP_VOXELS", 64 * 64 * 64)
    contract = ContractServer(odd_server, ball(8))
    previous = ball(8)
    previous[2, 2, 2] = previous[55, 140, 130] = True
    answer = IMeasureClient(odd_server.address).segment(voxels, geometry, history, MaskRegion.of(previous))
    assert len(contract.seen) == 1
    assert np.array_equal(answer.mask.full(SHAPE[::-1]), previous)
    assert answer.measurements is None


@pytest.mark.parametrize(
    "change",
    [
        {"mask": "not base64!"},
        {"mask": ""},
        {"mask_shape": [1, 2, 3]},
        {"mask_origin_voxel": [0, 0, 0]},
        {"measurements": {}},
        {"measurements": None},
        {"volume": "many"},
    ],
)
def test_an_answer_that_does_not_fit(odd_server, geometry, history, voxels, change):
    contract = ContractServer(odd_server, ball(8))
    contract.change = lambda body: {**body, **change}
    with pytest.raises(ServerError, match="does not understand"):
        IMeasureClient(odd_server.address).segment(voxels, geometry, history)


@pytest.mark.parametrize(
    ("status", "code", "details", "sentence"),
    [
        (422, "MAGIC_PEN_NOT_AXIAL", {}, "must lie on one slice"),
        (500, "INTERNAL_ERROR", {}, "could not compute"),
        (422, "VALIDATION_ERROR", {"clicks": ["At least one click entry is required"]}, "clicks: At least one click"),
        (418, "NEW_CODE", {}, "Something new"),
    ],
)
def test_the_contracts_errors_become_sentences(odd_server, geometry, history, voxels, status, code, details, sentence):
    body = json.dumps({"error": "Something new", "code": code, "details": details}).encode()
    odd_server.answer = lambda handler: handler.say(status, body)
    with pytest.raises(ServerError, match=sentence) as caught:
        IMeasureClient(odd_server.address).segment(voxels, geometry, history)
    assert caught.value.code == code


def test_nothing_found_is_asked_once_more_with_what_is_around(odd_server, geometry, history, voxels):
    body = json.dumps({"error": "Segmentation produced no output", "code": "EMPTY_SEGMENTATION_OUTPUT"}).encode()
    odd_server.answer = lambda handler: handler.say(422, body)
    with pytest.raises(ServerError, match="Nothing could be segmented there"):
        IMeasureClient(odd_server.address).segment(voxels, geometry, history)
    assert len(odd_server.requests) == 2


def test_prompts_that_are_too_far_apart(odd_server, geometry, voxels, monkeypatch):
    import IMeasureLib.imeasure_client as module

    monkeypatch.setattr(module, "MAX_CROP_VOXELS", 64 * 64 * 16)
    far = PromptHistory.of(positive=geometry.ijkToRAS([(1, 1, 1), (130, 140, 50)]))
    with pytest.raises(ServerError, match="too far apart"):
        IMeasureClient(odd_server.address).segment(voxels, geometry, far)
    assert not odd_server.requests


def test_a_prompt_outside_the_volume_is_not_sent(odd_server, geometry, history, voxels):
    contract = ContractServer(odd_server, ball(8))
    far = history.appended(Click(tuple(geometry.ijkToRAS((5, 5, SHAPE[0] + 900))), positive=False))
    with pytest.raises(PromptError, match="outside the volume"):
        IMeasureClient(odd_server.address).segment(voxels, geometry, far)
    assert contract.seen == []
