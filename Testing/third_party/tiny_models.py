"""Small models with random weights, made by the real packages in their own format.

Run by the Python of .venv-third-party: ``python tiny_models.py nninteractive|sam2|sam2_official FOLDER``. Each writes
what an operator would put into a model's folder beside its config_aiaa.json.
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
                    "norm_op": None,
                    "norm_op_kwargs": None,
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
    (folder / "inference_session_class.json").write_text(json.dumps({"point_radius": 3, "interaction_decay": 0.9}))
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
    """Let prompts be seen and noise hardly: an object that fills the image would be looked at for minutes."""
    first = next(module for module in network.modules() if isinstance(module, torch.nn.Conv3d))
    first.weight[:, 0] *= 0.003
    for positive in (4, 6):  # points and scribbles are seen as boxes and lassos are
        first.weight[:, positive] = first.weight[:, 2]
    silent = torch.zeros(1, 8, *PATCH)
    prompted = silent.clone()
    prompted[0, 2, 30:35, 30:35, 30:35] = 1
    background, foreground = (network(prompted) - network(silent))[0]
    shown = foreground - background
    last = network.decoder.seg_layers[-1]
    if shown.max() < -shown.min():
        last.weight[:] = last.weight.flip(0)
        last.bias[:] = last.bias.flip(0)
    background, foreground = network(silent)[0][:, 32, 32, 32]
    last.bias[0] += foreground - background + 0.08 * shown.abs().max()


def _position(features: int) -> dict[str, object]:
    target = "sam2.modeling.position_encoding.PositionEmbeddingSine"
    return {"_target_": target, "num_pos_feats": features, "normalize": True, "scale": None, "temperature": 10000}


def _attention(**more: object) -> dict[str, object]:
    return {
        "_target_": "sam2.modeling.sam.transformer.RoPEAttention",
        "rope_theta": 10000.0,
        "feat_sizes": [4, 4],
        "embedding_dim": 32,
        "num_heads": 1,
        "downsample_rate": 1,
        "dropout": 0.0,
        **more,
    }


def sam2_config() -> dict[str, object]:
    """sam2.1_hiera_t.yaml with everything small."""
    encoder = {
        "_target_": "sam2.modeling.backbones.image_encoder.ImageEncoder",
        "scalp": 1,
        "trunk": {
            "_target_": "sam2.modeling.backbones.hieradet.Hiera",
            "embed_dim": 8,
            "num_heads": 1,
            "stages": [1, 1, 2, 1],
            "global_att_blocks": [3],
            "window_spec": [4, 4, 4, 2],
            "window_pos_embed_bkg_spatial_size": [4, 4],
        },
        "neck": {
            "_target_": "sam2.modeling.backbones.image_encoder.FpnNeck",
            "position_encoding": _position(32),
            "d_model": 32,
            "backbone_channel_list": [64, 32, 16, 8],
            "fpn_top_down_levels": [2, 3],
            "fpn_interp_model": "nearest",
        },
    }
    layer = {
        "_target_": "sam2.modeling.memory_attention.MemoryAttentionLayer",
        "activation": "relu",
        "dim_feedforward": 32,
        "dropout": 0.0,
        "pos_enc_at_attn": False,
        "self_attention": _attention(),
        "d_model": 32,
        "pos_enc_at_cross_attn_keys": True,
        "pos_enc_at_cross_attn_queries": False,
        "cross_attention": _attention(rope_k_repeat=True, kv_in_dim=16),
    }
    memory = {
        "_target_": "sam2.modeling.memory_encoder.MemoryEncoder",
        "in_dim": 32,
        "out_dim": 16,
        "position_encoding": _position(16),
        "mask_downsampler": {
            "_target_": "sam2.modeling.memory_encoder.MaskDownSampler",
            "embed_dim": 32,
            "kernel_size": 3,
            "stride": 2,
            "padding": 1,
        },
        "fuser": {
            "_target_": "sam2.modeling.memory_encoder.Fuser",
            "layer": {
                "_target_": "sam2.modeling.memory_encoder.CXBlock",
                "dim": 32,
                "kernel_size": 7,
                "padding": 3,
                "layer_scale_init_value": 1e-6,
                "use_dwconv": True,
            },
            "num_layers": 1,
        },
    }
    return {
        "_target_": "sam2.modeling.sam2_base.SAM2Base",
        "image_encoder": encoder,
        "memory_attention": {
            "_target_": "sam2.modeling.memory_attention.MemoryAttention",
            "d_model": 32,
            "pos_enc_at_input": True,
            "layer": layer,
            "num_layers": 1,
        },
        "memory_encoder": memory,
        "num_maskmem": 7,
        "image_size": 64,
        "sigmoid_scale_for_mem_enc": 20.0,
        "sigmoid_bias_for_mem_enc": -10.0,
        "use_mask_input_as_output_without_sam": True,
        "directly_add_no_mem_embed": True,
        "no_obj_embed_spatial": True,
        "use_high_res_features_in_sam": True,
        "multimask_output_in_sam": True,
        "iou_prediction_use_sigmoid": True,
        "use_obj_ptrs_in_encoder": True,
        "add_tpos_enc_to_obj_ptrs": True,
        "proj_tpos_enc_in_obj_ptrs": True,
        "use_signed_tpos_enc_to_obj_ptrs": True,
        "only_obj_ptrs_in_the_past_for_eval": True,
        "pred_obj_scores": True,
        "pred_obj_scores_mlp": True,
        "fixed_no_obj_ptr": True,
        "multimask_output_for_tracking": True,
        "use_multimask_token_for_obj_ptr": True,
        "multimask_min_pt_num": 0,
        "multimask_max_pt_num": 1,
        "use_mlp_for_obj_ptr_proj": True,
    }


def make_sam2(folder: Path) -> None:
    """A network like SAM 2.1's, of a hundredth of its size, as its authors save it."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    config = sam2_config()
    (folder / "tiny.yaml").write_text(OmegaConf.to_yaml({"model": config}))
    network = instantiate(OmegaConf.create(config))
    with torch.no_grad():  # there is an object wherever somebody points
        network.sam_mask_decoder.pred_obj_score_head.layers[-1].bias += 10.0
    torch.save({"model": network.state_dict()}, folder / "tiny.pt")


def make_sam2_official(folder: Path) -> None:
    """SAM 2.1's smallest network, under the name that its checkpoint has."""
    import sam2
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    config = OmegaConf.load(Path(sam2.__path__[0]) / "configs" / "sam2.1" / "sam2.1_hiera_t.yaml")
    torch.save({"model": instantiate(config.model).state_dict()}, folder / "sam2.1_hiera_tiny.pt")


MAKERS = {"nninteractive": make_nninteractive, "sam2": make_sam2, "sam2_official": make_sam2_official}

if __name__ == "__main__":
    torch.manual_seed(7)
    kind, place = sys.argv[1:]
    MAKERS[kind](Path(place))
