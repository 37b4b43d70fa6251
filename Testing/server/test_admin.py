"""``/admin/model`` over HTTP: the contract's curl lines as they are, who may, and two servers on one workspace."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nibabel
import numpy as np
import pytest
from contract.server import ServerProcess, launch
from infer_http import OBLIQUE, ball_scene, dice, reply_of
from small_models import Above, Scores, aiaa_config, bundle, script, zipped

from imeasure_server.api.admin_access import is_admitted, is_this_machine

NAME = "clara_ct_seg_spleen_amp"
CONFIG = aiaa_config(labels=["spleen"], pre=[("AddChanneld", {"keys": "image"})])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What an operator has in the folder where curl is run."""
    script(Above(), tmp_path / "model.trt.pb")
    (tmp_path / "config_aiaa.json").write_text(json.dumps(CONFIG))
    return tmp_path


@pytest.fixture
def client(live_server: str) -> httpx.Client:
    return httpx.Client(base_url=live_server, trust_env=False, timeout=60)


def curl(command: str, server: str, folder: Path) -> Any:
    """Run a line of the contract in a shell, against that server."""
    line = command.replace("http://127.0.0.1", server)
    done = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_lines_of_the_contract(live_server: str, files: Path) -> None:
    put = r"""curl -X PUT "http://127.0.0.1/admin/model/clara_ct_seg_spleen_amp" \
-F "config=@config_aiaa.json;type=application/json" \
-F "data=@model.trt.pb"
"""
    get = r"""curl -X GET "http://127.0.0.1/admin/model/clara_ct_seg_spleen_amp" \
-H "accept: application/json"
"""
    patch = r"""curl -X PATCH "http://127.0.0.1/admin/model/clara_ct_seg_spleen_amp" \
-H "Content-Type: application/json" \
-d @config_aiaa.json
"""
    delete = 'curl -X DELETE "http://127.0.0.1/admin/model/clara_ct_seg_spleen_amp"'
    assert curl(put, live_server, files) == CONFIG
    assert curl(get, live_server, files) == CONFIG
    changed = {**CONFIG, "description": "Refreshed"}
    (files / "config_aiaa.json").write_text(json.dumps(changed))
    assert curl(patch, live_server, files) == changed
    assert curl(get, live_server, files)["description"] == "Refreshed"
    assert curl(delete, live_server, files) == {"model": NAME, "deleted": True}
    assert curl(get, live_server, files)["detail"].startswith(f"There is no model named '{NAME}'")


def test_forms_of_the_config(client: httpx.Client, files: Path) -> None:
    data = (files / "model.trt.pb").read_bytes()
    as_text = client.put(
        "/admin/model/as_text", data={"config": json.dumps(CONFIG)}, files={"data": ("C:\\x\\m", data)}
    )
    assert as_text.status_code == 200, as_text.text
    assert client.patch("/admin/model/as_text", content=json.dumps(CONFIG)).json() == CONFIG
    form = client.patch("/admin/model/as_text/", files={"config": ("c.json", json.dumps(CONFIG))})
    assert form.json() == CONFIG
    alone = client.put("/admin/model/both", json=aiaa_config("pipeline", labels=[], models=["as_text"]))
    assert alone.status_code == 200, alone.text
    assert {"as_text", "both"} <= set(client.get("/admin/model").json()["models"])
    for name in ("both", "as_text"):
        assert client.delete(f"/admin/model/{name}").status_code == 200


def test_bundle_brings_its_own_config(client: httpx.Client, tmp_path: Path) -> None:
    archive = zipped(bundle(tmp_path / "sphere"), tmp_path / "sphere.zip").read_bytes()
    answer = client.put("/admin/model/sphere", files={"data": ("sphere.zip", archive)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["labels"] == {"sphere": 1}
    assert client.delete("/admin/model/sphere").status_code == 200


@pytest.mark.parametrize(
    ("name", "config", "status", "sentence"),
    [
        ("segmentation", CONFIG, 409, "is part of this server"),
        ("a..b", CONFIG, 400, "cannot be called"),
        ("con", CONFIG, 400, "cannot be called"),
        ("%2e%2e%5cout", CONFIG, 400, "cannot be called"),
        ("m", {**CONFIG, "type": "magic"}, 400, "There is no type 'magic'"),
        ("m", {**CONFIG, "post_transforms": [{"name": "os.system", "args": {}}]}, 400, "post_transforms[0] os.system"),
        ("m", [CONFIG], 400, "must be a JSON object"),
        ("m", None, 400, "The config is missing"),
    ],
)
def test_refusals(
    name: str, config: Any, status: int, sentence: str, client: httpx.Client, files: Path, live_server: str
) -> None:
    parts: dict[str, Any] = {} if config is None else {"config": ("config.json", json.dumps(config))}
    parts["data" if config is not None else "other"] = ("model.ts", (files / "model.trt.pb").read_bytes())
    answer = client.put(f"/admin/model/{name}", files=parts)
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]
    assert set(answer.json()) == {"detail"}
    assert "/tmp" not in answer.text


def test_pages_of_other_sites(client: httpx.Client) -> None:
    """A page that a person visits must not change the models of the server on their machine."""
    for method in ("PUT", "DELETE", "PATCH", "GET"):
        answer = client.request(method, "/admin/model/m", headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403
        assert "another site" in answer.json()["detail"]
    own = client.get("/admin/model", headers={"Origin": str(client.base_url).rstrip("/")})
    assert own.status_code == 200


@pytest.fixture(scope="module")
def second_server(live_server_process: ServerProcess) -> Iterator[ServerProcess]:
    """Another server on the workspace of the first; its models may be changed from few hosts."""
    hosts = ("--admin_hosts", "localhost,192.0.2.7")
    folder = live_server_process.log.parent
    server = launch(folder, "--auto_reload", "--engine", "graph-cut", "--api-key", "sesame", *hosts)
    yield server
    server.stop()


def test_admin_hosts(second_server: ServerProcess) -> None:
    """A reverse proxy on this machine says who asks."""
    elsewhere = {"X-Forwarded-For": "192.0.2.8", "x-api-key": "sesame"}
    with httpx.Client(base_url=second_server.url, trust_env=False) as client:
        answer = client.get("/admin/model", headers=elsewhere)
        assert answer.status_code == 403
        assert "--admin-hosts" in answer.json()["detail"]
        assert client.get("/info/", headers=elsewhere).status_code == 200


def test_other_machines_need_a_key(second_server: ServerProcess) -> None:
    remote = {"X-Forwarded-For": "192.0.2.7"}
    with httpx.Client(base_url=second_server.url, trust_env=False) as client:
        assert client.get("/admin/model").status_code == 200
        refused = client.get("/admin/model", headers=remote)
        assert refused.status_code == 401
        assert "x-api-key" in refused.json()["detail"]
        assert client.get("/admin/model", headers={**remote, "x-api-key": "sesame"}).status_code == 200
        assert client.get("/admin/model", headers={**remote, "Authorization": "Bearer sesame"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "admitted", "expected"),
    [
        ("192.0.2.7", ("*",), True),
        ("192.0.2.7", ("192.0.2.7",), True),
        ("192.0.2.7", ("192.0.2.0/24", "10.0.0.1"), True),
        ("192.0.2.7", ("localhost",), False),
        ("127.0.0.1", ("localhost",), True),
        ("::1", ("localhost",), True),
        ("::ffff:10.0.0.1", ("10.0.0.1",), True),
        ("192.0.2.7", (), False),
        ("nobody", ("10.0.0.0/8",), False),
    ],
)
def test_admitted_hosts(host: str, admitted: tuple[str, ...], expected: bool) -> None:
    assert is_admitted(host, admitted) is expected


def test_this_machine() -> None:
    assert is_this_machine("127.0.0.5")
    assert is_this_machine("::ffff:127.0.0.1")
    assert not is_this_machine("192.0.2.7")
    assert not is_this_machine("localhost.evil.example")


def test_two_servers_on_one_workspace(client: httpx.Client, second_server: ServerProcess, files: Path) -> None:
    """Both keep in step, whichever is told."""
    address, reads = f"/admin/model/{NAME}", '"A model was read.", "model": "' + NAME
    parts = {"config": ("c.json", json.dumps(CONFIG)), "data": ("m", (files / "model.trt.pb").read_bytes())}
    with httpx.Client(base_url=second_server.url, trust_env=False, timeout=60) as other:
        assert client.put(address, files=parts).status_code == 200
        assert other.get(address).json() == CONFIG
        changed = {**CONFIG, "labels": ["liver"]}
        assert other.patch(address, json=changed).status_code == 200
        assert client.get("/info/").json()["models"][NAME]["labels"] == {"liver": 1}
        assert client.delete(address).status_code == 200
        assert other.get(address).status_code == 404
        before = second_server.log.read_text().count(reads)
        assert client.put(address, files=parts).status_code == 200
        deadline = time.monotonic() + 30  # seen in the background, before anybody asks
        while second_server.log.read_text().count(reads) == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.delete(address).status_code == 200


def test_what_was_put_answers_in_both_protocols(client: httpx.Client, files: Path, tmp_path: Path) -> None:
    """On an oblique image, with the geometry of the image; DeepGrow and classification through AIAA."""
    scene = ball_scene(directions=OBLIQUE)
    image = tmp_path / "image.nii.gz"
    nibabel.save(nibabel.Nifti1Image(scene.volume.array, scene.volume.geometry.ras_affine), image)
    range_of_ct = ("ScaleIntensityRanged", {"keys": "image", "a_min": -40, "a_max": 80, "b_min": 0, "b_max": 1})
    pre = [("AddChanneld", {"keys": "image"}), ("Orientationd", {"keys": "image", "axcodes": "RAS"}), range_of_ct]
    spleen = aiaa_config(labels=["spleen"], pre=pre)
    scores = aiaa_config("classification", labels=["dark", "grey", "bright"], pre=pre)
    script(Scores(), files / "scores")
    for name, config, data in (("spleen", spleen, "model.trt.pb"), ("kind", scores, "scores")):
        parts = {"config": ("c", json.dumps(config)), "data": ("m", (files / data).read_bytes())}
        assert client.put(f"/admin/model/{name}", files=parts).status_code == 200
    content = image.read_bytes()
    url = str(client.base_url).rstrip("/")
    for path in ("/infer/spleen", "/v1/segmentation?model=spleen", "/v1/inference?model=spleen"):
        upload = {"image" if "v1" in path else "file": ("image.nii.gz", content)}
        reply = reply_of(client.post(f"{url}{path}", data={"params": "{}"}, files=upload))
        np.testing.assert_allclose(reply.lps_affine, scene.volume.geometry.affine, atol=1e-4)
        assert dice(reply.mask, scene.truth) > 0.97
    upload = {"image": ("image.nii.gz", content)}
    told = client.post("/v1/inference?model=kind", data={"params": "{}"}, files=upload)
    assert told.status_code == 200, told.text
    assert "grey" in told.text
    assert {model["name"] for model in client.get("/v1/models?label=spleen").json()} >= {"spleen"}
    for name in ("spleen", "kind"):
        assert client.delete(f"/admin/model/{name}").status_code == 200
