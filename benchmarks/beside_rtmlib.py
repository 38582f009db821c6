# SPDX-License-Identifier: Apache-2.0
"""COCO AP here and by rtmlib, with the same network files; how fast both are says ``pose-ros bench beside``.

rtmlib lives in an environment of its own (``pip install rtmlib onnxruntime openvino``)::

    python benchmarks/beside_rtmlib.py --rtmlib-python rtm/bin/python --testdata FOLDER

A detector and a heat map network on the photographs of ``body2d/coco_mini``, each of which both look at anew. OpenVINO,
left alone, computes in bfloat16 on processors that can, and rtmlib leaves it alone; here float32 is the default.
The heat map network has no licence: ``POSE_ROS_ACCEPT_LICENCES=simplepose-ultralight`` says that this is accepted.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pose_ros.benching.beside import Other
from pose_ros.cli.bench_beside import DETECTOR, ESTIMATOR, pair, pair_pipeline
from pose_ros.core.frame import Frame
from pose_ros.models.store import Store

_PERSON = 1
#: Model -> file of the test data.
_FILES = {DETECTOR: "models/detector/yolox_nano.onnx", ESTIMATOR: "models/body/ultralight_simplepose_256x192.onnx"}


def stock(testdata: Path) -> Store:
    """Return the model store, which has the files that rtmlib reads."""
    store = Store()
    for name, file in _FILES.items():
        if store.state(store.card(name)) != "ready":
            store.fetch(store.card(name), source=testdata / file)
    return store


def accuracy(
    theirs: Other, backends: Sequence[str], precisions: Sequence[str], testdata: Path
) -> dict[str, dict[str, float]]:
    """Print and return COCO AP of the same networks."""
    folder, told = testdata / "body2d/coco_mini", pair(stock(testdata))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "person_keypoints.json"))
    images = [(number, str(folder / entry["file_name"])) for number, entry in sorted(truth.imgs.items())]
    results = {f"rtmlib, {backend}": theirs("found", backend=backend, images=images, **told) for backend in backends}
    for precision in precisions:
        pipeline, rows = pair_pipeline(precision), []
        for number, file in images:
            pipeline.reset()
            poses = pipeline(Frame(np.ascontiguousarray(cv2.imread(file)[..., ::-1]), 1)).poses
            rows += [(number, k.tolist(), s.tolist()) for k, s in zip(poses.keypoints, poses.scores, strict=True)]
        results[f"here, openvino, {precision}"] = rows
    found = {}
    print("COCO AP on coco_mini; score of a person: mean of its keypoints' above 0.2, for both")
    for name, rows in results.items():
        given = []
        for number, keypoints, scores in rows:
            sure = [score for score in scores if score > 0.2]
            given.append({"image_id": number, "category_id": _PERSON, "score": float(np.mean(sure)) if sure else 0.0,
                          "keypoints": np.nan_to_num(np.column_stack([keypoints, scores])).ravel().tolist()})
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(truth, truth.loadRes(given), "keypoints")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        found[name] = dict(zip(("AP", "AP50", "AP75"), map(float, evaluation.stats), strict=False))
        print(f"  {name:38} " + "  ".join(f"{key} {value:.3f}" for key, value in found[name].items()))
    return found


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rtmlib-python", type=Path, required=True, help="python of rtmlib's environment")
    parser.add_argument("--testdata", type=Path, required=True, help="folder of the test data")
    parser.add_argument("--backends", nargs="+", default=["onnxruntime", "openvino"], help="of rtmlib")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"], help="here")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with Other("rtmlib", args.rtmlib_python) as theirs:
        found = accuracy(theirs, args.backends, args.precisions, args.testdata)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
