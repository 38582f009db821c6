# SPDX-License-Identifier: Apache-2.0
"""Record what RTMO of mmpose 1.3.2 says: ``python record_rtmo.py`` writes rtmo.npz. Environment: see mmlab.py."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mmlab
import numpy as np
import torch
from mmpose.structures.bbox import bbox_xyxy2cs
from recording import BATCHES, names_and_shapes, save
from rtmo_weights import sensible
from weights import random_crops, random_weights

#: Width and height differ, so that they cannot be taken for one another.
SIZE_WH = (160, 128)
#: Cells that are recorded, the best ones.
CANDIDATES = 16
#: Lower than that of the models, because few boxes of random weights overlap by much.
MAX_IOU = 0.3
_BODY7 = "body_2d_keypoint/rtmo/body7/rtmo-{}.py"
_CROWDPOSE = "body_2d_keypoint/rtmo/crowdpose/rtmo-{}.py"


def record(config: str) -> dict[str, np.ndarray]:
    """Run a model with random weights and return what a test compares."""
    model = mmlab.build(config)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    values = sensible(random_weights(shapes))
    model.load_state_dict({key: torch.from_numpy(value) for key, value in values.items()})
    found = {"state": names_and_shapes(model), "size_wh": np.array(SIZE_WH)}
    for n in BATCHES:
        images = np.ascontiguousarray(random_crops(n, SIZE_WH)[..., ::-1].transpose(0, 3, 1, 2), np.float32)
        with torch.inference_mode():
            features = model.extract_feat(torch.from_numpy(images))
            for name, values in cells(model.head, features).items():
                found[f"{n}/{name}"] = values.numpy()
            samples = [SimpleNamespace(metainfo={"input_size": SIZE_WH}) for _ in range(n)]
            config_ = {"score_thr": 0.1, "nms_thr": MAX_IOU, "nms_pre": CANDIDATES}
            for i, poses in enumerate(model.head.predict(features, samples, config_)):
                for name in ("bboxes", "scores", "keypoints", "keypoint_scores"):
                    found[f"{n}/{i}/{name}"] = np.asarray(poses[name])
    return found


def cells(head: Any, features: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
    """Return boxes, scores, keypoints and visibilities of the best cells, by the reference's functions."""
    logits, boxes, _, seen, vectors = head.forward(features)
    sizes = [x.shape[2:] for x in logits]
    scores, boxes, seen, vectors = (head._flatten_predictions(x) for x in (logits, boxes, seen, vectors))
    centres = torch.cat(head.prior_generator.grid_priors(sizes, device="cpu"))
    strides = torch.cat([torch.full((size.numel(),), float(stride))
                         for size, stride in zip(sizes, head.featmap_strides, strict=True)])
    boxes = head.decode_bbox(boxes, centres, strides)
    values, best = scores[..., 0].sigmoid().topk(CANDIDATES, 1)
    found: dict[str, list[torch.Tensor]] = {"boxes": [], "keypoints": [], "visibilities": []}
    for i, rows in enumerate(best):
        box_cs = torch.cat(bbox_xyxy2cs(boxes[i, rows], head.bbox_padding), dim=1)
        found["boxes"].append(boxes[i, rows])
        found["keypoints"].append(head.dcc.forward_test(vectors[i, rows], box_cs, centres[rows]))
        found["visibilities"].append(seen[i, rows].sigmoid())
    return {"scores": values, **{name: torch.stack(parts) for name, parts in found.items()}}


if __name__ == "__main__":
    cases = {
        "t": record(_BODY7.format("t_8xb32-600e_body7-416x416")),
        # Its pyramid has no convolution behind its blocks.
        "l": record(_BODY7.format("l_16xb16-600e_body7-640x640")),
    }
    for name, config in (
        ("s", _BODY7.format("s_8xb32-600e_body7-640x640")), ("m", _BODY7.format("m_16xb16-600e_body7-640x640")),
        ("s-crowdpose", _CROWDPOSE.format("s_8xb32-700e_crowdpose-640x640")),
    ):
        cases[name] = {"state": names_and_shapes(mmlab.build(config))}
    save(Path(__file__).with_name("rtmo.npz"), cases)
