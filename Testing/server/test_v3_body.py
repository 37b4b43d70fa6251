"""Bodies of ``/v3``: long strings set aside while they arrive, base64 in every spelling that clients use."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest
from radanalyzer.prepared import picture

from imeasure_server.api.radanalyzer.errors import MAX_IMAGE_BYTES, ImageTooLarge, InvalidImage
from imeasure_server.api.radanalyzer.images import checked_image, image_bytes
from imeasure_server.api.radanalyzer.json_body import (
    LONG,
    MAX_OTHER_BYTES,
    JsonBody,
    LongString,
    MalformedJson,
    StringTooLong,
)


def read(raw: bytes, pieces: int = 1, longest: int = 1 << 20) -> Any:
    body = JsonBody(longest)
    size = max(1, -(-len(raw) // pieces))
    for start in range(0, len(raw), size):
        body.feed(raw[start : start + size])
    return body.content()


def plain(value: Any) -> Any:
    """With long strings as strings again."""
    if isinstance(value, LongString):
        return value.encoded().decode()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {name: plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def random_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if kind < 0.5 or depth > 2:
        parts = ["a", '"', "\\", "é", "\n", "/", "x" * (LONG + 1)]
        return "".join(rng.choice(parts) for _ in range(rng.randint(0, 4)))
    if kind < 0.7:
        return [random_value(rng, depth + 1) for _ in range(2)]
    if kind < 0.9:
        return {random_value(rng, 3)[:99]: random_value(rng, depth + 1)}
    return rng.choice([1, None, True, 1.5, -2e9])


def test_any_json_in_any_pieces_reads_as_the_parser_of_python_reads_it() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        value = random_value(rng)
        raw = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode()
        assert plain(read(raw, rng.randint(1, max(1, min(len(raw), 50))))) == value


def test_a_string_that_arrives_byte_by_byte() -> None:
    value = {"image": 'quote " backslash \\ end \\\\' + "x" * LONG}
    raw = json.dumps(value).encode()
    assert plain(read(raw, len(raw))) == value


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b'{"a": ', b'{"a": "', b'{"a" "b"}', b"{'a': 1}", b'{"a": NaN}', b"\xff{}", b"[" * 100_000),
        *(b'{"a": "\\"}', b'{"image": "' + b"x" * (LONG + 1) + b'" "y"}'),
    ],
)
def test_what_is_not_json(raw: bytes) -> None:
    with pytest.raises(MalformedJson):
        read(raw)


def test_a_long_string_with_a_broken_escape() -> None:
    long = read(b'{"image": "\\q' + b"x" * LONG + b'"}')["image"]
    with pytest.raises(InvalidImage):
        image_bytes(long)


def test_a_client_cannot_write_what_stands_for_a_long_string() -> None:
    """The mark is another one for every body."""
    assert JsonBody(1)._mark != JsonBody(1)._mark


def test_too_long_a_string_ends_the_reading() -> None:
    body = JsonBody(10_000)
    body.feed(b'{"image": "' + b"x" * 10_000)
    with pytest.raises(StringTooLong):
        body.feed(b"x")


def test_too_much_beside_long_strings_ends_the_reading() -> None:
    body = JsonBody(1 << 30)
    with pytest.raises(StringTooLong):
        body.feed(b'"",' * MAX_OTHER_BYTES)


CONTENT = bytes(range(256)) * 40


def spelled(kind: str) -> str:
    text = base64.b64encode(CONTENT).decode()
    match kind:
        case "data url":
            return f"data:image/png;base64,{text}"
        case "data url with parameters":
            return f"DATA:image/jpeg;name=a.jpg;BASE64,{text}"
        case "lines":
            return base64.encodebytes(CONTENT).decode()
        case "windows lines":
            return base64.encodebytes(CONTENT).decode().replace("\n", "\r\n")
        case "no padding":
            return text.rstrip("=")
    return text


@pytest.mark.parametrize(
    "kind", ["plain", "data url", "data url with parameters", "lines", "windows lines", "no padding"]
)
@pytest.mark.parametrize("slashes", ["/", "\\/", "\\u002F"])
def test_base64_as_clients_write_it(kind: str, slashes: str) -> None:
    raw = json.dumps({"image": spelled(kind)}).replace("/", slashes).encode()
    assert image_bytes(read(raw)["image"]) == CONTENT


@pytest.mark.parametrize(
    "text", ["not base64!", "a", "data:image/png,abcd", "data:image/png;base64", "äöü=", "QUJD" * 9 + "*"]
)
def test_what_is_not_base64(text: str) -> None:
    with pytest.raises(InvalidImage):
        image_bytes(text)


def test_the_limit_is_of_the_image_not_of_its_base64() -> None:
    largest = base64.b64encode(bytes(MAX_IMAGE_BYTES)).decode()
    assert len(image_bytes(largest)) == MAX_IMAGE_BYTES
    with pytest.raises(ImageTooLarge, match="Image exceeds maximum size of 10MB"):
        image_bytes(base64.b64encode(bytes(MAX_IMAGE_BYTES + 1)).decode())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"GIF89a" + bytes(100), "neither a JPEG nor a PNG"),
        (b"%PDF-1.7", "neither a JPEG nor a PNG"),
        (picture(1)[:20], "damaged"),
        (picture(1)[:16] + (60_000).to_bytes(4, "big") * 2 + picture(1)[24:], "million"),
    ],
    ids=["nothing", "GIF", "PDF", "cut off", "bomb"],
)
def test_a_picture_that_cannot_be_read_says_why(content: bytes, words: str) -> None:
    with pytest.raises(InvalidImage, match=words) as problem:
        checked_image(content)
    assert problem.value.message.startswith("Invalid image data. ")
