"""``/session`` over HTTP, of AIAA and MONAI Label alike."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from aiaa_clients import nifti_file, run
from contract.server import ServerProcess, launch
from infer_http import Scene, ball_scene, dice
from orthanc import AE_TITLE, OrthancServer
from pydicom.uid import generate_uid

from phantoms.dicom_series import SeriesOptions, series_members, series_zip

WITHOUT_NETWORK = ("--engine", "graph-cut")
"""Starts sooner."""
StartServer = Callable[..., ServerProcess]
STUDY, SERIES = "aiaa-sessions", "aiaa-sessions-series"


@pytest.fixture(scope="module")
def scene() -> Scene:
    return ball_scene(4)


@pytest.fixture(scope="module")
def image(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return nifti_file(scene.volume, tmp_path_factory.mktemp("image") / "ct.nii.gz").read_bytes()


@pytest.fixture
def client(live_server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_server, trust_env=False, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def fetching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that may fetch from this machine."""
    server = launch(tmp_path_factory.mktemp("fetching"), "--session-sources", "127.0.0.1,*.hospital.example")
    yield server
    server.stop()


def sentence(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    return str(response.json()["detail"])


def create(client: httpx.Client, image: bytes, **query: str) -> dict[str, Any]:
    response = client.put("/session/", params=query, files={"image": ("a/b/ct.nii.gz", image)})
    assert response.status_code == 200, response.text
    made: dict[str, Any] = response.json()
    return made


def mask_of(url: str, session: str, scene: Scene) -> np.ndarray[Any, Any]:
    """What deepgrow finds in the image of a session."""
    reply = run(url, "deepgrow", "deepgrow_3d", {"foreground": [scene.click]}, session=session)
    return np.asarray(reply.voxels > 0)


def test_what_clients_of_both_protocols_read(client: httpx.Client, image: bytes) -> None:
    made = create(client, image)
    assert isinstance(made["session_id"], str)
    info = made["session_info"]
    assert info.keys() >= {"name", "image", "meta", "create_ts", "last_access_ts", "expiry"}
    assert (info["name"], info["image"], info["expiry"]) == (made["session_id"], "ct.nii.gz", 3600)
    found = client.get(f"/session/{made['session_id']}").json()
    assert found["session_id"] == made["session_id"]
    assert {name: found[name] for name in info} == found["session_info"]


@pytest.mark.parametrize("field", ["image", "datapoint", "files", "file"])
@pytest.mark.parametrize("path", ["/session/", "/session"])
def test_every_name_of_the_upload(client: httpx.Client, image: bytes, field: str, path: str) -> None:
    response = client.put(path, files={field: ("ct.nii.gz", image), "params": (None, "{}")})
    assert response.json()["image"] == "ct.nii.gz"


@pytest.mark.parametrize(("asked", "given"), [("0", 3600), ("30", 30), ("99999", 3600), ("", 3600), ("-1", 3600)])
def test_expiry(client: httpx.Client, image: bytes, asked: str, given: int) -> None:
    assert create(client, image, expiry=asked)["session_info"]["expiry"] == given


def test_the_file_as_it_was_uploaded(client: httpx.Client, image: bytes) -> None:
    made = create(client, image)
    for path in (f"/session/{made['session_id']}", f"/session/{made['session_id']}/"):
        response = client.get(path, params={"image": "true"})
        assert response.content == image
        assert response.headers["content-type"] == "application/octet-stream"
        assert "ct.nii.gz" in response.headers["content-disposition"]


def test_the_end_of_a_session(client: httpx.Client, image: bytes) -> None:
    name = create(client, image)["session_id"]
    assert client.delete(f"/session/{name}").json()["session_id"] == name
    for response in (client.get(f"/session/{name}"), client.delete(f"/session/{name}"), client.get("/session/../etc")):
        assert response.status_code == 404
    assert "no such session" in sentence(client.get(f"/session/{name}"), 404)


def test_slices_one_by_one(client: httpx.Client, live_server: str, scene: Scene) -> None:
    slices = series_members(scene.volume, SeriesOptions(), shuffled=1)
    response = client.put("/session/", files=[("files", (name, content)) for name, content in slices.items()])
    assert response.status_code == 200, response.text
    assert dice(mask_of(live_server, response.json()["session_id"], scene), scene.truth) > 0.8


def test_a_zip_of_dicom(client: httpx.Client, live_server: str, scene: Scene) -> None:
    response = client.put("/session/", files={"files": ("a.zip", series_zip(scene.volume))})
    assert response.status_code == 200, response.text
    assert dice(mask_of(live_server, response.json()["session_id"], scene), scene.truth) > 0.8


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", "application/json", '"image"'),
        (b"{", "application/json", '"image"'),
        (b"[]", "application/json", '"image"'),
        (b"{}", "application/x-www-form-urlencoded", '"image"'),
        (b'{"dicom": 1}', "application/json", "server_address"),
        (b'{"http": {"url": "http://a", "verify": false}}', "application/x-www-form-urlencoded", "not verify"),
    ],
)
def test_what_says_not_where_an_image_is(client: httpx.Client, body: bytes, kind: str, said: str) -> None:
    assert said in sentence(client.put("/session/", content=body, headers={"content-type": kind}), 400)


def test_what_is_no_image(client: httpx.Client) -> None:
    assert "ct.nii.gz" in sentence(client.put("/session/", files={"image": ("ct.nii.gz", b"nothing")}), 400)
    assert "expiry" in sentence(client.put("/session/?expiry=soon", files={"image": ("ct.nii.gz", b"x")}), 400)


def test_it_survives_a_restart(start_server: StartServer, image: bytes) -> None:
    first = start_server(*WITHOUT_NETWORK)
    with httpx.Client(base_url=first.url, trust_env=False, timeout=60) as client:
        name = create(client, image)["session_id"]
    first.stop()
    second = start_server(*WITHOUT_NETWORK)
    with httpx.Client(base_url=second.url, trust_env=False, timeout=60) as client:
        assert client.get(f"/session/{name}?image=true").content == image
        query = {"model": "Histogram+GraphCut", "session_id": name, "output": "json"}
        assert "scribble" in sentence(client.post("/v1/inference", params=query), 400).lower()  # the image is there


def test_a_session_is_its_keys_only(start_server: StartServer, image: bytes) -> None:
    server = start_server(*WITHOUT_NETWORK, "--require-api-key", "--api-key", "one", "--api-key", "two")
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        one, two = {"x-api-key": "one"}, {"Authorization": "Bearer two"}
        assert client.put("/session/", files={"image": ("ct.nii.gz", image)}).status_code == 401
        name = client.put("/session/", files={"image": ("ct.nii.gz", image)}, headers=one).json()["session_id"]
        assert client.get(f"/session/{name}", headers=one).status_code == 200
        assert client.get(f"/session/{name}", headers=two).status_code == 404
        assert client.delete(f"/session/{name}", headers=two).status_code == 404
        query = {"model": "deepgrow_3d", "session_id": name}
        assert client.post("/v1/deepgrow", params=query, headers=two).status_code == 440
        assert client.post(f"/infer/segmentation?session_id={name}", headers=two).status_code in (400, 404)
        assert client.get(f"/session/{name}", headers=one).status_code == 200


# --- fetching


def pacs(orthanc: OrthancServer, **more: Any) -> dict[str, Any]:
    address = {"server_address": "127.0.0.1", "server_port": orthanc.dicom_port, "ae_title": AE_TITLE}
    ids = {"query_level": "SERIES", "series_uid": str(generate_uid(entropy_srcs=[STUDY, SERIES]))}
    return {"dicom": {**address, **ids, **more}}


def put(url: str, source: dict[str, Any]) -> httpx.Response:
    """As ``curl -d`` sends it."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        return client.put("/session/?expiry=30", content=json.dumps(source), headers=headers)


@pytest.fixture(scope="module")
def stored(orthanc: OrthancServer, scene: Scene) -> OrthancServer:
    orthanc.upload(series_members(scene.volume, SeriesOptions(study=STUDY, series=SERIES)).values())
    return orthanc


def test_a_session_from_a_pacs(fetching: ServerProcess, stored: OrthancServer, scene: Scene) -> None:
    made = put(fetching.url, pacs(stored))
    assert made.status_code == 200, made.text
    assert dice(mask_of(fetching.url, made.json()["session_id"], scene), scene.truth) > 0.8


def test_a_session_from_a_web_server(fetching: ServerProcess, stored: OrthancServer, scene: Scene) -> None:
    (series,) = stored.find("Series", SeriesInstanceUID=str(generate_uid(entropy_srcs=[STUDY, SERIES])))
    made = put(fetching.url, {"http": {"url": f"{stored.url}/series/{series}/archive", "method": "GET"}})
    assert made.status_code == 200, made.text
    assert dice(mask_of(fetching.url, made.json()["session_id"], scene), scene.truth) > 0.8


def test_no_server_fetches_unless_it_was_told(live_server: str, stored: OrthancServer) -> None:
    for source in (pacs(stored), {"http": {"url": f"{stored.url}/system"}}):
        assert "--session-sources" in sentence(put(live_server, source), 403)


def test_hosts_off_the_list(fetching: ServerProcess, stored: OrthancServer) -> None:
    assert "localhost" in sentence(put(fetching.url, pacs(stored, server_address="localhost")), 403)
    url = f"http://localhost:{stored.http_port}/system"
    assert "localhost" in sentence(put(fetching.url, {"http": {"url": url}}), 403)


def test_sources_that_have_no_image(fetching: ServerProcess, stored: OrthancServer) -> None:
    assert "status 404" in sentence(put(fetching.url, {"http": {"url": f"{stored.url}/nothing"}}), 502)
    assert "DICOM server" in sentence(put(fetching.url, pacs(stored, series_uid="1.2.3")), 502)
    assert "not an image" in sentence(put(fetching.url, {"http": {"url": f"{stored.url}/system"}}), 400)


def test_a_client_that_goes_away_ends_the_fetch(fetching: ServerProcess) -> None:
    asked, broken = threading.Event(), threading.Event()

    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            asked.set()
            try:
                while True:
                    self.wfile.write(b"x")
                    time.sleep(0.02)
            except OSError:
                broken.set()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as site:
        threading.Thread(target=site.serve_forever, args=(0.05,), daemon=True).start()
        source = {"http": {"url": f"http://127.0.0.1:{site.server_port}/image"}}
        with (
            httpx.Client(base_url=fetching.url, trust_env=False, timeout=1.0) as client,
            pytest.raises(httpx.ReadTimeout),
        ):
            client.put("/session/", json=source)
        assert asked.is_set()
        assert broken.wait(20)
        site.shutdown()
    leftovers = Path(fetching.log).parent / "workspace" / "uploads"
    deadline = time.monotonic() + 10
    while list(leftovers.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(leftovers.iterdir())
