# SPDX-License-Identifier: Apache-2.0
"""Camera: pinhole and fisheye models from calibrated intrinsics (REP-104 meaning of K and D)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pose_ros.errors import ConfigError, ShapeError

#: Number of distortion coefficients that each REP-104 model may have.
_COEFFICIENTS = {"": (0,), "plumb_bob": (0, 4, 5), "rational_polynomial": (0, 8, 12, 14), "equidistant": (0, 4)}


@dataclass(frozen=True, eq=False)
class Camera:
    """One calibrated camera.

    Raises:
        ConfigError: When K says that the camera is not calibrated, or the distortion does not fit its model.
        ShapeError: When K is not (3, 3).
    """

    #: (3, 3) float64: fx, fy, cx, cy in pixels of the image as it came (binning and region of interest applied).
    K: np.ndarray
    #: (width, height) in pixels.
    size_wh: tuple[int, int]
    #: Distortion coefficients in OpenCV's order; empty for a rectified or ideal image.
    D: np.ndarray = field(default_factory=lambda: np.zeros(0))
    #: ``plumb_bob``, ``rational_polynomial``, ``equidistant`` (fisheye), or empty without distortion.
    model: str = ""

    def __post_init__(self) -> None:
        """Check the calibration."""
        k = np.asarray(self.K, np.float64)
        if k.shape != (3, 3):
            raise ShapeError("K", "(3, 3)", k.shape)
        if not np.isfinite(k).all() or k[0, 0] <= 0 or k[1, 1] <= 0:
            raise ConfigError("K", f"expected positive focal lengths, got fx={k[0, 0]}, fy={k[1, 1]}: not calibrated")
        d = np.asarray(self.D, np.float64).reshape(-1)
        if not np.isfinite(d).all():
            raise ConfigError("D", f"expected finite coefficients, got {d.tolist()}")
        if self.model not in _COEFFICIENTS:
            raise ConfigError("distortion_model", f"expected one of {', '.join(_COEFFICIENTS)}; got '{self.model}'")
        if len(d) not in _COEFFICIENTS[self.model]:
            expected = " or ".join(map(str, _COEFFICIENTS[self.model]))
            raise ConfigError("D", f"expected {expected} coefficients for '{self.model}', got {len(d)}")
        object.__setattr__(self, "K", k)
        object.__setattr__(self, "D", d)

    @property
    def ideal(self) -> bool:
        """Whether there is no distortion to take away."""
        return not self.D.any()

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points of the optical frame into the image.

        Args:
            points: (..., 3), metres. Points at or behind the image plane become NaN.

        Returns:
            (..., 2), pixels, with distortion.
        """
        import cv2

        points = np.asarray(points, np.float64)
        flat = points.reshape(-1, 3)
        with np.errstate(invalid="ignore"):
            front = flat[:, 2] > 0
        pixels = np.full((len(flat), 2), np.nan)
        if front.any():
            visible = np.ascontiguousarray(flat[front])
            if self.ideal:
                homogeneous = visible @ self.K.T
                pixels[front] = homogeneous[:, :2] / homogeneous[:, 2:]
            elif self.model == "equidistant":
                pixels[front] = cv2.fisheye.projectPoints(
                    visible[:, None], np.zeros(3), np.zeros(3), self.K, self.D
                )[0].reshape(-1, 2)
            else:
                pixels[front] = cv2.projectPoints(visible, np.zeros(3), np.zeros(3), self.K, self.D)[0].reshape(-1, 2)
        return pixels.reshape(*points.shape[:-1], 2)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Return the direction of each pixel, scaled so that z is 1.

        Args:
            pixels: (..., 2), as they came from the image, with distortion. NaN stays NaN.

        Returns:
            (..., 3) in the optical frame.
        """
        import cv2

        pixels = np.asarray(pixels, np.float64)
        flat = pixels.reshape(-1, 2)
        seen = np.isfinite(flat[:, 0]) & np.isfinite(flat[:, 1])
        rays = np.empty((len(flat), 3))
        rays[:, 2] = 1
        # OpenCV gets every pixel: to pick those that are seen costs more, and what it makes of NaN is put right below.
        src = np.ascontiguousarray(flat)[:, None]
        if self.ideal:
            rays[:, 0] = (flat[:, 0] - self.K[0, 2]) / self.K[0, 0]
            rays[:, 1] = (flat[:, 1] - self.K[1, 2]) / self.K[1, 1]
        elif len(flat) and self.model == "equidistant":
            rays[:, :2] = cv2.fisheye.undistortPoints(src, self.K, self.D)[:, 0]
        elif len(flat):
            rays[:, :2] = cv2.undistortPoints(src, self.K, self.D).reshape(-1, 2)
        if not seen.all():
            rays[~seen] = np.nan
        return rays.reshape(*pixels.shape[:-1], 3)
