"""A trivial MONAI Label app: what our server and our Slicer module are compared with and tested against.

Runs in the environment that ``setup.sh`` makes, never in ours. ``threshold`` is the same TorchScript model that our
server is given by ``threshold.py``; ``ball`` is a deepgrow model whose answer is known without looking at the image.
"""

import os

import numpy as np
from monai.transforms import (
    AsDiscreted,
    EnsureChannelFirstd,
    EnsureTyped,
    LoadImaged,
    SqueezeDimd,
    ToNumpyd,
)
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferType
from monailabel.scribbles.infer import HistogramBasedGraphCut
from monailabel.tasks.activelearning.random import Random
from monailabel.tasks.infer.basic_infer import BasicInferTask
from monailabel.transform.post import Restored

RADIUS = 6


class Threshold(BasicInferTask):
    """Voxels above 100, through a TorchScript network."""

    def __init__(self, path):
        super().__init__(
            path=path,
            network=None,
            type=InferType.SEGMENTATION,
            labels={"bright": 1},
            dimension=3,
            description="Voxels above 100",
        )

    def pre_transforms(self, data=None):
        return [
            LoadImaged(keys="image", reader="ITKReader"),
            EnsureTyped(keys="image", device=data.get("device") if data else None),
            EnsureChannelFirstd(keys="image"),
        ]

    def post_transforms(self, data=None):
        return [
            EnsureTyped(keys="pred", device=data.get("device") if data else None),
            AsDiscreted(keys="pred", threshold=0.5),
            SqueezeDimd(keys="pred", dim=0),
            ToNumpyd(keys="pred", dtype=np.uint8),
            Restored(keys="pred", ref_image="image"),
        ]


class Ball(Threshold):
    """Voxels within six voxels of a foreground point and of no background point."""

    def __init__(self, path):
        super().__init__(path)
        self.type = InferType.DEEPGROW
        self.labels = {"ball": 1}
        self.description = "Six voxels around each foreground point"

    def run_inferer(self, data, convert_to_batch=True, device="cuda"):
        image = data["image"]
        grid = np.stack(np.meshgrid(*(np.arange(n) for n in image.shape[1:]), indexing="ij"), -1)
        mask = np.zeros(image.shape[1:], np.float32)
        for points, value in ((data.get("foreground") or [], 1), (data.get("background") or [], 0)):
            for point in points:
                mask[((grid - np.asarray(point)) ** 2).sum(-1) <= RADIUS**2] = value
        data["pred"] = image.clone() * 0
        data["pred"][0] += data["pred"].new_tensor(mask)
        return data


class PeerApp(MONAILabelApp):
    """The app that ``monailabel start_server`` finds."""

    def __init__(self, app_dir, studies, conf):
        self.model_path = os.path.join(app_dir, "model", "threshold.ts")
        super().__init__(
            app_dir=app_dir, studies=studies, conf=conf, name="Peer", description="Trivial models", version="1"
        )

    def init_infers(self):
        return {
            "threshold": Threshold(self.model_path),
            "ball": Ball(self.model_path),
            "Histogram+GraphCut": HistogramBasedGraphCut(
                intensity_range=(-300, 200, 0.0, 1.0, True), pix_dim=(2.5, 2.5, 5.0), lamda=1.0, sigma=0.1
            ),
        }

    def init_strategies(self):
        return {"random": Random()}

    def init_trainers(self):
        return {}
