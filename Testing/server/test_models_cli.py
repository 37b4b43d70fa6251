"""``imeasure-server models`` on a workspace, with and without a server that runs on it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
import torch
from contract.server import ServerProcess
from small_models import Above, aiaa_config, bundle, model_folder, script, zipped
from typer.testing import CliRunner

from imeasure_server.cli import app

CONFIG = aiaa_config(labels=["spleen"], pre=[("AddChanneld", {"keys": "image"})])


class Command:
    """``imeasure-server models`` with a workspace."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace

    def __call__(self, *arguments: object, status: int = 0) -> str:
        told = CliRunner().invoke(app, ["models", *map(str, arguments), "--workspace", str(self.workspace)])
        assert told.exit_code == status, told.output
        assert "Traceback" not in told.output
        return told.output


@pytest.fixture
def models(tmp_path: Path) -> Command:
    return Command(tmp_path / "workspace")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    script(Above(), tmp_path / "model.ts")
    (tmp_path / "config_aiaa.json").write_text(json.dumps(CONFIG))
    return tmp_path


def test_add_list_check_remove(models: Command, files: Path) -> None:
    added = models("add", "spleen", files / "model.ts", "--config", files / "config_aiaa.json")
    assert "A running server offers it at the next request" in added
    assert (files / "model.ts").is_file()
    assert "spleen  segmentation  A segmentation model of the tests" in models("list")
    assert "ok    spleen" in models("check")
    (files / "config_aiaa.json").write_text(json.dumps({**CONFIG, "description": "Another"}))
    models("add", "spleen", "--config", files / "config_aiaa.json")
    assert "spleen  segmentation  Another" in models("list")
    assert "is taken out" in models("remove", "spleen")
    assert "Another" not in models("list")
    assert "There is no model 'spleen'" in models("remove", "spleen", status=1)


def test_list_has_every_kind(models: Command) -> None:
    listed = models("list")
    for name in ("network (default)", "graph-cut", "segmentation  segmentation", "Histogram+GraphCut  scribbles"):
        assert name in listed


def test_bundles_as_folder_and_zip(models: Command, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "sphere")
    models("add", "as_folder", folder)
    models("add", "as_zip", zipped(folder, tmp_path / "sphere.zip"))
    assert (folder / "models" / "model.pt").is_file()
    checked = models("check", "as_folder", "as_zip")
    assert checked.count("segmentation, bundle") == 2
    assert "Licence: Apache-2.0" in models("list")


def test_what_is_not_added(models: Command, files: Path) -> None:
    config = files / "config_aiaa.json"
    models("add", "spleen", files / "model.ts", "--config", config)
    config.write_text(json.dumps({**CONFIG, "pre_transforms": [{"name": "os.system"}]}))
    said = models("add", "spleen", files / "model.ts", "--config", config, status=1)
    assert "The model was not added. pre_transforms[0] os.system" in said
    torch.save({"a": 1}, files / "weights.pt")
    assert "weights without a network" in models(
        "add", "spleen", files / "weights.pt", "--config", _written(files, CONFIG), status=1
    )
    assert "cannot be called" in models("add", "../out", files / "model.ts", status=2)
    assert "is part of this server" in models("add", "segmentation", files / "model.ts", status=2)
    assert "is part of this server" in models("remove", "segmentation", status=2)
    assert "Give the model's data" in models("add", "other", status=2)
    assert "ok    spleen" in models("check")
    assert not (models.workspace.parent / "out").exists()


def test_check_says_what_is_wrong(models: Command, files: Path) -> None:
    folder = models.workspace / "models"
    script(Above(), model_folder(folder / "good", CONFIG) / "model.ts")
    model_folder(folder / "empty", CONFIG)
    said = models("check", status=1)
    assert "ok    good" in said
    assert "WRONG empty" in said
    assert "There is no model in the folder" in said
    assert "Not well: empty." in said
    assert "There is no model 'nothing'" in models("check", "nothing", status=1)


def test_a_running_server_sees_it(live_server_process: ServerProcess, files: Path) -> None:
    models = Command(live_server_process.log.parent / "workspace")
    address = f"{live_server_process.url}/admin/model/by_hand"
    assert httpx.get(address, trust_env=False).status_code == 404
    models("add", "by_hand", files / "model.ts", "--config", files / "config_aiaa.json")
    assert httpx.get(address, trust_env=False).json() == CONFIG
    models("remove", "by_hand")
    assert httpx.get(address, trust_env=False).status_code == 404


def _written(folder: Path, config: object) -> Path:
    path = folder / "config_aiaa.json"
    path.write_text(json.dumps(config))
    return path
