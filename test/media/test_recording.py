# SPDX-License-Identifier: Apache-2.0
"""A recording holds every frame, the best picture and the trajectories."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numbered import frames_of

from pose_ros.core.poses import Poses
from pose_ros.errors import SourceError
from pose_ros.media import recording as recording_module
from pose_ros.media.draw import draw
from pose_ros.media.recording import Recording
from pose_ros.media.sources import open_source
from pose_ros.media.video import retime

ROOT = Path(__file__).parents[2]
IMAGE = np.full((480, 640, 3), 90, np.uint8)


def record(folder: Path, poses: list[Poses], step_ns: int, **arguments: float) -> dict[str, str]:
    recording = Recording(folder, **arguments)
    for index, moment in enumerate(poses):
        recording.add_poses(index * step_ns, moment)
        recording.add_frame(index * step_ns, IMAGE, moment)
    return recording.close()


def test_a_video_lasts_as_long_as_what_it_shows_though_it_began_slowly(people, tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    stamps = [*range(0, 60 * 100, 100), *range(6000, 6000 + 240 * 40, 40)]  # 10 Hz, then 25 Hz, milliseconds
    for stamp in stamps:
        recording.add_frame(stamp * 1_000_000, IMAGE, people(1))
    recording.close()
    frames = list(open_source(str(tmp_path / "annotated.mkv")))
    assert len(frames) == len(stamps)
    assert frames[-1].stamp_ns / 1e6 == pytest.approx(stamps[-1], rel=0.01)
    assert recording.video is not None
    assert recording.video.fps == pytest.approx(len(stamps) / 15.6, rel=0.01)
    head = (tmp_path / "annotated.mkv").read_bytes()[:4096]
    assert retime(tmp_path / "annotated.mkv", 2.0)
    assert retime(tmp_path / "annotated.mkv", 0.5)
    assert (tmp_path / "annotated.mkv").read_bytes()[:4096] == head
    assert not retime(tmp_path / "annotated.png", 2.0)


@pytest.mark.parametrize("count", [1, 2, 25, 60, 70])
def test_every_frame_is_in_the_video(people: Callable[..., Poses], tmp_path: Path, count: int) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    done = record(tmp_path / "out", [people(1) for _ in range(count)], 40_000_000)
    assert done == {"annotated.mkv": "", "annotated.png": "", "trajectories.png": ""}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(done)
    with open_source(str(tmp_path / "out" / "annotated.mkv")) as video:
        assert video.fps == (25.0 if count > 1 else 10.0)
        assert len(list(video)) == count


def test_the_picture_shows_most_people(people: Callable[..., Poses], tmp_path: Path) -> None:
    crowd = people(3)
    record(tmp_path, [people(1), people(0), crowd, people(2)], 40_000_000)
    np.testing.assert_array_equal(frames_of(tmp_path / "annotated.png")[0].image, draw(IMAGE, crowd))


@pytest.mark.parametrize(
    ("moments", "fps"),
    [
        ((0, 1, 2, 3, 5, 6, 8, 9, 10), 8.0),  # two frames lost: nine frames last one second and a bit
        ((0, 1, 2, 3, 4, 5, 1000, 1001, 1002), 8.0),  # a pause is not waited for
        ((0, 1, 2, 3, 1, 2, 3, 4), 10.0),  # a loop
        ((5, 5, 5), 10.0),
    ],
)
def test_the_video_lasts_as_long_as_what_it_shows(
    people: Callable[..., Poses], tmp_path: Path, moments: tuple[int, ...], fps: float
) -> None:
    recording = Recording(tmp_path)
    for moment in moments:
        recording.add_frame(moment * 10**8, IMAGE, people(1))
    recording.close()
    assert recording.video is not None
    assert (recording.video.fps, recording.video.frames) == (fps, len(moments))


def test_few_large_frames_wait(people: Callable[..., Poses], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_module, "_BYTES_TO_MEASURE", 3 * IMAGE.nbytes)
    recording = Recording(tmp_path)
    begun = []
    for moment in range(4):
        recording.add_frame(moment * 10**8, IMAGE, people(1))
        begun.append(recording.video is not None)
    recording.close()
    assert begun == [False, False, True, True]


def test_frames_of_a_running_video_do_not_show_through(people: Callable[..., Poses], tmp_path: Path) -> None:
    recording, moments = Recording(tmp_path, fps=10.0), [people(1) for _ in range(6)]
    moments[3] = people(2)
    for index, moment in enumerate(moments):
        recording.add_frame(index * 10**8, IMAGE, moment)
    recording.close()
    np.testing.assert_array_equal(frames_of(tmp_path / "annotated.png")[0].image, draw(IMAGE, moments[3]))
    for frame, moment in zip(frames_of(tmp_path / "annotated.mkv"), moments, strict=True):
        errors = [np.abs(frame.image.astype(int) - draw(IMAGE, other)).mean() for other in moments]
        assert moments[int(np.argmin(errors))] is moment


def test_nothing_came(tmp_path: Path) -> None:
    (tmp_path / "annotated.mkv").write_text("of an earlier run")
    done = Recording(tmp_path).close()
    assert all(done.values())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be written"):
        Recording(tmp_path / "file" / "out")


def test_a_video_that_breaks_off_plays_up_to_there_and_is_put_aside(tmp_path: Path) -> None:
    """The writer is killed, as by a lack of memory; two recordings later there is still all that it had saved."""
    code = ("import os, sys, numpy as np; from pose_ros.core.poses import Poses\n"
            "from pose_ros.skeletons import catalogue\n"
            "from pose_ros.media.recording import Recording\n"
            "recording = Recording(sys.argv[1], fps=10.0)\n"
            "poses = Poses(catalogue.get('coco17'), np.zeros((0, 17, 2)), np.zeros((0, 17)))\n"
            "for i in range(300): recording.add_frame(i * 10**8, np.roll(noise := np.random.default_rng(1).integers(\n"
            "    0, 256, (120, 160, 3), np.uint8), i), poses)\n"
            "os.kill(os.getpid(), 9)")
    for killed in ("annotated.unfinished1.mkv", "annotated.unfinished2.mkv"):
        ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
        assert ran.returncode == -signal.SIGKILL
        Recording(tmp_path).close()
        with open_source(str(tmp_path / killed)) as video:
            assert video.fps == 10.0
            assert len(list(video)) > 200, "but for some seconds"
    assert {p.name for p in tmp_path.iterdir()} == {"annotated.unfinished1.mkv", "annotated.unfinished2.mkv"}
