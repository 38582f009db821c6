# SPDX-License-Identifier: Apache-2.0
"""Record what other programs say of the scenes of ``metric_scenes.py``: ``python record_metrics.py WHAT [TESTDATA]``.

Each WHAT has an environment of its own (Python 3.11) and writes ``WHAT.json``::

    xtcocotools  pip install numpy==1.26.4 "cython<3.1" "setuptools<70" wheel matplotlib
                 pip install --no-build-isolation xtcocotools==1.14.3
    tracks       pip install trackeval==1.3.0 motmetrics==1.4.0
    mmpose       see ../networks/mmlab.py
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.append(str(HERE))
import metric_scenes as scenes  # noqa: E402


def of_xtcocotools(testdata: Path) -> dict[str, Any]:
    """Return the statistics of the parts of COCO-WholeBody, and of CrowdPose."""
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval

    def stats(labels: dict[str, Any], results: list[dict[str, Any]], kind: str, sigmas: np.ndarray, area: bool) -> Any:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            path = Path(folder) / "labels.json"
            path.write_text(json.dumps(labels))
            coco = COCO(str(path))
            evaluation = COCOeval(coco, coco.loadRes(results), kind, sigmas, use_area=area)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return evaluation.stats.tolist()

    from mmengine.config import Config

    config = Config.fromfile(next(Path(p) for p in sys.path if (Path(p) / "mmpose").is_dir())
                             / "mmpose/.mim/configs/_base_/datasets/coco_wholebody.py")  # fmt: skip
    sigmas = np.array(config.dataset_info.sigmas)
    labels = json.loads((testdata / "body2d/coco4/test_coco_wholebody.json").read_text())
    parts = {"body": slice(0, 17), "foot": slice(17, 23), "face": slice(23, 91), "lefthand": slice(91, 112),
             "righthand": slice(112, 133), "wholebody": slice(0, 133)}  # fmt: skip
    answer: dict[str, Any] = {"sigmas": sigmas.tolist()}
    for part, where in parts.items():
        kind = "keypoints" if part == "body" else f"keypoints_{part}"
        answer[part] = stats(labels, scenes.wholebody_results(labels["annotations"]), kind, sigmas[where], True)
    answer["crowd"] = stats(*scenes.crowded(), "keypoints_crowd", scenes.CROWD_SIGMAS, False)
    return answer


def of_tracks(testdata: Path) -> dict[str, Any]:
    """Return what TrackEval says of each scene and of all together, and what motmetrics says."""
    import motmetrics
    from trackeval.metrics import CLEAR, HOTA, Identity

    kinds = CLEAR({"PRINT_CONFIG": False}), Identity({"PRINT_CONFIG": False}), HOTA()
    wanted = ("MOTA", "MOTP", "IDSW", "CLR_TP", "CLR_FN", "CLR_FP", "MT", "PT", "ML", "Frag", "IDF1", "IDP", "IDR",
              "IDTP", "HOTA", "DetA", "AssA", "LocA")  # fmt: skip
    every: list[dict[str, Any]] = [{} for _ in kinds]
    answer: dict[str, Any] = {}
    for seed in range(6):
        frames = scenes.tracked(seed)
        subjects, tracks = (np.unique(np.concatenate([f[i] for f in frames])) for i in (0, 1))
        data = {
            "num_timesteps": len(frames), "num_gt_ids": len(subjects), "num_tracker_ids": len(tracks),
            "num_gt_dets": sum(len(f[0]) for f in frames), "num_tracker_dets": sum(len(f[1]) for f in frames),
            "gt_ids": [np.searchsorted(subjects, f[0]) for f in frames],
            "tracker_ids": [np.searchsorted(tracks, f[1]) for f in frames],
            "similarity_scores": [f[2] for f in frames],
        }
        found: dict[str, Any] = {}
        for kind, results in zip(kinds, every, strict=True):
            results[str(seed)] = kind.eval_sequence(data)
            found |= results[str(seed)]
        answer[str(seed)] = {key: np.asarray(found[key]).tolist() for key in wanted}
        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        for truth, ids, alike in frames:
            accumulator.update(truth, ids, np.where(alike >= 0.5, 1 - alike, np.nan))
        said = motmetrics.metrics.create().compute(accumulator, metrics=["idf1", "idp", "idr"])
        answer[str(seed)]["motmetrics"] = said.iloc[0].to_dict()
    total: dict[str, Any] = {}
    for kind, results in zip(kinds, every, strict=True):
        total |= kind.combine_sequences(results)
    answer["all"] = {key: np.asarray(total[key]).tolist() for key in wanted}
    return answer


def of_mmpose(testdata: Path) -> dict[str, Any]:
    """Return what mmpose's functions say of poses in the image and in space."""
    from mmpose.evaluation import functional as f
    from mmpose.evaluation.functional import keypoint_eval as k
    from mmpose.evaluation.functional import mesh_eval

    found, truth, mask = scenes.poses(2)
    sizes = np.linspace(50, 150, len(found))
    both = np.stack([sizes, sizes], axis=1)
    answer: dict[str, Any] = {}
    acc, mean, _ = k.keypoint_pck_accuracy(found, truth, mask, 0.1, both.copy())
    answer["pck"] = {"per_keypoint": acc.tolist(), "mean": float(mean)}
    answer["auc"] = float(k.keypoint_auc(found, truth, mask, 30, 20))
    answer["epe"] = float(k.keypoint_epe(found, truth, mask))
    answer["nme"] = [float(k.keypoint_nme(found[i : i + 1], truth[i : i + 1], mask[i : i + 1], both[i : i + 1].copy()))
                     for i in range(len(found))]  # fmt: skip
    found, truth, mask = scenes.poses(3)
    for name in ("none", "procrustes", "scale"):
        answer[f"mpjpe {name}"] = float(f.keypoint_mpjpe(found, truth, np.ones_like(mask), name))
    aligned = mesh_eval.compute_similarity_transform(found[0], truth[0])
    answer["procrustes"] = np.asarray(aligned).tolist()
    return answer


def main() -> None:
    """Write one file."""
    what = sys.argv[1]
    testdata = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()
    libraries = {"xtcocotools": ("xtcocotools", "mmpose"), "tracks": ("trackeval", "motmetrics"), "mmpose": ("mmpose",)}
    answer = {"versions": {name: version(name) for name in (*libraries[what], "numpy")}}
    answer |= {"xtcocotools": of_xtcocotools, "tracks": of_tracks, "mmpose": of_mmpose}[what](testdata)
    text = json.dumps(answer).replace("], ", "],\n").replace("}, ", "},\n")
    (HERE / f"{what}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
