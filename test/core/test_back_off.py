# SPDX-License-Identifier: Apache-2.0
"""Waits double with failures, end with a success, and begin anew where time runs backwards."""

from __future__ import annotations

import pytest

from pose_ros.core.back_off import BackOff

S = 1_000_000_000


def test_waits_double_up_to_the_longest():
    rest, now, waits = BackOff(0.5, 4.0), 10 * S, []
    assert rest.due(now)
    for _ in range(6):
        waits.append(rest.failed(now))
        assert not rest.due(now + round(waits[-1] * S) - 1)
        now += round(waits[-1] * S)
        assert rest.due(now)
    assert waits == [0.5, 1, 2, 4, 4, 4]
    assert rest.failures == 6


def test_a_success_begins_anew():
    rest = BackOff(0.5, 4.0)
    rest.failed(0)
    rest.failed(0)
    rest.succeeded()
    assert rest.due(0)
    assert rest.failures == 0
    assert rest.failed(0) == 0.5


def test_a_thousand_failures_are_no_overflow():
    rest = BackOff(0.5, 4.0)
    for _ in range(1000):
        assert rest.failed(0) <= 4.0


def test_time_that_runs_backwards_is_a_new_beginning():
    rest = BackOff(0.5, 4.0)
    rest.failed(100 * S)
    assert not rest.due(99 * S)
    assert rest.due(50 * S)
    assert rest.failed(50 * S) == pytest.approx(0.5)
