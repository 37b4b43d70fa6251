"""An image from a web server, with requests (https://requests.readthedocs.io): the ``http`` source of AIAA."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from imeasure_server.retrieval.sources import (
    Allowance,
    AllowedSources,
    FetchedFile,
    RetrievalError,
    SourceFailed,
    SourceInvalid,
)

CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0
MAX_REDIRECTS = 5
CHUNK_BYTES = 1 << 20
OPTIONS = ("url", "method", "params", "headers", "auth", "data", "json")
PORTS = {"http": 80, "https": 443}
SECRET_HEADERS = {"authorization", "cookie", "x-api-key", "proxy-authorization"}


@dataclass(frozen=True)
class HttpSource:
    """One request, with the arguments of ``requests.request`` that make sense for an image.

    Attributes:
        url: http or https.
        method: GET or POST.
        params: of the query.
        headers: more headers.
        auth: user and password of HTTP Basic.
        data: of a POST, as a form or a string.
        json: of a POST.
    """

    url: str
    method: str = "GET"
    params: Any = None
    headers: Mapping[str, str] | None = None
    auth: tuple[str, str] | None = None
    data: Any = None
    json: Any = None

    @classmethod
    def parse(cls, value: object) -> HttpSource:
        """From the JSON that a client sent.

        Raises:
            SourceInvalid: see there.
        """
        if not isinstance(value, dict) or not isinstance(value.get("url"), str):
            raise SourceInvalid('The http source needs a "url".')
        unknown = sorted(str(name)[:40] for name in value if name not in OPTIONS)
        if unknown:
            raise SourceInvalid(f"The http source takes {', '.join(OPTIONS)}, but not {', '.join(unknown)}.")
        method = str(value.get("method") or "GET").upper()
        if method not in ("GET", "POST"):
            raise SourceInvalid("The method of the http source is GET or POST.")
        headers, auth = value.get("headers"), value.get("auth")
        if headers is not None and not (isinstance(headers, dict) and all(map(_is_header, headers.items()))):
            raise SourceInvalid("The headers of the http source are an object of strings.")
        if auth is not None and not (isinstance(auth, list) and [type(part) for part in auth] == [str, str]):
            raise SourceInvalid('The auth of the http source is ["user", "password"].')
        return cls(
            value["url"],
            method,
            value.get("params"),
            headers,
            None if auth is None else (auth[0], auth[1]),
            value.get("data"),
            value.get("json"),
        )


def fetch_http(source: HttpSource, allowed: AllowedSources, folder: Path, allowance: Allowance) -> FetchedFile:
    """Fetch one file into ``folder``. Redirects are followed onto allowed hosts only.

    Raises:
        RetrievalError: it was not fetched; a sentence.
    """
    with requests.Session() as session:
        session.trust_env = False  # neither a proxy nor a password of the server's own account
        try:
            response = _answer(session, source, allowed, allowance)
            with response:
                return _save(response, folder / "fetched", allowance)
        except requests.RequestException as error:
            raise _failure(error, allowance) from None
        except (HTTPError, OSError):  # a body that is read by hand has the errors of urllib3
            allowance.check_time()
            raise SourceFailed("The web server broke off before the image was whole.") from None


def _answer(
    session: requests.Session, source: HttpSource, allowed: AllowedSources, allowance: Allowance
) -> requests.Response:
    """The answer after all redirects, its body not yet read."""
    for _ in range(MAX_REDIRECTS + 1):
        request = _prepared(session, source, allowed)
        allowance.check_time()
        timeout = (CONNECT_SECONDS, max(0.1, min(READ_SECONDS, allowance.seconds_left)))
        response = session.send(request, stream=True, allow_redirects=False, timeout=timeout)
        target = session.get_redirect_target(response)
        if target is None:
            if response.ok:
                return response
            response.close()
            raise SourceFailed(f"The web server answered with status {response.status_code} instead of an image.")
        response.close()
        source = _redirected(source, str(request.url), target, response.status_code)
    raise SourceFailed(f"The web server redirected more than {MAX_REDIRECTS} times.")


def _prepared(session: requests.Session, source: HttpSource, allowed: AllowedSources) -> requests.PreparedRequest:
    """The request of a source whose host is allowed."""
    try:
        request = session.prepare_request(
            requests.Request(
                source.method,
                source.url,
                params=source.params,
                headers=source.headers,
                auth=source.auth,
                data=source.data,
                json=source.json,
            )
        )
        # What requests connects to is read from the prepared URL; both of its parsers must see one host.
        split, parsed = urlsplit(str(request.url)), parse_url(str(request.url))
        host, port = split.hostname or "", split.port or PORTS.get(split.scheme, 0)
        agree = (parsed.host or "").strip("[]").lower() == host.lower() and (parsed.port or port) == port
    except (requests.RequestException, ValueError, TypeError, AttributeError):
        raise SourceInvalid("The url, params, headers or data of the http source cannot be used.") from None
    if split.scheme not in PORTS or not host or not agree:
        raise SourceInvalid("The url of the http source begins with http:// or https:// and a host.")
    allowed.check(host, port)
    return request


def _redirected(source: HttpSource, url: str, target: str, status: int) -> HttpSource:
    """Where a redirect leads; secrets are for the host that they were given for."""
    joined = urljoin(url, target)
    moved = replace(source, url=joined, params=None)
    if status == 303 or (status in (301, 302) and source.method == "POST"):
        moved = replace(moved, method="GET", data=None, json=None)
    if _origin(joined) == _origin(url):
        return moved
    headers = {name: value for name, value in (source.headers or {}).items() if name.lower() not in SECRET_HEADERS}
    return replace(moved, headers=headers, auth=None)


def _origin(url: str) -> tuple[str, str]:
    split = urlsplit(url)
    return split.scheme, split.netloc.rpartition("@")[2]


def _save(response: requests.Response, path: Path, allowance: Allowance) -> FetchedFile:
    length = response.headers.get("Content-Length", "")
    if length.isdecimal():
        allowance.spend(int(length))  # too much is refused before it is loaded
        allowance.spend(-int(length))
    hashed, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):  # whatever is there: time is looked at
            allowance.spend(len(chunk))
            file.write(chunk)
            hashed.update(chunk)
            size += len(chunk)
    allowance.check_time()
    if size == 0:
        raise SourceFailed("The web server answered with nothing.")
    return FetchedFile(path, _name(response), hashed.hexdigest())


def _name(response: requests.Response) -> str:
    """The base name that the server gives, or that of the address."""
    disposition = response.headers.get("Content-Disposition", "")
    given = re.search(r'filename="?([^";]+)', disposition)
    name = given[1] if given else unquote(urlsplit(response.url).path)
    last = re.sub(r"[\x00-\x1f\x7f]", "", re.split(r"[/\\]", name.rstrip("/"))[-1]).strip().lstrip(".")
    return last[-255:] or "image"


def _failure(error: requests.RequestException, allowance: Allowance) -> RetrievalError:
    """Why a request failed, without its address, which may hold secrets."""
    try:
        allowance.check_time()
    except RetrievalError as used_up:
        return used_up
    if isinstance(error, requests.exceptions.SSLError):
        return SourceFailed("The certificate of the web server is not valid.")
    if isinstance(error, requests.Timeout):
        return SourceFailed("The web server did not answer in time.")
    if isinstance(error, requests.ConnectionError):
        return SourceFailed("The web server cannot be reached.")
    return SourceFailed("The web server broke off before the image was whole.")


def _is_header(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], str)
