# SPDX-License-Identifier: Apache-2.0
"""Scores of tracks: the numbers of TrackEval, and what the definitions say of simple cases."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.errors import ConfigError, ShapeError
from pose_ros.metrics.tracks import Tracks, clear, from_distance, hota, identity


def tracks_of(frames):
    return Tracks(*zip(*frames, strict=True))


def numbers(clear_mot, ids, higher):
    return {
        "MOTA": clear_mot.mota, "MOTP": clear_mot.motp, "IDSW": clear_mot.switches,
        "CLR_TP": clear_mot.true_positives, "CLR_FN": clear_mot.false_negatives, "CLR_FP": clear_mot.false_positives,
        "MT": clear_mot.mostly_tracked, "PT": clear_mot.partly_tracked, "ML": clear_mot.mostly_lost,
        "Frag": clear_mot.fragments, "IDF1": ids.idf1, "IDP": ids.precision, "IDR": ids.recall,
        "IDTP": ids.true_positives, "HOTA": higher.curve, "DetA": higher.det_a, "AssA": higher.ass_a,
        "LocA": higher.loc_a,
    }  # fmt: skip


def test_scores_are_those_of_trackeval(scenes, recorded):
    every = []
    for seed in range(6):
        tracks = tracks_of(scenes.tracked(seed))
        every.append((clear(tracks), identity(tracks), hota(tracks)))
        expected = dict(recorded["tracks"][str(seed)])
        other = expected.pop("motmetrics")
        ours = numbers(*every[-1])
        for name, value in expected.items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-12, err_msg=f"{seed} {name}")
        assert [ours["IDF1"], ours["IDP"], ours["IDR"]] == pytest.approx([other["idf1"], other["idp"], other["idr"]])
    total = every[0]
    for more in every[1:]:
        total = tuple(a + b for a, b in zip(total, more, strict=True))
    for name, value in recorded["tracks"]["all"].items():
        np.testing.assert_allclose(numbers(*total)[name], value, rtol=1e-12, err_msg=name)


def test_one_exchange_of_two_people():
    """Right places all the time, and the names change once, half way."""
    frames = [(np.array([0, 1]), np.array([7, 8] if t < 5 else [8, 7]), np.eye(2)) for t in range(10)]
    tracks = tracks_of(frames)
    assert clear(tracks).switches == 2
    assert clear(tracks).mota == pytest.approx(1 - 2 / 20)
    assert identity(tracks).idf1 == 0.5
    assert hota(tracks).det_a.min() == 1
    # Each true positive shares 5 frames with its track, of 15 that either is there: 1/3.
    assert hota(tracks).hota == pytest.approx(np.sqrt(1 / 3))


def test_empty_sequences():
    nobody = np.empty(0, np.int64)
    missed = tracks_of([(np.array([0]), nobody, np.empty((1, 0)))] * 3)
    assert clear(missed).mota == 0
    assert clear(missed).mostly_lost == 1
    assert identity(missed).idf1 == 0
    assert hota(missed).hota == 0
    invented = tracks_of([(nobody, np.array([0]), np.empty((0, 1)))] * 3)
    assert clear(invented).false_positives == 3
    assert np.isnan(clear(invented).mota)
    assert hota(invented).false_positives.tolist() == [3] * 19
    assert np.isnan(identity(Tracks([], [], [])).idf1)


def test_distances_become_similarities():
    assert from_distance(np.array([0, 1, 2, 3]), 2).tolist() == [1, 0.5, 0, 0]


def test_wrong_sequences_are_refused():
    with pytest.raises(ShapeError, match="similarity\\[0\\]"):
        Tracks([np.array([1])], [np.array([1])], [np.zeros((2, 1))])
    with pytest.raises(ShapeError, match="frames"):
        Tracks([np.array([1])], [], [])
    with pytest.raises(ConfigError, match="twice"):
        Tracks([np.array([1, 1])], [np.array([1])], [np.zeros((2, 1))])
