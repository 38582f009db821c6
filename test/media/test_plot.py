# SPDX-License-Identifier: Apache-2.0
"""Trajectories: who was where when, with gaps where nobody knows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numbered import frames_of

from pose_ros.core.poses import Poses
from pose_ros.errors import ConfigError
from pose_ros.media.plot import Trajectories, plot_trajectories
from pose_ros.skeletons import catalogue


def test_columns_have_gaps(people: Callable[..., Poses]) -> None:
    kept = Trajectories()
    moments = [people(2), people(0), people(1), people(2).select(np.array([1]))]
    for index, poses in enumerate(moments):
        kept.add(10**18 + index * 10**8, poses)
    np.testing.assert_allclose(kept.seconds, [0, 0.1, 0.2, 0.3])
    assert kept.ids == [1, 2]
    first, second = kept.pixels(1), kept.pixels(2)
    np.testing.assert_array_equal(first[[0, 2]], [moments[0].keypoints[0], moments[2].keypoints[0]])
    assert np.isnan(first[[1, 3]]).all()
    np.testing.assert_array_equal(second[[0, 3]], [moments[0].keypoints[1], moments[3].keypoints[0]])
    assert np.isnan(kept.metres(1)).all()


def test_low_scores_are_gaps(people: Callable[..., Poses]) -> None:
    poses = people(1)
    poses.scores[0, 3] = 0.1
    kept = Trajectories(min_score=0.3)
    kept.add(0, poses.replace(points=np.ones((1, 17, 3))))
    assert np.isnan(kept.pixels(1)[0, 3]).all()
    assert np.isnan(kept.metres(1)[0, 3]).all()
    assert np.isfinite(kept.pixels(1)[0, 4]).all()
    assert not kept.relative


def test_memory_is_bounded(people: Callable[..., Poses]) -> None:
    kept, poses = Trajectories(max_moments=100), people(1)
    for index in range(1000):
        kept.add(index * 10**9, poses)
        assert len(kept) <= 100
    steps = np.diff(kept.seconds)
    assert steps.min() == steps.max() == 16.0, "thinned evenly"
    assert kept.seconds[-1] > 980


def test_untracked_subjects_are_told_apart_by_row(people: Callable[..., Poses]) -> None:
    kept = Trajectories()
    kept.add(0, people(2).replace(ids=np.zeros(2, np.int64)))
    assert kept.ids == [-1, -2] or kept.ids == [-2, -1]


def test_another_skeleton_begins_anew(people: Callable[..., Poses]) -> None:
    kept = Trajectories()
    kept.add(0, people(1))
    other = catalogue.get("mediapipe33")
    kept.add(1, Poses(other, np.zeros((1, 33, 2)), np.ones((1, 33))))
    assert (len(kept), kept.skeleton) == (1, other)


@pytest.mark.parametrize("column", [None, "points", "local_points"])
def test_plot(people: Callable[..., Poses], rng: np.random.Generator, tmp_path: Path, column: str | None) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    kept = Trajectories()
    for index in range(20):
        more = {column: rng.normal(size=(2, 17, 3))} if column else {}
        kept.add(index * 10**8, people(2).replace(**more))
    plot_trajectories(kept, tmp_path / "new" / "plot.png")
    (frame,) = frames_of(tmp_path / "new" / "plot.png")
    assert frame.size_wh[0] > (1200 if column else 800)
    assert (frame.image != 255).any(axis=2).mean() > 0.01


def test_what_cannot_be_plotted(people: Callable[..., Poses], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    kept = Trajectories()
    with pytest.raises(ConfigError, match="none was seen"):
        plot_trajectories(kept, tmp_path / "plot.png")
    kept.add(0, people(0))
    with pytest.raises(ConfigError, match="none was seen"):
        plot_trajectories(kept, tmp_path / "plot.png")
    kept.add(1, people(1))
    with pytest.raises(ConfigError, match="no keypoint 'tail'"):
        plot_trajectories(kept, tmp_path / "plot.png", ["nose", "tail"])


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ConfigError, match="pip install matplotlib"):
        plot_trajectories(Trajectories(), tmp_path / "plot.png")
