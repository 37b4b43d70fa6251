"""Sends requests to ``/v3`` and reads the answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

KEY = "key-of-the-tests"


def encoded(content: bytes) -> str:
    """Bytes as the contract's clients send them."""
    return base64.b64encode(content).decode("ascii")


def decoded(text: str) -> bytes:
    """Bytes as the server sends them."""
    return base64.b64decode(text, validate=True)


@dataclass(frozen=True)
class Event:
    """One server-sent event; a comment has the name ``comment``."""

    name: str
    data: Any


def events(lines: Iterator[str]) -> Iterator[Event]:
    """Events from lines, as browsers read them (WHATWG HTML, "Server-sent events")."""
    name, data = "message", []
    for line in lines:
        if line.startswith(":"):
            yield Event("comment", line[1:].strip())
        elif not line:
            if data:
                yield Event(name, json.loads("\n".join(data)))
            name, data = "message", []
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)


class Client:
    """A customer of one server."""

    def __init__(self, url: str, key: str | None = KEY, timeout: float = 120) -> None:
        self.url = url
        headers = {} if key is None else {"x-api-key": key}
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=timeout, headers=headers)

    def get(self, path: str) -> httpx.Response:
        return self.http.get(f"/v3{path}")

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.http.post(f"/v3{path}", json=body)

    def predict(self, *images: bytes, **fields: Any) -> dict[str, Any]:
        """One image is sent as ``image``, several as ``images``."""
        body = {"image": encoded(images[0])} if len(images) == 1 else {"images": [*map(encoded, images)]}
        response = self.post("/predict", {**body, **fields})
        assert response.status_code == 200, response.text[:300]
        answer: dict[str, Any] = response.json()
        return answer

    def stream(self, *images: bytes, **fields: Any) -> list[Event]:
        """All events of a stream."""
        body = {"images": [*map(encoded, images)], **fields}
        with self.http.stream("POST", "/v3/predict/stream", json=body) as response:
            assert response.status_code == 200, response.read()
            assert response.headers["content-type"].split(";")[0] == "text/event-stream"
            return list(events(response.iter_lines()))

    def start(self) -> str:
        """The id of a new session."""
        response = self.post("/pop-session/start", {})
        assert response.status_code == 200, response.text
        return str(response.json()["session_id"])

    def frame(self, session: str, image: bytes, **fields: Any) -> httpx.Response:
        return self.post("/pop-session", {"image": encoded(image), "session_id": session, **fields})


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and message of an error, which has the contract's shape."""
    body = response.json()
    assert set(body) == {"error"}, body
    return response.status_code, body["error"]
