"""The streaming multipart reader, without a server: what is kept and what is refused, however the body is cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import pytest
from contract.client import BOUNDARY, form, multipart_body
from hypothesis import given, settings
from hypothesis import strategies as st

from imeasure_server.api.multipart import (
    DuplicatePart,
    MalformedForm,
    Part,
    PartLimit,
    boundary_of,
    read_form,
)
from imeasure_server.errors import PayloadTooLarge, UnsupportedMediaType

LIMITS = {"metadata": PartLimit(100, strict=True), "image": PartLimit(1000), "mask": PartLimit(500)}


def limits(name: str, complete: Mapping[str, Part]) -> PartLimit | None:
    return LIMITS.get(name)


def read(body: bytes, sizes: list[int] | None = None, max_body_bytes: int = 1 << 22) -> dict[str, Part]:
    async def stream() -> AsyncIterator[bytes]:
        start = 0
        for size in sizes or []:
            yield body[start : start + size]
            start += size
        yield body[start:]

    return asyncio.run(read_form(stream(), BOUNDARY.encode(), limits, max_body_bytes))


@settings(max_examples=100, deadline=None)
@given(
    image=st.binary(max_size=300) | st.just(f"\r\n--{BOUNDARY[:-1]}\r\n--".encode()),
    mask=st.binary(max_size=50),
    sizes=st.lists(st.integers(0, 60), max_size=40),
    order=st.permutations(range(4)),
)
def test_parts_arrive_whole_in_any_order_and_any_pieces(
    image: bytes, mask: bytes, sizes: list[int], order: list[int]
) -> None:
    parts = [*form({"a": 1}, image, mask), ("other", "", "text/plain", b"ignored")]
    received = read(multipart_body([parts[index] for index in order]), sizes)
    assert {name: bytes(part.data) for name, part in received.items()} == {
        "metadata": b'{"a": 1}',
        "image": image,
        "mask": mask,
    }


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_bytes_beyond_the_limit_are_counted_and_dropped(step: int) -> None:
    body = multipart_body(form({}, bytes(3001)))
    part = read(body, [step] * (len(body) // step))["image"]
    assert (part.size, len(part.data)) == (3001, 1000)


def test_strict_parts_and_whole_bodies_are_refused() -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        read(multipart_body(form(b"x" * 101, b"")))
    assert caught.value.details == {"limit_bytes": "100"}
    with pytest.raises(PayloadTooLarge):
        read(multipart_body(form({}, bytes(900))), max_body_bytes=800)


def test_a_part_is_sent_once() -> None:
    for name in ("metadata", "image", "mask"):
        part = (name, "x", "text/plain", b"{}")
        with pytest.raises(DuplicatePart) as caught:
            read(multipart_body([part, part]))
        assert caught.value.field == name


def raw(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


BROKEN = {
    "no closing boundary": multipart_body(form({}, b"abc"))[:-8],
    "cut in a header": multipart_body(form({}, b"abc"))[:70],
    "another boundary": multipart_body(form({}, b"abc"), "other"),
    "nonsense": b"hello",
    "nameless": raw(f"--{BOUNDARY}", "Content-Disposition: form-data", "", "x", f"--{BOUNDARY}--", ""),
    "empty name": raw(f"--{BOUNDARY}", 'Content-Disposition: form-data; name=""', "", "x", f"--{BOUNDARY}--", ""),
    "no headers": raw(f"--{BOUNDARY}", "", "x", f"--{BOUNDARY}--", ""),
    "not form data": raw(f"--{BOUNDARY}", 'Content-Disposition: attachment; name="image"', "", "x", f"--{BOUNDARY}--"),
    "bad header": raw(f"--{BOUNDARY}", "Content Disposition: form-data", "", "x", f"--{BOUNDARY}--", ""),
    "endless header": raw(f"--{BOUNDARY}", "X-Long: " + "a" * 100_000, "", "x", f"--{BOUNDARY}--", ""),
    "many headers": raw(f"--{BOUNDARY}", *["X-A: b"] * 100, "", "x", f"--{BOUNDARY}--", ""),
    "many parts": multipart_body([("other", "", "text/plain", b"")] * 100),
    "much that nobody asked for": multipart_body([("other", "", "text/plain", bytes(1 << 21))]),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_broken_bodies_are_refused(body: bytes) -> None:
    for sizes in ([], [1] * min(len(body), 200)):
        with pytest.raises(MalformedForm):
            read(body, sizes)


def test_an_empty_body_has_no_parts() -> None:
    assert read(b"") == {}
    assert read(f"--{BOUNDARY}--\r\n".encode()) == {}


OTHER_TYPES = [
    None,
    "",
    "application/json",
    "multipart/mixed; boundary=x",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "multipart/form-data; boundary=" + "x" * 71,
]


@pytest.mark.parametrize("content_type", OTHER_TYPES)
def test_other_media_types(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaType):
        boundary_of(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=x",
        'Multipart/Form-Data; charset=utf-8; boundary="x"',
        "multipart/form-data;boundary=x",
    ],
)
def test_spellings_of_the_media_type(content_type: str) -> None:
    assert boundary_of(content_type) == b"x"


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=400), sizes=st.lists(st.integers(0, 50), max_size=10), start=st.booleans())
def test_no_bytes_are_an_accident(body: bytes, sizes: list[int], start: bool) -> None:
    with contextlib.suppress(MalformedForm, PayloadTooLarge):
        read((f"--{BOUNDARY}\r\n".encode() if start else b"") + body, sizes)
