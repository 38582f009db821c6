# SPDX-License-Identifier: Apache-2.0
"""Record what xtcocotools 1.14.3 says of planted animals with AP-10K's sigmas: ``python record_animal_oks.py``.

Writes ``animal_oks.json`` beside this script: annotations, results and the ten numbers, as mmpose gets them.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
from xtcocotools.coco import COCO
from xtcocotools.cocoeval import COCOeval

#: mmpose's configs/_base_/datasets/ap10k.py.
SIGMAS = np.array([0.025, 0.025, 0.026, 0.035, 0.035, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089,
                   0.107, 0.087, 0.089])  # fmt: skip


def main() -> None:
    """Write the file."""
    rng = np.random.default_rng(10)
    annotations, results = [], []
    for i in range(24):
        width, height = rng.uniform(30, 300, 2)
        points = rng.uniform(0, 1, (17, 2)) * [width, height] + rng.uniform(0, 100, 2)
        seen = rng.random(17) < 0.8
        seen[0] = True
        area = 0.6 * width * height
        labelled = np.concatenate([np.where(seen[:, None], points, 0).round(1), 2 * seen[:, None]], axis=1)
        annotations.append({"id": i + 1, "image_id": i // 2, "category_id": 1, "bbox": [0, 0, width, height],
                            "area": area, "iscrowd": 0, "num_keypoints": int(seen.sum()),
                            "keypoints": labelled.ravel().tolist()})  # fmt: skip
        for spread in (0.5, 2.0):
            noise = rng.normal(0, 1, (17, 2)) * SIGMAS[:, None] * spread * rng.uniform(0.5, 3) * np.sqrt(area)
            found = np.concatenate([(points + noise).round(2), rng.random((17, 1)).round(3)], axis=1)
            results.append({"image_id": i // 2, "category_id": 1, "keypoints": found.ravel().tolist(),
                            "score": round(float(rng.random()), 4)})  # fmt: skip
    truth = {"images": [{"id": i} for i in range(12)], "categories": [{"id": 1, "name": "animal"}],
             "annotations": annotations}
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = json.loads(json.dumps(truth))
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(json.loads(json.dumps(results))), "keypoints", SIGMAS, use_area=True)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    data = {"truth": truth, "results": results, "stats": [round(float(x), 9) for x in evaluation.stats[:10]]}
    Path(__file__).with_name("animal_oks.json").write_text(json.dumps(data) + "\n")


if __name__ == "__main__":
    main()
