"""From a model's reference to a model that can be asked, in a worker process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imeasure_server.models.config.problems import ConfigError
from imeasure_server.models.device import out_of_memory_sentence
from imeasure_server.models.inference import InferenceModel, ModelFailed
from imeasure_server.models.model_folder import ModelFolder, locate, models_root, read_folder
from imeasure_server.models.reference import ModelReference
from imeasure_server.models.versions import SEPARATOR
from imeasure_server.segmentation.engine import SegmentationError

if TYPE_CHECKING:
    from imeasure_server.models.worker import WorkerContext

REPLACED = "This model was replaced or taken out while the request waited; send the request again."


def load_model(reference: ModelReference, context: WorkerContext) -> InferenceModel:
    """Load a model onto the worker's device.

    Raises:
        ModelFailed: it does not load; a sentence.
    """
    if reference.loader == "embedded":
        from imeasure_server.models import embedded

        return embedded.load(reference.name, context)
    try:
        return _load_version(reference, context)
    except ConfigError as error:
        raise ModelFailed(str(error)) from error
    except Exception as error:
        if isinstance(error, SegmentationError) or out_of_memory_sentence(error) is not None:
            raise
        from imeasure_server.models.loaders.failures import said

        raise ModelFailed(f"The model does not load ({said(error)}).") from error


def _load_version(reference: ModelReference, context: WorkerContext) -> InferenceModel:
    """The version that a reference names, wherever it lies by now: it may be replaced while it is being read."""
    own = reference.digest.partition(SEPARATOR)[0]
    for _ in range(3):
        where = None if reference.folder is None else locate(reference.folder, reference.name, own)
        if where is None:
            raise ModelFailed(REPLACED)
        try:
            model = _load(replace(reference, folder=where), read_folder(where), context)
        except (ConfigError, SegmentationError, OSError):
            if locate(where, reference.name, own) == where:
                raise
            continue
        if locate(where, reference.name, own) == where:
            return model
    raise ModelFailed(REPLACED)


def _load(reference: ModelReference, folder: ModelFolder, context: WorkerContext) -> InferenceModel:
    if reference.loader == "nninteractive":
        from imeasure_server.models.loaders import nninteractive

        return nninteractive.load(reference, context)
    if reference.loader == "sam2":
        from imeasure_server.models.loaders import sam2

        return sam2.load(reference, context)
    if reference.loader == "pipeline":
        return _pipeline(reference, folder, context)
    assert folder.data is not None
    from imeasure_server.models.loaders.networks import load_network, load_torchscript
    from imeasure_server.models.loaders.workflow import WorkflowModel

    data = _network_file(folder.data, folder)
    if folder.config.network is not None and folder.loader != "torchscript" and data.suffix != ".ts":
        network = load_network(folder.config.network, data, context.device)
    else:
        network = load_torchscript(data, context.device)
    return WorkflowModel(folder.config, network, context.device)


def _network_file(data: Path, folder: ModelFolder) -> Path:
    if folder.loader != "bundle":
        return data
    from imeasure_server.models.config.bundle import bundle_data

    return bundle_data(data, folder.config.network is not None)


def _pipeline(reference: ModelReference, folder: ModelFolder, context: WorkerContext) -> InferenceModel:
    """The models of a pipeline, in the versions that its reference names."""
    from imeasure_server.models.loaders.pipeline import PipelineModel

    assert reference.folder is not None
    parts = reference.digest.split(SEPARATOR)[1:]
    steps = []
    for step, part in zip(folder.config.steps, parts, strict=True):
        name = str(step["model"])
        loader, _, digest = part.partition(":")
        place = models_root(reference.folder) / name
        found = ModelReference(name, loader, place, digest) if digest else ModelReference(name, "embedded")
        steps.append((step, context.model(found)))
    return PipelineModel(steps, folder.config.labels)
