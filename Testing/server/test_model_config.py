"""What a config says, and what it may not ask for."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import Above, aiaa_config, bundle, bundle_inference, model_folder, script, zipped

from imeasure_server.models.config.aiaa import decode_config, read_config
from imeasure_server.models.config.archives import unpack
from imeasure_server.models.config.bundle import bundle_config
from imeasure_server.models.config.data_files import DataKind, sniff
from imeasure_server.models.config.describing import describe
from imeasure_server.models.config.expressions import evaluate
from imeasure_server.models.config.problems import ConfigError
from imeasure_server.models.config.windows import Window
from imeasure_server.models.description import ModelType
from imeasure_server.models.model_folder import folder_digest, read_folder
from imeasure_server.models.model_names import is_model_name

CLARA_SPLEEN: dict[str, Any] = {
    "version": 1,
    "type": "segmentation",
    "labels": ["spleen"],
    "description": "A pre-trained model for volumetric (3D) segmentation of the spleen from CT image",
    "pre_transforms": [
        {"name": "LoadImaged", "args": {"keys": "image"}},
        {"name": "AddChanneld", "args": {"keys": "image"}},
        {"name": "Spacingd", "args": {"keys": "image", "pixdim": [1.0, 1.0, 1.0]}},
        {"name": "ScaleIntensityRanged", "args": {"keys": "image", "a_min": -57, "a_max": 164, "b_min": 0, "b_max": 1}},
    ],
    "inference": {
        "input": "image",
        "output": "pred",
        "AIAA": {
            "name": "aiaa.inference.PyTorchInference",
            "args": {
                "is_batched_data": "false",
                "network": {
                    "name": "UNet",
                    "args": {"dimensions": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2]},
                },
                "scanning_window": True,
                "roi": [160, 160, 160],
                "sw_batch_size": 4,
                "overlap": 0.5,
            },
        },
        "TRITON": {
            "name": "aiaa.inference.TritonInference",
            "args": {"scanning_window": True, "roi": [160, 160, 160]},
            "triton_model_config": {"platform": "pytorch_libtorch", "max_batch_size": 0},
        },
        "meta_data": {"padding": 20, "roi": [128, 128, 128]},
    },
    "post_transforms": [
        {"name": "Activationsd", "args": {"keys": "pred", "softmax": True}},
        {"name": "AsDiscreted", "args": {"keys": "pred", "argmax": True}},
        {"name": "ToNumpyd", "args": {"keys": "pred"}},
        {"name": "aiaa.transforms.Restored", "args": {"keys": "pred", "ref_image": "image"}},
        {"name": "aiaa.transforms.BoundingBoxd", "args": {"keys": "pred", "result": "result", "bbox": "bbox"}},
    ],
    "writer": {"name": "aiaa.writers.Writer", "args": {"image": "pred", "json": "result"}},
}


def test_clara_config() -> None:
    config = read_config(CLARA_SPLEEN)
    assert config.type is ModelType.SEGMENTATION
    assert config.labels == {"spleen": 1}
    assert config.output == "pred"
    assert config.window == Window((160, 160, 160), 4, 0.5)
    assert config.network is not None
    assert config.network.name == "UNet"
    assert [entry.name for entry in config.pre_transforms][:2] == ["LoadImaged", "AddChanneld"]
    assert config.padding == 20
    assert config.roi == (128, 128, 128)
    assert not config.batched
    described = describe("clara_ct_seg_spleen_amp", config)
    assert (described.version, described.dimension, described.deepgrow) == ("1", 3, None)
    assert config.raw == CLARA_SPLEEN


def test_output_is_what_the_post_transforms_work_on() -> None:
    config = aiaa_config(post=[("ToNumpyd", {"keys": "pred"}), ("AsDiscreted", {"keys": ["answer"], "argmax": True})])
    del config["inference"]["output"]
    assert read_config(config).output == "answer"
    assert read_config({**config, "post_transforms": []}).output == "model"


def test_triton_section_stands_in_for_aiaa() -> None:
    inference = {key: value for key, value in CLARA_SPLEEN["inference"].items() if key != "AIAA"}
    config = read_config({**CLARA_SPLEEN, "inference": inference})
    assert config.window == Window((160, 160, 160))
    assert config.network is None


@pytest.mark.parametrize(
    ("name", "loader"),
    [
        ("PyTorchInference", None),
        ("aiaa.inference.TritonInference", None),
        ("TRTISInference", None),
        ("nvmidl.apps.aas.inference.TFInference", None),
        ("NNInteractiveInference", "nninteractive"),
        ("SAM2Inference", "sam2"),
    ],
)
def test_names_of_inferences(name: str, loader: str | None) -> None:
    assert read_config(aiaa_config(inference={"AIAA": {"name": name}})).loader == loader


def test_types_and_dimensions() -> None:
    assert read_config(aiaa_config("dextr3d")).type is ModelType.ANNOTATION
    assert read_config(aiaa_config("deepgrow", pre=[("Fetch2DSliced", {"keys": "image"})])).deepgrow == "2d"
    clicks = ("AddGuidanceFromPointsd", {"ref_image": "image", "dimensions": 3})
    assert read_config(aiaa_config("deepgrow", pre=[clicks])).deepgrow == "3d"
    assert read_config(aiaa_config("others", dimension=2)).dimension == 2
    with pytest.raises(ConfigError, match="There is no type 'magic'"):
        read_config(aiaa_config("magic"))
    with pytest.raises(ConfigError, match="type: It is missing"):
        read_config({})


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["spleen", "liver"], {"spleen": 1, "liver": 2}),
        (["background", "spleen"], {"spleen": 1}),
        ({"liver": 6, "spleen": 1, "background": 0}, {"spleen": 1, "liver": 6}),
        ("spleen", {"spleen": 1}),
        (None, {}),
    ],
)
def test_labels(labels: Any, expected: dict[str, int]) -> None:
    config = read_config({**aiaa_config(), "labels": labels})
    assert list(config.labels.items()) == list(expected.items())


@pytest.mark.parametrize("labels", [["a", "a"], {"a": 1, "b": 1}, {"a": -1}, {"a": 70000}, {"a": "1"}, 7])
def test_labels_that_make_no_sense(labels: Any) -> None:
    with pytest.raises(ConfigError, match="labels"):
        read_config({**aiaa_config(), "labels": labels})


REFUSED_TRANSFORMS: list[tuple[str, dict[str, Any]]] = [
    ("os.system", {"command": "touch /tmp/owned"}),
    ("builtins.eval", {"source": "1"}),
    ("subprocess.Popen", {"args": ["id"]}),
    ("monai.transforms.Lambdad", {"keys": "image", "func": "$lambda x: x"}),
    ("monai.transforms.RandLambdad", {"keys": "image", "func": "x"}),
    ("monai.transforms.TorchVisiond", {"keys": "image", "name": "ColorJitter"}),
    ("monai.transforms.utility.array.Lambda", {"func": "eval"}),
    ("monai.bundle.ConfigParser", {}),
    ("custom_transforms.BoundingBoxd", {"keys": "pred"}),
    ("monai.transforms.WriteFileMappingd", {"keys": "image", "mapping_file_path": "/tmp/owned"}),
    ("monai.transforms.ImageFilterd", {"keys": "image", "kernel": "mean"}),
    ("CropForegroundd", {"keys": "image", "source_key": "image", "select_fn": "os.system"}),
    ("Activationsd", {"keys": "pred", "other": "os.system"}),
    ("Spacingd", {"keys": "image", "pixdim": "$__import__('os').system('touch /tmp/owned')"}),
    ("Spacingd", {"keys": "@image", "pixdim": 1}),
    ("Resized", {"keys": "image", "spatial_size": {"_target_": "os.system"}, "_target_": "os.system"}),
    ("__import__", {}),
    ("", {}),
]


@pytest.mark.parametrize(("name", "args"), REFUSED_TRANSFORMS)
@pytest.mark.parametrize("place", ["pre_transforms", "post_transforms"])
def test_transforms_off_the_list(name: str, args: dict[str, Any], place: str) -> None:
    config = {
        **aiaa_config(),
        place: [{"name": "AddChanneld", "args": {"keys": "image"}}, {"name": name, "args": args}],
    }
    with pytest.raises(ConfigError, match=rf"{place}\[1\]"):
        read_config(config)


def test_disabled_transforms_are_left_out() -> None:
    config = {**aiaa_config(), "pre_transforms": [{"name": "AddChanneld", "args": {"keys": "image"}, "disabled": True}]}
    assert read_config(config).pre_transforms == ()


@pytest.mark.parametrize(
    "change",
    [
        {"inference": {"AIAA": {"name": "custom_inference.CustomInference"}}},
        {"inference": {"AIAA": {"name": "os.PyTorchInference"}}},
        {"inference": {"AIAA": {"args": {"network": {"name": "os.system", "args": {}}}}}},
        {"inference": {"AIAA": {"args": {"network": {"name": "torch.load", "args": {"f": "x"}}}}}},
        {"inference": {"AIAA": {"args": {"network": {"name": "TorchVisionFCModel", "args": {}}}}}},
        {"inference": {"AIAA": {"args": {"inferer": {"name": "monai.inferers.SaliencyInferer", "args": {}}}}}},
        {"inference": {"AIAA": {"args": {"scanning_window": True}}}},
        {"inference": {"AIAA": {"args": {"roi": [32, 32], "overlap": 1.5}}}},
        {"inference": {"AIAA": {"args": {"roi": "all"}}}},
        {"inference": []},
        {"pre_transforms": "LoadImaged"},
        {"pre_transforms": [7]},
        {"pre_transforms": [{"args": {}}]},
        {"writer": {"name": "custom_writer.CustomWriter"}},
        {"writer": {"name": "os.system"}},
        {"loader": "pickle"},
        {"dimension": 4},
        {"meta_data": {"padding": -1}},
        {"meta_data": {"roi": [1, 2]}},
    ],
)
def test_configs_that_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refusal:
        read_config({**aiaa_config(), **change})
    assert len(str(refusal.value)) > 20


def test_downloads_are_left_out_of_networks() -> None:
    args = {"network": {"name": "DenseNet121", "args": {"spatial_dims": 2, "pretrained": True, "in_channels": 3}}}
    network = read_config(aiaa_config("classification", args=args)).network
    assert network is not None
    assert "pretrained" not in network.args


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_configs_that_are_no_object(content: bytes) -> None:
    with pytest.raises(ConfigError):
        decode_config(content)


def value_of(reference: str) -> Any:
    return {"pixdim": [1.5, 1.5, 2.0], "n": 3, "root": "/data", "network_def": {"_target_": "UNet"}}[reference]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')", "device"),
        ("@network_def.to(@pixdim)", {"_target_": "UNet"}),
        ("@pixdim[0] * 2", 3.0),
        ("tuple(@pixdim)", (1.5, 1.5, 2.0)),
        ("[@n] * 3", [3, 3, 3]),
        ("-1000", -1000),
        ("@root + '/eval'", "/data/eval"),
        ("torch.float32", "float32"),
        ("np.uint8", "uint8"),
        ("monai.utils.BlendMode.GAUSSIAN", "gaussian"),
        ("max(@pixdim) if @n > 2 and not False else 0", 2.0),
        ("{'a': 1, 'b': (2, 3)}['b'][0]", 2),
        ("@pixdim[1:]", [1.5, 2.0]),
        ("None is None", True),
    ],
)
def test_expressions_that_are_worked_out(expression: str, expected: Any) -> None:
    assert evaluate(expression, value_of, "here") == expected


@pytest.mark.parametrize(
    "expression",
    [
        "import os",
        "__import__('os').system('touch /tmp/owned')",
        "os.system('id')",
        "().__class__.__bases__[0].__subclasses__()",
        "@network_def.__class__",
        "[c for c in ().__class__.__mro__]",
        "lambda x: x",
        "(lambda: 1)()",
        "open('/etc/passwd').read()",
        "eval('1')",
        "exec('1')",
        "getattr(1, 'real')",
        "'{0.__class__}'.format(1)",
        "f'{1}'",
        "'a' % 1",
        "'a' * 10 ** 9",
        "9 ** 9 ** 9",
        "[0] * 10000 * 10000",
        "'a' * 999999999",
        "1 << 999999",
        "torch.load('x')",
        "torch.hub.load('a', 'b')",
        "monai.utils.module.optional_import('os')",
        "monai.bundle.run()",
        "sorted([1], key=print)",
        "(x := 1)",
        "print(1)",
        "{**{}}",
        "[*@pixdim]",
        "1 / 0",
        "@pixdim[9]",
        "(" * 500 + "1" + ")" * 500,
        "1" * 5000,
        "a",
        "",
        "yield 1",
    ],
)
def test_expressions_that_are_refused(expression: str) -> None:
    with pytest.raises(ConfigError, match="here"):
        evaluate(expression, value_of, "here")


def test_bundle_config(tmp_path: Path) -> None:
    raw = bundle_config(bundle(tmp_path / "sphere"))
    config = read_config(raw)
    assert config.type is ModelType.SEGMENTATION
    assert config.labels == {"sphere": 1}
    assert config.loader == "bundle"
    assert config.window == Window((32, 32, 32), 2)
    assert config.network is not None
    assert config.network.args["channels"] == [4, 8]
    spacing = next(entry for entry in config.pre_transforms if entry.name == "Spacingd")
    assert spacing.args["pixdim"] == [2.0, 2.0, 2.0]
    json.dumps(raw)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network_def", {"_target_": "os.system", "command": "id"}),
        ("network_def", "$__import__('os').system('touch /tmp/owned')"),
        (
            "preprocessing",
            {"_target_": "Compose", "transforms": [{"_target_": "Lambdad", "keys": "image", "func": "$f"}]},
        ),
        ("preprocessing", {"_target_": "Compose", "transforms": "$[print(1)]"}),
        ("preprocessing", {"_target_": "builtins.exec", "source": "1"}),
        ("pixdim", "$open('/etc/passwd')"),
        ("pixdim", "%/etc/passwd::root"),
        ("pixdim", "@pixdim"),
        ("pixdim", "@nowhere"),
        ("window", {"_target_": "os.getcwd"}),
        ("inferer", {"_target_": "my.Inferer"}),
        ("inferer", "$import os"),
    ],
)
def test_bundles_that_ask_for_more(key: str, value: Any, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "evil", {**bundle_inference(), key: value})
    with pytest.raises(ConfigError):
        read_folder(folder)
    assert not Path("/tmp/owned").exists()


def test_what_a_bundle_never_reaches_is_not_looked_at(tmp_path: Path) -> None:
    extra = {"handlers": ["$os.system('touch /tmp/owned')"], "initialize": ["$import subprocess"]}
    config = read_folder(bundle(tmp_path / "fine", {**bundle_inference(), **extra})).config
    assert len(config.pre_transforms) == 6
    assert not Path("/tmp/owned").exists()


def test_torchscript_does_where_the_network_is_none_of_the_list(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "own", {**bundle_inference(), "network_def": {"_target_": "scripts.MyNet"}})
    with pytest.raises(ConfigError, match=r"scripts\.MyNet"):
        read_folder(folder)
    script(Above(channels=2), folder / "models" / "model.ts")
    assert read_folder(folder).config.network is None


def test_bundle_in_yaml(tmp_path: Path) -> None:
    import yaml

    folder = bundle(tmp_path / "sphere")
    (folder / "configs" / "inference.json").unlink()
    (folder / "configs" / "inference.yaml").write_text(yaml.safe_dump(bundle_inference()))
    assert read_folder(folder).loader == "bundle"
    (folder / "configs" / "inference.yaml").write_text("a: !!python/object/apply:os.system ['touch /tmp/owned']")
    with pytest.raises(ConfigError, match="no valid JSON or YAML"):
        read_folder(folder)
    assert not Path("/tmp/owned").exists()


def test_data_are_told_by_content(tmp_path: Path) -> None:
    assert sniff(script(Above(), tmp_path / "model.trt.pb")) is DataKind.TORCHSCRIPT
    torch.save({"a": torch.zeros(1)}, tmp_path / "model.ts")
    assert sniff(tmp_path / "model.ts") is DataKind.WEIGHTS
    assert sniff(zipped(bundle(tmp_path / "sphere"), tmp_path / "model.onnx")) is DataKind.BUNDLE
    for content in (b"", b"\x08\x07\x12\x07pytorch", b"hello", b"PK\x03\x04 cut off"):
        (tmp_path / "strange.ts").write_bytes(content)
        with pytest.raises(ConfigError, match=r"neither TorchScript|damaged"):
            sniff(tmp_path / "strange.ts")


def folder_with(tmp_path: Path, config: dict[str, Any], *names: str) -> Path:
    folder = model_folder(tmp_path / "m", config)
    for name in names:
        script(Above(), folder / name)
    return folder


def test_folders_and_their_data(tmp_path: Path) -> None:
    assert read_folder(folder_with(tmp_path / "1", aiaa_config(), "anything.bin")).loader == "torchscript"
    with pytest.raises(ConfigError, match="Several files could be meant"):
        read_folder(folder_with(tmp_path / "2", aiaa_config(), "a.ts", "b.ts"))
    chosen = read_folder(folder_with(tmp_path / "3", aiaa_config(data="b.ts"), "a.ts", "b.ts"))
    assert chosen.data is not None
    assert chosen.data.name == "b.ts"
    mmar = folder_with(tmp_path / "7", aiaa_config(), "best.ts", "model.ts")
    assert read_folder(mmar).data == mmar / "model.ts"
    with pytest.raises(ConfigError, match="There is no file"):
        read_folder(folder_with(tmp_path / "4", aiaa_config(data="../4/a.ts"), "a.ts"))
    with pytest.raises(ConfigError, match="There is no model in the folder"):
        read_folder(folder_with(tmp_path / "5", aiaa_config()))
    (tmp_path / "6").mkdir()
    with pytest.raises(ConfigError, match=r"has no config_aiaa\.json"):
        read_folder(tmp_path / "6")


def test_digests_follow_the_files(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, aiaa_config(), "a.ts")
    first = folder_digest(folder)
    moved = folder.rename(tmp_path / "other")
    assert folder_digest(moved) == first
    (moved / "config_aiaa.json").write_text(json.dumps(aiaa_config(description="another")))
    assert folder_digest(moved) != first


@pytest.mark.parametrize("name", ["../out.ts", "/tmp/out.ts", "a/../../out.ts", "C:\\out.ts", "..\\out.ts"])
def test_archives_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, b"x")
    (tmp_path / "inside").mkdir()
    with pytest.raises(ConfigError, match="outside the model's folder"):
        unpack(tmp_path / "evil.zip", tmp_path / "inside")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["evil.zip", "inside"]


def test_archives_with_links_and_bombs(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    link = zipfile.ZipInfo("model.ts")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ConfigError, match="links"):
        unpack(tmp_path / "link.zip", tmp_path / "inside")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.ts", bytes(200 << 20))
    with pytest.raises(ConfigError, match="too large"):
        unpack(tmp_path / "bomb.zip", tmp_path / "inside")


@pytest.mark.parametrize(
    "name", ["a", "clara_ct_seg_spleen_amp", "Histogram+GraphCut", "nnInteractive-v1.0", "0", "x" * 80, "console"]
)
def test_names(name: str) -> None:
    assert is_model_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a..b", "a.", "con", "CON", "nul.txt", "com1", "x" * 81),
        *("a b", "a\n", "a\0", "a%2F", "ä", "~x", "-x", "a~b"),
    ],
)
def test_names_that_leave_the_workspace(name: str) -> None:
    assert not is_model_name(name)


def test_config_is_read_without_torch() -> None:
    import subprocess
    import sys

    program = (
        "import sys; import imeasure_server.models.registry, imeasure_server.models.model_folder;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'monai')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
