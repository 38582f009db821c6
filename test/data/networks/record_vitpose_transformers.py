# SPDX-License-Identifier: Apache-2.0
"""Record ViTPose and ViTPose++ of transformers: ``python record_vitpose_transformers.py``, with transformers 5.

Its decoder is not recorded: it smooths with a sigma of 0.8, where the authors' kernel of 11 has one of 2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from recording import BATCHES, fill, names_and_shapes, save
from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation
from weights import random_crops, sample

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
#: Size -> width, blocks, heads, outputs of a block's last layer that are the expert's own.
SIZES = {"small": (384, 12, 12, 96), "base": (768, 12, 12, 192), "huge": (1280, 32, 16, 320)}


def _build(size: str, experts: int = 1, simple: bool = False) -> Any:
    width, blocks, heads, part = SIZES[size]
    backbone = VitPoseBackboneConfig(
        out_indices=[blocks], hidden_size=width, num_hidden_layers=blocks, num_attention_heads=heads,
        num_experts=experts, part_features=part if experts > 1 else 0,
    )  # fmt: skip
    config = VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=simple)
    return VitPoseForPoseEstimation(config).eval()


def _case(model: Any, expert: int | None = None) -> dict[str, np.ndarray]:
    fill(model)
    found = {"state": names_and_shapes(model), "size_wh": np.array([192, 256])}
    for n in BATCHES:
        batch = ((random_crops(n, (192, 256)) / 255 - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32)
        index = None if expert is None else torch.full((n,), expert)
        with torch.inference_mode():
            maps = model(torch.from_numpy(batch), dataset_index=index).heatmaps
        found[f"{n}/heatmaps"], found[f"{n}/heatmaps/max"] = sample(maps.numpy()), maps.abs().max().numpy()
    return found


def main() -> None:
    """Write ``vitpose_transformers.npz`` beside this script."""
    torch.set_num_threads(1)
    cases = {"small": _case(_build("small")), "small-simple": _case(_build("small", simple=True))}
    for expert in (0, 3):
        cases[f"plus-small-{expert}"] = _case(_build("small", experts=6), expert)
    for size in ("base", "huge"):
        with torch.device("meta"):
            cases[f"plus-{size}"] = {"state": names_and_shapes(_build(size, experts=6))}
    save(Path(__file__).with_name("vitpose_transformers.npz"), cases)


if __name__ == "__main__":
    main()
