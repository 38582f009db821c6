# SPDX-License-Identifier: Apache-2.0
"""Gates: whether a robot may act on where a hand is, and if not, which gate says so and by how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.manipulation.hands import Hands


@dataclass(frozen=True)
class GateOptions:
    """What a hand has to pass."""

    max_age: float = option(
        0.3, "Longest time since the hand was measured, delay of the skeletons included.", unit="s", low=0.0, high=10.0,
        live=True,
    )
    min_hand_score: float = option(0.5, "Least score of the joints of the hand.", low=0.0, high=1.0, live=True)
    max_sigma: float = option(
        0.06, "Largest standard deviation of the palm along any axis.", unit="m", low=0.0, high=10.0, live=True
    )
    max_hand_speed: float = option(0.5, "Fastest palm.", unit="m/s", low=0.0, high=10.0, live=True)
    min_reach: float = option(0.2, "Least distance from reach_frame.", unit="m", low=0.0, high=10.0, live=True)
    max_reach: float = option(0.85, "Largest distance from reach_frame.", unit="m", low=0.0, high=10.0, live=True)
    need_intent: bool = option(True, "Whether the hand has to be held out.", live=True)


class Ages:
    """Remembers when each hand was measured last."""

    def __init__(self) -> None:
        """Start with none."""
        self.reset()

    def reset(self) -> None:
        """Forget all hands."""
        self._stamp_ns, self._keys, self._measured_ns = 0, np.empty(0, np.int64), np.empty(0, np.int64)

    def __call__(self, hands: Hands, stamp_ns: int) -> np.ndarray:
        """Return the seconds since hands were measured, (H,); infinite for those that never were."""
        if stamp_ns < self._stamp_ns:
            self.reset()
        same = (self._keys == hands.keys[:, None]) & (hands.keys != 0)[:, None]
        before = np.where(same, self._measured_ns, -1).max(axis=1, initial=-1)
        last = np.where(hands.measured, stamp_ns, before)
        self._stamp_ns, self._keys, self._measured_ns = stamp_ns, hands.keys, last
        return np.where(last >= 0, (stamp_ns - last) * 1e-9, np.inf)


def gated(
    options: GateOptions, hands: Hands, intents: np.ndarray, ages_s: np.ndarray, shoulder: np.ndarray
) -> list[str]:
    """Return why each hand is not valid, H texts; empty where it is.

    Args:
        options: The gates.
        hands: H hands.
        intents: (H,) of :class:`pose_ros.manipulation.intent.Intents`.
        ages_s: (H,) of :class:`Ages`, with the delay of the skeletons.
        shoulder: (3,) of the robot, from which it reaches; metres.
    """
    sigma = np.sqrt(np.linalg.eigvalsh(hands.covariances[:, :3, :3])[:, -1])
    speed, reach = (np.linalg.norm(v, axis=1) for v in (hands.velocities, hands.palms - shoulder))
    # Name, unit, value, relation that has to hold, limit; what is not known passes no gate.
    gates = (
        ("age", " s", ages_s, "<=", options.max_age),
        ("score", "", hands.scores, ">=", options.min_hand_score),
        ("sigma", " m", sigma, "<=", options.max_sigma),
        ("speed", " m/s", speed, "<=", options.max_hand_speed),
        ("reach", " m", reach, "<=", options.max_reach),
        ("reach", " m", reach, ">=", options.min_reach),
    )
    reasons: list[list[str]] = [[] for _ in range(len(hands))]
    for name, unit, values, relation, limit in gates:
        passed = values <= limit if relation == "<=" else values >= limit
        for row in np.flatnonzero(~passed):
            reasons[row].append(f"{name} {values[row]:.3g}{unit}, expected {relation} {limit:g}{unit}")
    for row in np.flatnonzero(intents == 0) if options.need_intent else ():
        reasons[row].append("not held out")
    return ["; ".join(each) for each in reasons]
