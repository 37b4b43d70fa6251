"""Which version of which models a pipeline runs: the digest of its reference names them all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from imeasure_server.models.config.problems import ConfigError
from imeasure_server.models.model_folder import ModelFolder, models_root, read_folder
from imeasure_server.models.model_names import is_model_name

SEPARATOR = "|"


def version_digest(folder: ModelFolder, part: Callable[[str], ModelFolder | None]) -> str:
    """A model's own digest, and for a pipeline those of its models behind it, as ``loader:digest``.

    Args:
        folder: of the model.
        part: the folder of another model, or None for one that is part of the server.

    Raises:
        ConfigError: a model of the pipeline is not there, or is a pipeline.
    """
    digests = [folder.digest]
    for step in folder.config.steps:
        name = str(step["model"])
        found = part(name)
        if found is not None and found.loader == "pipeline":
            raise ConfigError("models", f"The pipeline runs {name!r}, which is a pipeline itself.")
        digests.append("" if found is None else f"{found.loader}:{found.digest}")
    return SEPARATOR.join(digests)


def pipeline_digest(folder: ModelFolder, path: Path) -> str:
    """The same, read from the workspace.

    Raises:
        ConfigError: see `version_digest`; or a model of the pipeline cannot be used.
    """
    from imeasure_server.models import embedded

    of_the_server = {model.name for model in embedded.descriptions()}

    def part(name: str) -> ModelFolder | None:
        if name in of_the_server:
            return None
        if not is_model_name(name) or not (models_root(path) / name).is_dir():
            raise ConfigError("models", f"The pipeline runs {name!r}, which is not there.")
        return read_folder(models_root(path) / name)

    return version_digest(folder, part)
