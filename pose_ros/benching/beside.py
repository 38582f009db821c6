# SPDX-License-Identifier: Apache-2.0
"""Measure beside other programs: each in a process and an environment of its own, in turns."""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.benching import other_programs
from pose_ros.benching.document import Meaning, row, spread
from pose_ros.core.frame import Frame
from pose_ros.errors import ConfigError

#: How cases of this package begin.
HERE = "here"
MEANS: Mapping[str, Meaning] = {
    "image_ms": Meaning("time of one image by the clock on the wall, from decoded pixels in memory to keypoints, all "
                        "rounds together; reading and decoding are not in it; each program with its own threads, as it "
                        "is shipped"),
    "images_per_s": Meaning("median over the rounds of a round's images over their time", "1/s", "more"),
    "times": Meaning("images_per_s over that of the fastest other program", "times", "more"),
    "round_times": Meaning("median over the rounds of the same ratio within a round: what disturbs a whole round "
                           "disturbs both sides of it", "times", "more"),
    "rounds": Meaning("turns of each program, in an order that is drawn anew, after one that does not count", "", ""),
}  # fmt: skip


class Other:
    """Another program in a process of its own; a context manager."""

    def __init__(self, name: str, python: Path) -> None:
        """Start it.

        Args:
            name: ``rtmlib`` or ``mediapipe``.
            python: Of the environment that it lives in.

        Raises:
            ConfigError: It does not start there.
        """
        self._name, self._where = name, f"--{name}-python"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            self._process = subprocess.Popen(
                [python, other_programs.__file__, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self._errors, text=True,
            )  # fmt: skip
        except OSError as error:
            self._errors.close()
            raise ConfigError(self._where, f"expected the python of an environment with {name}, got '{python}': "
                                           f"{error.strerror}") from error
        try:
            self.versions: dict[str, str] = self._answer("versions")
        except ConfigError:
            self.close()
            raise

    def __call__(self, what: str, **ask: Any) -> Any:
        """Return its answer to a question; see :mod:`pose_ros.benching.other_programs`.

        Raises:
            ConfigError: It cannot answer.
        """
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # it has ended, which reading its answer tells better
            self._process.stdin.write(json.dumps({"what": what, **ask}) + "\n")
            self._process.stdin.flush()
        return self._answer("answer")

    def _answer(self, key: str) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        said = json.loads(line) if line.startswith("{") else {}
        if key not in said:
            problem = said.get("error") or f"its process has ended: {self._last_words()}"
            raise ConfigError(self._where, f"{self._name} does not work there: {problem}")
        return said[key]

    def _last_words(self) -> str:
        self._process.wait(10)
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-300:] or f"exit code {self._process.returncode}"

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> Other:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()


def in_turns(runs: Mapping[str, Callable[[], Sequence[float]]], rounds: int) -> dict[str, list[list[float]]]:
    """Return the milliseconds of every run in every round; a first one does not count."""
    order, times = random.Random(0), {name: list[list[float]]() for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name in order.sample(list(runs), len(runs)):
            times[name].append(list(runs[name]()))
    return times


def rows(work: str, times: Mapping[str, list[list[float]]]) -> list[dict[str, Any]]:
    """Return a row for each program that did a piece of work; names of ours begin with :data:`HERE`."""
    rates = {name: [1e3 * len(turn) / sum(turn) for turn in turns] for name, turns in times.items()}
    others = [name for name in rates if not name.startswith(HERE)]
    best = max(others, key=lambda name: statistics.median(rates[name]), default=None)
    found = []
    for name, turns in times.items():
        rate = statistics.median(rates[name])
        against = rates[best] if best is not None and name.startswith(HERE) else []
        found.append(row(
            f"{work}: {name}", image_ms=spread(np.concatenate(turns)), images_per_s=rate, rounds=len(turns),
            times=rate / statistics.median(against) if against else None,
            round_times=statistics.median(np.divide(rates[name], against)) if against else None,
        ))  # fmt: skip
    return found


def save(clip: Sequence[Frame], folder: Path) -> str:
    """Write a clip for another program and return its file."""
    path = folder / "clip.npy"
    np.save(path, np.stack([frame.image for frame in clip]))
    return str(path)
