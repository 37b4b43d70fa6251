"""Every row of the contract's error table, provoked over real HTTP."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract import Scan, ellipsoid_scan, example_metadata, form, post, scan_metadata, send
from contract.client import BOUNDARY, Answer, multipart_body
from contract.server import ServerProcess

MESSAGES = {
    "UNSUPPORTED_MEDIA_TYPE": (415, "Request must be multipart/form-data"),
    "MISSING_METADATA": (400, "Missing metadata file in form data"),
    "MISSING_IMAGE": (400, "Missing image file in form data"),
    "METADATA_MALFORMED_JSON": (400, "Metadata file contains invalid JSON"),
    "VALIDATION_ERROR": (422, "Invalid request data"),
    "IMAGE_DATA_SIZE_MISMATCH": (422, "Image data size does not match declared shape"),
    "MASK_SHAPE_MISMATCH": (422, "Mask shape does not match image shape"),
    "CLICKS_OUT_OF_BOUNDS": (422, "Click coordinates outside valid bounds"),
    "CROP_SIZE_TOO_SMALL": (422, "Crop size is below minimum required dimensions (64x64x16)"),
    "MAGIC_PEN_NOT_AXIAL": (
        422,
        "All points in a magic pen contour must be on the same axial plane (same Z coordinate)",
    ),
    "EMPTY_SEGMENTATION_OUTPUT": (422, "Segmentation produced no output"),
}

SCAN, LESION = ellipsoid_scan()
IMAGE = SCAN.crop_bytes([0, 0, 0], [79, 79, 23])
CENTRE = SCAN.world([40, 40, 12])


def metadata(clicks: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
    return scan_metadata(SCAN, [CENTRE] if clicks is None else clicks, **changes)


def check(answer: Answer, code: str, details: dict[str, Any] | None = None) -> None:
    status, message = MESSAGES[code]
    expected: dict[str, Any] = {"error": message, "code": code}
    if details is not None:
        expected["details"] = details
    assert (answer.status, answer.body) == (status, expected)


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "", "multipart/form-data", "multipart/mixed; boundary=x"]
)
def test_unsupported_media_type(live_server: str, kind: str) -> None:
    answer = send(live_server, b"{}", kind)
    assert (answer.status, answer.code) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert answer.body["error"] == MESSAGES["UNSUPPORTED_MEDIA_TYPE"][1]


def test_compressed_bodies_are_an_unsupported_media_type(live_server: str) -> None:
    answer = send(live_server, multipart_body(form(metadata(), IMAGE)), **{"content-encoding": "gzip"})
    assert answer.code == "UNSUPPORTED_MEDIA_TYPE"


def test_missing_parts(live_server: str) -> None:
    check(post(live_server, None, IMAGE), "MISSING_METADATA")
    check(post(live_server, metadata(), None), "MISSING_IMAGE")
    check(send(live_server, b""), "MISSING_METADATA")
    check(post(live_server, None, None), "MISSING_METADATA")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{'id': 1}", b'{"id": NaN}', b'{"id": -Infinity}', b'{"id": "\xff"}', b"[" * 50_000, b"{}{}"],
    ids=["empty", "cut", "quotes", "nan", "infinity", "latin-1", "deep", "two"],
)
def test_malformed_json(live_server: str, content: bytes) -> None:
    check(post(live_server, content, IMAGE), "METADATA_MALFORMED_JSON")


@pytest.mark.parametrize("content", [b"[]", b"null", b"1", b'"text"'])
def test_metadata_must_be_an_object(live_server: str, content: bytes) -> None:
    check(post(live_server, content, IMAGE), "VALIDATION_ERROR", {"metadata": ["Not a valid object."]})


def test_validation_error_is_the_example_of_the_contract(live_server: str) -> None:
    check(
        post(live_server, metadata([], world_spacing=...), IMAGE),
        "VALIDATION_ERROR",
        {
            "clicks": ["At least one click entry is required"],
            "world_spacing": ["Missing data for required field."],
        },
    )


def test_image_size_mismatch_is_the_example_of_the_contract(live_server: str) -> None:
    scan = Scan(np.zeros((128, 128, 64), np.int16), SCAN.origin, SCAN.spacing, SCAN.directions)
    answer = post(live_server, scan_metadata(scan, [scan.world([64, 64, 32])]), bytes(1_048_576))
    check(answer, "IMAGE_DATA_SIZE_MISMATCH", {"expected_bytes": "2097152", "received_bytes": "1048576"})


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("change", [-2, -1, 1, 2_000_001])
def test_image_size_mismatch_counts_every_byte(live_server: str, change: int, order: int) -> None:
    image = IMAGE[:change] if change < 0 else IMAGE + bytes(change)
    answer = send(live_server, multipart_body(form(metadata(), image)[::order]))
    details = {"expected_bytes": str(len(IMAGE)), "received_bytes": str(len(IMAGE) + change)}
    check(answer, "IMAGE_DATA_SIZE_MISMATCH", details)


@pytest.mark.parametrize("size", [0, LESION.size - 1, LESION.size + 1, 2 * LESION.size])
def test_mask_shape_mismatch(live_server: str, size: int) -> None:
    details = {"expected_bytes": str(LESION.size), "received_bytes": str(size)}
    check(post(live_server, metadata(), IMAGE, bytes(size)), "MASK_SHAPE_MISMATCH", details)


def test_mask_bytes_are_zero_or_one(live_server: str) -> None:
    mask = bytearray(LESION.astype(np.uint8).tobytes(order="F"))
    mask[17] = 255
    details = {"mask": ["Every byte must be 0 or 1."]}
    check(post(live_server, metadata(), IMAGE, bytes(mask)), "VALIDATION_ERROR", details)


def test_clicks_out_of_bounds(live_server: str) -> None:
    inside, outside = CENTRE, SCAN.world([40, 40, 30])
    check(
        post(live_server, metadata([outside]), IMAGE), "CLICKS_OUT_OF_BOUNDS", {"clicks": ["0: Not inside the crop."]}
    )
    groups = [{"mode": "positive", "points": [inside]}, {"mode": "negative", "points": [inside, outside]}]
    stroke = [SCAN.world(index) for index in ([30, 30, 12], [50, 30, 12], [40, 100, 12])]
    check(
        post(live_server, metadata(groups, magic_pen_points=[stroke]), IMAGE),
        "CLICKS_OUT_OF_BOUNDS",
        {"clicks": ["1.1: Not inside the crop."], "magic_pen_points": ["0.2: Not inside the crop."]},
    )


@pytest.mark.parametrize("upper", [[62, 79, 23], [79, 62, 23], [79, 79, 14]])
def test_crop_size_too_small(live_server: str, upper: list[int]) -> None:
    size = [value + 1 for value in upper]
    answer = post(live_server, scan_metadata(SCAN, [CENTRE], [0, 0, 0], upper), SCAN.crop_bytes([0, 0, 0], upper))
    check(answer, "CROP_SIZE_TOO_SMALL", {"crop_size": size, "minimum_size": [64, 64, 16]})


def test_magic_pen_not_axial(live_server: str) -> None:
    flat = [SCAN.world(index) for index in ([30, 30, 12], [50, 30, 12], [40, 50, 12])]
    slanted = [*flat[:2], SCAN.world([40, 50, 13])]
    check(
        post(live_server, metadata([], magic_pen_points=[flat, slanted]), IMAGE),
        "MAGIC_PEN_NOT_AXIAL",
        {"magic_pen_points": ["1: The points differ by 3.00 mm in Z."]},
    )


def test_conflicting_clicks(live_server: str) -> None:
    groups = [{"mode": "positive", "points": [CENTRE]}, {"mode": "negative", "points": [CENTRE]}]
    answer = post(live_server, metadata(groups), IMAGE)
    assert (answer.status, answer.code, list(answer.body["details"])) == (422, "VALIDATION_ERROR", ["clicks"])


def test_empty_segmentation_output(live_server: str) -> None:
    """A negative click on the only voxel of the mask leaves nothing."""
    mask = np.zeros_like(LESION)
    mask[40, 40, 12] = True
    answer = post(live_server, metadata([{"mode": "negative", "points": [CENTRE]}]), IMAGE, mask)
    check(answer, "EMPTY_SEGMENTATION_OUTPUT")


DUPLICATES = ["metadata", "image", "mask"]


@pytest.mark.parametrize("name", DUPLICATES)
def test_a_part_twice(live_server: str, name: str) -> None:
    parts = form(metadata(), IMAGE, LESION)
    parts.append(next(part for part in parts if part[0] == name))
    answer = send(live_server, multipart_body(parts))
    check(answer, "VALIDATION_ERROR", {name: ["The part must be sent once."]})


def test_parts_in_any_order_with_unknown_ones_between(live_server: str) -> None:
    usual = post(live_server, metadata(), IMAGE, LESION)
    assert usual.status == 200, usual.body
    note = ("note", "", "text/plain", b"hello")
    parts = form(metadata(), IMAGE, LESION)
    for order in ([2, 1, 0], [1, 0, 2]):
        answer = send(live_server, multipart_body([note, *(parts[index] for index in order), note]))
        assert answer.raw == usual.raw


def test_broken_forms_are_missing_what_they_lack(live_server: str) -> None:
    body = multipart_body(form(metadata(), IMAGE))
    for broken, code in (
        (body[:100], "MISSING_METADATA"),
        (body[: len(body) // 2], "MISSING_IMAGE"),
        (body[:-6], "MISSING_IMAGE"),
        (multipart_body(form(metadata(), IMAGE), "other"), "MISSING_METADATA"),
        (multipart_body(form(metadata(), IMAGE))[: -len(BOUNDARY) - 6] + b"--" + BOUNDARY.encode() + b"\r\n\r\n\r\n",
         "VALIDATION_ERROR"),
    ):  # fmt: skip
        answer = send(live_server, broken)
        assert (answer.code, list(answer.body["details"])) == (code, ["body"])


def test_a_large_metadata_part_is_too_large(live_server: str) -> None:
    answer = post(live_server, metadata(comment="x" * (1 << 20)), IMAGE)
    assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.body["details"] == {"limit_bytes": str(1 << 20)}


def test_errors_say_nothing_about_the_machine(live_server_process: ServerProcess) -> None:
    url = live_server_process.url
    for answer in (
        post(url, example_metadata(clicks=["here"]), b""),
        post(url, b"{", b""),
        send(url, b"nonsense"),
        post(url, metadata([SCAN.world([40, 40, 30])]), IMAGE),
    ):
        text = answer.raw.decode()
        assert "Traceback" not in text
        assert "/" not in text.replace("multipart/form-data", "")
        assert "-812" not in text
