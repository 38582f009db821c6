# SPDX-License-Identifier: Apache-2.0
"""Bags that are damaged, or lie about sizes and files: an error that says so, and no memory for what is not there."""

from __future__ import annotations

import json
import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numbered import frames_of

pytest.importorskip("rosbags", reason="rosbags is not installed")
from republished import republished
from rosbags.rosbag2 import StoragePlugin
from test_bags import image, write

from pose_ros.errors import SourceError

#: Sizes that a file promises and does not have; the last one is a signed -1.
_SIZES = (1 << 62, 1 << 40, 1 << 33, (1 << 64) - 1)


def _damaged(whole: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    for size in _SIZES:
        for _ in range(8):
            at = int(rng.integers(0, len(whole) - 8))
            yield whole[:at] + struct.pack("<Q", size) + whole[at + 8 :]
    for _ in range(16):
        yield whole[: int(rng.integers(0, len(whole)))]
    for _ in range(16):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, len(data), 20)] = rng.integers(0, 256, 20)
        yield data.tobytes()


@pytest.fixture
def little_memory() -> Iterator[None]:
    """2 GiB more than now: who believes a size of 8 GiB fails, as on a robot."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("storage", list(StoragePlugin), ids=lambda s: s.name)
@pytest.mark.parametrize("read", [lambda path: len(frames_of(path)), republished], ids=["source", "player"])
def test_damage_is_an_error_or_fewer_images(
    tmp_path: Path, rng: np.random.Generator, storage: StoragePlugin, read: Callable[[str], int], little_memory: None
) -> None:
    spec = write(tmp_path / "bag", {"/image": [image(i, i + 1) for i in range(30)]}, storage)
    file = next(p for p in Path(spec).iterdir() if p.suffix != ".yaml")
    whole, refused = file.read_bytes(), 0
    for data in _damaged(whole, rng):
        file.write_bytes(data)
        try:
            assert read(spec) <= 30
        except SourceError:
            refused += 1
    assert refused >= 16, "a bag that is cut off is never read as a shorter one"


@pytest.mark.parametrize("lead", ["../other/other.mcap", "{folder}/other/other.mcap"])
def test_a_bag_reads_no_file_outside_its_folder(tmp_path: Path, lead: str) -> None:
    write(tmp_path / "other", {"/image": [image(1, 1)]})
    spec = write(tmp_path / "bag", {"/image": [image(2, 1)]})
    (tmp_path / "bag" / "bag.mcap").unlink()
    meta = tmp_path / "bag" / "metadata.yaml"
    named = json.dumps(lead.format(folder=tmp_path))
    meta.write_text(meta.read_text().replace("bag.mcap", named.strip('"')))
    for read in (frames_of, republished):
        with pytest.raises(SourceError, match="files are missing"):
            read(spec)


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.system ['true']", "[" * 20_000, "- [", ""])
def test_metadata_is_data(tmp_path: Path, text: str) -> None:
    spec = write(tmp_path / "bag", {"/image": [image(1, 1)]})
    (tmp_path / "bag" / "metadata.yaml").write_text(text)
    for read in (frames_of, republished):
        with pytest.raises(SourceError, match="cannot be read as a ROS 2 bag"):
            read(spec)
