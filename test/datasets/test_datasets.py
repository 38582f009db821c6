# SPDX-License-Identifier: Apache-2.0
"""Cards, messages of what is not there, and the command line."""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from pose_ros import datasets
from pose_ros.cli.main import main
from pose_ros.datasets.base import Found, Sample
from pose_ros.errors import DatasetError, DatasetMissingError, ShapeError, UnknownNameError
from pose_ros.skeletons import catalogue as skeletons

sys.path.append(str(Path(__file__).parent))
from published import PUBLISHED


@pytest.mark.parametrize("name", datasets.names())
def test_a_card_fits_its_skeleton_and_its_readers(name):
    card = datasets.get(name)
    assert card.url.startswith("http")
    assert card.licence
    assert card.citation
    assert card.metrics
    assert card.seen in ("samples", "synthetic")
    for layout in card.layouts:
        reader = importlib.import_module(f"pose_ros.datasets.{layout.reader}")
        assert callable(reader.read)
        for split in layout.splits:
            assert "{" not in layout.at(layout.labels, split) + layout.at(layout.images, split)
    if card.skeleton:
        k = len(skeletons.get(card.skeleton))
        for groups in card.normalisers.values():
            assert len(groups) == 2
            assert all(0 <= index < k for group in groups for index in group)


def test_every_reader_is_tried_with_a_file():
    readers = {layout.reader for name in datasets.names() for layout in datasets.get(name).layouts}
    tried = {layout.reader for name in PUBLISHED for layout in datasets.get(name).layouts}
    # Read with real labels in test_real_samples.
    assert readers - tried == {"panoptic", "interhand"}


def test_what_is_missing_is_said_with_where_to_get_it(tmp_path):
    for name in datasets.names():
        card = datasets.get(name)
        with pytest.raises(DatasetMissingError) as caught:
            datasets.open(name, tmp_path)
        for part in (str(tmp_path), card.url, card.licence, card.layouts[0].reader and card.layouts[0].splits[0]):
            assert part in str(caught.value)
    with pytest.raises(DatasetMissingError, match="which is not there"):
        datasets.open("coco", tmp_path / "nowhere")
    with pytest.raises(UnknownNameError, match="did you mean 'crowdpose'"):
        datasets.get("crowdpos")
    with pytest.raises(UnknownNameError, match="val2017"):
        datasets.open("coco", tmp_path, "val2018")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": 3, "annotations": []}', '{"images": [{"id": 1}], '
                                  '"annotations": [{"image_id": 1, "keypoints": [1, 2]}]}', "\x80\x04."])
def test_files_that_are_something_else_are_refused_by_name(text, tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/person_keypoints_val2017.json").write_text(text, encoding="latin-1")
    with pytest.raises(DatasetError) as caught:
        list(datasets.open("coco", tmp_path))
    assert "coco" in str(caught.value)
    assert not isinstance(caught.value, DatasetMissingError)


def test_labels_of_boxes_alone_are_refused(testdata):
    with pytest.raises(DatasetError, match="has no \\['keypoints'\\]"):
        datasets.open("coco", testdata / "body2d/coco_mini", "instances.json")


def test_tables_that_hold_code_are_not_opened(tmp_path):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code of a data set was run",))

    path = tmp_path / "annotation_body3d/fps50/h36m_test.npz"
    path.parent.mkdir(parents=True)
    columns = {key: np.array([Evil()], object) for key in ("imgname", "center", "scale", "part", "S")}
    np.savez(path, **columns)
    with pytest.raises(DatasetError, match="h36m"):
        datasets.open("h36m", tmp_path)
    for module in (Path(datasets.__file__).parent).glob("*.py"):
        assert "import pickle" not in module.read_text()


def test_a_data_set_travels_to_other_processes_and_tells_how_far_it_is(tmp_path):
    split, *_ = PUBLISHED["jhmdb"][0](tmp_path)
    dataset = datasets.open("jhmdb", tmp_path, split)
    told = []
    first, *_ = dataset.walk(lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert len(dataset[1:]) == 2
    again = pickle.loads(pickle.dumps(dataset))
    assert len(again) == 3
    np.testing.assert_array_equal(again[0].keypoints, first.keypoints)
    with pytest.raises(IndexError):
        dataset[3]


def test_a_sample_fills_what_is_left_out():
    xy = np.array([[[10.0, 20], [30, 60], [np.nan, 5]]])
    sample = Sample(1, None, xy, np.array([[2, 0, 2]]))
    assert sample.visibility.tolist() == [[2, 0, 0]]
    assert np.isnan(sample.keypoints[0, 1:]).all()
    sample = Sample(1, None, xy, np.array([[2, 1, 0]]))
    assert sample.boxes.tolist() == [[10, 20, 30, 60]]
    assert sample.areas == pytest.approx([0.53 * 800])
    assert not sample.ignore.any()
    with pytest.raises(ShapeError, match="boxes"):
        Sample(1, None, xy, np.zeros((1, 3)), boxes=np.zeros((2, 4)))
    with pytest.raises(DatasetError, match="not there"):
        sample.read()


def test_options_that_no_reader_knows_are_refused():
    card = datasets.get("shelf")
    with pytest.raises(DatasetError, match="test"):
        Found(card, card.layouts[0], Path(), "all", (), Path()).only("pictures")


def test_the_command_line_lists_shows_and_checks(testdata, tmp_path, capsys):
    assert main(["datasets", "list", "hand", "--json"]) == 0
    assert {"freihand", "rhd"} <= {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert main(["datasets", "show", "wflw"]) == 0
    assert "WFLW_images" in capsys.readouterr().out
    folder = str(testdata / "body2d/coco_mini")
    sheet = tmp_path / "sheet.jpg"
    code = main(["datasets", "check", "coco", folder, "--split", "person_keypoints.json", "--json", "--count", "2",
                 "--pictures", str(sheet)])
    assert code == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["images"], report["subjects"], report["ignored subjects"]) == (38, 93, 1)
    assert sheet.stat().st_size > 10_000
    assert main(["datasets", "check", "coco", str(tmp_path)]) == 3
    assert "cocodataset.org" in capsys.readouterr().err
    PUBLISHED["lapa"][0](tmp_path)
    assert main(["datasets", "check", "lapa", str(tmp_path)]) == 1
    assert "1 of 1 pictures are not there" in capsys.readouterr().err
