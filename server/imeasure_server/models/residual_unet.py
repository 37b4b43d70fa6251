"""The residual U-Net of MONAI, layer for layer and under the same names, so that weights fit either.

Our own networks are made of it: MONAI takes a second and 100 MiB to import, which a worker without models that need its
transforms does not spend.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class ResidualUnet(nn.Module):
    """Kerfoot et al., "Left-Ventricle Quantification Using Residual U-Net", 2018, with features normalised in groups.

    Each level works at half the resolution of the one before it, the first at half that of the input.
    """

    def __init__(self, axes: int, inputs: int, outputs: int, features: Sequence[int], groups: int) -> None:
        """Args:
        axes: 2 or 3.
        inputs, outputs: channels.
        features: of each level, the last one at the bottom.
        groups: of features that are normalised together.
        """
        super().__init__()
        self._axes = axes
        self._groups = groups
        self.model = self._level(inputs, outputs, features, is_top=True)

    def forward(self, image: Tensor) -> Tensor:
        """(n, inputs, ...) to (n, outputs, ...); sides are multiples of 2 ** (levels - 1)."""
        answer: Tensor = self.model(image)
        return answer

    def _level(self, inputs: int, outputs: int, features: Sequence[int], is_top: bool) -> nn.Sequential:
        here, below = features[:2]
        if len(features) > 2:
            inner: nn.Module = self._level(here, here, features[1:], is_top=False)
            joined = 2 * here
        else:
            inner = _Residual(self._axes, here, below, 1, 2, self._groups)
            joined = here + below
        down = _Residual(self._axes, inputs, here, 2, 2, self._groups)
        up = nn.Sequential(
            _Convolution(self._axes, joined, outputs, 2, self._groups, transposed=True),
            _Residual(self._axes, outputs, outputs, 1, 1, self._groups, bare_end=is_top),
        )
        return nn.Sequential(down, _Skip(inner), up)


class _Convolution(nn.Sequential):
    def __init__(
        self,
        axes: int,
        inputs: int,
        outputs: int,
        stride: int,
        groups: int,
        *,
        transposed: bool = False,
        bare: bool = False,
    ) -> None:
        super().__init__()
        if transposed:
            layer: nn.Module = _TRANSPOSED[axes](inputs, outputs, 3, stride, padding=1, output_padding=stride - 1)
        else:
            layer = _CONVOLUTIONS[axes](inputs, outputs, 3, stride, padding=1)
        self.add_module("conv", layer)
        if not bare:
            after = nn.Sequential()
            after.add_module("N", nn.GroupNorm(groups, outputs))
            after.add_module("A", nn.PReLU())
            self.add_module("adn", after)


class _Residual(nn.Module):
    def __init__(
        self, axes: int, inputs: int, outputs: int, stride: int, units: int, groups: int, *, bare_end: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        self.residual: nn.Module = nn.Identity()
        for unit in range(units):
            first = unit == 0
            layer = _Convolution(
                axes,
                inputs if first else outputs,
                outputs,
                stride if first else 1,
                groups,
                bare=bare_end and unit == units - 1,
            )
            self.conv.add_module(f"unit{unit}", layer)
        if stride != 1:
            self.residual = _CONVOLUTIONS[axes](inputs, outputs, 3, stride, padding=1)
        elif inputs != outputs:
            self.residual = _CONVOLUTIONS[axes](inputs, outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        shortcut: Tensor = self.residual(image)
        changed: Tensor = self.conv(image)
        return changed + shortcut


class _Skip(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.submodule = inner

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([image, self.submodule(image)], dim=1)
