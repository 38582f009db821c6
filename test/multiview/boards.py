# SPDX-License-Identifier: Apache-2.0
"""A board before known cameras: its corners, and pictures of it."""

from __future__ import annotations

import cv2
import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.multiview.board import Board

BOARD = Board(6, 8, 0.04, 0.03)
_PIXELS = 60


def places(n: int, distance: float, seed: int = 0, spread: float = 0.25) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return n poses of the board before a camera that looks along z: tilted, and at all places of the image."""
    rng = np.random.default_rng(seed)
    middle = BOARD.points.mean(axis=0)
    out = []
    for _ in range(n):
        turn = cv2.Rodrigues(rng.uniform(-0.6, 0.6, 3))[0]
        aim = np.array([*rng.uniform(-spread, spread, 2) * distance, distance * rng.uniform(0.8, 1.3)])
        out.append((turn, aim - turn @ middle))
    return out


def picture(camera: Camera, turn: np.ndarray, shift: np.ndarray, board: Board = BOARD) -> np.ndarray:
    """Return what a camera sees of a board: each pixel's ray meets the board's plane."""
    width, height = camera.size_wh
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    rays = camera.rays(grid)
    normal = turn[:, 2]
    depth = (normal @ shift) / (rays @ normal)
    on_board = (rays * depth[..., None] - shift) @ turn
    margin = _PIXELS // 2
    at = (on_board[..., :2] / board.square * _PIXELS + margin - 0.5).astype(np.float32)
    at[depth <= 0] = -1e6
    image = board.draw(_PIXELS, margin)
    image = cv2.GaussianBlur(image, (0, 0), 1.2)
    return cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderValue=(90, 110, 100))
