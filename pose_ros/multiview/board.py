# SPDX-License-Identifier: Apache-2.0
"""Board: how a camera sees, and where cameras stand, from images of a ChArUco board."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.frame import check_image
from pose_ros.errors import ConfigError
from pose_ros.multiview.bundle import Adjusted, Sightings, adjust
from pose_ros.multiview.subjects import Rigid

#: Fewer corners of one image say too little.
_LEAST_CORNERS = 6
#: Fewer images do not tell the focal length from the distance.
_LEAST_VIEWS = 8
#: More images only take longer.
_MOST_VIEWS = 60
#: Where the standard deviation of the focal length is a larger share of it, fewer numbers of the lens are looked for.
_VAGUE = 0.01
#: Views whose error is so many times the median are blurred or wrong.
_BAD_VIEW = 3.0
MODELS = ("plumb_bob", "rational_polynomial", "equidistant")


@dataclass(frozen=True)
class Board:
    """A ChArUco board: a chessboard with markers in its white squares.

    Raises:
        ConfigError: There is no such board.
    """

    columns: int
    rows: int
    #: Metres.
    square: float
    marker: float
    dictionary: str = "DICT_4X4_50"
    #: White markers on black, as some displays and printers make them.
    inverted: bool = False
    #: As OpenCV before 4.6 drew boards with an even number of rows: a marker, not a square, in the first corner.
    legacy: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        if min(self.columns, self.rows) < 2 or not 0 < self.marker < self.square:
            got = f"{self.columns} x {self.rows} of {self.square} m with markers of {self.marker} m"
            raise ConfigError("board", f"expected at least 2 x 2 squares larger than their markers, got {got}")
        if not isinstance(getattr(cv2.aruco, self.dictionary, None), int):
            known = ", ".join(name for name in dir(cv2.aruco) if name.startswith("DICT_"))
            raise ConfigError("board.dictionary", f"expected one of {known}; got '{self.dictionary}'")

    @classmethod
    def parse(cls, text: str) -> Board:
        """Read ``COLUMNSxROWS:SQUARE:MARKER[:DICTIONARY[:inverted][:legacy]]``, lengths in metres."""
        size, _, rest = text.partition(":")
        words = rest.split(":")
        match = re.fullmatch(r"(\d+)x(\d+)", size)
        flags = set(words[3:])
        try:
            if match is None or len(words) < 2 or flags - {"inverted", "legacy"}:
                raise ValueError
            return cls(int(match[1]), int(match[2]), float(words[0]), float(words[1]),
                       words[2] if len(words) > 2 else cls.dictionary, "inverted" in flags, "legacy" in flags)
        except ValueError as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError("--board", "expected COLUMNSxROWS:SQUARE:MARKER[:DICTIONARY[:inverted][:legacy]] with "
                              f"lengths in metres, such as 5x7:0.04:0.03:DICT_4X4_50; got '{text}'") from error

    @cached_property
    def _board(self) -> Any:
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        board = cv2.aruco.CharucoBoard((self.columns, self.rows), self.square, self.marker, dictionary)
        board.setLegacyPattern(self.legacy)
        return board

    @cached_property
    def _detector(self) -> Any:
        return cv2.aruco.CharucoDetector(self._board)

    @cached_property
    def points(self) -> np.ndarray:
        """Inner corners (K, 3), metres: x along a row, y down the columns, z into the board."""
        return np.asarray(self._board.getChessboardCorners(), np.float64)

    def draw(self, pixels_per_square: int, margin: int = 0) -> np.ndarray:
        """Return an image (H, W, 3) to print; squares begin ``margin`` pixels from the edge."""
        size = (self.columns * pixels_per_square + 2 * margin, self.rows * pixels_per_square + 2 * margin)
        image = self._board.generateImage(size, marginSize=margin)
        return np.repeat((255 - image if self.inverted else image)[..., None], 3, axis=2)

    def find(self, image: np.ndarray) -> np.ndarray:
        """Return the corners (K, 2) in an RGB image, pixels; NaN for what is not seen."""
        gray = cv2.cvtColor(check_image(image), cv2.COLOR_RGB2GRAY)
        corners, ids, _, _ = self._detector.detectBoard(255 - gray if self.inverted else gray)
        found = np.full((len(self.points), 2), np.nan)
        if ids is not None and len(ids) >= _LEAST_CORNERS:
            found[np.asarray(ids).ravel()] = np.asarray(corners, np.float64).reshape(-1, 2) - _shift()
        return found


@lru_cache(maxsize=1)
def _shift() -> np.ndarray:
    """Return by how much OpenCV finds corners beside where they are: (2,) pixels, (0.5, 0.5) before 4.13, else 0.

    The centre of the first pixel is (0, 0), but not to its refinement of ChArUco corners (opencv/opencv#25539).
    """
    board, pixels = Board(5, 5, 0.04, 0.03), 64
    corners, ids, _, _ = board._detector.detectBoard(board.draw(pixels, margin=pixels)[..., 0])
    true = (board.points[np.asarray(ids).ravel(), :2] / board.square + 1) * pixels - 0.5
    off = np.median(np.asarray(corners).reshape(-1, 2) - true, axis=0)
    return np.round(2 * off) / 2


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """A camera out of images of a board."""

    camera: Camera
    #: Images in which the board was seen, of those that were looked at.
    seen: np.ndarray
    #: Images that the result rests on.
    used: np.ndarray
    #: (T, K, 2) pixels: where the corners of used images are, less where they should be; NaN elsewhere.
    residuals: np.ndarray
    #: Of the board against the image: the largest angle but for a tenth of the used images.
    tilt_deg: float
    #: Standard deviations of fx, fy, cx, cy in pixels; NaN for fisheye lenses, of which OpenCV does not say.
    deviations: np.ndarray
    #: Whether the images say too little about the lens: its centre is that of the image, its pixels are square, and it
    #: has one coefficient of distortion.
    plain: bool = False


def find_intrinsics(
    board: Board, corners: np.ndarray, size_wh: tuple[int, int], model: str = "plumb_bob"
) -> Intrinsics:
    """Find how a camera sees (Zhang, 2000); with fewer numbers where the images do not tell them.

    Args:
        board: What was shown.
        corners: (T, K, 2) pixels of T images, NaN for missing.
        size_wh: Pixels of the images.
        model: Of the lens, one of MODELS.

    Raises:
        ConfigError: The board was seen in too few images.
    """
    if model not in MODELS:
        raise ConfigError("--model", f"expected one of {', '.join(MODELS)}; got '{model}'")
    known = np.isfinite(corners).all(axis=-1)
    # Corners in one row of the board do not say how it is tilted.
    seen = np.array([_spans(board.points[k]) for k in known]) if len(known) else np.zeros(0, bool)
    if seen.sum() < _LEAST_VIEWS:
        raise ConfigError("board", f"expected it in at least {_LEAST_VIEWS} images, found it in {int(seen.sum())} of "
                                   f"{len(corners)}; are size, dictionary and 'inverted' right, and is it sharp?")
    chosen = np.zeros(len(corners), bool)
    chosen[_different(corners, np.flatnonzero(seen))] = True
    found = _fit(board, corners, seen, chosen, size_wh, model)
    # Not true of fisheye lenses, of whose deviations nothing is known.
    if found.deviations[:2].max() > _VAGUE * found.camera.K[0, 0]:
        return _fit(board, corners, seen, chosen, size_wh, model, plain=True)
    return found


def _fit(
    board: Board, corners: np.ndarray, seen: np.ndarray, chosen: np.ndarray, size_wh: tuple[int, int], model: str,
    plain: bool = False,
) -> Intrinsics:
    known, used = np.isfinite(corners).all(axis=-1), chosen.copy()
    for _ in range(2):
        at = np.flatnonzero(used)
        views = [(board.points[known[t]], corners[t, known[t]]) for t in at]
        camera, rotations, translations, deviations = _calibrate(views, size_wh, model, plain)
        residuals = np.full(corners.shape, np.nan)
        for t, (shape, pixels), turn, shift in zip(at, views, rotations, translations, strict=True):
            residuals[t, known[t]] = camera.project(shape @ cv2.Rodrigues(turn)[0].T + shift.ravel()) - pixels
        errors = np.sqrt(np.nanmean(residuals[at] ** 2, axis=(1, 2)))
        bad = errors > _BAD_VIEW * np.median(errors)
        if not bad.any() or (~bad).sum() < _LEAST_VIEWS:
            break
        used[at[bad]] = False
    tilts = [np.degrees(np.arccos(min(1.0, abs(cv2.Rodrigues(turn)[0][2, 2])))) for turn in rotations]
    return Intrinsics(camera, seen, used, residuals, float(np.percentile(tilts, 90)), deviations, plain)


def find_rig(board: Board, cameras: Mapping[str, Camera], corners: np.ndarray) -> Adjusted:
    """Find where cameras stand that saw a board at the same moments; the world is the first camera's optical frame.

    Args:
        board: What was shown.
        cameras: V cameras by name.
        corners: (V, T, K, 2) pixels, NaN for missing.

    Raises:
        ConfigError: Some camera never saw the board together with the others; names it.
    """
    known = np.isfinite(corners).all(axis=-1)
    poses = [_place(board.points, camera, seen) for camera, seen in zip(cameras.values(), corners, strict=True)]
    placed = np.isfinite(np.stack([t[:, 0] for _, t in poses]))
    common = (placed[:, None] & placed).sum(axis=2)
    order = spanning_tree(common.astype(np.float64), list(cameras), "saw the board at the same time as another camera")
    rotations, translations = np.zeros((len(cameras), 3, 3)), np.zeros((len(cameras), 3))
    rotations[0] = np.eye(3)
    for a, b in order:
        turn, shift = _relative(poses[a], poses[b])
        rotations[b], translations[b] = turn @ rotations[a], turn @ translations[a] + shift
    # The first guess of the board is that of the camera which sees most of it.
    best = np.where(placed, known.sum(axis=2), -1).argmax(axis=0)
    kept = placed.any(axis=0)
    t = np.arange(len(best))
    turn = np.stack([p[0] for p in poses])[best, t]
    shift = np.stack([p[1] for p in poses])[best, t]
    back = np.swapaxes(rotations[best], -1, -2)
    turn, shift = back @ turn, (back @ (shift - translations[best])[..., None])[..., 0]
    turn, shift = np.where(kept[:, None, None], turn, np.eye(3)), np.where(kept[:, None], shift, 0.0)
    sightings = Sightings.of(list(cameras.values()), corners, known & kept[:, None])
    return adjust(sightings, rotations, translations, Rigid(board.points, turn, shift))


def spanning_tree(common: np.ndarray, names: Sequence[str], what: str) -> list[tuple[int, int]]:
    """Return edges (from, to) that reach every camera from the first one by the most common sightings (V, V).

    Raises:
        ConfigError: Some camera is not reached.
    """
    reached, edges = [0], []
    while len(reached) < len(common):
        rest = [v for v in range(len(common)) if v not in reached]
        gain = common[np.ix_(reached, rest)]
        if not gain.max(initial=0) > 0:
            raise ConfigError("cameras", f"{', '.join(names[v] for v in rest)}: never {what} (reached: "
                                         f"{', '.join(names[v] for v in reached)}); record again so that it does")
        i, j = np.unravel_index(gain.argmax(), gain.shape)
        edges.append((reached[i], rest[j]))
        reached.append(rest[j])
    return edges


def _spans(shape: np.ndarray) -> bool:
    """Whether corners (N, 3) are enough and lie in more than one row and column."""
    return len(shape) >= _LEAST_CORNERS and all(len(np.unique(shape[:, axis].round(9))) > 1 for axis in (0, 1))


def _different(corners: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the images, at most so many, that differ most in place, size and slant of the board."""
    if len(at) <= _MOST_VIEWS:
        return at
    seen = corners[at]
    middle, spread = np.nanmean(seen, axis=1), np.nanstd(seen, axis=1)
    slant = np.nanmean(np.prod(seen - middle[:, None], axis=2), axis=1) / spread.prod(axis=1)
    looks = np.column_stack([middle, spread, slant])
    looks /= looks.std(axis=0) + 1e-9
    chosen = [int(np.isfinite(seen[..., 0]).sum(axis=1).argmax())]
    distance = np.full(len(at), np.inf)
    while len(chosen) < _MOST_VIEWS:
        distance = np.minimum(distance, np.linalg.norm(looks - looks[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    return at[np.sort(chosen)]


def _calibrate(
    views: Sequence[tuple[np.ndarray, np.ndarray]], size_wh: tuple[int, int], model: str, plain: bool
) -> Any:
    """Return camera, turns and shifts of the board, and standard deviations of fx, fy, cx, cy."""
    shapes = [shape.astype(np.float32)[:, None] for shape, _ in views]
    pixels = [seen.astype(np.float32)[:, None] for _, seen in views]
    try:
        if model == "equidistant":
            lens: Any = cv2.fisheye  # whose types say too little
            # OpenCV 4 has these flags here, OpenCV 5 in the module above.
            where = lens if hasattr(lens, "CALIB_FIX_SKEW") else cv2
            flags = where.CALIB_RECOMPUTE_EXTRINSIC | where.CALIB_FIX_SKEW
            exact = ([a.astype(np.float64).reshape(1, len(a), -1) for a in arrays] for arrays in (shapes, pixels))
            _, k, d, turn, shift = lens.calibrate(*exact, size_wh, None, None, flags=flags)
            return Camera(k, size_wh, d.ravel(), model), turn, shift, np.full(4, np.nan)
        flags = cv2.CALIB_RATIONAL_MODEL if model == "rational_polynomial" else 0
        guess = None
        if plain:
            flags = (cv2.CALIB_USE_INTRINSIC_GUESS | cv2.CALIB_FIX_PRINCIPAL_POINT | cv2.CALIB_FIX_ASPECT_RATIO
                     | cv2.CALIB_ZERO_TANGENT_DIST | cv2.CALIB_FIX_K2 | cv2.CALIB_FIX_K3)  # fmt: skip
            width, height = size_wh
            guess = np.array([[width, 0, (width - 1) / 2], [0, width, (height - 1) / 2], [0, 0, 1.0]])
        _, k, d, turn, shift, deviations, _, _ = cv2.calibrateCameraExtended(
            shapes, pixels, size_wh, guess, None, flags=flags
        )
    except cv2.error as error:
        raise ConfigError("board", f"the images do not fit a lens of model '{model}': {error.err or error}") from error
    d = d.ravel()[: 8 if model == "rational_polynomial" and not plain else 5]
    deviations = deviations.ravel()[:4].copy()
    if plain:
        # Of two focal lengths that are one, OpenCV says the second one's; what a centre that is elsewhere adds to that,
        # it does not say.
        deviations[:2] = np.hypot(deviations[:2].max(), _VAGUE * k[0, 0])
    return Camera(k, size_wh, d, "plumb_bob" if plain else model), turn, shift, deviations


def _place(shape: np.ndarray, camera: Camera, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (T, 3, 3) and (T, 3) of the board in the camera's frame; NaN where it is not seen well enough."""
    turns, shifts = np.full((len(corners), 3, 3), np.nan), np.full((len(corners), 3), np.nan)
    rays = camera.rays(corners)[..., :2]
    for t, ray in enumerate(rays):
        known = np.isfinite(ray).all(axis=1)
        if not _spans(shape[known]):
            continue
        # A board has two poses that look nearly alike; the better one comes first.
        done, turn, shift, _ = cv2.solvePnPGeneric(shape[known], ray[known], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
        if done and shift[0][2] > 0:
            turns[t], shifts[t] = cv2.Rodrigues(turn[0])[0], shift[0].ravel()
    return turns, shifts


def _relative(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the pose of a's frame in b's: of all common moments the one that most others agree with."""
    both = np.isfinite(a[1][:, 0]) & np.isfinite(b[1][:, 0])
    turn = b[0][both] @ np.swapaxes(a[0][both], -1, -2)
    shift = b[1][both] - (turn @ a[1][both][..., None])[..., 0]
    distance = np.linalg.norm(shift[:, None] - shift, axis=2) / (np.median(np.linalg.norm(shift, axis=1)) + 1e-9)
    distance += np.linalg.norm(turn[:, None] - turn, axis=(2, 3))
    best = int(np.median(distance, axis=1).argmin())
    return turn[best], shift[best]
