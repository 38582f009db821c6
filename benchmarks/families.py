# SPDX-License-Identifier: Apache-2.0
"""Frames per second of every family of models on this machine, for one and for several people, by every runtime.

    python benchmarks/families.py                              # one card of each family and size
    python benchmarks/families.py 'hrnet-*' rtmo-s --people 1 5 --json result.json
    python benchmarks/families.py --device cuda --precision float16

Speed does not depend on the values of weights, so nothing is downloaded: a checkpoint's network gets random weights,
and is run by PyTorch and, exported, by every library that reads ONNX. Files without a checkpoint are measured where
they are here (``pose-ros models fetch``). What is timed is the whole plugin: crops of a 640x480 image, normalisation,
network, decoding. What an estimator that finds its subjects itself sees with random weights is nobody or noise; what
grouping people costs is printed by ``benchmarks/decoders.py``.

Variants take turns in an order that is drawn anew in each round; the median of the rounds is printed.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.errors import PoseRosError
from pose_ros.estimators.base import CropEstimator
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store
from pose_ros.networks import catalogue
from pose_ros.plugin import Model, NetworkPlugin
from pose_ros.registry import load
from pose_ros.runtime import available, open_session

#: One of each family and size that the documentation speaks of.
_DEFAULT = (
    "deeppose-res50", "deeppose-res152", "deeppose-res50-rle", "simplebaseline-res50", "simplebaseline-res152-384x288",
    "hourglass52", "hourglass-2-princeton", "hourglass-8-princeton", "openpose-body25", "openpose-coco-pth",
    "lightweight-openpose", "hrnet-w32", "hrnet-w48-384x288", "higherhrnet-w32", "vitpose-s", "vitpose-b", "vitpose-l",
    "vitpose-plus-b", "simcc-res50", "rtmpose-t-pth", "rtmpose-s-pth", "rtmpose-m-pth", "rtmpose-l-pth",
    "rtmpose-x-pth", "rtmw-l-pth", "rtmo-t-pth", "rtmo-s-pth", "rtmo-m-pth", "rtmo-l-pth",
    "movenet-lightning-ptq", "blazepose-full", "simplepose-ultralight", "pfld-68", "mediapipe-hand-landmark-lite-onnx",
    "yolox-nano", "yolox-s-pth", "rtmdet-nano-person-pth", "rtmdet-m-person-pth", "ultraface-rfb-320",
)  # fmt: skip
#: Seconds that one variant may take in all, after which it is not called again.
_BUDGET_S = 1.5
_IMAGE_WH = (640, 480)


def regions(people: int) -> np.ndarray:
    """Return where people stand, side by side."""
    centre = (np.arange(people) + 0.5) * _IMAGE_WH[0] / people
    return np.float32([[x, 240, 120, 360, 0] for x in centre])


def variants(
    card: ModelCard, store: Store, folder: Path, device: str, precision: str
) -> Iterator[tuple[str, NetworkPlugin]]:
    """Yield every way to run a model: the runtime, and the plugin with its session."""
    plugin = load(f"{card.kind}s", card.plugin)
    files: list[Path] = []
    if card.network:
        import torch

        from pose_ros.networks.export import export

        network = catalogue.build(card.network, card.input_wh)
        checkpoint, exported = folder / f"{card.name}.pt", folder / f"{card.name}.onnx"
        torch.save(network.state_dict(), checkpoint)
        export(network, card.input_wh, exported)
        files = [checkpoint, exported]
    elif store.state(card) == "ready":
        files = [store.path(card)]
    for path in files:
        for info in available():
            if not info.version or path.suffix not in info.formats:
                continue
            try:
                session = open_session(
                    path, device=device, runtime=info.runtime, outputs=card.outputs, network=card.network,
                    input_wh=card.input_wh, precision=precision,
                )  # fmt: skip
            except PoseRosError as error:
                print(f"{card.name}, {info.runtime}: {error}", file=sys.stderr)
                continue
            yield session.runtime.split("+")[0], plugin(Model(card, session))


def measure(runs: dict[Any, Callable[[], object]], rounds: int) -> dict[Any, float]:
    """Return the median seconds of each run."""
    times: dict[Any, list[float]] = {key: [] for key in runs}
    for run in runs.values():
        run()
        run()
    for _ in range(rounds):
        for key in random.sample(list(runs), len(runs)):
            if sum(times[key]) < _BUDGET_S:
                start = time.perf_counter()
                runs[key]()
                times[key].append(time.perf_counter() - start)
    return {key: statistics.median(values) for key, values in times.items()}


def rows(names: Sequence[str], people: Sequence[int], rounds: int, device: str, precision: str) -> Iterator[dict]:
    """Yield one row per model and runtime."""
    store = Store()
    known = store.names()
    found = [name for pattern in names for name in sorted(fnmatch.filter(known, pattern))]
    image = np.random.default_rng(0).integers(0, 256, (_IMAGE_WH[1], _IMAGE_WH[0], 3), np.uint8)
    for name in dict.fromkeys(found):
        card = store.card(name)
        with tempfile.TemporaryDirectory(prefix="families-") as folder:
            runs: dict[tuple[str, int], Callable[[], object]] = {}
            for runtime, plugin in variants(card, store, Path(folder), device, precision):
                if isinstance(plugin, CropEstimator):
                    runs |= {(runtime, n): partial(plugin.estimate, image, regions(n)) for n in people}
                else:
                    runs[runtime, 0] = partial(getattr(plugin, "detect", None) or plugin.estimate, image)
            medians = measure(runs, rounds)
        for runtime in dict.fromkeys(runtime for runtime, _ in runs):
            seconds = {n: medians[runtime, n] for r, n in runs if r == runtime}
            yield {
                "model": name, "input": "x".join(map(str, card.input_wh)), "runtime": runtime,
                **{("image" if n == 0 else f"{n} people"): round(value * 1e3, 2) for n, value in seconds.items()},
            }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=_DEFAULT, help="names of cards, or patterns of them")
    parser.add_argument("--people", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = []
    keys = ["image", *(f"{n} people" for n in args.people)]
    print("| model | input | runtime |", " | ".join(f"{key}, ms (fps)" for key in keys), "|")
    print("|---|---|---|" + "---|" * len(keys))
    for row in rows(args.models, args.people, args.rounds, args.device, args.precision):
        results.append(row)
        cells = [f"{row[key]:.1f} ({1e3 / row[key]:.1f})" if key in row else "" for key in keys]
        print(f"| {row['model']} | {row['input']} | {row['runtime']} |", " | ".join(cells), "|", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
