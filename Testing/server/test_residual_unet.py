"""Our residual U-Net is MONAI's: the same weights, the same answers, the same training from the same seed."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets.unet import UNet

from imeasure_server.models.residual_unet import ResidualUnet


@pytest.mark.parametrize(
    ("axes", "inputs", "outputs", "features", "groups"),
    [(3, 5, 8, (8, 16, 32, 64), 4), (2, 10, 16, (16, 24, 40), 8), (3, 1, 4, (4, 8), 2)],
)
def test_like_monai(axes: int, inputs: int, outputs: int, features: tuple[int, ...], groups: int) -> None:
    torch.manual_seed(1)
    theirs = UNet(
        axes,
        inputs,
        outputs,
        channels=features,
        strides=(2,) * (len(features) - 1),
        num_res_units=2,
        norm=("GROUP", {"num_groups": groups}),
    ).eval()
    torch.manual_seed(1)
    ours = ResidualUnet(axes, inputs, outputs, features, groups).eval()
    expected, found = theirs.state_dict(), ours.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in found)
    image = torch.randn(2, inputs, *(16, 24, 32)[:axes])
    with torch.inference_mode():
        assert torch.equal(ours(image), theirs(image))
