"""The registry with real workers: replacement is atomic, requests finish on the version they began with."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import Above, aiaa_config, bundle, model_folder, script, zipped
from torch import Tensor, nn

from imeasure_server.imaging.stored_image import StoredVolume
from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.models.inference import ModelInputs
from imeasure_server.models.model_folder import read_folder
from imeasure_server.models.model_jobs import ModelOutcome, RunModel
from imeasure_server.models.model_store import KEPT_SECONDS, REPLACED, STAGED, ModelStore
from imeasure_server.models.pool import InferencePool, WorkerOptions
from imeasure_server.models.reference import ModelReference
from imeasure_server.models.registry import ModelRegistry
from imeasure_server.models.registry_errors import ModelProtected, ModelRefused, UnknownModel, WorkspaceUnwritable

CONFIG = aiaa_config(pre=[("AddChanneld", {"keys": "image"})])


@pytest.fixture(scope="module")
def pool() -> Iterator[InferencePool]:
    pool = InferencePool([WorkerOptions("cpu", "graph-cut", log_level="error")], queue_size=64)
    pool.start()
    pool.wait_until_ready()
    yield pool
    pool.close()


@pytest.fixture
def registry(tmp_path: Path, pool: InferencePool) -> Iterator[ModelRegistry]:
    registry = ModelRegistry(tmp_path / "models", pool)
    registry.open()
    yield registry
    registry.close()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> StoredVolume:
    array = np.zeros((8, 7, 6), np.float32)
    array[2:5, 2:5, 2:5] = 1
    return StoredVolume.save(tmp_path_factory.mktemp("image") / "v.npy", Volume(array, Geometry(np.eye(4), (8, 7, 6))))


def run(test: Coroutine[Any, Any, None]) -> None:
    async def within_a_minute() -> None:
        await asyncio.wait_for(test, 60)

    asyncio.run(within_a_minute())


def file_of(tmp_path: Path, network: nn.Module | None = None) -> Path:
    """A data file as the server has it after an upload."""
    return script(network or Above(), tmp_path / f"upload-{random.random()}")


def config_with(label: str, **more: Any) -> dict[str, Any]:
    return {**CONFIG, "labels": [label], **more}


async def asked(pool: InferencePool, reference: ModelReference, image: StoredVolume) -> ModelOutcome:
    return await pool.submit(RunModel(reference, image, ModelInputs()))


def left_over(folder: Path) -> list[str]:
    return [item.name for item in (folder / STAGED).iterdir()]


def test_put_patch_delete(registry: ModelRegistry, pool: InferencePool, image: StoredVolume, tmp_path: Path) -> None:
    async def test() -> None:
        await registry.put("spleen", config_with("spleen"), file_of(tmp_path))
        described = registry.description("spleen")
        assert dict(described.labels) == {"spleen": 1}
        assert described.name in [model.name for model in registry.list()]
        assert registry.config("spleen") == config_with("spleen")
        first = registry.reference("spleen")
        outcome = await asked(pool, first, image)
        assert outcome.mask is not None
        assert outcome.mask.sum() == 27
        await registry.patch("spleen", config_with("liver"))
        assert dict(registry.description("spleen").labels) == {"liver": 1}
        second = registry.reference("spleen")
        assert first.key != second.key
        assert dict((await asked(pool, second, image)).label_names) == {"liver": 1}
        await registry.delete("spleen")
        for ask in (registry.description, registry.reference, registry.config):
            with pytest.raises(UnknownModel, match="There is no model named 'spleen'"):
                ask("spleen")
        with pytest.raises(UnknownModel):
            await registry.delete("spleen")
        with pytest.raises(UnknownModel):
            await registry.patch("spleen", CONFIG)
        for old, label in ((first, "spleen"), (second, "liver")):
            assert dict((await asked(pool, old, image)).label_names) == {label: 1}
        assert left_over(tmp_path / "models") == []

    run(test())


def test_embedded_models_stay(registry: ModelRegistry, tmp_path: Path) -> None:
    async def test() -> None:
        names = [model.name for model in registry.list()]
        assert "segmentation" in names
        assert registry.reference("segmentation") == ModelReference("segmentation", "embedded")
        assert registry.config("segmentation")["type"] == registry.description("segmentation").type.value
        for name in ("segmentation", "Segmentation"):
            with pytest.raises(ModelProtected):
                await registry.put(name, CONFIG, file_of(tmp_path))
        with pytest.raises(ModelProtected):
            await registry.delete("segmentation")
        with pytest.raises(ModelProtected):
            await registry.patch("segmentation", CONFIG)
        assert [model.name for model in registry.list()] == names

    run(test())


@pytest.mark.parametrize("name", ["../out", "a/b", "..", "", "con", ".staged", "a\\b", "a\0b", "x" * 200])
def test_names_that_are_refused(name: str, registry: ModelRegistry, tmp_path: Path) -> None:
    before = sorted(str(item) for item in tmp_path.rglob("*"))
    with pytest.raises(ModelRefused, match="cannot be called"):
        asyncio.run(registry.put(name, CONFIG, None))
    with pytest.raises(ModelRefused):
        asyncio.run(registry.delete(name))
    assert sorted(str(item) for item in tmp_path.rglob("*")) == before


def test_names_that_differ_in_case(registry: ModelRegistry, tmp_path: Path) -> None:
    asyncio.run(registry.put("Spleen", CONFIG, file_of(tmp_path)))
    with pytest.raises(ModelProtected, match="differ in case"):
        asyncio.run(registry.put("spleen", CONFIG, file_of(tmp_path)))


def test_a_workspace_that_cannot_be_written_to(registry: ModelRegistry, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "models" / STAGED)
    (tmp_path / "models" / STAGED).write_bytes(b"")
    with pytest.raises(WorkspaceUnwritable, match="cannot write to its folder of models") as problem:
        asyncio.run(registry.put("spleen", CONFIG, file_of(tmp_path)))
    assert str(tmp_path) not in str(problem.value)


class Broken(nn.Module):
    """TorchScript that raises while it is loaded."""

    @torch.jit.export
    def __getstate__(self) -> bool:
        return self.training

    @torch.jit.export
    def __setstate__(self, state: bool) -> None:
        self.training = state
        assert 1 + int(state) > 5, "it is broken"

    def forward(self, image: Tensor) -> Tensor:
        return image


class Huge(nn.Module):
    """TorchScript that needs more memory than there is, as soon as it is loaded."""

    @torch.jit.export
    def __getstate__(self) -> bool:
        return self.training

    @torch.jit.export
    def __setstate__(self, state: bool) -> None:
        self.training = torch.zeros([1 << 45]).numel() > 0 and state

    def forward(self, image: Tensor) -> Tensor:
        return image


class Endless(nn.Module):
    """TorchScript that is never loaded."""

    @torch.jit.export
    def __getstate__(self) -> bool:
        return self.training

    @torch.jit.export
    def __setstate__(self, state: bool) -> None:
        self.training = state
        number = 1
        while number > 0:
            number = number % 7 + 1

    def forward(self, image: Tensor) -> Tensor:
        return image


def test_failed_loads_leave_the_old_model(
    registry: ModelRegistry, pool: InferencePool, image: StoredVolume, tmp_path: Path
) -> None:
    async def test() -> None:
        await registry.put("spleen", config_with("old"), file_of(tmp_path))
        before = registry.reference("spleen")
        junk = tmp_path / "junk"
        junk.write_bytes(b"junk")
        for config, data, sentence in (
            (config_with("new"), file_of(tmp_path, Broken()), "does not load"),
            (config_with("new"), file_of(tmp_path, Huge()), "does not fit into the memory"),
            (config_with("new"), junk, "neither TorchScript"),
            (config_with("new", type="magic"), file_of(tmp_path), "There is no type"),
            (config_with("new"), None, "There is no model in the folder"),
        ):
            with pytest.raises(ModelRefused, match=sentence):
                await registry.put("spleen", config, data)
        with pytest.raises(ModelRefused, match=r"pre_transforms\[0\] os\.system"):
            await registry.patch("spleen", {**CONFIG, "pre_transforms": [{"name": "os.system"}]})
        assert registry.reference("spleen") == before
        assert dict((await asked(pool, before, image)).label_names) == {"old": 1}
        assert left_over(tmp_path / "models") == []

    run(test())


def test_replacement_under_load(
    registry: ModelRegistry, pool: InferencePool, image: StoredVolume, tmp_path: Path
) -> None:
    """Every request is answered, and by the version that served when it came."""

    async def ask(done: asyncio.Event) -> set[str]:
        seen = set()
        while not done.is_set():
            reference, expected = registry.reference("spleen"), dict(registry.description("spleen").labels)
            assert "spleen" in [model.name for model in registry.list()]
            outcome = await asked(pool, reference, image)
            assert outcome.mask is not None
            assert dict(outcome.label_names) == expected
            seen.update(expected)
        return seen

    async def test() -> None:
        await registry.put("spleen", config_with("v0"), file_of(tmp_path))
        done = asyncio.Event()
        asking = [asyncio.create_task(ask(done)) for _ in range(4)]
        for number in range(1, 9):
            await registry.put("spleen", config_with(f"v{number}"), file_of(tmp_path, Above(0.1 * number)))
            with pytest.raises(ModelRefused):
                await registry.put("spleen", config_with("broken"), file_of(tmp_path, Broken()))
        done.set()
        seen = set().union(*await asyncio.gather(*asking))
        assert "broken" not in seen
        assert len(seen) > 2

    run(test())


def test_readers_never_miss_a_model_that_is_replaced(
    registry: ModelRegistry, pool: InferencePool, tmp_path: Path
) -> None:
    """Also those of another process, which see the folder only."""
    asyncio.run(registry.put("spleen", CONFIG, file_of(tmp_path)))
    other = ModelRegistry(tmp_path / "models", pool)
    other.open()
    store, misses, done = ModelStore(tmp_path / "models"), [], threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                other.reference("spleen")
            except UnknownModel as error:
                misses.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        store.put(store.stage_config("spleen", config_with(f"v{number}")), "spleen")
    done.set()
    reader.join()
    assert misses == []


def test_bundles_and_archives(
    registry: ModelRegistry, pool: InferencePool, image: StoredVolume, tmp_path: Path
) -> None:
    async def test() -> None:
        await registry.put("sphere", {}, zipped(bundle(tmp_path / "sphere"), tmp_path / "sphere.zip"))
        assert dict(registry.description("sphere").labels) == {"sphere": 1}
        assert registry.reference("sphere").loader == "bundle"
        assert (await asked(pool, registry.reference("sphere"), image)).mask is not None
        mmar = tmp_path / "clara_pt_spleen"
        script(Above(), model_folder(mmar / "config", CONFIG).parent / "model.ts")
        (mmar / "models").mkdir()
        shutil.move(mmar / "model.ts", mmar / "models" / "model.ts")
        await registry.put("mmar", {}, zipped(mmar, tmp_path / "mmar.zip"))
        assert dict(registry.description("mmar").labels) == {"lesion": 1}
        await registry.patch("sphere", {"labels": ["ball"], "description": "another"})
        assert dict(registry.description("sphere").labels) == {"ball": 1}

    run(test())


def test_pipelines_follow_their_models(
    registry: ModelRegistry, pool: InferencePool, image: StoredVolume, tmp_path: Path
) -> None:
    async def test() -> None:
        pipeline = aiaa_config("pipeline", labels=[], models=["part"])
        with pytest.raises(ModelRefused, match="'part', which is not there"):
            await registry.put("all", pipeline, None)
        await registry.put("part", config_with("a"), file_of(tmp_path))
        await registry.put("all", pipeline, None)
        first = registry.reference("all")
        assert dict((await asked(pool, first, image)).label_names) == {"a": 1}
        await registry.patch("part", config_with("b"))
        assert dict((await asked(pool, registry.reference("all"), image)).label_names) == {"b": 1}
        assert dict((await asked(pool, first, image)).label_names) == {"a": 1}
        await registry.delete("part")
        with pytest.raises(UnknownModel, match="'part', which is not there"):
            registry.reference("all")

    run(test())


def test_folders_dropped_in_by_hand(registry: ModelRegistry, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "models" / "dropped", CONFIG)
    with pytest.raises(UnknownModel, match=r"The model 'dropped' cannot be used.*There is no model in the folder"):
        registry.reference("dropped")
    script(Above(), folder / "anything")
    assert registry.reference("dropped").loader == "torchscript"
    (folder / "config_aiaa.json").write_text("{")
    with pytest.raises(UnknownModel, match="no valid JSON"):
        registry.description("dropped")
    assert "dropped" in registry.problems
    (folder / "config_aiaa.json").write_text(json.dumps(config_with("fixed")))
    assert dict(registry.description("dropped").labels) == {"fixed": 1}
    model_folder(tmp_path / "models" / "bad name", CONFIG)
    assert "cannot be called" in registry.problems["bad name"]
    shutil.rmtree(folder)
    with pytest.raises(UnknownModel):
        registry.reference("dropped")
    asyncio.run(registry.put("dropped", CONFIG, file_of(tmp_path)))
    assert registry.reference("dropped").loader == "torchscript"


def test_auto_reload_sees_what_others_do(registry: ModelRegistry, pool: InferencePool, tmp_path: Path) -> None:
    watching = ModelRegistry(tmp_path / "models", pool, auto_reload=True)
    watching.open()
    try:
        asyncio.run(registry.put("spleen", CONFIG, file_of(tmp_path)))
        eventually(lambda: "spleen" in watching._folders)
        asyncio.run(registry.delete("spleen"))
        eventually(lambda: "spleen" not in watching._folders)
    finally:
        watching.close()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


SWAPPING = """
import itertools, json, sys
from pathlib import Path
from imeasure_server.models.model_store import ModelStore
store = ModelStore(Path(sys.argv[1]))
print("ready", flush=True)
for number in itertools.count():
    data = Path(sys.argv[1]).parent / "data"
    data.write_bytes(Path(sys.argv[2 + number % 2]).read_bytes())
    config = json.loads(Path(sys.argv[2 + number % 2] + ".json").read_text())
    store.put(store.stage("spleen", config, data), "spleen")
"""


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """Whenever the process dies, the old version or the new one is there, whole, and nothing else is left."""
    for name, network in (("a", Above()), ("b", Above(channels=2))):
        script(network, tmp_path / name)
        (tmp_path / f"{name}.json").write_text(json.dumps(config_with(name)))
    names = {(tmp_path / name).read_bytes(): name for name in "ab"}
    models = tmp_path / "models"
    store = ModelStore(models)
    store.open()
    rng = random.Random(1)
    for _ in range(8):
        command = [sys.executable, "-c", SWAPPING, str(models), str(tmp_path / "a"), str(tmp_path / "b")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.005, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store.open()
        assert left_over(models) == []
        if store.names():
            found = read_folder(models / "spleen")
            assert found.data is not None
            assert list(found.config.labels) == [names[found.data.read_bytes()]]
    assert store.names() == ["spleen"]


def test_a_version_that_was_ready_is_put_in_place(tmp_path: Path) -> None:
    """A process that died between taking the old version away and putting the new one there."""
    store = ModelStore(tmp_path / "models")
    store.open()
    store.put(store.stage("spleen", config_with("old"), file_of(tmp_path)), "spleen")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    staged = store.stage("spleen", config_with("new"), file_of(tmp_path))
    parts = staged.name.split("~")
    staged.rename(staged.with_name("~".join([*parts[:2], str(dead.pid), parts[3]]) + "~ready"))
    unfinished = store.stage("spleen", config_with("unfinished"), file_of(tmp_path))
    parts = unfinished.name.split("~")
    unfinished.rename(unfinished.with_name("~".join([*parts[:2], str(dead.pid), parts[3]])))
    store.remove("spleen")
    store.open()
    assert list(read_folder(tmp_path / "models" / "spleen").config.labels) == ["new"]
    assert left_over(tmp_path / "models") == []


def test_replaced_versions_are_cleaned_up_in_time(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    store.open()
    for label in ("a", "b", "c"):
        store.put(store.stage("spleen", config_with(label), file_of(tmp_path)), "spleen")
    replaced = sorted((tmp_path / "models" / REPLACED).iterdir())
    assert len(replaced) == 2
    long_ago = time.time() - KEPT_SECONDS - 10
    os.utime(replaced[0], (long_ago, long_ago))
    store.recover()
    assert sorted((tmp_path / "models" / REPLACED).iterdir()) == [replaced[1]]


def test_a_model_that_is_never_loaded(registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last test: its worker is ended with the pool."""
    monkeypatch.setattr("imeasure_server.models.registry.CHECK_SECONDS", 1.0)
    with pytest.raises(ModelRefused, match="took longer than 1 s"):
        asyncio.run(registry.put("endless", CONFIG, file_of(tmp_path, Endless())))
    assert "endless" not in [model.name for model in registry.list()]
