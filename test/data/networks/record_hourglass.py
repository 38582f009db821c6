# SPDX-License-Identifier: Apache-2.0
"""Record the hourglasses of mmpose, princeton-vl and anibali: ``python record_hourglass.py PRINCETON ANIBALI``.

PRINCETON is a clone of https://github.com/princeton-vl/pytorch_stacked_hourglass (commit ceedc14), ANIBALI one of
https://github.com/anibali/pytorch-stacked-hourglass (commit d43449d). The environment is that of ``mmlab.py``.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import mmlab
import mmlab_decode
import numpy as np
import planted
import torch
from recording import names_and_shapes, record, save

_CONFIG = "body_2d_keypoint/topdown_heatmap/mpii/td-hm_hourglass52_8xb64-210e_mpii-256x256.py"
#: MPII.
FLIP = [5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10]
#: Of the crops: the smallest that have a pixel left in the smallest maps, as they take long.
_MMPOSE, _SIZE = (128, 128), (64, 64)

Maps = Mapping[str, torch.Tensor]


def _named(maps: Any) -> dict[str, torch.Tensor]:
    return {f"heatmaps_{i + 1}": m for i, m in enumerate(maps)}


def _mmpose(stacks: int) -> Any:
    return mmlab.build(_CONFIG, model={"backbone": {"num_stacks": stacks}, "head": {"num_stages": stacks}})


def _mmpose_case(stacks: int) -> dict[str, np.ndarray]:
    model = _mmpose(stacks)
    return record(
        model, _MMPOSE, mmlab_decode.prepare(model), lambda x: _named(model.head(model.extract_feat(x))),
        mmlab_decode.heatmaps(model, FLIP, f"heatmaps_{stacks}"),
    )  # fmt: skip


def _averaged(straight: Maps, mirrored: Maps | None) -> torch.Tensor:
    """Return the last maps, with the flip test as both repositories do it: nothing is moved."""
    maps = list(straight.values())[-1]
    return maps if mirrored is None else (maps + list(mirrored.values())[-1].flip(3)[:, FLIP]) / 2


def _planted(decode: Callable[[Maps, Maps | None], Any]) -> dict[str, np.ndarray]:
    """Return what a decoder finds where it is known: maps of random networks are highest at the border."""
    _, maps = planted.noisy_blobs(4, 16, (64, 64), sigma=1.0)
    keypoints, scores = decode({"heatmaps_1": torch.from_numpy(maps)}, None)
    return {"planted/keypoints": np.float32(keypoints), "planted/scores": np.float32(scores)}


def _princeton_case(model: torch.nn.Module) -> dict[str, np.ndarray]:
    from utils.group import HeatmapParser  # type: ignore[import-not-found]

    def decode(straight: Maps, mirrored: Maps | None) -> tuple[np.ndarray, np.ndarray]:
        # Its test clips averaged maps at 1. Random ones are far above.
        maps = _averaged(straight, mirrored).numpy()
        found = np.concatenate([HeatmapParser().parse(np.float32([m]))[0] for m in maps])
        return found[..., :2] * 4, found[..., 2]

    def forward(images: torch.Tensor) -> Maps:
        return _named(model(images.permute(0, 2, 3, 1)).unbind(1))

    found = record(model, _SIZE, lambda crops: (crops / 255).transpose(0, 3, 1, 2), forward, decode)
    return {**found, **_planted(decode)}


def _anibali_case(source: ModuleType, folder: Path, stacks: int) -> dict[str, np.ndarray]:
    evaluation = _module(folder / "utils/evaluation.py", "stacked_hourglass.utils.evaluation")
    model = getattr(source, f"hg{stacks}")()

    def decode(straight: Maps, mirrored: Maps | None) -> tuple[np.ndarray, np.ndarray]:
        maps = _averaged(straight, mirrored)
        found = evaluation.final_preds_untransformed(maps.clone(), maps.shape[-2:][::-1])
        return found.numpy() * 4, maps.amax((2, 3)).numpy()

    def prepare(crops: np.ndarray) -> np.ndarray:
        return (crops / 255 - [0.4404, 0.4440, 0.4327]).transpose(0, 3, 1, 2)

    return {**record(model, _SIZE, prepare, lambda x: _named(model(x)), decode), **_planted(decode)}


def _module(path: Path, name: str) -> ModuleType:
    """Import a file of a package whose other parts need more than there is here."""
    package = ModuleType("stacked_hourglass")
    package.__path__ = [str(path.parents[1] if path.parent.name == "utils" else path.parent)]
    utils = ModuleType("stacked_hourglass.utils")
    utils.__path__ = [str(Path(package.__path__[0]) / "utils")]
    transforms = ModuleType("stacked_hourglass.utils.transforms")
    transforms.transform_preds = None  # type: ignore[attr-defined]
    sys.modules.update({m.__name__: m for m in (package, utils, transforms)})
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Write ``hourglass.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("princeton", type=Path)
    parser.add_argument("anibali", type=Path)
    args = parser.parse_args()
    sys.path.insert(0, str(args.princeton))
    from models.posenet import PoseNet  # type: ignore[import-not-found]

    def princeton(stacks: int) -> torch.nn.Module:
        return PoseNet(nstack=stacks, inp_dim=256, oup_dim=16)

    folder = args.anibali / "src/stacked_hourglass"
    source = _module(folder / "model.py", "stacked_hourglass.model")
    save(Path(__file__).with_name("hourglass.npz"), {
        "mmpose-1": _mmpose_case(1),
        "mmpose-2": _mmpose_case(2),
        "mmpose-8": {"state": names_and_shapes(_mmpose(8))},
        "princeton-2": _princeton_case(princeton(2)),
        "princeton-8": {"state": names_and_shapes(princeton(8))},
        "anibali-1": {"state": names_and_shapes(source.hg1())},
        "anibali-2": _anibali_case(source, folder, 2),
        "anibali-8": {"state": names_and_shapes(source.hg8())},
    })  # fmt: skip


if __name__ == "__main__":
    main()
