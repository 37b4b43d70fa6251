"""Small models with random weights, made by the real packages in their own format.

Run by the Python of .venv-third-party: ``python tiny_models.py nninteractive|sam2 FOLDER``. Each writes what an operator
would put into a model's folder, and nothing else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

PATCH = [64, 64, 64]  # the package looks again with margins of 24 voxels, which a smaller patch has no room for
PLANS = {
    "dataset_name": "Dataset001_Tiny",
    "plans_name": "nnUNetPlans",
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "label_manager": "LabelManager",
    "foreground_intensity_properties_per_channel": {"0": {"mean": 0.0, "std": 1.0}},
    "configurations": {
        "3d_fullres": {
            "data_identifier": "tiny",
            "preprocessor_name": "DefaultPreprocessor",
            "batch_size": 2,
            "patch_size": PATCH,
            "spacing": [1.0, 1.0, 1.0],
            "normalization_schemes": ["ZScoreNormalization"],
            "use_mask_for_norm": [False],
            "architecture": {
                "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                "arch_kwargs": {
                    "n_stages": 2,
                    "features_per_stage": [4, 8],
                    "conv_op": "torch.nn.modules.conv.Conv3d",
                    "kernel_sizes": [[3, 3, 3], [3, 3, 3]],
                    "strides": [[1, 1, 1], [2, 2, 2]],
                    "n_conv_per_stage": [1, 1],
                    "n_conv_per_stage_decoder": [1],
                    "conv_bias": True,
                    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                    "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                    "dropout_op": None,
                    "dropout_op_kwargs": None,
                    "nonlin": "torch.nn.LeakyReLU",
                    "nonlin_kwargs": {"inplace": True},
                },
                "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
            },
        }
    },
}
DATASET = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "object": 1}, "file_ending": ".nii.gz"}


def make_nninteractive(folder: Path) -> None:
    """A U-Net of two stages as nnU-Net saves it, with the numbers that its logger leaves in a checkpoint."""
    from nnInteractive.trainer.nnInteractiveTrainer import nnInteractiveTrainer_stub
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(PLANS)
    network = nnInteractiveTrainer_stub.build_network_architecture(
        plans, plans.get_configuration("3d_fullres"), 1 + 7, 2, enable_deep_supervision=False
    )
    _answer_prompts_only(network)
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(PLANS))
    (folder / "dataset.json").write_text(json.dumps(DATASET))
    (folder / "LICENSE").write_text("CC BY-NC-SA 4.0\nhttps://creativecommons.org/licenses/by-nc-sa/4.0/\n")
    (folder / "inference_session_class.json").write_text(json.dumps({"point_radius": 2, "interaction_decay": 0.9}))
    checkpoint = {
        "network_weights": network.state_dict(),
        "logging": {"mean_fg_dice": [np.float64(0.5), np.float32(0.25)], "dice_per_class": [[np.float64(0.5)]]},
        "_best_ema": np.float64(0.75),
        "current_epoch": 1,
        "init_args": {"plans": PLANS, "configuration": "3d_fullres", "fold": 0},
        "trainer_name": "nnInteractiveTrainer_stub",
        "inference_allowed_mirroring_axes": None,
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")


@torch.no_grad()
def _answer_prompts_only(network: torch.nn.Module) -> None:
    """Shift the last layer so that noise alone is background: an object that fills the image is looked at for minutes."""
    silent = torch.zeros(1, 8, *PATCH)
    silent[:, 0] = torch.randn(PATCH)
    background, foreground = network(silent)[0]
    last = network.decoder.seg_layers[-1]
    last.bias[0] += (foreground - background).max() + 0.5


if __name__ == "__main__":
    torch.manual_seed(7)
    kind, place = sys.argv[1:]
    {"nninteractive": make_nninteractive}[kind](Path(place))
