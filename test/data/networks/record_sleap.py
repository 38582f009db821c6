# SPDX-License-Identifier: Apache-2.0
"""Record what SLEAP's small test network draws of the frame it was fitted on: ``python record_sleap.py SLEAP MODEL``.

SLEAP is a clone of https://github.com/talmolab/sleap (commit 7785f66; its licence allows academic and research use
only), MODEL the network of tests/data/models/minimal_instance.UNet.bottomup as ONNX. Values below 0.02 are left out.
Needs NumPy, onnxruntime and OpenCV.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def main() -> None:
    """Write ``sleap.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sleap", type=Path)
    parser.add_argument("model", type=Path)
    given = parser.parse_args()
    folder = given.sleap / "tests/data"
    video = cv2.VideoCapture(str(folder / "json_format_v1/centered_pair_low_quality.mp4"))
    frame = video.read()[1][None, ..., :1] / 255
    session = onnxruntime.InferenceSession(str(given.model))
    names = ["MultiInstanceConfmapsHead_0", "PartAffinityFieldsHead_0"]
    maps = session.run(names, {"input": frame.astype(np.float32)})
    labels = json.loads((folder / "json_format_v2/minimal_instance.json").read_text())["labels"][0]["_instances"]
    truth = [[[fly["_points"][k]["x"], fly["_points"][k]["y"]] for k in "01"] for fly in labels]
    kept = {name: np.where(np.abs(m) < 0.02, 0, m)[0].astype(np.float16) for name, m in zip(names, maps, strict=True)}
    np.savez_compressed(Path(__file__).with_name("sleap.npz"), truth=np.array(truth), **kept)


if __name__ == "__main__":
    main()
