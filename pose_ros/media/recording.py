# SPDX-License-Identifier: Apache-2.0
"""Recording: annotated video, the best picture of it, and the trajectories, out of frames and their poses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.poses import Poses
from pose_ros.errors import ConfigError, SourceError
from pose_ros.media.annotate import annotate
from pose_ros.media.plot import Trajectories, plot_trajectories
from pose_ros.media.video import VideoWriter, retime, write_image

VIDEO, PICTURE, PLOT = _FILES = "annotated.mkv", "annotated.png", "trajectories.png"
#: What the video is called until it is whole. Matroska, because a file that breaks off plays up to there, and because
#: its writer does not remember every frame until the end.
UNFINISHED = "annotated.unfinished.mkv"
#: Bytes, and number, of the frames that wait until the frame rate is known.
_BYTES_TO_MEASURE, _FRAMES_TO_MEASURE = 64_000_000, 60
#: Frame rate of a video whose stamps tell none, and the range of those that they may tell.
_FALLBACK_FPS, _FPS_RANGE = 10.0, (1.0, 240.0)


class Recording:
    """Write ``annotated.mkv``, ``annotated.png`` and ``trajectories.png`` into a folder."""

    def __init__(self, folder: Path | str, fps: float = 0.0, min_score: float = 0.3) -> None:
        """Begin; files appear when there is something to write.

        Args:
            folder: Where to; older files of these names are replaced, a video whose writer was killed is put aside.
            fps: Frames per second of the video; 0 measures it by the stamps: while it is written those of the first
                frames count, and in the end all do.
            min_score: Keypoints below this are neither drawn nor plotted.

        Raises:
            SourceError: The folder cannot be written.
        """
        self.folder, self.min_score = Path(folder), min_score
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in _FILES:
                (self.folder / name).unlink(missing_ok=True)
            if (old := self.folder / UNFINISHED).is_file():
                old.rename(free_name(old))
        except OSError as error:
            raise SourceError(str(folder), f"cannot be written: {error.strerror or error}") from error
        self.trajectories = Trajectories(min_score)
        self.video: VideoWriter | None = None
        self._fps = fps
        self._waiting: list[tuple[int, np.ndarray]] = []
        self._best: np.ndarray | None = None
        self._canvas: np.ndarray | None = None
        self._best_score = -1.0

    def add_poses(self, stamp_ns: int, poses: Poses) -> None:
        """Remember where everybody was."""
        self.trajectories.add(stamp_ns, poses)

    def add_frame(
        self, stamp_ns: int, image: np.ndarray, poses: Poses, parts: Mapping[str, Poses] | None = None,
        camera: Camera | None = None,
    ) -> None:
        """Draw poses, and ``parts`` of them, into their image and append it to the video.

        Raises:
            SourceError: The video cannot be written.
        """
        # Frames of a running video are drawn over one another: fresh memory costs more than drawing.
        fits = self._canvas is not None and self._canvas.shape == image.shape
        out, parts = self._canvas if fits else None, parts or {}
        annotated = annotate(image, poses, parts, self.min_score, camera=camera, out=out)
        # Most people and parts, then the surest keypoints.
        score = sum(map(len, parts.values())) + len(poses) + (float(poses.scores.mean()) / 2 if len(poses) else 0.0)
        if score > self._best_score:
            self._best, self._best_score = annotated.copy(), score
        if self.video is not None:
            self._canvas = annotated
            self.video.write(annotated)
            self._pace.add(stamp_ns)
            return
        self._waiting.append((stamp_ns, annotated))
        if self._fps or len(self._waiting) >= min(_FRAMES_TO_MEASURE, _BYTES_TO_MEASURE // annotated.nbytes):
            self._begin_video()

    def _begin_video(self) -> None:
        stamps = [stamp for stamp, _ in self._waiting]
        self.video = VideoWriter(self.folder / UNFINISHED, self._fps or _measure(stamps))
        self._pace = _Pace(stamps, self.video.fps)
        for _, image in self._waiting:
            self.video.write(image)
        self._waiting = []

    def close(self) -> dict[str, str]:
        """Finish all files.

        Returns:
            Name of each file -> why it was not written, empty when it was.
        """
        if self._waiting:
            self._begin_video()
        done, best = dict.fromkeys(_FILES, ""), self._best
        if self.video is None or best is None:
            done[VIDEO] = done[PICTURE] = "no image came with its skeletons"
        else:
            self.video.close()
            if not self._fps and retime(self.folder / UNFINISHED, self.video.fps / self._pace.fps):
                self.video.fps = self._pace.fps
            done[VIDEO] = _reason(lambda: (self.folder / UNFINISHED).replace(self.folder / VIDEO))
            done[PICTURE] = _reason(lambda: write_image(self.folder / PICTURE, best))
        done[PLOT] = _reason(lambda: plot_trajectories(self.trajectories, self.folder / PLOT))
        return done


class _Pace:
    """The rate at which a video lasts as long as what it shows, in memory that does not grow."""

    def __init__(self, stamps_ns: list[int], fps: float) -> None:
        """Begin with the stamps of the first frames, and the rate that they tell."""
        self._last_ns, self._steps, self._step_ns = stamps_ns[-1], max(len(stamps_ns) - 1, 1), 1e9 / fps

    def add(self, stamp_ns: int) -> None:
        """Count a frame; a pause counts as three."""
        step, self._last_ns = stamp_ns - self._last_ns, stamp_ns
        if step > 0:
            self._steps += 1
            self._step_ns += (min(step, 3 * self._step_ns) - self._step_ns) / self._steps

    @property
    def fps(self) -> float:
        """Frames per second."""
        return float(np.clip(round(1e9 / self._step_ns, 2), *_FPS_RANGE))


def free_name(path: Path) -> Path:
    """Return ``path`` with a number behind its stem that nothing there bears yet."""
    number = 1
    while (free := path.with_name(f"{path.stem}{number}{path.suffix}")).exists():
        number += 1
    return free


def _reason(write: Callable[[], object]) -> str:
    """Return why something cannot be written; empty where it was."""
    try:
        write()
    except (ConfigError, SourceError, OSError) as error:
        return str(error)
    return ""


def _measure(stamps_ns: list[int]) -> float:
    """Return the rate at which the video lasts as long as what it shows; pauses count as three frames."""
    steps = np.diff(np.array(stamps_ns, np.int64))
    steps = steps[steps > 0]
    if not len(steps):
        return _FALLBACK_FPS
    step = np.minimum(steps, 3 * np.median(steps)).mean()
    return float(np.clip(round(1e9 / step, 2), *_FPS_RANGE))
