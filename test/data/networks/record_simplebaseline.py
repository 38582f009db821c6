# SPDX-License-Identifier: Apache-2.0
"""Record SimpleBaseline of mmpose and of its authors: ``python record_simplebaseline.py MICROSOFT``.

MICROSOFT is a clone of https://github.com/microsoft/human-pose-estimation.pytorch (commit 49f3f44). The environment
is that of ``mmlab.py``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mmlab
import mmlab_decode
import numpy as np
import torch
from recording import names_and_shapes, record, save

_CONFIG = "body_2d_keypoint/topdown_heatmap/coco/td-hm_res{}_8xb{}-210e_coco-{}.py"
#: What takes longer is recorded with small crops.
_SMALL = (96, 128)
#: COCO.
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)


def _mmpose() -> dict[str, np.ndarray]:
    model = mmlab.build(_CONFIG.format(50, 64, "256x192"))
    return record(
        model, (192, 256), mmlab_decode.prepare(model), lambda x: {"heatmaps": model.head(model.extract_feat(x))},
        mmlab_decode.heatmaps(model, FLIP, "heatmaps"),
    )  # fmt: skip


def _microsoft(depth: int) -> Any:
    from models.pose_resnet import get_pose_net  # type: ignore[import-not-found]

    extra = SimpleNamespace(
        NUM_LAYERS=depth, DECONV_WITH_BIAS=False, NUM_DECONV_LAYERS=3, NUM_DECONV_FILTERS=[256] * 3,
        NUM_DECONV_KERNELS=[4] * 3, FINAL_CONV_KERNEL=1,
    )  # fmt: skip
    # "style" is asked for as an attribute or as an item, depending on the version.
    model = SimpleNamespace(EXTRA=extra, NUM_JOINTS=17, STYLE="pytorch")
    return get_pose_net(SimpleNamespace(MODEL=model), is_train=False)


def _microsoft_case() -> dict[str, np.ndarray]:
    from core.inference import get_final_preds  # type: ignore[import-not-found]
    from utils.transforms import flip_back  # type: ignore[import-not-found]

    model = _microsoft(50)
    config = SimpleNamespace(TEST=SimpleNamespace(POST_PROCESS=True))
    pairs = [[i, i + 1] for i in range(1, 16, 2)]

    def decode(straight: dict[str, torch.Tensor], mirrored: dict[str, torch.Tensor] | None) -> Any:
        maps = straight["heatmaps"].numpy()
        if mirrored is not None:
            other = flip_back(mirrored["heatmaps"].numpy().copy(), pairs)
            other[..., 1:] = other.copy()[..., :-1]
            maps = (maps + other) * 0.5
        # Centre and scale of a crop that is the whole image.
        centre, scale = np.array([_SMALL] * len(maps)) / 2, np.array([_SMALL] * len(maps)) / 200
        keypoints, scores = get_final_preds(config, maps, centre, scale)
        return keypoints, scores[..., 0]

    def prepare(crops: np.ndarray) -> np.ndarray:
        # It reads images with OpenCV, whose first channel is blue, and normalises as if that were red.
        values = (crops[..., ::-1] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        return values.transpose(0, 3, 1, 2)

    return record(model, _SMALL, prepare, lambda x: {"heatmaps": model(x)}, decode)


def main() -> None:
    """Write ``simplebaseline.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("microsoft", type=Path)
    sys.path.insert(0, str(parser.parse_args().microsoft / "lib"))
    cases = {"mmpose-50": _mmpose(), "microsoft-50": _microsoft_case()}
    for depth, batch in ((101, 64), (152, 32)):
        model = mmlab.build(_CONFIG.format(depth, batch, "256x192"))
        cases[f"mmpose-{depth}"] = {"state": names_and_shapes(model)}
        cases[f"microsoft-{depth}"] = {"state": names_and_shapes(_microsoft(depth))}
    config = "body_2d_keypoint/topdown_heatmap/coco/td-hm-vis_res50_8xb64-210e_coco-aic-256x192-merge.py"
    cases["visibility-50"] = {"state": names_and_shapes(mmlab.build(config))}
    save(Path(__file__).with_name("simplebaseline.npz"), cases)


if __name__ == "__main__":
    main()
