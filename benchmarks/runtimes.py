# SPDX-License-Identifier: Apache-2.0
"""Time of one run of a network by every library that reads it: all outputs or only those that the card names.

    python benchmarks/runtimes.py
    python benchmarks/runtimes.py --json result.json FILE.onnx ...

Variants take turns in an order that is drawn anew each time, so that other load on the machine and the caches that one
leaves to the next meet all of them alike; the processor time hardly depends on other load at all.
``openvino, one by one`` and ``openvino, batch`` are what OpenVinoSession does not do with several crops.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.models.store import Store
from pose_ros.runtime import available, open_session

_CARDS = ("blazepose-full", "mediapipe-pose-detection")
#: OpenVinoSession compiles its form for several crops in the background.
_SETTLE_S = 3.0
Run = Callable[[np.ndarray], object]


def sessions(path: Path, outputs: Sequence[str], threads: int) -> dict[str, Run]:
    """Return what can run a file, by name."""
    runs: dict[str, Run] = {}
    for info in available():
        if info.version and path.suffix in info.formats:
            everything = open_session(path, runtime=info.runtime, threads=threads)
            runs[f"{everything.runtime}, all outputs"] = everything.run
            if outputs and len(outputs) < len(everything.outputs):
                pruned = open_session(path, runtime=info.runtime, threads=threads, outputs=outputs)
                runs[f"{pruned.runtime}, {len(outputs)} of {len(everything.outputs)} outputs"] = pruned.run
    return runs


def alternatives(path: Path, outputs: Sequence[str], threads: int, crops: int) -> dict[str, Run]:
    """Return other ways to use OpenVINO for several crops."""
    import openvino

    core = openvino.Core()
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    model = core.read_model(path)
    if outputs:
        results = [model.output(name).get_node().input_value(0) for name in outputs]
        model = openvino.Model(results, model.get_parameters(), "net")
    single = core.compile_model(model, "CPU", settings).create_infer_request()

    def serial(batch: np.ndarray) -> None:
        for part in np.split(batch, len(batch)):
            single.infer([part], share_inputs=True, share_outputs=True)

    try:
        model.reshape([crops, *[d.get_length() for d in list(model.inputs[0].get_partial_shape())[1:]]])
    except RuntimeError:  # the graph fixes the batch somewhere inside
        return {"openvino, one by one": serial}
    whole = core.compile_model(model, "CPU", settings).create_infer_request()
    return {
        "openvino, one by one": serial,
        "openvino, batch": lambda batch: whole.infer([batch], share_inputs=True, share_outputs=True),
    }


def measure(
    path: Path, outputs: Sequence[str], crops: Sequence[int], rounds: int, threads: int
) -> list[dict[str, Any]]:
    """Return the median time of every variant."""
    runs: dict[tuple[str, int], tuple[Run, np.ndarray]] = {}
    shared = sessions(path, outputs, threads)
    shape = open_session(path, threads=threads).inputs[0].shape[1:]
    for n in crops:
        batch = np.random.default_rng(0).random((n, *shape), dtype=np.float32)
        others = alternatives(path, outputs, threads, n) if n > 1 and any("openvino" in name for name in shared) else {}
        for name, run in {**shared, **others}.items():
            runs[name, n] = run, batch
    walls: dict[tuple[str, int], list[float]] = {key: [] for key in runs}
    busy: dict[tuple[str, int], list[float]] = {key: [] for key in runs}
    order, draw = list(runs), random.Random(0)
    for run, batch in runs.values():
        run(batch)
    time.sleep(_SETTLE_S)
    for _ in range(rounds):
        draw.shuffle(order)
        for key in order:
            run, batch = runs[key]
            wall, processor = time.perf_counter(), time.process_time()
            run(batch)
            walls[key].append((time.perf_counter() - wall) * 1e3)
            busy[key].append((time.process_time() - processor) * 1e3)
    return [
        {"file": path.name, "variant": name, "crops": n, "median_ms": round(statistics.median(wall), 2),
         "fastest_ms": round(min(wall), 2), "median_processor_ms": round(statistics.median(busy[name, n]), 2)}
        for (name, n), wall in walls.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="also these networks, with all outputs")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers there")
    args = parser.parse_args()
    store = Store()
    jobs = [(store.fetch(card), card.outputs) for card in map(store.card, _CARDS)] + [(f, ()) for f in args.files]
    rows = [row for path, outputs in jobs for row in measure(path, outputs, (1, 5), args.rounds, args.threads)]
    for row in rows:
        print(f"{row['file']:<45} {row['variant']:<40} {row['crops']} crops: median {row['median_ms']:7.2f} ms, "
              f"fastest {row['fastest_ms']:7.2f} ms, processor {row['median_processor_ms']:7.2f} ms")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
