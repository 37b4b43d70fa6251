"""The ``/docs`` page works on a machine without a network."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from imeasure_server.api.docs import SERVED, STATIC

LINKS = {"src", "href", "action", "data", "srcset", "poster"}


class References(HTMLParser):
    """Everything that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in LINKS and value]


def test_the_page_loads_only_from_this_server(live_server: str) -> None:
    page = httpx.get(f"{live_server}/docs", trust_env=False)
    assert page.headers["content-type"].startswith("text/html")
    references = References()
    references.feed(page.text)
    loaded = [reference for reference in references.found if not reference.startswith("data:")]
    assert len(loaded) == len(SERVED)
    for reference in loaded:
        address = urljoin(f"{live_server}/docs", reference)
        assert address.startswith(live_server)
        assert httpx.get(address, trust_env=False).status_code == 200
    assert "//" not in re.sub(r"data:,|<!--.*?-->", "", page.text)


def test_the_browser_is_told_to_load_nothing_else(live_server: str) -> None:
    policy = httpx.get(f"{live_server}/docs", trust_env=False).headers["content-security-policy"]
    sources = {source for directive in policy.split(";") for source in directive.split()[1:]}
    assert sources <= {"'self'", "'unsafe-inline'", "data:"}
    assert "default-src 'self'" in policy


@pytest.mark.parametrize(("name", "kind"), [*zip(SERVED, ("text/javascript", "text/css"), strict=True)])
def test_the_scripts_are_the_packaged_ones(live_server: str, name: str, kind: str) -> None:
    response = httpx.get(f"{live_server}/docs/assets/{name}", trust_env=False)
    assert response.headers["content-type"].split(";")[0] == kind
    assert response.content == (STATIC / name).read_bytes()


@pytest.mark.parametrize("name", ["README.md", "..%2Fdocs.py", "../docs.py", "%2e%2e/docs.py", "nothing.js"])
def test_nothing_else_is_served(live_server: str, name: str) -> None:
    assert httpx.get(f"{live_server}/docs/assets/{name}", trust_env=False).status_code == 404


def test_the_styles_load_nothing(live_server: str) -> None:
    css = (STATIC / "swagger-ui.css").read_text(encoding="utf-8")
    assert "@import" not in css
    for target in re.findall(r"url\(\s*['\"]?([^'\")]+)", css):
        assert target.startswith(("data:", "#")), target[:60]


def test_the_schema_refers_to_no_other_place(live_server: str) -> None:
    schema = httpx.get(f"{live_server}/openapi.json", trust_env=False).text
    assert not [address for address in re.findall(r"https?://[^\"\\ ]+", schema) if urlsplit(address).hostname]


def test_the_licence_of_the_scripts_is_beside_them() -> None:
    assert "Apache License" in (STATIC / "LICENSE").read_text()
    assert "swagger-ui-dist" in (STATIC / "README.md").read_text()
