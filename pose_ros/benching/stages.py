# SPDX-License-Identifier: Apache-2.0
"""Where the milliseconds of a pipeline go: every stage by the clock on the wall and by processor time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pose_ros.benching.document import Meaning, row, spread
from pose_ros.core.frame import Frame
from pose_ros.core.stages import Stages
from pose_ros.pipeline import Pipeline, Result

#: The row of whole images, and that of the run.
WHOLE, RUN = "whole image", "run"
MEANS: Mapping[str, Meaning] = {
    "wall_ms": Meaning("time of one image by the clock on the wall, over images in which the stage ran; 'whole image' "
                       "is the call of the pipeline, from decoded RGB in memory to poses, tracked and described; "
                       "reading, decoding and drawing are not in it"),
    "cpu_ms": Meaning("processor time of this process meanwhile, of all its threads: with two busy threads it is twice "
                      "the time on the wall; of stages inside hands and faces it is not known"),
    "share": Meaning("sum of a stage's times on the wall over that of whole images; stages inside hands and faces are "
                     "in those, too", "of 1", ""),
    "images": Meaning("images after the warm-up", "", ""),
    "subjects": Meaning("mean number of subjects found", "", ""),
    "images_per_s": Meaning("images over the time on the wall of all of them, one after another, nothing else running "
                            "in between", "1/s", "more"),
    "cores": Meaning("processor time over time on the wall", "", ""),
    "open_s": Meaning("opening networks from files that are here, modules included", "s"),
    "first_image_ms": Meaning("the first image, which pays for what is made once"),
    "start_s": Meaning("from the start of the process to the poses of the first image; the clip is read within it",
                       "s"),
}  # fmt: skip


class CpuStages(Stages):
    """A stopwatch that also takes the processor time of the process."""

    def __init__(self) -> None:
        """Start with no laps."""
        super().__init__()
        #: Name -> milliseconds.
        self.cpu_ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time the block as lap ``name``."""
        began = time.process_time()
        try:
            with super().__call__(name):
                yield
        finally:
            self.cpu_ms[name] = self.cpu_ms.get(name, 0.0) + (time.process_time() - began) * 1e3


def measure(pipeline: Pipeline, frames: Iterator[Frame], count: int, warm_up: int) -> list[dict[str, Any]]:
    """Show images to a pipeline and return the rows of its stages.

    Args:
        pipeline: Knows nobody yet.
        frames: At least ``warm_up + count``.
        count: Images whose times are taken.
        warm_up: Images before them.
    """
    for frame in itertools.islice(frames, warm_up):
        pipeline(frame)
    wall: dict[str, list[float]] = {WHOLE: []}
    cpu: dict[str, list[float]] = {WHOLE: []}
    subjects, order = 0, list[str]()
    for frame in itertools.islice(frames, count):
        stages, began, worked = CpuStages(), time.perf_counter(), time.process_time()
        result = pipeline(frame, stages)
        cpu[WHOLE].append((time.process_time() - worked) * 1e3)
        wall[WHOLE].append((time.perf_counter() - began) * 1e3)
        subjects += len(result.poses)
        found = inside(result)
        order = max(order, list(found), key=len)  # not every stage runs in every image
        for name, ms in found.items():
            wall.setdefault(name, []).append(ms)
        for name, ms in stages.cpu_ms.items():
            cpu.setdefault(name, []).append(ms)
    total = sum(wall[WHOLE])
    rows = [row(name, wall_ms=spread(wall[name]), cpu_ms=spread(cpu[name]) if name in cpu else None,
                share=sum(wall[name]) / total) for name in dict.fromkeys([WHOLE, *order, *wall])]  # fmt: skip
    return [*rows, row(RUN, images=count, subjects=subjects / count, images_per_s=1e3 * count / total,
                       cores=sum(cpu[WHOLE]) / total)]  # fmt: skip


def inside(result: Result) -> dict[str, float]:
    """Return all stages, those of parts as ``hands.estimate``, milliseconds."""
    parts = {f"{part}.{name}": ms for part, found in result.parts.items() for name, ms in inside(found).items()}
    return {**result.stages.ms, **parts}
