# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pose_ros.core.assign import assign

_gains = st.tuples(st.integers(0, 5), st.integers(0, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(0, 10).map(lambda v: v / 10))
)


def best_sum(gain: np.ndarray) -> float:
    """Try every pairing."""
    rows, columns = sorted(gain.shape)
    gain = gain if gain.shape[0] <= gain.shape[1] else gain.T
    return max(sum(gain[i, j] for i, j in enumerate(c)) for c in itertools.permutations(range(columns), rows))


@given(_gains, st.sampled_from([0.0, 0.3, 0.7]))
def test_no_other_pairing_gains_more(gain, minimum):
    pairs = assign(gain, minimum)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    assert (np.diff(pairs[:, 0]) > 0).all()
    chosen = gain[pairs[:, 0], pairs[:, 1]]
    assert ((chosen >= minimum) & (chosen > 0)).all()
    assert chosen.sum() == pytest.approx(best_sum(np.where(gain >= minimum, gain, 0)))


def test_no_other_pairing_gains_more_without_ties(rng):
    for _ in range(60):
        gain = rng.random(rng.integers(2, 6, 2))
        pairs = assign(gain)
        assert gain[pairs[:, 0], pairs[:, 1]].sum() == pytest.approx(best_sum(gain))


def test_the_best_pair_may_have_to_wait():
    assert assign(np.array([[0.9, 0.8], [0.8, 0.1]])).tolist() == [[0, 1], [1, 0]]


def test_nan_is_worthless():
    assert assign(np.array([[np.nan, 0.4], [np.nan, np.nan]])).tolist() == [[0, 1]]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nobody_to_pair(shape):
    assert assign(np.zeros(shape)).shape == (0, 2)


@pytest.mark.parametrize(("gain", "pairs"), [(0.5, [[0, 0]]), (0.4, []), (np.nan, []), (-1.0, [])])
def test_one_and_one(gain, pairs):
    assert assign(np.array([[gain]]), 0.5).tolist() == pairs
