# SPDX-License-Identifier: Apache-2.0
"""Record ViTPose of mmpose and ViTPose++ of its authors: ``python record_vitpose.py AUTHORS``.

AUTHORS is a clone of https://github.com/ViTAE-Transformer/ViTPose (commit c050ed2). The environment is that of
``mmlab.py``. Of the authors' package, which needs mmcv 1 and timm, only the backbone is imported; its heads are those
of mmpose, which have the same layers and names.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import mmlab
import mmlab_decode
import numpy as np
import torch
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from mmpose.models.heads import HeatmapHead
from recording import names_and_shapes, record, save
from torch import nn

_CONFIG = "body_2d_keypoint/topdown_heatmap/coco/td-hm_ViTPose-{}_8xb64-210e_coco-256x192.py"
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
#: AP-10K: eyes, shoulders, elbows, front paws, hips, knees, back paws.
ANIMAL_FLIP = (1, 0, 2, 3, 4, 8, 9, 10, 5, 6, 7, 14, 15, 16, 11, 12, 13)
#: Keypoints of the experts' heads.
KEYPOINTS = (17, 14, 16, 17, 17, 133)
WIDTH, SIZE = 384, (192, 256)
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def _mmpose(kind: str) -> Any:
    return mmlab.build(_CONFIG.format(kind))


def _mmpose_case(kind: str) -> dict[str, np.ndarray]:
    model = _mmpose(kind)
    return record(
        model, SIZE, mmlab_decode.prepare(model), lambda x: {"heatmaps": model.head(model.extract_feat(x))},
        mmlab_decode.heatmaps(model, FLIP, "heatmaps"),
    )  # fmt: skip


def _backbone(folder: Path) -> Any:
    """Return the authors' class; what it imports and does not use is replaced by placeholders."""
    stubs = {
        "timm": {}, "timm.models": {}, "mmcv_custom": {}, "mmcv_custom.checkpoint": {"load_checkpoint": None},
        "timm.models.layers": {
            "drop_path": None, "to_2tuple": lambda x: x if isinstance(x, tuple) else (x, x),
            "trunc_normal_": nn.init.trunc_normal_,
        },
        "authors": {}, "authors.builder": {"BACKBONES": SimpleNamespace(register_module=lambda: lambda made: made)},
        "authors.backbones": {"__path__": [str(folder / "mmpose/models/backbones")]},
    }  # fmt: skip
    for name, content in stubs.items():
        module = ModuleType(name)
        vars(module).update(content)
        sys.modules[name] = module
    return importlib.import_module("authors.backbones.vit_moe").ViTMoE


class Authors(nn.Module):
    """What their TopDownMoE is made of: the backbone, the head of COCO, and those of the other data sets."""

    def __init__(self, backbone: Any, part: int) -> None:
        super().__init__()
        self.backbone = backbone(
            img_size=(256, 192), patch_size=16, embed_dim=WIDTH, depth=12, num_heads=12, ratio=1, mlp_ratio=4,
            qkv_bias=True, num_expert=6, part_features=part,
        )  # fmt: skip
        heads = [HeatmapHead(WIDTH, k, (256, 256), (4, 4)) for k in KEYPOINTS]
        self.keypoint_head, self.associate_keypoint_heads = heads[0], nn.ModuleList(heads[1:])

    def forward(self, image: torch.Tensor, expert: int) -> torch.Tensor:
        maps = self.backbone(image, torch.full((len(image),), expert))
        return [self.keypoint_head, *self.associate_keypoint_heads][expert]((maps,))


def _authors_case(backbone: Any, part: int, expert: int) -> dict[str, np.ndarray]:
    model = Authors(backbone, part)
    # Their configurations decode COCO by UDP, and animals as Newell does.
    human = expert == 0
    codec = UDPHeatmap(SIZE, (48, 64)) if human else MSRAHeatmap(SIZE, (48, 64), 2.0)
    settings = SimpleNamespace(test_cfg={"shift_heatmap": not human}, head=SimpleNamespace(decoder=codec))
    return record(
        model, SIZE, lambda crops: ((crops / 255 - MEAN) / STD).transpose(0, 3, 1, 2),
        lambda x: {"heatmaps": model(x, expert)},
        mmlab_decode.heatmaps(settings, FLIP if human else ANIMAL_FLIP, "heatmaps"),
    )  # fmt: skip


def main() -> None:
    """Write ``vitpose.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("authors", type=Path)
    torch.set_num_threads(1)
    cases = {f"mmpose-{kind}": _mmpose_case(kind) for kind in ("small", "small-simple")}
    for kind in ("base", "large-simple", "huge"):
        with torch.device("meta"):
            cases[f"mmpose-{kind}"] = {"state": names_and_shapes(_mmpose(kind))}
    backbone = _backbone(parser.parse_args().authors)
    for expert in (0, 3):
        cases[f"authors-{expert}"] = _authors_case(backbone, part=96, expert=expert)
    save(Path(__file__).with_name("vitpose.npz"), cases)


if __name__ == "__main__":
    main()
