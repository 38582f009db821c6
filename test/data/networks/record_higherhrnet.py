# SPDX-License-Identifier: Apache-2.0
"""Record HigherHRNet of its authors, and mmpose's HRNet with associative embedding: ``record_higherhrnet.py ORIGINAL``.

ORIGINAL is a clone of https://github.com/HRNet/HigherHRNet-Human-Pose-Estimation (commit aa23881). The environment is
that of ``mmlab.py``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import mmlab
import mmlab_decode
import numpy as np
import planted
import torch
import yaml
from mmengine.config import ConfigDict
from mmpose.codecs import AssociativeEmbedding
from recording import BATCHES, fill, names_and_shapes, save
from weights import random_crops, sample

#: COCO.
FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
ORDER = [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]
SIZE = (320, 256)


def _network(module: Any, forward: Any, prepare: Any) -> dict[str, np.ndarray]:
    fill(module)
    found = {"state": names_and_shapes(module), "size_wh": np.array(SIZE)}
    for n in BATCHES:
        with torch.inference_mode():
            outputs = forward(torch.from_numpy(prepare(random_crops(n, SIZE)).astype(np.float32)))
        for name, value in outputs.items():
            found[f"{n}/{name}"] = sample(value.numpy())
            found[f"{n}/{name}/max"] = value.abs().max().numpy()
    return found


def _config(folder: Path, width: int, **test: Any) -> ConfigDict:
    """Return the authors' configuration, with what their defaults add to it."""
    name = {32: "w32_512", 48: "w48_640"}[width]
    made = yaml.safe_load((folder / f"experiments/coco/higher_hrnet/{name}_adam_lr1e-3.yaml").read_text())
    made["MODEL"]["TAG_PER_JOINT"] = True
    made["DATASET"]["WITH_CENTER"] = False
    made["LOSS"] |= {"WITH_AE_LOSS": [True, False], "WITH_HEATMAPS_LOSS": [True, True]}
    made["TEST"] |= {"ADJUST": True, "REFINE": True, "TAG_THRESHOLD": 1.0, "USE_DETECTION_VAL": True,
                     "IGNORE_TOO_MUCH": False, "IGNORE_CENTER": True, "WITH_HEATMAPS": [True, True],
                     "WITH_AE": [True, False], **test}  # fmt: skip
    return ConfigDict(made)


def _whole(folder: Path, case: planted.Scene) -> dict[str, np.ndarray]:
    """Return the people whom the authors' program finds in maps: (P, K, 3) and their scores."""
    from core import group, inference
    from utils.transforms import get_final_preds, resize_align_multi_scale

    config = _config(folder, 32, FLIP_TEST=case.flip_test, SCALE_FACTOR=list(case.scales))
    image = np.zeros((*case.image_wh[::-1], 3), np.uint8)
    size, _, _ = _multi_scale_size(image, 1.0, min(case.scales))
    final, tags = None, []
    for scale in sorted(case.scales, reverse=True):
        resized, centre, extent = resize_align_multi_scale(image, 512, scale, min(case.scales))
        inputs = torch.from_numpy(resized.transpose(2, 0, 1)[None].astype(np.float32))
        calls = iter((False, True))

        def model(batch: torch.Tensor, calls: Any = calls) -> list[torch.Tensor]:
            maps = case.maps((batch.shape[3], batch.shape[2]), next(calls))
            return [torch.from_numpy(np.ascontiguousarray(m))[None] for m in maps]

        _, heat, own = inference.get_multi_stage_outputs(config, model, inputs, case.flip_test, True, size)
        final, tags = inference.aggregate_results(config, scale, final, tags, heat, own)
    final = final / len(case.scales)
    people, scores = group.HeatmapParser(config).parse(final, torch.cat(tags, dim=4), True, True)
    found = get_final_preds(people, centre, extent, [final.shape[3], final.shape[2]])
    return {"people": np.array([p[:, :3] for p in found], np.float32), "scores": np.array(scores, np.float32)}


def _multi_scale_size(image: np.ndarray, scale: float, smallest: float) -> Any:
    from utils.transforms import get_multi_scale_size

    return get_multi_scale_size(image, 512, scale, smallest)


def _grouping(folder: Path) -> dict[str, np.ndarray]:
    """Return peaks in noise, people in a crowd by mmpose, and how many the authors make of an incomplete crowd."""
    from core import group

    parser = group.HeatmapParser(_config(folder, 32))
    heat, tags = (torch.from_numpy(m) for m in planted.noise())
    peaks = parser.top_k(heat[None], tags.permute(1, 2, 3, 0)[None].contiguous())
    found = {"peaks": np.concatenate([peaks["loc_k"], peaks["val_k"][..., None], peaks["tag_k"]], axis=3)[0]}
    for people, dimensions in planted.CROWDS:
        _, heat, tags, _ = planted.crowd(people, 17, planted.CROWD_WH, dimensions=dimensions)
        for kind, udp in (("mmpose", False), ("udp", True)):
            codec = AssociativeEmbedding(
                planted.CROWD_WH, planted.CROWD_WH, use_udp=udp, decode_keypoint_order=ORDER,
                decode_center_shift=0.0 if udp else 0.5, decode_max_instances=30,
            )  # fmt: skip
            maps = torch.from_numpy(tags).flatten(0, 1)[None]
            points, values, scores = codec.batch_decode(torch.from_numpy(heat)[None], maps)
            found[f"{kind}/{people}/{dimensions}"] = np.concatenate([points[0], values[0][..., None]], axis=2)
            found[f"{kind}/{people}/{dimensions}/scores"] = scores[0]
    _, heat, tags, _ = planted.crowd(30, 17, planted.CROWD_WH, missing=0.2)
    maps = torch.from_numpy(tags).permute(1, 2, 3, 0)[None].contiguous()
    found["torn"] = np.array(len(parser.match(**parser.top_k(torch.from_numpy(heat)[None], maps))[0]))
    return {key: np.asarray(value, np.float32) for key, value in found.items()}


def main() -> None:
    """Write ``higherhrnet.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("original", type=Path)
    folder = parser.parse_args().original
    sys.path.insert(0, str(folder / "lib"))
    # Of its data sets only the order of mirrored keypoints is needed.
    for name in ("dataset", "dataset.transforms"):
        sys.modules[name] = ModuleType(name)
    sys.modules["dataset.transforms"].FLIP_CONFIG = {"COCO": FLIP}  # type: ignore[attr-defined]
    from models.pose_higher_hrnet import get_pose_net

    torch.set_num_threads(1)
    embedding = mmlab.build("body_2d_keypoint/associative_embedding/coco/ae_hrnet-w32_8xb24-300e_coco-512x512.py")
    prepare = mmlab_decode.prepare(embedding)
    model = get_pose_net(_config(folder, 32), is_train=False).eval()

    def combined(x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"heatmaps_tags": torch.cat(embedding.head(embedding.extract_feat(x)), dim=1)}

    def both(x: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip(("heatmaps_tags", "heatmaps"), model(x), strict=True))

    cases = {
        "original-w32": _network(model, both, prepare),
        "mmpose-embedding": _network(embedding, combined, prepare),
        "original-w48": {"state": names_and_shapes(get_pose_net(_config(folder, 48), is_train=False))},
        "grouping": _grouping(folder),
        **{name: _whole(folder, case) for name, case in planted.SCENES.items()},
    }
    save(Path(__file__).with_name("higherhrnet.npz"), cases)


if __name__ == "__main__":
    main()
