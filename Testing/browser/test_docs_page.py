"""The ``/docs`` page in a real browser that can reach nothing but the server.

Testing/install_packages.sh installs the browser.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from contract.server import launch

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Visit:
    """What the browser made of a page, and every address that it asked for."""

    dom: str
    addresses: list[str]


def browser() -> str:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found is not None, "There is no Chromium here: run Testing/install_packages.sh or set CHROMIUM."
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process = launch(tmp_path_factory.mktemp("server"))
    yield process.url
    process.stop()


@pytest.fixture(scope="module")
def visit(server: str, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    folder = tmp_path_factory.mktemp("browser")
    log = folder / "net.json"
    command = [
        browser(),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server"),
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={log}",
        "--virtual-time-budget=20000",
        "--dump-dom",
        f"{server}/docs",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return Visit(done.stdout, _addresses(log))


def _addresses(log: Path) -> list[str]:
    """Addresses that pages asked for (the browser's own services have no initiator of the page's)."""
    content = json.loads(log.read_text())
    kinds = content["constants"]["logEventTypes"]
    started = kinds["URL_REQUEST_START_JOB"]
    found = []
    for event in content["events"]:
        parameters = event.get("params", {})
        if event["type"] == started and "url" in parameters and parameters.get("initiator") != "not an origin":
            found.append(parameters["url"])
    return found


def test_the_page_shows_the_requests(visit: Visit) -> None:
    assert 'data-path="/seg"' in visit.dom
    assert "opblock-post" in visit.dom
    assert "Segment and measure one object in a CT crop" in visit.dom
    assert "Failed to load API definition" not in visit.dom


def test_the_page_asks_no_other_host(visit: Visit, server: str) -> None:
    hosts = {urlsplit(address).netloc for address in visit.addresses if address.startswith("http")}
    assert hosts == {urlsplit(server).netloc}
    paths = {urlsplit(address).path for address in visit.addresses}
    assert {"/docs/assets/swagger-ui-bundle.js", "/docs/assets/swagger-ui.css", "/openapi.json"} <= paths
