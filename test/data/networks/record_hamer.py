# SPDX-License-Identifier: Apache-2.0
"""Record HaMeR of its authors: ``python record_hamer.py AUTHORS``.

AUTHORS is a clone of https://github.com/geopavlakos/hamer (commit 3a01849). The environment is that of ``mmlab.py``
with ``smplx==0.1.28 scikit-image==0.26.0 einops==0.8.2``. Only the modules that make up the network and the crop are
imported. MANO is that of ``synthetic_mano.py``, for smplx as for us.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from hamer_weights import BOXES, RIGHT, image, tune
from recording import BATCHES, fill, names_and_shapes, save
from smplx.utils import Struct
from torch import nn
from weights import random_crops, sample

sys.path.append(str(Path(__file__).parents[1]))
import synthetic_mano

SIZE, FOCAL = 256, 5000.0
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
#: Of the backbone: width, blocks, heads.
SMALL, HUGE = (384, 12, 12), (1280, 32, 16)
#: Layers of the decoder, which are all alike.
FEW, ALL = 2, 6


class Config(dict[str, Any]):
    """Stands for yacs' CfgNode."""

    __getattr__ = dict.__getitem__


def _stubs(folder: Path) -> None:
    """Make the authors' packages importable without what they import besides."""
    packages = ("hamer", "hamer.models", "hamer.models.heads", "hamer.models.backbones", "hamer.models.components",
                "hamer.utils", "hamer.datasets")  # fmt: skip
    stubs: dict[str, dict[str, Any]] = {name: {"__path__": [str(folder / name.replace(".", "/"))]} for name in packages}
    stubs |= {"timm": {}, "timm.models": {}, "yacs": {}, "yacs.config": {"CfgNode": Config}, "timm.models.layers": {
        "drop_path": lambda x, *_: x, "to_2tuple": lambda x: x if isinstance(x, tuple) else (x, x),
        "trunc_normal_": nn.init.trunc_normal_}}  # fmt: skip
    for name, content in stubs.items():
        module = ModuleType(name)
        vars(module).update(content)
        sys.modules[name] = module


def _config(width: int, depth: int, mean: Path) -> Config:
    decoder = {"depth": depth, "heads": 8, "mlp_dim": 1024, "dim_head": 64, "dropout": 0.0, "emb_dropout": 0.0,
               "norm": "layer", "context_dim": width}  # fmt: skip
    head = Config(TYPE="transformer_decoder", IN_CHANNELS=2048, TRANSFORMER_DECODER=decoder)
    return Config(
        MODEL=Config(IMAGE_SIZE=SIZE, IMAGE_MEAN=MEAN, IMAGE_STD=STD, MANO_HEAD=head, BBOX_SHAPE=[192, 256]),
        MANO=Config(NUM_HAND_JOINTS=15, MEAN_PARAMS=mean), EXTRA=Config(FOCAL_LENGTH=FOCAL),
    )  # fmt: skip


class Hamer(nn.Module):
    """What the authors' module of that name is made of, and what its ``forward_step`` does."""

    def __init__(self, config: Config, size: tuple[int, int, int]) -> None:
        super().__init__()
        width, depth, heads = size
        vit = importlib.import_module("hamer.models.backbones.vit")
        self.backbone = vit.ViT(img_size=(256, 192), patch_size=16, embed_dim=width, depth=depth, num_heads=heads,
                                ratio=1, mlp_ratio=4, qkv_bias=True)  # fmt: skip
        self.mano_head = importlib.import_module("hamer.models.heads.mano_head").build_mano_head(config)
        self.discriminator = importlib.import_module("hamer.models.discriminator").Discriminator()
        with torch.device("cpu"):
            self.mano = importlib.import_module("hamer.models.mano_wrapper").MANO(
                "", data_struct=Struct(**synthetic_mano.arrays()), is_rhand=True
            )
        self.register_buffer("initialized", torch.tensor(False))
        self.project = importlib.import_module("hamer.utils.geometry").perspective_projection

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        found, camera, _ = self.mano_head(self.backbone(images[:, :, :, 32:-32]))
        hand = self.mano(**found, pose2rot=False)
        away = torch.stack([camera[:, 1], camera[:, 2], 2 * FOCAL / (SIZE * camera[:, 0] + 1e-9)], dim=-1)
        pixels = self.project(hand.joints, translation=away, focal_length=torch.full((len(images), 2), FOCAL / SIZE))
        return {"rotations": torch.cat([found["global_orient"], found["hand_pose"]], dim=1), "betas": found["betas"],
                "camera": camera, "vertices": hand.vertices, "points": hand.joints, "pixels": pixels}  # fmt: skip


def _tuned(model: Hamer) -> nn.ModuleDict:
    """Fill all weights but those of training and of MANO, and return what has them."""
    parts = nn.ModuleDict({"backbone": model.backbone, "mano_head": model.mano_head})
    fill(parts, tune)
    model.eval()
    return parts


def _network(model: Hamer) -> dict[str, np.ndarray]:
    found = {"state": names_and_shapes(_tuned(model)), "size_wh": np.array([192, 256])}
    for n in BATCHES:
        inside = (random_crops(n, (192, 256)) / 255 - MEAN) / STD
        padded = np.pad(inside, ((0, 0), (0, 0), (32, 32), (0, 0))).transpose(0, 3, 1, 2)
        with torch.inference_mode():
            outputs = model(torch.from_numpy(np.ascontiguousarray(padded, np.float32)))
        for name, value in outputs.items():
            found[f"{n}/{name}"] = sample(value.numpy())
            found[f"{n}/{name}/max"] = value.abs().max().numpy()
    return found


def _whole(model: Hamer, config: Config) -> dict[str, np.ndarray]:
    """Return what their demo says of boxes of a picture: points in its pixels and in metres, left ones mirrored."""
    data = importlib.import_module("hamer.datasets.vitdet_dataset").ViTDetDataset(
        config, image()[..., ::-1], BOXES, RIGHT, rescale_factor=2.0
    )
    items = [data[i] for i in range(len(BOXES))]
    crops = np.stack([item["img"] for item in items])
    with torch.inference_mode():
        outputs = {key: value.numpy() for key, value in model(torch.from_numpy(np.float32(crops))).items()}
    mirror = 2 * RIGHT[:, None, None] - 1
    # Their image of a left hand is mirrored as a whole, and pixels are counted from the other end.
    pixels = (outputs["pixels"] + 0.5) * SIZE
    size = np.array([item["box_size"] for item in items])[:, None, None]
    centre = np.array([item["box_center"] for item in items])[:, None]
    pixels = (pixels - SIZE / 2) * (size / SIZE) * np.concatenate([mirror, np.ones_like(mirror)], axis=2) + centre
    turned = np.concatenate([mirror, np.ones_like(mirror), np.ones_like(mirror)], axis=2)
    return {"crops": sample(crops[:, :, :, 32:-32], 2000), "pixels": np.float32(pixels),
            "points": np.float32(outputs["points"] * turned),
            "vertices": sample(outputs["vertices"] * turned, 600)}  # fmt: skip


def main() -> None:
    """Write ``hamer.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("authors", type=Path)
    _stubs(parser.parse_args().authors)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        mean = Path(folder) / "mean.npz"
        np.savez(mean, pose=np.zeros(96, np.float32), shape=np.zeros(10, np.float32), cam=np.zeros(3, np.float32))
        config = _config(SMALL[0], FEW, mean)
        model = Hamer(config, SMALL)
        cases = {"small": _network(model), "whole": _whole(model, config)}
        # What is dropped in training is counted in numbers, which tensors without values have not.
        none = [torch.zeros(())] * HUGE[1]
        with mock.patch.object(torch, "linspace", return_value=none), torch.device("meta"):
            cases["huge"] = {"state": names_and_shapes(Hamer(_config(HUGE[0], ALL, mean), HUGE))}
    save(Path(__file__).with_name("hamer.npz"), cases)


if __name__ == "__main__":
    main()
