"""The HTTP client against servers that misbehave: the sentences that a person reads, retries, time-outs, cancelling."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from IMeasureLib.http_client import HttpClient, ServerError, normalizeAddress
from IMeasureLib.imeasure_client import IMeasureClient
from IMeasureLib.jobs import Cancelled


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        (" localhost:8000/ ", "http://localhost:8000"),
        ("http://server.example/imeasure/", "http://server.example/imeasure"),
        ("HTTPS://server.example", "https://server.example"),
        ("http:/server:80", "http://server:80"),
        ("http//server:80", "http://server:80"),
        ("http:server.example", "http://server.example"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_addresses_are_made_usable(typed, address):
    assert normalizeAddress(typed) == address


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Enter the server's address"),
        ("http://0.0.0.0:8000/", r"Use http://127\.0\.0\.1:8000"),
        ("0.0.0.0:8000", r"Use http://127\.0\.0\.1:8000"),
        ("ftp://server", "must begin with http"),
        ("http://", "is not an address"),
        ("http://server:port", "is not an address"),
        ("my server", "is not an address"),
        ("http://server:99999", "is not an address"),
    ],
)
def test_addresses_that_cannot_be(typed, sentence):
    with pytest.raises(ServerError, match=sentence):
        normalizeAddress(typed)


def ask(address, **options):
    return HttpClient(address, **options).request("GET", "/")


def test_a_server_that_is_down():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ServerError, match=f"No server is running at http://127.0.0.1:{port}"):
        ask(f"127.0.0.1:{port}")


def test_a_machine_that_does_not_exist():
    with pytest.raises(ServerError, match=r"no machine called no-such-machine\.invalid"):
        ask("http://no-such-machine.invalid:8000", connectSeconds=5)


def test_https_to_a_server_without_a_certificate(odd_server):
    odd_server.answer = lambda handler: handler.say(200, b"{}")
    with pytest.raises(ServerError, match="begins with http:// instead of https://"):
        ask(odd_server.address.replace("http", "https"))


def test_a_server_that_hangs(odd_server):
    free = threading.Event()
    odd_server.answer = lambda handler: free.wait(20)
    with pytest.raises(ServerError, match="did not answer within"):
        ask(odd_server.address, readSeconds=0.2)
    free.set()


def test_something_that_closes_the_connection(odd_server):
    odd_server.answer = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ServerError, match="closed the connection without an answer"):
        ask(odd_server.address)


@pytest.mark.parametrize(
    ("status", "body", "contentType", "sentence"),
    [
        (200, b"<html>Welcome to nginx</html>", "text/html", "A web page, not an server|A web page, not a"),
        (404, b"<html>not found</html>", "text/html", "A web page"),
        (404, b'{"detail": "Not Found"}', "application/json", "Something else"),
        (504, b"", "text/html", r"gave up waiting \(504\)"),
        (502, b"<html></html>", "text/html", r"gave up waiting \(502\)"),
        (413, b"", "text/plain", "larger than the server takes"),
        (401, b'{"detail": "no"}', "application/json", "asks for an API key"),
        (500, b"oops", "text/plain", r"an error \(500\)"),
        (500, b'{"detail": "disk full"}', "application/json", r"\(500\): disk full"),
    ],
)
def test_answers_that_are_no_answers(odd_server, status, body, contentType, sentence):
    odd_server.answer = lambda handler: handler.say(status, body, contentType)
    with pytest.raises(ServerError, match=sentence) as caught:
        HttpClient(odd_server.address).requestJSON("GET", "/")
    assert caught.value.status == status


def test_a_wrong_key_and_how_it_is_sent(odd_server):
    odd_server.answer = lambda handler: handler.say(401, b"{}")
    with pytest.raises(ServerError, match="does not accept this API key"):
        ask(odd_server.address, apiKey="secret")
    assert odd_server.requests[0][2]["x-api-key"] == "secret"
    with pytest.raises(ServerError, match="characters that a key cannot have"):
        ask(odd_server.address, apiKey="schlüssel\n")


def test_a_redirect_is_not_followed_with_the_key(odd_server):
    odd_server.answer = lambda handler: handler.say(301, b"", Location="https://elsewhere.example/")
    with pytest.raises(ServerError, match=r"moved to https://elsewhere\.example/"):
        ask(odd_server.address, apiKey="secret")
    assert len(odd_server.requests) == 1


def test_a_busy_server_is_asked_again(odd_server):
    answers = [(503, "0.05"), (503, "Thu, 01 Jan 1970 00:00:00 GMT"), (200, None)]

    def answer(handler):
        status, after = answers.pop(0)
        handler.say(status, b'{"n": 1}', **({"Retry_After": after} if after else {}))

    odd_server.answer = answer
    told = []
    body = HttpClient(odd_server.address).requestJSON("POST", "/x", json={"a": 1}, progress=told.append)
    assert body == {"n": 1}
    assert [json.loads(request[3]) for request in odd_server.requests] == [{"a": 1}] * 3
    assert told == ["The server is busy; waiting."] * 2


def test_a_server_that_stays_busy(odd_server):
    odd_server.answer = lambda handler: handler.say(503, b"", Retry_After="3600")
    with pytest.raises(ServerError, match="busy"):
        ask(odd_server.address, busySeconds=0.3)


def test_cancelling_while_waiting_for_a_busy_server(odd_server):
    cancel = threading.Event()

    def answer(handler):
        handler.say(503, b"", Retry_After="10")
        cancel.set()

    odd_server.answer = answer
    with pytest.raises(Cancelled):
        HttpClient(odd_server.address).request("GET", "/", cancel)


def test_cancelling_closes_the_connection_so_that_the_server_sees_it(odd_server):
    cancel = threading.Event()
    left = threading.Event()

    def answer(handler):
        cancel.set()
        handler.connection.settimeout(20)
        if handler.connection.recv(1) == b"":
            left.set()

    odd_server.answer = answer
    with pytest.raises(Cancelled):
        HttpClient(odd_server.address, readSeconds=30).request("GET", "/", cancel)
    assert left.wait(20)


def test_check_tells_an_imeasure_server_from_others(odd_server, live_server):
    IMeasureClient(live_server).check()
    odd_server.answer = lambda handler: handler.say(200, b'{"status": "UP"}')
    with pytest.raises(ServerError, match="Something else"):
        IMeasureClient(odd_server.address).check()
    odd_server.answer = lambda handler: handler.say(404, b'{"detail": "Not Found"}')
    with pytest.raises(ServerError, match="Something else"):
        IMeasureClient(odd_server.address).check()
