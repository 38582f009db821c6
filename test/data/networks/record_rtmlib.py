# SPDX-License-Identifier: Apache-2.0
"""Record what rtmlib finds with an RTMPose of ours as ONNX: ``PYTHONPATH=../../.. python record_rtmlib.py``.

The environment is that of the tests with ``pip install rtmlib==0.0.16``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import simcc_planted as planted
import torch
from rtmlib import RTMPose
from simcc_models import RUN, tuned
from weights import random_weights

from pose_ros.networks import catalogue
from pose_ros.networks.export import export


def main() -> None:
    """Write ``rtmlib.npz`` beside this script."""
    model = RUN["rtmpose-t"]
    network = catalogue.build(model.network, model.input_wh)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    network.load({k: torch.from_numpy(v) for k, v in tuned(random_weights(shapes)).items()}, "rtmpose-t")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        export(network, model.input_wh, path)
        # It feeds what it is given without a change of colours, while the means are those of RGB.
        keypoints, scores = RTMPose(str(path), model.input_wh)(planted.picture(), planted.BOXES)
    np.savez_compressed(Path(__file__).with_name("rtmlib.npz"),
                        **{"rtmpose-t/keypoints": keypoints.astype(np.float32), "rtmpose-t/scores": scores})


if __name__ == "__main__":
    main()
