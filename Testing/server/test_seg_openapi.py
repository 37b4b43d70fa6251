"""The OpenAPI schema tells the truth about ``POST /seg``."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from contract import ellipsoid_scan, example_metadata, post, scan_metadata
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CODES = {
    400: {"MISSING_METADATA", "MISSING_IMAGE", "METADATA_MALFORMED_JSON"},
    401: {"UNAUTHORIZED"},
    413: {"PAYLOAD_TOO_LARGE"},
    415: {"UNSUPPORTED_MEDIA_TYPE"},
    422: {
        "VALIDATION_ERROR", "IMAGE_DATA_SIZE_MISMATCH", "MASK_SHAPE_MISMATCH", "CLICKS_OUT_OF_BOUNDS",
        "CROP_SIZE_TOO_SMALL", "MAGIC_PEN_NOT_AXIAL", "EMPTY_SEGMENTATION_OUTPUT",
    },
    500: {"OUTPUT_SHAPE_MISMATCH", "INTERNAL_ERROR"},
    503: {"SERVER_BUSY"},
}  # fmt: skip

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def document(live_server: str) -> dict[str, Any]:
    content: dict[str, Any] = httpx.get(f"{live_server}/openapi.json", trust_env=False).json()
    return content


@pytest.fixture(scope="module")
def operation(document: dict[str, Any]) -> dict[str, Any]:
    post_seg: dict[str, Any] = document["paths"]["/seg"]["post"]
    return post_seg


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with the document's definitions at hand."""
    return {**schema, "components": document["components"]}


def test_the_parts_are_described(operation: dict[str, Any]) -> None:
    content = operation["requestBody"]["content"]["multipart/form-data"]
    assert content["schema"]["required"] == ["metadata", "image"]
    parts = content["schema"]["properties"]
    assert {name for name in parts if parts[name].get("format") == "binary"} == {"image", "mask"}
    assert set(parts["metadata"]["properties"]) == {*example_metadata(), "finding_id", "magic_pen_points"}
    assert set(parts["metadata"]["required"]) == set(example_metadata())
    assert content["encoding"]["metadata"]["contentType"] == "application/json"
    jsonschema.validate(parts["metadata"]["example"], parts["metadata"])
    jsonschema.validate(example_metadata(), parts["metadata"])


def test_every_error_is_described_with_an_example(document: dict[str, Any], operation: dict[str, Any]) -> None:
    assert {int(status) for status in operation["responses"]} == {200, *CODES}
    for status, codes in CODES.items():
        content = operation["responses"][str(status)]["content"]["application/json"]
        assert set(content["examples"]) == codes
        for code, example in content["examples"].items():
            assert example["value"]["code"] == code
            jsonschema.validate(example["value"], resolved(document, content["schema"]))


def test_an_answer_is_as_described(live_server: str, document: dict[str, Any], operation: dict[str, Any]) -> None:
    scan, _ = ellipsoid_scan()
    answer = post(
        live_server, scan_metadata(scan, [scan.world((40, 40, 12))]), scan.crop_bytes([0, 0, 0], [79, 79, 23])
    )
    assert answer.status == 200
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(answer.body, resolved(document, schema))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
def test_generated_requests_are_answered_as_described(live_server: str, mode: GenerationMode) -> None:
    api = schemathesis.openapi.from_url(f"{live_server}/openapi.json")
    statuses = set()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=api["/seg"]["POST"].as_strategy(generation_mode=mode))
    def answered_as_described(case: schemathesis.Case) -> None:
        response = case.call()
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    answered_as_described()
    assert statuses <= {200, 400, 413, 415, 422}
    assert statuses & {400, 415, 422}
