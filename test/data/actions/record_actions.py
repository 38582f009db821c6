# SPDX-License-Identifier: Apache-2.0
"""Record what mmaction2 makes of skeletons, and what its networks with random weights say.

The environment is in the README beside it.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from people import CASES, SIZE_WH, random_bodies, random_inputs, random_people

FOLDER = Path(__file__).parent
sys.path.append(str(FOLDER.parent / "networks"))
from recording import fill, names_and_shapes, save  # noqa: E402
from weights import sample  # noqa: E402

#: Missing from mmaction2's wheel, and compiled operators: nothing here uses them.
_ABSENT = ("mmaction.models.localizers.drn", "mmcv.ops")


class _Placeholders(MetaPathFinder, Loader):
    """Gives modules whose every attribute is an empty class."""

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        absent = any(name == known or name.startswith(known + ".") for known in _ABSENT)
        return ModuleSpec(name, self, is_package=True) if absent else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = ModuleType(spec.name)

        def attribute(name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

        module.__getattr__ = attribute  # type: ignore[method-assign]
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


sys.meta_path.insert(0, _Placeholders())
import mmaction.datasets.transforms  # noqa: E402
import mmaction.models  # noqa: E402, F401
from mmaction.registry import MODELS, TRANSFORMS  # noqa: E402
from mmengine.dataset import Compose  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

#: PySKL's graph ``handmp``: which joint is before each.
_HAND = {"num_node": 21, "center": 0, "inward": [
    (i, 0 if i % 4 == 1 else i - 1) for i in range(1, 21)
]}  # fmt: skip
_STREAMS = {"joint": "j", "bone": "b", "joint-motion": "jm", "bone-motion": "bm"}
_SIDES = {"left_kp": list(range(1, 17, 2)), "right_kp": list(range(2, 17, 2))}
#: As the configurations for limbs have them.
_LIMBS = {
    "skeletons": [[0, 5], [0, 6], [5, 7], [7, 9], [6, 8], [8, 10], [5, 11], [11, 13], [13, 15], [6, 12], [12, 14],
                  [14, 16], [0, 1], [0, 2], [1, 3], [2, 4], [11, 12]],
    "left_limb": [0, 2, 3, 6, 7, 8, 12, 14], "right_limb": [1, 4, 5, 9, 10, 11, 13, 15],
}  # fmt: skip


def _network(card: str) -> torch.nn.Module:
    if card.startswith("posec3d"):
        wide = card.endswith("k400")
        backbone = {
            "type": "ResNet3dSlowOnly", "depth": 50, "pretrained": None, "in_channels": 17, "base_channels": 32,
            "num_stages": 3, "out_indices": (2,), "stage_blocks": (3, 4, 6) if wide else (4, 6, 3), "conv1_stride_s": 1,
            "pool1_stride_s": 1, "inflate": (0, 1, 1), "spatial_strides": (2, 2, 2), "temporal_strides": (1, 1, 2),
            "dilations": (1, 1, 1),
        }  # fmt: skip
        head = {"type": "I3DHead", "in_channels": 512, "num_classes": 400 if wide else 60}
        return MODELS.build({"type": "Recognizer3D", "backbone": backbone, "cls_head": head})
    plus = card.startswith("stgcnpp")
    layout: Any = "nturgb+d" if "-3d-" in card else "coco"
    how: dict[str, Any] = {"gcn_adaptive": "init", "gcn_with_res": True, "tcn_type": "mstcn"} if plus else {}
    head = {"type": "GCNHead", "num_classes": 60, "in_channels": 256}
    if card == "stgcnpp-hagrid":
        layout = _HAND
        how |= {"in_channels": 2, "num_stages": 6, "down_stages": [6], "inflate_stages": [6]}
        head |= {"num_classes": 40, "in_channels": 128}
    graph = {"layout": layout, "mode": "spatial" if plus else "stgcn_spatial"}
    backbone = {"type": "STGCN", "graph_cfg": graph, **how}
    return MODELS.build({"type": "RecognizerGCN", "backbone": backbone, "cls_head": head})


def _steps(card: str, clips: int, flip: bool) -> list[dict[str, Any]]:
    """Return the test pipeline of a card's configuration."""
    if card.startswith("posec3d"):
        limbs, wide = card.endswith("limb"), card.endswith("k400")
        resize = {"scale": (64, 64), "keep_ratio": False} if wide else {"scale": (-1, 64)}
        maps = {"sigma": 0.6, "use_score": True, "with_kp": not limbs, "with_limb": limbs, "double": flip, **_SIDES}
        return [
            {"type": "UniformSampleFrames", "clip_len": 48, "num_clips": clips, "test_mode": True},
            {"type": "PoseDecode"},
            {"type": "PoseCompact", "hw_ratio": 1.0, "allow_imgpad": True},
            {"type": "Resize", **resize},
            *([] if wide else [{"type": "CenterCrop", "crop_size": 64}]),
            {"type": "GeneratePoseTarget", **maps, **(_LIMBS if limbs else {})},
            {"type": "FormatShape", "input_format": "NCTHW_Heatmap"},
        ]
    dataset = "nturgb+d" if "-3d-" in card else "coco"
    stream = next((_STREAMS[s] for s in sorted(_STREAMS, key=len, reverse=True) if card.endswith(s)), "j")
    return [
        {"type": f"PreNormalize{'3D' if '-3d-' in card else '2D'}"},
        {"type": "GenSkeFeat", "dataset": dataset, "feats": [stream]},
        {"type": "UniformSampleFrames", "clip_len": 100, "num_clips": clips, "test_mode": True},
        {"type": "PoseDecode"},
        {"type": "FormatGCNInput", "num_person": 2},
    ]


def _inputs(card: str, people: int, moments: int, clips: int, flip: bool) -> np.ndarray:
    if card == "stgcnpp-hagrid":  # as PySKL's demo, whose coordinates are those of MediaPipe
        keypoints, _ = random_people(people, moments, 21)
        return (keypoints / np.array(SIZE_WH, np.float32))[None]
    results: dict[str, Any] = {"total_frames": moments, "modality": "Pose", "label": 0, "start_index": 0}
    if "-3d-" in card:
        results["keypoint"] = random_bodies(people, moments, 25)
    else:
        results["keypoint"], results["keypoint_score"] = random_people(people, moments, 17)
        results["img_shape"] = SIZE_WH[::-1]
    made = Compose([TRANSFORMS.build(step) for step in _steps(card, clips, flip)])(results)
    return np.asarray(made["imgs" if card.startswith("posec3d") else "keypoint"], np.float32)


def main() -> None:
    """Write ``actions.npz`` beside this script."""
    init_default_scope("mmaction")
    cases = {}
    for name, (card, people, moments, clips, flip) in CASES.items():
        module = fill(_network(card))
        inputs = _inputs(card, people, moments, clips, flip)
        with torch.inference_mode():
            logits, others = (
                module.cls_head(module.backbone(torch.from_numpy(each)))
                for each in (inputs, random_inputs(2, inputs.shape[1:]))
            )
        cases[name] = {
            "state": names_and_shapes(module), "shape": np.array(inputs.shape), "inputs": sample(inputs, 4000),
            "sum": np.float64(inputs.sum(dtype=np.float64)), "logits": others.numpy(),
            "chances": logits.softmax(dim=1).mean(dim=0).numpy(),
        }  # fmt: skip
        print(name, inputs.shape, float(others.std()))
    save(FOLDER / "actions.npz", cases)


if __name__ == "__main__":
    main()
