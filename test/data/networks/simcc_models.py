# SPDX-License-Identifier: Apache-2.0
"""The networks with SimCC vectors whose references are recorded, and their weights; NumPy only.

Used by ``record_simcc.py`` and by the tests that replay it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Model(NamedTuple):
    """A configuration of mmpose, and how it is called here."""

    config: str
    network: Mapping[str, Any]
    input_wh: tuple[int, int] = (192, 256)
    skeleton: str = "coco17"


_BODY8 = "body_2d_keypoint/rtmpose/body8/rtmpose-{}.py"
_RTMW = "wholebody_2d_keypoint/rtmpose/cocktail14/rtmw-{}_cocktail14-{}.py"
_SIMCC = "body_2d_keypoint/simcc/coco/simcc_res50_8xb{}.py"
_LARGE = (288, 384)


def _rtmpose(size: str, keypoints: int = 17) -> dict[str, Any]:
    return {"architecture": "rtmpose", "size": size, "keypoints": keypoints}


def _rtmw(size: str) -> dict[str, Any]:
    return {"architecture": "rtmw", "size": size, "keypoints": 133}


#: Those that are run.
RUN = {
    "rtmpose-t": Model(_BODY8.format("t_8xb256-420e_body8-256x192"), _rtmpose("t")),
    "rtmpose-t-face": Model("face_2d_keypoint/rtmpose/face6/rtmpose-t_8xb256-120e_face6-256x256.py",
                            _rtmpose("t", 106), (256, 256), "lapa106"),
    "rtmw-m": Model(_RTMW.format("m_8xb1024-270e", "256x192"), _rtmw("m"), skeleton="wholebody133"),
    "simcc-r50": Model(_SIMCC.format("64-210e_coco-256x192"), {"architecture": "simcc", "keypoints": 17}),
    "simcc-mobilenetv2": Model(
        "body_2d_keypoint/simcc/coco/simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192.py",
        {"architecture": "simcc", "keypoints": 17, "backbone": "mobilenetv2", "enlarged": False},
    ),
}
#: Those of which the names and shapes of the weights are compared.
NAMED = {
    "rtmpose-s": Model(_BODY8.format("s_8xb256-420e_body8-256x192"), _rtmpose("s")),
    "rtmpose-m": Model("animal_2d_keypoint/rtmpose/ap10k/rtmpose-m_8xb64-210e_ap10k-256x256.py", _rtmpose("m"),
                       (256, 256)),
    "rtmpose-l": Model("wholebody_2d_keypoint/rtmpose/ubody/rtmpose-l_8xb32-270e_coco-ubody-wholebody-384x288.py",
                       _rtmpose("l", 133), _LARGE),
    "rtmpose-x": Model(_BODY8.format("x_8xb256-700e_body8-halpe26-384x288"), _rtmpose("x", 26), _LARGE),
    "rtmw-x": Model(_RTMW.format("x_8xb320-270e", "384x288"), _rtmw("x"), _LARGE),
    "simcc-r50-384x288": Model(_SIMCC.format("32-140e_coco-384x288"), {"architecture": "simcc", "keypoints": 17},
                               _LARGE),
}


def tuned(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return random weights with which the vectors depend on the image and on the attention, and are about 1.

    The signal would fade, in CSPNeXt more so as SiLU halves it again and again, and grow by the square in the
    attention.
    """
    return {key: _tuned(key, value) for key, value in weights.items()}


def _tuned(key: str, value: np.ndarray) -> np.ndarray:
    if key.endswith("bn.weight") and not key.startswith(("backbone.conv", "backbone.layer")):
        return value * 2
    if value.ndim == 1 and key.endswith("weight"):
        return value * np.float32(1.3)
    if key.endswith((".g", ".gamma", "res_scale.scale")):
        return value + 1
    if key.endswith("gau.o.weight"):
        return value * np.float32(0.003)
    if ".cls_" in key:
        return value * np.float32(0.1)
    return value
