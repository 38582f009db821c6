# SPDX-License-Identifier: Apache-2.0
"""Run a job: what is done is kept in a folder, so that a run that was killed goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.errors import ConfigError
from pose_ros.evaluation import engines
from pose_ros.evaluation.estimates import Estimates, concatenate
from pose_ros.evaluation.job import Job, Shard

_DESCRIPTION = "job.json"


def estimate(
    job: Job, folder: Path | None = None, *, resume: bool = False, jobs: int = 1, engine: str = "processes",
    scheduler: str = "", progress: Callable[[int, int], None] | None = None,
) -> Estimates:
    """Return what a model says about all images of a job.

    Args:
        job: What to do.
        folder: Where to keep answers; nowhere when left out.
        resume: Whether to take those that the folder has already.
        jobs: See :func:`pose_ros.evaluation.engines.each`, and so are the next two.
        engine: Who works.
        scheduler: Of a cluster.
        progress: Told how many images are done, of how many.

    Raises:
        ConfigError: The folder holds answers of something else, or nobody said that they are to be taken.
        PoseRosError: The model or the data cannot be read.
    """
    images, shards = job.indices(), job.shards()
    found: dict[Shard, Estimates] = {}
    if folder is not None:
        _claim(folder, json.loads(json.dumps(job.fingerprint())), resume)
        found = {shard: Estimates.load(path) for shard in shards if (path := _file(folder, shard)).is_file()}
    done = sum(map(_size, found))
    for shard, estimates in engines.each(job, [s for s in shards if s not in found], jobs, engine, scheduler):
        if folder is not None:
            estimates.save(_file(folder, shard))
        found[shard] = estimates
        done += _size(shard)
        if progress is not None:
            progress(done, len(images))
    order = np.array([i for shard in shards for group in shard for i in group], np.int64)
    whole = concatenate([found[shard] for shard in shards])
    return whole if (order == images).all() else whole.select(np.argsort(order))


def _size(shard: Shard) -> int:
    return sum(map(len, shard))


def _file(folder: Path, shard: Shard) -> Path:
    return folder / f"{shard[0][0]:08d}.npz"


def _claim(folder: Path, wanted: dict[str, Any], resume: bool) -> None:
    """Say in the folder whose answers it holds, or check that they are those that are wanted."""
    path = folder / _DESCRIPTION
    if path.is_file():
        if not resume:
            raise ConfigError("--output", f"{folder} holds answers of an earlier run; add --resume to go on with them, "
                                          "or name another folder")
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError("--resume", f"{path} cannot be read ({error}); remove {folder} to start anew") from error
        other = [key for key in sorted(wanted.keys() | there.keys()) if wanted.get(key) != there.get(key)]
        if other:
            what = "; ".join(f"{key} was {_short(there.get(key))}, is {_short(wanted.get(key))}" for key in other)
            raise ConfigError("--resume", f"{folder} holds answers of something else: {what}. Ask for the same again, "
                                          "or name another --output")
        return
    if any(folder.glob("*.npz")):
        raise ConfigError("--output", f"{folder} holds answers, and no {_DESCRIPTION} that says of what; name another "
                                      "folder")
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    unfinished.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 300 else f"{text[:300]}..."
