"""``imeasure-server models``: the models of a workspace, with or without a server that runs on it.

A server sees a change at its next request.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from imeasure_server.models.model_store import ModelStore

FAILED, MISUSED = 1, 2

app = typer.Typer(help="What this server can compute with.", no_args_is_help=True)

Workspace = Annotated[Path | None, typer.Option(help="Folder for what the server keeps. [default: a folder of yours]")]
Name = Annotated[str, typer.Argument(help="Of the model.")]


@app.command("list")
def list_models(workspace: Workspace = None) -> None:
    """The models that work here: engines, embedded models, and those of the workspace."""
    from imeasure_server.models import embedded
    from imeasure_server.models.config.describing import describe
    from imeasure_server.models.config.problems import ConfigError
    from imeasure_server.models.model_folder import read_folder
    from imeasure_server.models.weights_listing import list_models as listed

    for entry in listed():
        typer.echo(f"{entry.name}{' (default)' if entry.is_default else ''}  {entry.task}  {entry.summary}")
    for model in embedded.descriptions():
        typer.echo(f"{model.name}  {model.type.value}  {model.description}")
    store = _store(workspace)
    for name in store.names():
        try:
            described = describe(name, read_folder(store.folder / name).config)
            licence = f"  Licence: {described.licence}" if described.licence else ""
            typer.echo(f"{name}  {described.type.value}  {described.description}{licence}")
        except ConfigError as error:
            typer.echo(f"{name}  cannot be used: {error}", err=True)


@app.command("add")
def add_model(
    name: Name,
    data: Annotated[
        Path | None,
        typer.Argument(help="TorchScript or weights file, or a MONAI bundle or MMAR as a folder or zip.", exists=True),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="config_aiaa.json. A bundle needs none.", exists=True, dir_okay=False),
    ] = None,
    workspace: Workspace = None,
) -> None:
    """Add a model, or replace one, after it was loaded here to see that it can be."""
    from imeasure_server.models.config.aiaa import load_config
    from imeasure_server.models.config.problems import ConfigError

    _may_be_changed(name)
    if data is None and config is None:
        _fail("Give the model's data, its --config, or both.", MISUSED)
    store = _store(workspace)
    try:
        raw: dict[str, Any] = load_config(config) if config is not None else {}
        staged = _staged(store, name, raw, data)
        try:
            _load(name, staged)
            store.put(staged, name)
        finally:
            store.discard(staged)
    except ConfigError as error:
        _fail(f"The model was not added. {error}")
    except OSError as error:
        _fail(f"The model was not added: the workspace cannot be written to ({error.strerror}).")
    typer.echo(f"The model {name} is in {store.folder / name}. A running server offers it at the next request.")


@app.command("remove")
def remove_model(name: Name, workspace: Workspace = None) -> None:
    """Take a model of the workspace out. Requests under way finish."""
    _may_be_changed(name)
    store = _store(workspace)
    if name not in store.names():
        _fail(f"There is no model {name!r} in {store.folder}; see `models list`.")
    try:
        store.remove(name)
    except OSError as error:
        _fail(f"The model cannot be taken out ({error.strerror}).")
    typer.echo(f"The model {name} is taken out.")


@app.command("check")
def check_models(
    names: Annotated[list[str] | None, typer.Argument(help="Of models. [default: all of the workspace]")] = None,
    workspace: Workspace = None,
) -> None:
    """Load models, each in this process, and say of each whether it loads."""
    from imeasure_server.models.config.problems import ConfigError

    store = _store(workspace)
    ill = []
    for name in names or store.names():
        try:
            if name not in store.names():
                raise ConfigError("", f"There is no model {name!r} in {store.folder}.")
            kind = _load(name, store.folder / name)
            typer.echo(f"ok    {name:<24} {kind}")
        except ConfigError as error:
            typer.echo(f"WRONG {name:<24} {error}")
            ill.append(name)
    if ill:
        _fail(f"Not well: {', '.join(ill)}.")
    typer.echo("All is well.")


def _store(workspace: Path | None) -> ModelStore:
    from pydantic import ValidationError

    from imeasure_server.models.model_store import ModelStore
    from imeasure_server.settings import ServerSettings

    given: dict[str, Any] = {} if workspace is None else {"workspace": workspace}
    try:
        settings = ServerSettings(**given)
    except ValidationError as error:
        names = ", ".join(f"IMEASURE_{str(entry['loc'][0]).upper()}" for entry in error.errors(include_input=False))
        _fail(f"These variables cannot be understood: {names}.", MISUSED)
    store = ModelStore(settings.models_folder)
    try:
        store.open()
    except OSError as error:
        _fail(f"The workspace {settings.workspace} cannot be used ({error.strerror}). Choose one with --workspace.")
    return store


def _may_be_changed(name: str) -> None:
    from imeasure_server.models import embedded
    from imeasure_server.models.model_names import RULE, is_model_name

    if not is_model_name(name):
        _fail(f"A model cannot be called {name!r}. {RULE}", MISUSED)
    if name.lower() in {model.name.lower() for model in embedded.descriptions()}:
        _fail(f"The model {name!r} is part of this server and cannot be changed.", MISUSED)


def _staged(store: ModelStore, name: str, config: dict[str, Any], data: Path | None) -> Path:
    """A new version from what was given; the operator's own files stay where they are."""
    if data is None:
        if name in store.names():
            return store.stage_config(name, config)
        return store.stage(name, config, None)
    if data.is_dir():
        return store.stage_folder(name, config, data)
    with tempfile.TemporaryDirectory(dir=store.folder, prefix=".upload-") as folder:
        copy = Path(shutil.copy2(data, folder))
        return store.stage(name, config, copy)


def _load(name: str, folder: Path) -> str:
    """Load a model in this process.

    Raises:
        ConfigError: it does not load; a sentence.
    """
    import threading

    from imeasure_server.models.config.problems import ConfigError
    from imeasure_server.models.model_folder import read_folder
    from imeasure_server.models.reference import ModelReference
    from imeasure_server.models.versions import pipeline_digest
    from imeasure_server.models.worker import WorkerContext
    from imeasure_server.segmentation.engine import SegmentationError

    found = read_folder(folder)
    digest = pipeline_digest(found, folder)
    try:
        WorkerContext("cpu", None, threading.Event()).model(ModelReference(name, found.loader, folder, digest))
    except SegmentationError as error:
        raise ConfigError("", str(error)) from error
    return f"{found.config.type.value}, {found.loader}"


def _fail(sentence: str, status: int = FAILED) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(status)
