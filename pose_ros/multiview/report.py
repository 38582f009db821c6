# SPDX-License-Identifier: Apache-2.0
"""Report: how good a calibration is, in numbers and in plain words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pose_ros.multiview.board import Intrinsics
from pose_ros.multiview.bundle import Adjusted
from pose_ros.multiview.rig import Rig

#: The image is taken apart into so many columns and rows.
GRID = 8
#: From here on something deserves a word: images, share of the image, pixels, share of the focal length, times the
#: median camera, degrees of tilt, millimetres and share of the distance, share of sightings.
_FEW_IMAGES, _LITTLE_COVERED, _LARGE_ERROR, _VAGUE_FOCUS = 15, 0.6, 1.0, 0.005
_WORSE, _FLAT_DEG, _VAGUE_SHARE, _MANY_LET_GO, _FEW_MOMENTS = 2.0, 15.0, 0.005, 0.4, 20
#: Where in the image, by column and row of thirds.
_PLACES = ("top left corner", "top edge", "top right corner", "left edge", "middle", "right edge",
           "bottom left corner", "bottom edge", "bottom right corner")  # fmt: skip


@dataclass(frozen=True)
class CameraReport:
    """How good one camera is; NaN where it does not apply."""

    name: str
    #: Images that were looked at, and those in which something was found.
    images: int
    seen: int
    #: Corners or joints that the result rests on.
    points: int
    #: Root mean square and median distance between where they are and where they should be, pixels.
    rms_px: float
    median_px: float
    #: Share of the image's cells in which something was seen.
    coverage: float
    #: Share of the points that did not fit and were let go.
    let_go: float = float("nan")
    #: Distance to the nearest other camera, metres.
    baseline_m: float = float("nan")
    #: Standard deviations, against the first camera: of the position and of the direction.
    position_mm: float = float("nan")
    angle_deg: float = float("nan")
    #: Standard deviation of the focal length, pixels.
    focal_px: float = float("nan")
    #: What to add to its stamps to get those of the first camera, and one standard deviation; NaN where they agree.
    offset_ms: float = float("nan")
    offset_deviation_ms: float = float("nan")


@dataclass(frozen=True)
class Report:
    """How good a calibration is."""

    cameras: Sequence[CameraReport]
    #: What deserves a look, one sentence each; empty when all is well.
    warnings: Sequence[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return dataclasses.asdict(self)


def coverage(pixels: np.ndarray, size_wh: tuple[int, int], cells: int = GRID) -> np.ndarray:
    """Return in which cells of the image (cells, cells), rows first, pixels (..., 2) lie; NaN is nowhere."""
    flat = pixels[np.isfinite(pixels).all(axis=-1)]
    inside = ((flat >= -0.5) & (flat < np.array(size_wh) - 0.5)).all(axis=-1)
    column, row = ((flat[inside] + 0.5) / size_wh * cells).astype(int).clip(0, cells - 1).T
    grid = np.zeros((cells, cells), bool)
    grid[row, column] = True
    return grid


def of_intrinsics(name: str, found: Intrinsics, corners: np.ndarray) -> Report:
    """Report on how a camera sees; corners are (T, K, 2) pixels of all images."""
    size, used = found.camera.size_wh, corners[found.used]
    distances = np.linalg.norm(found.residuals[found.used], axis=-1)
    grid = coverage(used, size)
    camera = CameraReport(
        name, len(corners), int(found.seen.sum()), int(np.isfinite(distances).sum()), _rms(distances),
        float(np.nanmedian(distances)), float(grid.mean()), focal_px=float(found.deviations[:2].max()),
    )
    warnings = []
    if found.used.sum() < _FEW_IMAGES:
        warnings.append(f"{name}: the board was seen well in {int(found.used.sum())} of {len(corners)} images; "
                        f"show it in {_FEW_IMAGES} or more")
    thirds = coverage(used, size, 3).ravel()
    if not thirds.all():
        places = [place for place, there in zip(_PLACES, thirds, strict=True) if not there]
        warnings.append(f"{name}: the board was never in the {', '.join(places)} of the image; show it there, because "
                        "the lens is only known where the board was")
    elif camera.coverage < _LITTLE_COVERED:
        warnings.append(f"{name}: the board covered {camera.coverage:.0%} of the image; show it nearer and more at the "
                        "edges")
    if found.tilt_deg < _FLAT_DEG:
        warnings.append(f"{name}: the board was never tilted by more than {found.tilt_deg:.0f} degrees against the "
                        "image; tilt it by 30 to 45, else focal length and distance are mixed up")
    if camera.rms_px > _LARGE_ERROR:
        warnings.append(f"{name}: corners are {camera.rms_px:.1f} px off, expected less than {_LARGE_ERROR:.0f}; is "
                        "the board flat, the picture sharp, its size right, or the lens a wide one (--model "
                        "rational_polynomial or equidistant)?")
    if found.plain:
        warnings.append(f"{name}: the images say too little about the lens, so that its centre is taken to be that of "
                        "the image, its pixels square, and only one coefficient of distortion was found")
    focal = found.camera.K[0, 0]
    if camera.focal_px > _VAGUE_FOCUS * focal:
        warnings.append(f"{name}: the focal length is only known to {camera.focal_px:.1f} of {focal:.0f} px; show the "
                        "board nearer and more tilted")
    return Report([camera], warnings)


def of_rig(
    rig: Rig, adjusted: Adjusted, seen: np.ndarray, what: str = "the board",
    offsets_s: tuple[np.ndarray, np.ndarray] | None = None,
) -> Report:
    """Report on where cameras stand.

    Args:
        rig: The cameras.
        adjusted: What came out.
        seen: (V, T, K, 2) pixels of all images, NaN for missing.
        what: What was seen, for the warnings.
        offsets_s: (V,) what to add to the stamps of each camera, and standard deviations; 0 where they agree.
    """
    distances = np.linalg.norm(adjusted.residuals, axis=-1)
    moments = np.isfinite(seen[..., 0]).any(axis=2)
    together = moments & (moments.sum(axis=0) > 1)
    centres = np.array([camera.centre for camera in rig])
    apart = np.linalg.norm(centres[:, None] - centres, axis=2) + np.diag(np.full(len(rig), np.inf))
    cameras = []
    for v, camera in enumerate(rig):
        known = np.isfinite(distances[v])
        turn, shift = adjusted.covariances[v][:3, :3], adjusted.covariances[v][3:, 3:]
        cameras.append(CameraReport(
            camera.name, seen.shape[1], int(moments[v].sum()), int(known.sum()), _rms(distances[v]),
            float(np.nanmedian(distances[v])) if known.any() else float("nan"),
            float(coverage(seen[v], camera.camera.size_wh).mean()),
            let_go=float((adjusted.trust[v][known] < 0.5).mean()) if known.any() else float("nan"),
            baseline_m=float(apart[v].min()),
            position_mm=float(np.sqrt(np.trace(shift)) * 1000), angle_deg=float(np.degrees(np.sqrt(np.trace(turn)))),
        ))  # fmt: skip
    usual = float(np.median([camera.median_px for camera in cameras]))
    warnings = []
    for v, one in enumerate(cameras):
        count = int(together[v].sum())
        if count < _FEW_MOMENTS:
            warnings.append(f"{one.name}: saw {what} in {one.seen} of {one.images} images, {count} times together with "
                            f"another camera; show {what} to both {_FEW_MOMENTS} times or more")
        if one.median_px > _WORSE * usual and one.median_px > 0.5:
            warnings.append(f"{one.name}: half of its points are more than {one.median_px:.1f} px off, in the other "
                            f"cameras {usual:.1f}; was it moved, is it in step with them, are its intrinsics right?")
        if one.let_go > _MANY_LET_GO:
            warnings.append(f"{one.name}: {one.let_go:.0%} of its points did not fit and were let go; is it in step "
                            "with the others?")
        if offsets_s is not None and offsets_s[0][v] != 0:
            ms, sigma, when = 1000 * offsets_s[0][v], 1000 * offsets_s[1][v], "early" if offsets_s[0][v] > 0 else "late"
            cameras[v] = dataclasses.replace(one, offset_ms=float(ms), offset_deviation_ms=float(sigma))
            warnings.append(f"{one.name}: its stamps are {abs(ms):.0f} ms too {when} beside {rig.cameras[0].name}; "
                            "that is allowed for here, but cameras that are fused have to be in step: trigger them "
                            "together, set their clocks by one (PTP, chrony), or move its stamps by that")
        reach = float(np.median(np.linalg.norm(adjusted.scene.points() - centres[v], axis=-1)))
        if one.position_mm > 1000 * _VAGUE_SHARE * reach:
            warnings.append(f"{one.name}: its position is only known to {one.position_mm:.0f} mm; {what} should be "
                            "seen at more places and distances, together with the first camera")
    return Report(cameras, warnings)


def _rms(distances: np.ndarray) -> float:
    known = distances[np.isfinite(distances)]
    return float(np.sqrt((known**2).mean())) if len(known) else float("nan")
