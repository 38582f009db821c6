# SPDX-License-Identifier: Apache-2.0
"""MANO_RIGHT.pkl is read without running anything of it, and what is missing or wrong is said."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "data"))
import synthetic_mano

from pose_ros.errors import ModelCorruptError, ModelMissingError
from pose_ros.models import mano

NAMES = {"template": "v_template", "shapes": "shapedirs", "poses": "posedirs", "regressor": "J_regressor",
         "weights": "weights", "faces": "f"}  # fmt: skip


def same(found: dict[str, np.ndarray]) -> None:
    expected = synthetic_mano.arrays()
    for name, key in NAMES.items():
        np.testing.assert_allclose(found[name], expected[key], atol=1e-7, err_msg=name)
    assert found["parents"].tolist() == [-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]


def test_file_of_python_2_with_chumpy_and_scipy(mano_file):
    content = mano_file.read_bytes()
    assert b"chumpy.reordering\nSelect" in content
    assert b"scipy.sparse.csc\ncsc_matrix" in content
    same(mano.read(mano_file))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_file_that_was_saved_anew_without_them(tmp_path, protocol):
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(pickle.dumps(synthetic_mano.arrays(), protocol))
    same(mano.read(path))


def test_more_shapes_than_those_of_the_paper(tmp_path):
    shapes = synthetic_mano.arrays()["shapedirs"]
    same(mano.read(synthetic_mano.write(tmp_path / "MANO_RIGHT.pkl", shapedirs=np.concatenate([shapes] * 2, axis=2))))


class Evil:
    """Creates a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_what_asks_to_run_something_is_refused(tmp_path):
    path, trace = tmp_path / "MANO_RIGHT.pkl", tmp_path / "trace"
    path.write_bytes(pickle.dumps({**synthetic_mano.arrays(), "bs_type": Evil(trace)}))
    with pytest.raises(ModelCorruptError, match=r"got one that asks to run (_io|io)\.open; nothing of it was run"):
        mano.read(path)
    assert not trace.exists()


@pytest.mark.parametrize(("changes", "said"), [
    ({"weights": None}, "no 'weights'"),
    ({"posedirs": np.zeros((778, 3, 207))}, r"'posedirs' of shape \(778, 3, 207\) in place of \(778, 3, 135\)"),
    ({"v_template": np.full((778, 3), np.nan)}, "'v_template' .* numbers that are none"),
    ({"kintree_table": np.zeros((2, 16)) + 15}, "'kintree_table' with the joints"),
    ({"f": np.full((1538, 3), 778)}, "'f' with"),
])  # fmt: skip
def test_what_is_no_hand_is_named(tmp_path, changes, said):
    with pytest.raises(ModelCorruptError, match=said):
        mano.read(synthetic_mano.write(tmp_path / "MANO_RIGHT.pkl", **changes))


@pytest.mark.parametrize("content", [b"", b"<html>", pickle.dumps([1, 2])])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(content)
    with pytest.raises(ModelCorruptError, match=r"expected MANO_RIGHT\.pkl of https://mano"):
        mano.read(path)


def test_half_a_file_is_refused(tmp_path, mano_file):
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(mano_file.read_bytes()[:-1000])
    with pytest.raises(ModelCorruptError, match="nothing of it was run"):
        mano.read(path)


def test_left_hand_is_refused(tmp_path):
    with pytest.raises(ModelCorruptError, match="left hands are mirrored right ones"):
        mano.read(synthetic_mano.write(tmp_path / "MANO_LEFT.pkl"))


def test_found_by_option_by_variable_and_among_own_models(tmp_path, monkeypatch, mano_file):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("POSE_ROS_MANO", raising=False)
    with pytest.raises(ModelMissingError, match=r"at .*pose_ros/models/MANO_RIGHT\.pkl, found none\. .* no commercial "
                                                r"use.*register at https://mano\.is\.tue\.mpg\.de.*POSE_ROS_MANO"):
        mano.find()
    place = tmp_path / "pose_ros/models/MANO_RIGHT.pkl"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    assert mano.find() == place
    monkeypatch.setenv("POSE_ROS_MANO", str(mano_file.parent))
    assert mano.find() == mano_file
    assert mano.find(str(place)) == place
    with pytest.raises(ModelMissingError, match="/nowhere"):
        mano.find("/nowhere")
