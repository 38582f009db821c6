# SPDX-License-Identifier: Apache-2.0
"""Record lifters of mmpose and of their authors: ``python record_lifters.py VIDEOPOSE3D MOTIONBERT``.

VIDEOPOSE3D is a clone of https://github.com/facebookresearch/VideoPose3D (commit 1afb1ca), MOTIONBERT one of
https://github.com/Walter0807/MotionBERT (commit dccfe7b). The environment is that of ``mmlab.py``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import mmlab
import numpy as np
import torch
from recording import BATCHES, fill, names_and_shapes, save
from tracks import SIZE_WH, random_tracks

_VIDEO = "body_3d_keypoint/video_pose_lift/h36m/video-pose-lift_tcn-{}_h36m.py"
_IMAGE = "body_3d_keypoint/image_pose_lift/h36m/image-pose-lift_tcn_8xb64-200e_h36m.py"
_BERT = "body_3d_keypoint/motionbert/h36m/motionbert_dstformer-ft-243frm_8xb32-120e_h36m.py"
_LEFT, _RIGHT = [4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]
#: MotionBERT sees up to 243 moments and has five pairs of blocks; fewer take less time.
_MOMENTS, _DEPTH = 9, 2
#: Keypoints (T, K, 2) in pixels and scores (T, K) -> metres around the root (K, 3), or (T, K, 3).
Lift = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _record(module: torch.nn.Module, moments: int, lifts: dict[str, Lift]) -> dict[str, np.ndarray]:
    fill(module)
    found = {"state": names_and_shapes(module), "moments": np.array(moments)}
    for n in BATCHES:
        keypoints, scores = random_tracks(n, moments)
        for name, lift in lifts.items():
            with torch.inference_mode():
                found[f"{n}/{name}"] = np.stack([lift(*track) for track in zip(keypoints, scores, strict=True)])
    return found


def _mmpose(config: str, moments: int) -> dict[str, np.ndarray]:
    """Encode, run and decode as mmpose's tests do, but for the camera, of which nothing is known."""
    model = mmlab.build(config)
    decoder = model.head.decoder
    size = {"w": SIZE_WH[0], "h": SIZE_WH[1]}

    def lift(keypoints: np.ndarray, _: np.ndarray) -> np.ndarray:
        target = np.zeros((1, 17, 3), np.float32)
        extra = {} if config == _IMAGE else {"camera_param": size}
        encoded = decoder.encode(keypoints, None, target, np.ones((1, 17, 1), np.float32), **extra)
        inputs = torch.from_numpy(np.float32(encoded["keypoint_labels"]))[None]
        points, _ = decoder.decode(model.head(model.extract_feat(inputs)).numpy(), target[0, :1])
        return np.float32(points[0])

    return _record(model, moments, {"points": lift})


def _mmpose_bert() -> dict[str, np.ndarray]:
    model = mmlab.build(_BERT, model={"backbone": {"depth": _DEPTH}})
    decoder = model.head.decoder
    width, height = (np.array([[side]], np.float64) for side in SIZE_WH)
    size = {"w": SIZE_WH[0], "h": SIZE_WH[1]}

    def lift(keypoints: np.ndarray, scores: np.ndarray, flipped: bool = False) -> np.ndarray:
        target, factor = np.zeros((len(keypoints), 17, 3), np.float32), np.zeros(len(keypoints), np.float32)
        encoded = decoder.encode(keypoints, scores, target, np.ones(target.shape[:2]), size, factor)
        inputs = torch.from_numpy(np.float32(encoded["keypoint_labels"]))[None]
        values = model.head(model.extract_feat(inputs))
        if flipped:
            values = (values + _flip(model.head(model.extract_feat(_flip(inputs))))) / 2
        # Four millimetres to a pixel are what it takes where no camera is known.
        points, _ = decoder.decode(values[0].numpy(), width.repeat(len(keypoints), 0)[:, 0],
                                   height.repeat(len(keypoints), 0)[:, 0], encoded["factor"])  # fmt: skip
        return np.float32(points)

    return _record(model, _MOMENTS, {"points": lift, "flipped": partial(lift, flipped=True)})


def _flip(values: torch.Tensor) -> torch.Tensor:
    """Mirror as the authors of both repositories do: x changes its sign, sides are swapped."""
    values = values.clone()
    values[..., 0] *= -1
    values[..., _LEFT + _RIGHT, :] = values[..., _RIGHT + _LEFT, :]
    return values


def _facebook(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    sys.path.insert(0, str(folder))
    from common.camera import normalize_screen_coordinates
    from common.model import TemporalModel

    model = TemporalModel(17, 2, 17, filter_widths=[3, 3, 3])

    def lift(keypoints: np.ndarray, _: np.ndarray, flipped: bool = False) -> np.ndarray:
        inputs = torch.from_numpy(np.float32(normalize_screen_coordinates(keypoints, *SIZE_WH)))[None]
        values = model(inputs)
        if flipped:
            values = (values + _flip(model(_flip(inputs)))) / 2
        return np.asarray(values[0, 0])

    return {
        "facebook-27": _record(model, 27, {"points": lift, "flipped": partial(lift, flipped=True)}),
        "facebook-243": {"state": names_and_shapes(TemporalModel(17, 2, 17, filter_widths=[3] * 5))},
    }


def _authors_bert(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    sys.path.insert(0, str(folder))
    from lib.model.DSTformer import DSTformer

    common = {"dim_rep": 512, "num_heads": 8, "norm_layer": partial(torch.nn.LayerNorm, eps=1e-6), "maxlen": 243}
    lite = DSTformer(dim_feat=256, depth=_DEPTH, mlp_ratio=4, **common)
    others = {"authors": {"dim_feat": 512, "mlp_ratio": 2}, "authors-lite-5": {"dim_feat": 256, "mlp_ratio": 4}}

    def lift(keypoints: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """As infer_wild.py with --pixel, in units of half the shorter side."""
        values = (keypoints - np.array(SIZE_WH) / 2) / (min(SIZE_WH) / 2)
        inputs = torch.from_numpy(np.float32(np.concatenate([values, scores[..., None]], axis=2)))[None]
        return np.asarray(lite(inputs)[0])

    names = {name: {"state": names_and_shapes(DSTformer(depth=5, **common, **sizes))} for name, sizes in others.items()}
    return {"authors-lite": _record(lite, _MOMENTS, {"points": lift}), **names}


def main() -> None:
    """Write ``lifters.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videopose3d", type=Path)
    parser.add_argument("motionbert", type=Path)
    args = parser.parse_args()
    cases = {"martinez": _mmpose(_IMAGE, 1), "mmpose-27": _mmpose(_VIDEO.format("27frm-supv_8xb128-160e"), 27)}
    cases["bert"] = _mmpose_bert()
    for name, config in {
        "mmpose-1": "1frm-supv-cpn-ft_8xb128-160e", "mmpose-81": "81frm-supv_8xb128-160e",
        "mmpose-243": "243frm-supv-cpn-ft_8xb128-200e", "mmpose-semi": "27frm-semi-supv_8xb64-200e",
    }.items():  # fmt: skip
        cases[name] = {"state": names_and_shapes(mmlab.build(_VIDEO.format(config)))}
    cases["bert-5"] = {"state": names_and_shapes(mmlab.build(_BERT))}
    cases |= _facebook(args.videopose3d)
    cases |= _authors_bert(args.motionbert)
    save(Path(__file__).with_name("lifters.npz"), cases)


if __name__ == "__main__":
    main()
