# SPDX-License-Identifier: Apache-2.0
"""Record what files of mmdeploy 1.3.1 say, with random weights: ``python record_mmdeploy.py`` writes mmdeploy.npz.

OpenMMLab's published ONNX files were made by mmdeploy; these are made like them, run by onnxruntime. Environment: see
mmlab.py, and ``pip install --no-deps mmdeploy==1.3.1 aenum multiprocess dill prettytable wcwidth onnx protobuf
ml_dtypes onnxruntime``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import mmlab  # isort: skip  (makes mmdet and mmpose importable)
import mmcv.ops
import mmdeploy.codebase.mmdet.models
import mmdeploy.codebase.mmpose.models  # noqa: F401
import mmdet_reference
import numpy as np
import onnxruntime
import torch
from mmdeploy.core import RewriterContext, patch_model
from mmengine import Config
from mmpose.evaluation.functional import nms_torch
from recording import save
from rtmo_weights import sensible
from weights import random_crops, random_weights

#: Lower than those of the published files, so that something is suppressed and something is left.
MAX_IOU, MIN_SCORE = 0.3, 0.1
RTMO = "body_2d_keypoint/rtmo/body7/rtmo-t_8xb32-600e_body7-416x416.py"
RTMO_WH, DETECTOR_WH = (160, 128), mmdet_reference.SIZE_WH


def _nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, offset: int = 0, score_threshold: float = 0,
         max_num: int = -1) -> tuple[torch.Tensor, torch.Tensor]:
    """Stand in for the compiled operator while PyTorch traces; the file has ONNX's own NonMaxSuppression."""
    rows = torch.where(scores > score_threshold)[0]
    rows = rows[nms_torch(boxes[rows], scores[rows], iou_threshold)][:max_num] if len(rows) else rows
    return torch.cat([boxes[rows], scores[rows, None]], 1), rows


mmcv.ops.nms = _nms


def fill(model: Any) -> None:
    """Give a model weights that are the same everywhere."""
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    state = sensible(random_weights(shapes))
    model.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})


def record(model: Any, batch: np.ndarray, codebase: str, task: str, names: tuple[str, str]) -> dict[str, np.ndarray]:
    """Write a file as mmdeploy does, run it, and return its outputs and how it describes itself."""
    size_wh = batch.shape[:1:-1]
    post = {"score_threshold": MIN_SCORE, "confidence_threshold": 0.005, "iou_threshold": MAX_IOU,
            "max_output_boxes_per_class": 200, "pre_top_k": 5000, "keep_top_k": 100, "background_label_id": -1}
    config = Config({
        "backend_config": {"type": "onnxruntime"},
        "ir_config": {"type": "onnx", "opset_version": 11, "input_names": ["input"], "output_names": list(names),
                      "input_shape": size_wh},
        "codebase_config": {"type": codebase, "task": task, "model_type": "end2end", "post_processing": post},
    })  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder) / "end2end.onnx"
        with RewriterContext(cfg=config, backend="onnxruntime", opset=11):
            torch.onnx.export(
                patch_model(model, cfg=config, backend="onnxruntime"), (torch.from_numpy(batch),), str(path),
                input_names=["input"], output_names=list(names), opset_version=11, dynamo=False,
                autograd_inlining=False,
                dynamic_axes={"input": {0: "batch"}, **{name: {0: "batch", 1: "n"} for name in names}},
            )  # fmt: skip
        session = onnxruntime.InferenceSession(path)
        found = dict(zip(names, session.run(None, {"input": batch}), strict=True))
        return {**found, "size_wh": np.array(size_wh), "names": np.array([o.name for o in session.get_outputs()])}


def bgr(size_wh: tuple[int, int]) -> np.ndarray:
    """Return an image as the networks take it, without mean and deviation."""
    return np.ascontiguousarray(random_crops(1, size_wh)[..., ::-1].transpose(0, 3, 1, 2), np.float32)


def rtmo() -> dict[str, np.ndarray]:
    """Record RTMO-t."""
    model = mmlab.build(RTMO)
    fill(model)
    test = {"input_size": RTMO_WH[::-1], "score_thr": MIN_SCORE, "nms_thr": MAX_IOU}
    for part in (model.neck, model.head, model.head.dcc):
        part.switch_to_deploy(test)
    model.head.test_cfg = test
    return record(model, bgr(RTMO_WH), "mmpose", "PoseDetection", ("dets", "keypoints"))


def detector(config: str) -> dict[str, np.ndarray]:
    """Record RTMDet."""
    model = mmdet_reference.build(config)
    fill(model)
    model.bbox_head.test_cfg.update({"score_thr": MIN_SCORE, "nms": {"type": "nms", "iou_threshold": MAX_IOU}})
    mean, std = (np.float32(x).reshape(1, 3, 1, 1) for x in ([103.53, 116.28, 123.675], [57.375, 57.12, 58.395]))
    return record(_Images(model), (bgr(DETECTOR_WH) - mean) / std, "mmdet", "ObjectDetection", ("dets", "labels"))


class _Images(torch.nn.Module):
    """A detector with the size of its images, which mmdeploy's forward asks for."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> Any:
        from mmdet.structures import DetDataSample

        shape = tuple(image.shape[2:])
        samples = [DetDataSample(metainfo={"img_shape": shape, "ori_shape": shape, "scale_factor": (1.0, 1.0)})]
        return self.model(image, samples, mode="predict")


if __name__ == "__main__":
    save(Path(__file__).with_name("mmdeploy.npz"), {
        "rtmo-t": rtmo(),
        "rtmdet-n": detector("rtmdet_nano_320-8xb32_coco-person.py"),
    })
