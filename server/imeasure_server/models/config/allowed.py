"""Which classes a config may name. Everything else is refused: no code, no files, no callables come from a config.

Transforms that open files, evaluate code or take functions (``Lambdad``, ``LoadImaged`` with a reader,
``TorchVisiond``) are not among them. Loading and saving are accepted and left out: images come from the request, and
masks go to its answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imeasure_server.models.config.entries import Entry
from imeasure_server.models.config.problems import ConfigError


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRANSFORM_PACKAGES = frozenset(
    {
        "",
        "monai.transforms",
        "monai.apps.deepgrow",
        "monai.apps.deepgrow.transforms",
        "aiaa.transforms",
        "monailabel.transform.post",
        "monailabel.transform.pre",
    }
)

LEFT_OUT = _names(
    """
    LoadImaged LoadNiftid LoadPNGd LoadImage LoadNifti SaveImaged SaveClassificationd ToTensord ToNumpyd ToDeviced
    EnsureTyped ToMetaTensord FromMetaTensord Identityd AsChannelLastd DataStatsd CopyProperties SelectItemsd Decollated
    """
)
"""Accepted, and without effect here: the image is already a tensor, and the answer becomes a mask anyway."""

RESTORING = frozenset({"Invertd", "Restored", "RestoreLabeld"})
"""The answer always gets the input's geometry; these say where in the order."""

OURS = _names(
    """
    AddChanneld AsChannelFirstd Fetch2DSliced AddGuidanceFromPointsd SpatialCropGuidanced ResizeGuidanced
    AddGuidanceSignald AddExtremePointsChanneld ExtremePointsd BoundingBoxd
    """
)
"""Made here, or MONAI's with something around it."""

MONAI = _names(
    """
    Activationsd AddCoordinateChannelsd AdjustContrastd Affined AsDiscreted BorderPadd CastToTyped CenterScaleCropd
    CenterSpatialCropd ClipIntensityPercentilesd ConcatItemsd CopyItemsd CropForegroundd DeleteItemsd
    DistanceTransformEDTd DivisiblePadd EnsureChannelFirstd FillHolesd Flipd ForegroundMaskd GaussianSharpend
    GaussianSmoothd HistogramNormalized KeepLargestConnectedComponentd LabelFilterd LabelToContourd MapLabelValued
    MaskIntensityd MedianSmoothd NormalizeIntensityd Orientationd RemoveSmallObjectsd RepeatChanneld
    ResizeWithPadOrCropd Resized Rotate90d Rotated SavitzkyGolaySmoothd ScaleIntensityd ScaleIntensityRangePercentilesd
    ScaleIntensityRanged ShiftIntensityd SobelGradientsd Spacingd SpatialCropd SpatialPadd SqueezeDimd
    StdShiftIntensityd ThresholdIntensityd Zoomd
    """
)

REFUSED_ARGUMENTS = frozenset({"select_fn", "func", "inv_func", "reader", "writer", "other", "filter", "image_filter"})
"""They take functions, or classes that open files."""

NETWORKS = _names(
    """
    AHNet AttentionUnet AutoEncoder BasicUNet BasicUNetPlusPlus DenseNet DenseNet121 DenseNet169 DenseNet201 DenseNet264
    DynUNet EfficientNetBN FlexibleUNet FullyConnectedNet HighResNet MedNeXt Regressor Classifier ResNet ResNetFeatures
    SENet SENet154 SEResNet50 SEResNet101 SEResNet152 SEResNext50 SEResNext101 SegResNet SegResNetDS SegResNetDS2
    SegResNetVAE SwinUNETR UNETR UNet VNet ViT
    """
)

NETWORK_ALIASES = {
    "Unet": "UNet",
    "unet": "UNet",
    "DynUnet": "DynUNet",
    "SEResNeXt50": "SEResNext50",
    "SEResNeXt101": "SEResNext101",
}

INFERERS = frozenset({"SimpleInferer", "SlidingWindowInferer", "SlidingWindowInfererAdapt", "SliceInferer"})


def transform(path: str, args: Mapping[str, Any], where: str) -> Entry:
    """A transform that a config may name.

    Raises:
        ConfigError: it may not.
    """
    package, _, name = path.rpartition(".")
    bare = _dictionary_name(name)
    place = f"{where} {path}"
    if package not in TRANSFORM_PACKAGES or bare not in LEFT_OUT | RESTORING | OURS | MONAI:
        raise ConfigError(
            place, "This transform is not on the list of those that a config may name (see docs/models.md)."
        )
    if bare in LEFT_OUT and bare != "LoadImaged":
        return Entry(bare, {}, place)
    if bare in RESTORING:
        return Entry(bare, {}, place)
    if bare == "LoadImaged":
        return Entry(bare, {"ensure_channel_first": bool(args.get("ensure_channel_first"))}, place)
    for argument in args:
        if argument in REFUSED_ARGUMENTS or argument.startswith("_"):
            raise ConfigError(place, f'The argument "{argument}" takes code or files, which a config cannot give.')
    return Entry(bare, dict(args), place)


def network(path: str, args: Mapping[str, Any], where: str) -> Entry:
    """A network of ``monai.networks.nets`` that a config may name; weights that it would download are left out.

    Raises:
        ConfigError: it may not.
    """
    package, _, name = path.rpartition(".")
    name = NETWORK_ALIASES.get(name, name)
    place = f"{where} {path}"
    if package not in ("", "monai.networks.nets", f"monai.networks.nets.{name.lower()}") or name not in NETWORKS:
        raise ConfigError(
            place, "This network is not on the list of those that a config may name (see docs/models.md)."
        )
    for argument in args:
        if argument.startswith("_"):
            raise ConfigError(place, f'The argument "{argument}" is not understood.')
    kept = {key: value for key, value in args.items() if key not in ("pretrained", "progress")}
    return Entry(name, kept, place)


def inferer(path: str, args: Mapping[str, Any], where: str) -> Entry:
    """An inferer of ``monai.inferers`` that a config may name.

    Raises:
        ConfigError: it may not.
    """
    package, _, name = path.rpartition(".")
    place = f"{where} {path}"
    if package not in ("", "monai.inferers", "monai.inferers.inferer") or name not in INFERERS:
        raise ConfigError(place, f"Of inferers there are {', '.join(sorted(INFERERS))}.")
    return Entry(name, dict(args), place)


def _dictionary_name(name: str) -> str:
    """MONAI's dictionary transforms have three spellings: ``Spacingd``, ``SpacingD`` and ``SpacingDict``."""
    if name.endswith("Dict"):
        return f"{name[:-4]}d"
    return f"{name[:-1]}d" if name.endswith("D") and not name.endswith("2D") else name
