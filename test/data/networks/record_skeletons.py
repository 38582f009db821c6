# SPDX-License-Identifier: Apache-2.0
"""Record the keypoint sets of mmpose and how it converts them: ``python record_skeletons.py``, see ``mmlab.py``."""

from __future__ import annotations

from pathlib import Path

import mmlab
import numpy as np
from mmpose.apis.inference_3d import convert_keypoint_definition
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from recording import save

#: Keypoint sets here and in mmpose.
_SETS = {
    "aic14": "aic", "ak23": "ak", "animalpose20": "animalpose", "ap10k17": "ap10k", "atrw15": "atrw", "coco17": "coco",
    "coco18": "coco_openpose", "coco19": "panoptic_body3d", "crowdpose14": "crowdpose", "face68": "300w",
    "fly32": "fly", "h36m17": "h36m", "halpe136": "halpe", "halpe26": "halpe26", "hand21": "coco_wholebody_hand",
    "horse10_22": "horse10", "jhmdb15": "jhmdb", "lapa106": "lapa", "locust35": "locust", "macaque17": "macaque",
    "mhp16": "mhp", "mpii16": "mpii", "posetrack17": "posetrack18", "wflw98": "wflw", "wholebody133": "coco_wholebody",
    "zebra9": "zebra",
}  # fmt: skip
_BODY8 = "body_2d_keypoint/rtmpose/body8/rtmpose-m_8xb512-700e_body8-halpe26-256x192.py"
_TO_HALPE26 = {
    "aic14": "aic", "coco17": "ochuman", "crowdpose14": "crowdpose", "jhmdb15": "jhmdb", "mpii16": "mpii",
    "posetrack17": "posetrack", "wholebody133": "coco",
}  # fmt: skip
_TO_H36M = {"aic14": "aic", "coco17": "coco", "crowdpose14": "crowdpose"}


def _sets() -> dict[str, np.ndarray]:
    found = {}
    for name, file in _SETS.items():
        meta = parse_pose_metainfo({"from_file": str(mmlab.CONFIGS / "_base_/datasets" / f"{file}.py")})
        found[f"{name}/flip"] = np.array(meta["flip_indices"])
        found[f"{name}/edges"] = np.array(meta["skeleton_links"], int).reshape(-1, 2)
        found[f"{name}/sigmas"] = np.array(meta["sigmas"] if meta["sigmas"] is not None else [], float)
        found[f"{name}/names"] = np.array(list(meta["keypoint_id2name"].values()))
    return found


def _conversions() -> dict[str, np.ndarray]:
    """Return pairs of keypoints, and what becomes of random bodies in Human3.6M's keypoints."""
    config = mmlab.Config.fromfile(mmlab.CONFIGS / _BODY8)
    found = {f"{name}/halpe26": np.array(config[f"{key}_halpe26"]) for name, key in _TO_HALPE26.items()}
    for name, dataset in _TO_H36M.items():
        body = np.random.default_rng(4).uniform(0, 100, (2, int(name[-2:]), 2))
        found[f"{name}/body"], found[f"{name}/h36m17"] = body, convert_keypoint_definition(body, dataset, "h36m")
    return found


def main() -> None:
    """Write ``skeletons.npz`` beside this script."""
    save(Path(__file__).with_name("skeletons.npz"), {"sets": _sets(), "conversions": _conversions()})


if __name__ == "__main__":
    main()
