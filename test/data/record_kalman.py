# SPDX-License-Identifier: Apache-2.0
"""Record what filterpy makes of points with noise: Kalman filter at constant velocity, white-noise acceleration.

    python -m venv oracle && oracle/bin/pip install filterpy==2.0.0 scipy
    oracle/bin/python record_kalman.py kalman_filterpy.npz
"""

from __future__ import annotations

import sys

import numpy as np
from filterpy.common import Q_continuous_white_noise
from filterpy.kalman import KalmanFilter

#: Variance of the velocity of a point that was seen once, (m/s)^2, and spectral density of the acceleration, m^2/s^3.
SPEED, NOISE = 1.5**2, 3.0


def main() -> None:
    """Filter four points with unequal steps of time and a covariance of its own for each measurement."""
    rng = np.random.default_rng(7)
    seconds = rng.uniform(0.01, 0.2, 40)
    points = np.cumsum(rng.normal(0, 0.05, (41, 4, 3)), axis=0) + rng.normal(0, 2, (4, 3))
    root = rng.normal(0, 0.03, (41, 4, 3, 3))
    noises = root @ np.swapaxes(root, -1, -2) + 1e-4 * np.eye(3)
    positions, velocities, covariances = np.zeros((41, 4, 3)), np.zeros((41, 4, 3)), np.zeros((41, 4, 6, 6))
    for k in range(4):
        f = KalmanFilter(dim_x=6, dim_z=3)
        f.x = np.concatenate([points[0, k], np.zeros(3)])[:, None]
        f.P = np.zeros((6, 6))
        f.P[:3, :3], f.P[3:, 3:] = noises[0, k], SPEED * np.eye(3)
        f.H = np.hstack([np.eye(3), np.zeros((3, 3))])
        for i in range(41):
            if i:
                dt = seconds[i - 1]
                f.F = np.eye(6)
                f.F[:3, 3:] = dt * np.eye(3)
                f.Q = Q_continuous_white_noise(2, dt, NOISE, block_size=3, order_by_dim=False)
                f.predict()
                if i % 7:  # every seventh measurement is missing
                    f.update(points[i, k][:, None], R=noises[i, k])
            positions[i, k], velocities[i, k], covariances[i, k] = f.x[:3, 0], f.x[3:, 0], f.P
    np.savez_compressed(
        sys.argv[1], seconds=seconds, points=points, noises=noises, positions=positions, velocities=velocities,
        covariances=covariances, noise=NOISE,
    )  # fmt: skip


if __name__ == "__main__":
    main()
