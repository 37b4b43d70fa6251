"""Transforms of a config, made ready to run: each takes a `Sample` and changes it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from imeasure_server.models.config.allowed import LEFT_OUT, MONAI, OURS, RESTORING
from imeasure_server.models.config.entries import Entry
from imeasure_server.models.device import out_of_memory_sentence
from imeasure_server.models.inference import ModelFailed
from imeasure_server.models.loaders.discretising import Discretising
from imeasure_server.models.loaders.failures import model_failed, said
from imeasure_server.models.loaders.sample import Sample

Step = Callable[[Sample], None]

AT_THE_END = frozenset({"ExtremePointsd", "BoundingBoxd"})
"""They look at the mask on the grid of the image that was sent."""

_RENAMED: dict[str, dict[str, str | None]] = {
    "AsDiscreted": {"threshold_values": None, "logit_thresh": "threshold", "n_classes": "to_onehot"},
    "KeepLargestConnectedComponentd": {"dimensions": None},
}
"""Arguments of the MONAI of Clara Train's day, and what they are called now; None: gone."""


def make_steps(entries: Sequence[Entry], output: str | None = None) -> list[tuple[Entry, Step]]:
    """Make transforms ready; those without effect here are left out.

    Args:
        entries: in order.
        output: key of the image that these transforms leave as the model's answer, where nothing comes after them.

    Raises:
        ModelFailed: MONAI does not know one of them, or its arguments are wrong; names the entry.
    """
    kept = [entry for entry in entries if not _is_left_out(entry)]
    end = None
    if output is not None and kept and kept[-1].name == "AsDiscreted":
        end = Discretising.of(_arguments(kept[-1]), output)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what MONAI renames; nobody here can act on it
        steps = [(entry, _step(entry)) for entry in (kept if end is None else kept[:-1])]
    return steps if end is None else [*steps, (kept[-1], end)]


def need_monai(steps: Sequence[tuple[Entry, Step]]) -> bool:
    """Whether any of them looks at more than the tensor that it changes."""
    return any(not isinstance(step, Discretising) for _, step in steps)


def run_steps(steps: Sequence[tuple[Entry, Step]], sample: Sample) -> None:
    """Run transforms one after the other.

    Raises:
        ModelFailed: one does not take this image; names it.
    """
    for entry, step in steps:
        try:
            step(sample)
        except Exception as error:
            raise model_failed(f"{entry.where}: this transform failed on the image", error) from error


def _is_left_out(entry: Entry) -> bool:
    if entry.name == "LoadImaged":
        return not entry.args.get("ensure_channel_first")
    return entry.name in LEFT_OUT or entry.name in RESTORING or entry.name in AT_THE_END


def _step(entry: Entry) -> Step:
    if entry.name in ("LoadImaged", "AddChanneld", "EnsureChannelFirstd"):
        return Sample.add_channel
    try:
        if entry.name in OURS:
            from imeasure_server.models.loaders.guidance import STEPS

            return _wrapping(STEPS[entry.name](dict(entry.args)))
        if entry.name in MONAI:
            return _monai(entry)
    except Exception as error:
        if isinstance(error, ModelFailed) or out_of_memory_sentence(error) is not None:
            raise
        raise ModelFailed(f"{entry.where}: the transform cannot be made ({said(error)}).") from error
    raise ModelFailed(f"{entry.where}: there is no such transform here.")


def _monai(entry: Entry) -> Step:
    import monai.transforms  # takes a second and 100 MiB

    kind: Any = getattr(monai.transforms, entry.name, None)
    if not inspect.isclass(kind):
        raise ModelFailed(f"{entry.where}: the MONAI of this server has no such transform.")
    transform: Any = kind(**_arguments(entry))

    def step(sample: Sample) -> None:
        sample.data = dict(transform(sample.data))
        if sample.key in sample.data:
            sample.follow()

    return _wrapping(step)


def _wrapping(step: Step) -> Step:
    def wrapped(sample: Sample) -> None:
        sample.wrap()
        step(sample)

    return wrapped


def _arguments(entry: Entry) -> dict[str, Any]:
    renamed = _RENAMED.get(entry.name, {})
    args: dict[str, Any] = {}
    for key, value in entry.args.items():
        name = renamed.get(key, key)
        if name is not None and key not in ("device", "meta_keys", "meta_key_postfix", "allow_missing_keys"):
            args[name] = value
    if entry.name == "AsDiscreted":
        _modern_discretisation(entry, args)
    return args


def _modern_discretisation(entry: Entry, args: dict[str, Any]) -> None:
    """Once ``to_onehot`` was a boolean beside ``n_classes``, and a threshold one beside ``logit_thresh``."""
    if "n_classes" in entry.args or isinstance(args.get("to_onehot"), bool):
        onehot = entry.args.get("to_onehot")
        if onehot and "n_classes" in entry.args:
            args["to_onehot"] = entry.args["n_classes"]
        else:
            args.pop("to_onehot", None)
    if "threshold_values" in entry.args or "logit_thresh" in entry.args:
        if entry.args.get("threshold_values"):
            args["threshold"] = entry.args.get("logit_thresh", 0.5)
        else:
            args.pop("threshold", None)
