# SPDX-License-Identifier: Apache-2.0
"""dlib's shape predictors: files that were written here as dlib writes them, read back, and run."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest

from pose_ros.errors import DeviceError, ModelCorruptError
from pose_ros.runtime import open_session
from pose_ros.runtime.dlib_file import Cascade, read

STAGES, TREES, SPLITS, POINTS, PIXELS = 3, 4, 3, 5, 7


@pytest.fixture
def cascade(rng):
    def floats(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    # What has few digits is written with fewer bytes, and so are numbers of any size.
    leaves = np.round(floats(STAGES, TREES, SPLITS + 1, POINTS, 2), 1) * np.float32(2) ** rng.integers(-40, 40)
    leaves[0, 0, 0] = 0
    return Cascade(
        shape=floats(POINTS, 2), anchors=rng.integers(0, POINTS, (STAGES, PIXELS), np.int32),
        offsets=floats(STAGES, PIXELS, 2), pixels=rng.integers(0, PIXELS, (STAGES, TREES, SPLITS, 2), np.int32),
        thresholds=floats(STAGES, TREES, SPLITS), leaves=leaves.astype(np.float32),
    )  # fmt: skip


def integer(value: int) -> bytes:
    size = max((abs(value).bit_length() + 7) // 8, 1)
    return bytes([size | (128 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def number(value: float) -> bytes:
    mantissa, exponent = math.frexp(value)
    mantissa, exponent = int(mantissa * 2**24), exponent - 24
    while mantissa and mantissa % 256 == 0:
        mantissa, exponent = mantissa // 256, exponent + 8
    return integer(mantissa) + integer(exponent if mantissa else 0)


def matrix(values: np.ndarray) -> bytes:
    return integer(-values.size) + integer(-1) + b"".join(number(v) for v in values.ravel().tolist())


def listed(parts) -> bytes:
    parts = list(parts)
    return integer(len(parts)) + b"".join(parts)


def written(cascade: Cascade) -> bytes:
    def tree(stage, row):
        splits = zip(cascade.pixels[stage, row].tolist(), cascade.thresholds[stage, row].tolist(), strict=True)
        return (listed(integer(a) + integer(b) + number(t) for (a, b), t in splits)
                + listed(matrix(leaf) for leaf in cascade.leaves[stage, row]))

    return b"".join([
        integer(1), matrix(cascade.shape),
        listed(listed(tree(s, t) for t in range(cascade.leaves.shape[1])) for s in range(len(cascade.leaves))),
        listed(listed(map(integer, row)) for row in cascade.anchors.tolist()),
        listed(listed(number(x) + number(y) for x, y in row) for row in cascade.offsets.tolist()),
    ])  # fmt: skip


@pytest.fixture
def path(tmp_path, cascade):
    path = tmp_path / "faces.dat"
    path.write_bytes(written(cascade))
    return path


def test_reads_what_dlib_writes(path, cascade):
    found = read(path, "faces")
    for name, expected in vars(cascade).items():
        np.testing.assert_array_equal(getattr(found, name), expected, name)
        assert getattr(found, name).dtype == expected.dtype


def test_reads_files_that_are_longer_than_a_block(path, cascade, monkeypatch):
    """Numbers lie across the borders of blocks at every place that there is."""
    for block in range(16, 40):
        monkeypatch.setattr("pose_ros.runtime.dlib_file._BLOCK", block)
        np.testing.assert_array_equal(read(path, "faces").leaves, cascade.leaves)


def test_runs_one_stage_as_its_trees_say(path, cascade, rng):
    session = open_session(path)
    assert (session.runtime.split()[0], session.device) == ("numpy", "cpu")
    points = rng.standard_normal((6, POINTS, 2)).astype(np.float32)
    pixels = rng.integers(0, 256, (6, PIXELS)).astype(np.float32)
    stages = np.float32([0, 1, 2, 3, 1, 0])
    batch = np.concatenate([stages[:, None], points.reshape(6, -1), pixels], axis=1)[..., None, None]
    made = session.run(batch)
    for row, stage in enumerate(stages.astype(int)):
        expected = cascade.shape if stage == 0 else points[row].copy()
        for tree in range(TREES if stage else 0):
            node = 0
            while node < SPLITS:
                a, b = cascade.pixels[stage - 1, tree, node]
                above = pixels[row, a] - pixels[row, b] > cascade.thresholds[stage - 1, tree, node]
                node = 2 * node + (1 if above else 2)
            expected = expected + cascade.leaves[stage - 1, tree, node - SPLITS]
        np.testing.assert_array_equal(made["points"][row], expected)
        np.testing.assert_array_equal(made["places"][row, ..., 0], cascade.anchors)
        np.testing.assert_array_equal(made["places"][row, ..., 1:], cascade.offsets)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_refuses_a_file_that_is_cut_off(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: max(int(len(whole) * share), 8)])
    with pytest.raises(ModelCorruptError, match=r"expected a whole shape_predictor of dlib .*; fetch it again"):
        read(path, "faces")


def test_refuses_a_file_whose_last_byte_is_missing(path):
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelCorruptError, match="one that ends within a number"):
        read(path, "faces")


def test_refuses_what_follows_a_whole_file(path):
    path.write_bytes(path.read_bytes() + integer(7))
    with pytest.raises(ModelCorruptError, match="need"):
        read(path, "faces")


CHANGES = {
    "a point that is not there": ("anchors", POINTS, "a pixel near no point"),
    "a pixel that is not there": ("pixels", PIXELS, "a split that looks at no pixel"),
}


@pytest.mark.parametrize(("part", "value", "problem"), CHANGES.values(), ids=CHANGES)
def test_refuses_parts_that_point_nowhere(path, cascade, part, value, problem):
    getattr(cascade, part)[1, 2] = value
    path.write_bytes(written(cascade))
    with pytest.raises(ModelCorruptError, match=problem):
        read(path, "faces")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (integer(1), integer(2), "version 2 in place of 1"),
        (integer(-2 * POINTS), integer(-3), "a first shape of 3 x 1"),
        (integer(-2 * POINTS), integer(-(2**30)), "only .* numbers: it is cut off"),
        (integer(STAGES) + integer(TREES), integer(2**30) + integer(TREES), "cut off|need"),
        (integer(SPLITS) + integer(0), integer(2) + integer(0), "with 2 splits"),
    ],
    ids=["version", "odd", "huge shape", "huge number of stages", "no tree"],
)
def test_refuses_sizes_that_do_not_fit_before_it_allocates_them(path, cascade, old, new, problem):
    cascade.pixels[0, 0, 0, 0] = 0
    whole = written(cascade)
    assert old in whole
    path.write_bytes(whole.replace(old, new, 1))
    with pytest.raises(ModelCorruptError, match=problem):
        read(path, "faces")


def test_refuses_numbers_that_are_none(path, cascade):
    whole = written(cascade)
    first = number(float(cascade.shape[0, 0]))
    path.write_bytes(whole.replace(first, integer(0) + integer(32002), 1))
    with pytest.raises(ModelCorruptError, match="infinite or none"):
        read(path, "faces")


def test_refuses_other_files_of_dlib(tmp_path):
    path = tmp_path / "network.dat"
    path.write_bytes(integer(1) + integer(3) + bytes(100))
    with pytest.raises(ModelCorruptError, match="one that begins with"):
        open_session(path)


@pytest.mark.parametrize("how", [{"device": "cuda"}, {"runtime": "onnxruntime"}, {"precision": "float16"}], ids=str)
def test_refuses_what_trees_do_not_do(path, how):
    with pytest.raises(DeviceError):
        open_session(path, **how)


def test_any_damage_is_either_read_or_refused(path):
    whole = bytearray(path.read_bytes())
    for place in range(0, min(len(whole), 400), 3):
        damaged = whole.copy()
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with contextlib.suppress(ModelCorruptError):
            read(path, "faces")
