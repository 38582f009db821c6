# SPDX-License-Identifier: Apache-2.0
"""Record DeepPose (plain and by RLE) and integral regression of mmpose: ``python record_deeppose.py``.

The environment is that of ``mmlab.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mmlab
import mmlab_decode
import numpy as np
import torch
from recording import names_and_shapes, record, save

_COCO = "body_2d_keypoint/topdown_regression/coco/td-reg_{}-8xb64-210e_coco-256x192.py"
#: COCO.
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
#: Of the crops: half of what they have in mmpose, which takes a quarter of the time.
_SIZE = (96, 128)


def _integral(kind: str, **changes: Any) -> Any:
    config = f"body_2d_keypoint/integral_regression/coco/ipr_res50_{kind}8xb64-210e_coco-256x256.py"
    return mmlab.build(config, model={"head": changes})


def _integral_case() -> dict[str, np.ndarray]:
    model = _integral("debias-", in_featuremap_size=(_SIZE[0] // 32, _SIZE[1] // 32))
    codec = model.head.decoder = model.head.decoder.keypoint_codec
    codec.input_size = _SIZE

    def forward(images: torch.Tensor) -> dict[str, torch.Tensor]:
        keypoints, heatmaps = model.head(model.extract_feat(images))
        return {"keypoints": keypoints, "heatmaps": heatmaps}

    decode = mmlab_decode.coordinates(model, FLIP, _SIZE, "keypoints")
    return record(model, _SIZE, mmlab_decode.prepare(model), forward, decode)


def _case(config: str) -> dict[str, np.ndarray]:
    model = mmlab.build(config)
    model.head.decoder.input_size = _SIZE

    def forward(images: torch.Tensor) -> dict[str, torch.Tensor]:
        values = model.head(model.extract_feat(images))
        values[..., 2:] = values[..., 2:].sigmoid()  # as its ``predict`` does
        return {"keypoints": values}

    decode = mmlab_decode.coordinates(model, FLIP, _SIZE, "keypoints")
    return record(model, _SIZE, mmlab_decode.prepare(model), forward, decode)


def main() -> None:
    """Write ``deeppose.npz`` beside this script."""
    plain = _COCO.replace("{}-", "{}_")
    cases = {"plain-50": _case(plain.format("res50")), "rle-50": _case(_COCO.format("res50_rle"))}
    cases["integral-50"] = _integral_case()
    for name, kind in {"integral-plain-50": "", "integral-dsnt-50": "dsnt-"}.items():
        cases[name] = {"state": names_and_shapes(_integral(kind))}
    for name, config in {
        "plain-101": plain.format("res101"),
        "rle-152": _COCO.format("res152_rle"),
        "mpii-50": "body_2d_keypoint/topdown_regression/mpii/td-reg_res50_8xb64-210e_mpii-256x256.py",
        "wflw-50": "face_2d_keypoint/topdown_regression/wflw/td-reg_res50_8xb64-210e_wflw-256x256.py",
    }.items():
        cases[name] = {"state": names_and_shapes(mmlab.build(config))}
    save(Path(__file__).with_name("deeppose.npz"), cases)


if __name__ == "__main__":
    main()
