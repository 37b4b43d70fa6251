"""The OpenAPI schema describes ``/v3``: the contract's examples fit it, and so do answers over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from radanalyzer.client import KEY, Client, encoded
from radanalyzer.prepared import LANDMARKS, measured, picture, rejected, unmeasured
from radanalyzer.serving import Service, prepared_service
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from imeasure_server.api.radanalyzer import schemas

GOOD, REJECTED, NOTHING = (picture(number) for number in range(3))
CORNERS = np.array([[20.0, 20], [300, 24], [296, 220], [22, 215]])
STATUSES = {
    ("get", "/v3/health"): {200, 403},
    ("post", "/v3/predict"): {200, 400, 403, 413, 500, 503, 504},
    ("post", "/v3/predict/stream"): {200, 400, 403, 413, 500, 503, 504},
    ("post", "/v3/pop-session/start"): {200, 400, 403, 500, 503},
    ("post", "/v3/pop-session"): {200, 400, 403, 404, 409, 413, 500, 503, 504},
    ("post", "/v3/corners"): {200, 400, 403, 413, 422, 500, 503, 504},
    ("post", "/v3/rectify"): {200, 400, 403, 413, 500, 503, 504},
    ("post", "/v3/preprocess"): {200, 400, 403, 413, 422, 500, 503, 504},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with prepared_service(tmp_path_factory.mktemp("openapi")) as made:
        screen = measured(pop_detected=True, rectified=GOOD, rectified_landmarks=LANDMARKS, rendered=GOOD)
        made.pool.results = {GOOD: screen, REJECTED: rejected(), NOTHING: unmeasured()}
        made.pool.corners[GOOD] = CORNERS
        yield made


@pytest.fixture(scope="module")
def paths(service: Service) -> dict[str, Any]:
    document: dict[str, Any] = httpx.get(f"{service.url}/openapi.json", trust_env=False).json()
    found: dict[str, Any] = document["paths"]
    return found


@pytest.mark.parametrize(("method", "path"), STATUSES)
def test_every_example_fits_its_schema(paths: dict[str, Any], method: str, path: str) -> None:
    operation = paths[path][method]
    assert {int(status) for status in operation["responses"]} == STATUSES[method, path]
    assert operation["security"] == [{"APIKeyHeader": []}]
    contents = [response["content"] for response in operation["responses"].values()]
    if method == "post":
        contents.append(operation["requestBody"]["content"])
    checked = 0
    for content in contents:
        for example in content.get("application/json", {}).get("examples", {}).values():
            jsonschema.validate(example["value"], content["application/json"]["schema"])
            checked += 1
    assert checked > 2 or method == "get"


def test_the_examples_of_events_fit(paths: dict[str, Any]) -> None:
    content = paths["/v3/predict/stream"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    assert set(content["examples"]) == set(schemas.EVENTS)
    for name, example in content["examples"].items():
        jsonschema.validate(example["value"], content["schema"])
        jsonschema.validate(json.loads(example["value"]["data"]), schemas.EVENTS[name])


def fitting(paths: dict[str, Any], method: str, path: str, answer: Any) -> None:
    jsonschema.validate(answer, paths[path][method]["responses"]["200"]["content"]["application/json"]["schema"])


def test_answers_fit(service: Service, paths: dict[str, Any]) -> None:
    client = service.client
    fitting(paths, "get", "/v3/health", client.get("/health").json())
    for render in (False, True):
        for images in ((GOOD,), (REJECTED,), (NOTHING,), (GOOD, REJECTED, NOTHING, b"GIF89a")):
            fitting(paths, "post", "/v3/predict", client.predict(*images, uuid="a", render=render))
    for event in client.stream(GOOD, REJECTED, NOTHING, b"GIF89a", render=True):
        jsonschema.validate(event.data, schemas.EVENTS[event.name])
    for path in ("corners", "preprocess"):
        fitting(paths, "post", f"/v3/{path}", client.post(f"/{path}", {"image": encoded(GOOD)}).json())
    body = {"image": encoded(GOOD), "corners": CORNERS.tolist()}
    fitting(paths, "post", "/v3/rectify", client.post("/rectify", body).json())


def test_answers_of_sessions_fit(service: Service, paths: dict[str, Any]) -> None:
    client = service.client
    started = client.post("/pop-session/start", {}).json()
    fitting(paths, "post", "/v3/pop-session/start", started)
    statuses = []
    for images in ((GOOD, NOTHING, GOOD, GOOD), (NOTHING,) * 5):
        session = client.start()
        for image in images:
            answer = client.frame(session, image).json()
            fitting(paths, "post", "/v3/pop-session", answer)
            statuses.append(answer["session_status"])
    assert statuses == ["continue"] * 3 + ["complete"] + ["continue"] * 4 + ["failed"]


def test_a_request_that_does_not_fit_is_refused(service: Service, paths: dict[str, Any]) -> None:
    schema = paths["/v3/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    for body in ({}, {"image": 5}, {"images": []}, {"images": ["x"] * 11}, {"image": "x", "render": "yes"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(body, schema)
        assert Client(service.url).post("/predict", body).status_code == 400


@pytest.mark.parametrize("path", [path for method, path in STATUSES if method == "post"])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
def test_generated_requests_are_answered_as_described(service: Service, path: str, mode: GenerationMode) -> None:
    api = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    statuses = set()

    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=api[path]["POST"].as_strategy(generation_mode=mode))
    def answered_as_described(case: schemathesis.Case) -> None:
        response = case.call(headers={"x-api-key": KEY})
        statuses.add(response.status_code)
        case.validate_response(
            response, checks=[not_a_server_error, status_code_conformance, response_schema_conformance]
        )

    answered_as_described()
    assert statuses <= {200, 400, 403, 404}
