# SPDX-License-Identifier: Apache-2.0
"""Videos and pictures come back as they went in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numbered import frames_of, number, ramp

from pose_ros.errors import ShapeError, SourceError
from pose_ros.media.sources import open_source
from pose_ros.media.video import VideoWriter, fit, write_image


def test_frames_come_back(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "new" / "a.mp4", 25.0) as video:
        for index in range(6):
            video.write(ramp(index))
        assert (video.frames, video.fitted) == (6, 0)
    with open_source(str(tmp_path / "new" / "a.mp4")) as source:
        assert source.fps == 25.0
        assert [number(f.image) for f in source] == list(range(6))


def test_colours_come_back(tmp_path: Path) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:] = (200, 100, 30)
    with VideoWriter(tmp_path / "a.mp4", 10.0) as video:
        video.write(image)
    (frame,) = frames_of(tmp_path / "a.mp4")
    np.testing.assert_allclose(frame.image.mean(axis=(0, 1)), (200, 100, 30), atol=6)


@pytest.mark.parametrize("size_wh", [(63, 47), (64, 47), (63, 48)])
def test_odd_sizes_lose_no_frame(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10.0) as video:
        for index in range(3):
            video.write(ramp(index, size_wh))
    frames = frames_of(tmp_path / "a.mp4")
    assert [number(f.image) for f in frames] == [0, 1, 2]
    assert np.abs(np.subtract(frames[0].size_wh, size_wh)).max() <= 1


def test_another_size_is_fitted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10.0) as video:
        for size in ((64, 48), (48, 64), (128, 96)):
            video.write(ramp(5, size))
        assert (video.frames, video.fitted) == (3, 2)
    assert caplog.text.count("scaled to fit 64x48") == 1
    frames = frames_of(tmp_path / "a.mp4")
    assert [number(f.image) for f in frames] == [5, 3, 5]


def test_fit_keeps_the_aspect() -> None:
    out = fit(np.full((100, 50, 3), 200, np.uint8), (100, 100))
    np.testing.assert_array_equal(out[:, 25:75], 200)
    assert not out[:, :25].any()
    assert not out[:, 75:].any()


def test_a_codec_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="codec 'nope'"):
        VideoWriter(tmp_path / "a.mp4", 10.0, codec="nope").write(ramp(1))
    assert not (tmp_path / "a.mp4").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be written"):
        VideoWriter(tmp_path / "file" / "a.mp4", 10.0).write(ramp(1))
    with pytest.raises(SourceError, match="cannot be written"):
        write_image(tmp_path / "file" / "a.png", ramp(1))


def test_something_else_than_an_image(tmp_path: Path) -> None:
    with pytest.raises(ShapeError):
        VideoWriter(tmp_path / "a.mp4", 10.0).write(np.zeros((4, 4)))


def test_without_frames_there_is_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10.0):
        pass
    assert not (tmp_path / "a.mp4").exists()


def test_picture_comes_back(tmp_path: Path, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (8, 9, 3), np.uint8)
    write_image(tmp_path / "a.png", image)
    np.testing.assert_array_equal(frames_of(tmp_path / "a.png")[0].image, image)
    with pytest.raises(SourceError, match="suffix"):
        write_image(tmp_path / "a.xyz", image)
