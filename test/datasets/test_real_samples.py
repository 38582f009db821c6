# SPDX-License-Identifier: Apache-2.0
"""Real labels of every set in the test data, against pycocotools and against what their own files say."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from pose_ros import datasets
from pose_ros.cli.datasets import contact_sheet, survey
from pose_ros.errors import DatasetError

#: Data set, folder of the test data, label file.
COCO_STYLE = [
    ("coco", "body2d/coco4", "test_coco.json"), ("coco", "body2d/coco_mini", "person_keypoints.json"),
    ("coco-wholebody", "body2d/coco4", "test_coco_wholebody.json"), ("halpe", "body2d/coco4", "test_halpe.json"),
    ("crowdpose", "body2d/crowdpose", "test_crowdpose.json"), ("ochuman", "body2d/ochuman", "test_ochuman.json"),
    ("aic", "body2d/aic", "test_aic.json"), ("mhp", "body2d/mhp", "test_mhp.json"),
    ("exlpose", "body2d/exlpose", "test_exlpose.json"), ("jhmdb", "body2d/jhmdb", "test_jhmdb_sub1.json"),
    ("posetrack18", "body2d/posetrack18", "test_posetrack18_val.json"),
    ("humanart", "body2d/humanart", "test_humanart.json"), ("300w", "face/300w", "test_300w.json"),
    ("300w-lp", "face/300wlp", "test_300wlp.json"), ("300vw", "face/300vw", "anno_300vw.json"),
    ("wflw", "face/wflw", "test_wflw.json"), ("cofw", "face/cofw", "test_cofw.json"),
    ("aflw", "face/aflw", "test_aflw.json"), ("lapa", "face/lapa", "test_lapa.json"),
    ("freihand", "hand/freihand", "test_freihand.json"), ("rhd", "hand/rhd", "test_rhd.json"),
    ("onehand10k", "hand/onehand10k", "test_onehand10k.json"),
    ("panoptic-hand", "hand/panoptic_hand", "test_panoptic.json"), ("ap10k", "animal/ap10k", "test_ap10k.json"),
    ("animalpose", "animal/animalpose", "test_animalpose.json"), ("atrw", "animal/atrw", "test_atrw.json"),
    ("macaque", "animal/macaque", "test_macaque.json"), ("horse10", "animal/horse10", "test_horse10.json"),
    ("zebra", "animal/zebra", "test_zebra.json"), ("fly", "animal/fly", "test_fly.json"),
    ("locust", "animal/locust", "test_locust.json"), ("animalkingdom", "animal/ak", "test_animalkingdom.json"),
]  # fmt: skip
IDS = [f"{name}-{Path(file).stem}" for name, _, file in COCO_STYLE]
#: Whose files name keypoints as our skeletons do, but for case and what stands between words.
NAMED = ("coco", "ochuman", "aic", "mhp", "jhmdb", "posetrack18", "humanart", "freihand", "onehand10k", "panoptic-hand",
         "ap10k", "macaque", "horse10")
OTHERS = [("mpii", "body2d/mpii", "test_mpii.json"), ("interhand2.6m", "hand/interhand2.6m", "data.json"),
          ("lightning-pose", "animal/mirror_mouse", ""), ("panoptic", "multiview/panoptic_160906_band1", "hd")]


@pytest.mark.parametrize(("name", "folder", "file"), COCO_STYLE, ids=IDS)
def test_coco_style_says_what_pycocotools_says(name, folder, file, testdata):
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        oracle = COCO(testdata / folder / file)
    dataset = datasets.open(name, testdata / folder, file)
    assert len(dataset) == len(oracle.getImgIds())
    for sample in dataset:
        rows = oracle.loadAnns(oracle.getAnnIds(imgIds=[sample.id]))
        assert len(sample) == len(rows)
        assert sample.there()
        assert sample.read().shape[:2] == sample.size_wh[::-1]
        for i, row in enumerate(rows):
            keys = dataset.layout.options.get("blocks", ["keypoints"])
            said = np.concatenate([np.ravel(row[key]) for key in keys]).reshape(-1, 3)
            said = said[dataset.layout.options.get("order", range(len(said)))]
            seen = said[:, 2] > 0
            np.testing.assert_array_equal(sample.visibility[i] > 0, seen)
            np.testing.assert_allclose(sample.keypoints[i][seen], said[seen, :2])
            assert bool(sample.ignore[i]) == bool(row.get("iscrowd", 0))
            if "area" in row and dataset.layout.options.get("area") != "box":
                assert sample.areas[i] == row["area"]


@pytest.mark.parametrize(("name", "folder", "file"), [row for row in COCO_STYLE if row[0] in NAMED],
                         ids=[i for i, row in zip(IDS, COCO_STYLE, strict=True) if row[0] in NAMED])
def test_keypoints_are_in_the_order_of_the_file(name, folder, file, testdata):
    dataset = datasets.open(name, testdata / folder, file)
    said = json.loads((testdata / folder / file).read_text())["categories"][0]["keypoints"]

    def plain(word: str) -> str:
        return re.sub(r"[^a-z0-9]", "", word.lower())

    ours = [plain(word) for word in dataset.skeleton.keypoints]
    # Of Human-Art's 21 the first 17 are read.
    alike = sum(plain(word) == mine for word, mine in zip(said, ours, strict=False))
    assert alike >= 0.7 * len(ours), list(zip(said, dataset.skeleton.keypoints, strict=False))


@pytest.mark.parametrize(("name", "folder", "file"), OTHERS, ids=[row[0] for row in OTHERS])
def test_other_formats_put_keypoints_into_their_pictures(name, folder, file, testdata):
    dataset = datasets.open(name, testdata / folder, file)
    report, missing = survey(dataset)
    assert report["labelled keypoints"] > 0
    assert len(missing) == (len(dataset) if name == "panoptic" else 0)
    for sample in dataset[:20]:
        if sample.camera is not None:
            error = np.abs(sample.camera.project(sample.points) - sample.keypoints)
            assert np.nanmax(error) < 1e-6
            size = np.array(sample.camera.size_wh)
            assert (np.nanmax(sample.keypoints[sample.visibility > 0], axis=0) <= size).all()


def test_files_can_bring_their_own_skeleton(testdata):
    own = datasets.open("coco-format", testdata / "body2d/coco4", "test_coco.json")
    known = datasets.open("coco", testdata / "body2d/coco4", "test_coco.json")
    for part in ("keypoints", "flip"):
        assert getattr(own.skeleton, part) == getattr(known.skeleton, part)
    assert {tuple(sorted(edge)) for edge in own.skeleton.edges} == {tuple(sorted(e)) for e in known.skeleton.edges}
    np.testing.assert_array_equal(own[0].keypoints, known[0].keypoints)
    with pytest.raises(DatasetError, match="expected categories"):
        datasets.open("coco-format", testdata / "face/300w", "test_300w.json")


def test_mpii_counts_from_zero(testdata):
    sample = datasets.open("mpii", testdata / "body2d/mpii", "test_mpii.json")[0]
    row = json.loads((testdata / "body2d/mpii/test_mpii.json").read_text())[0]
    np.testing.assert_allclose(sample.keypoints[0, 0], np.array(row["joints"][0]) - 1)


def check_hands(points):
    """Of points (N, 21, 3), metres: the palm is longer than the bones of the finger, whose first is its longest."""
    bones = np.linalg.norm(points[:, [5, 6, 7, 8]] - points[:, [0, 5, 6, 7]], axis=2)
    assert (np.linalg.norm(points[:, 1] - points[:, 0], axis=1) < 0.07).all()  # the root of the thumb, not its tip
    assert (bones[:, 0] > 0.06).all()
    assert (bones[:, 0] < 0.12).all()
    assert (np.diff(bones, axis=1)[:, :2] < 0).all()  # the last two are much alike


def test_hands_of_the_studio_are_hands(testdata):
    """Both hands of InterHand2.6M, in the order of everybody."""
    dataset = datasets.open("interhand2.6m", testdata / "hand/interhand2.6m", "data.json")
    assert [s.sides.tolist() for s in dataset] == [[2, 1], [1]] or [s.sides.tolist() for s in dataset] == [[1], [2, 1]]
    for sample in dataset:
        check_hands(sample.points)


def test_rendered_hands_have_metres_that_project_onto_their_pixels(testdata):
    for sample in datasets.open("rhd", testdata / "hand/rhd", "test_rhd.json"):
        assert np.nanmax(np.abs(sample.camera.project(sample.points) - sample.keypoints)) < 0.1
        check_hands(sample.points)


def _as_table(testdata, folder, tmp_path, name):
    """Write labels that were taken out of mmpose's tables and pickles as the tables that they were."""
    rows = json.loads((testdata / folder / f"{Path(folder).name}.json").read_text())
    pixels = np.array([row["kp2d"] for row in rows])
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    np.savez(path, imgname=[row["image"] for row in rows], part=pixels, S=[row["kp3d_camera_m"] for row in rows],
             center=pixels[..., :2].mean(axis=1), scale=np.ptp(pixels[..., 1], axis=1) / 200)
    return rows


def test_human36m_projects_onto_its_pixels(testdata, tmp_path):
    rows = _as_table(testdata, "body3d/h36m", tmp_path, "annotation_body3d/fps50/h36m_test.npz")
    cameras = {f"{row['subject']}.{row['camera_id']}": row["camera"] for row in rows}
    (tmp_path / "annotation_body3d/cameras.json").write_text(json.dumps(cameras))
    dataset = datasets.open("h36m", tmp_path)
    assert [s.sequence for s in dataset] == ["S1_Directions_1", "S5_SittingDown"]
    for sample in dataset:
        assert np.nanmax(np.abs(sample.camera.project(sample.points) - sample.keypoints)) < 0.1


def test_mpi_inf_3dhp_projects_onto_its_pixels(testdata, tmp_path):
    rows = _as_table(testdata, "body3d/mpi_inf_3dhp", tmp_path, "annotations/mpi_inf_3dhp_train.npz")
    cameras = {row["image"].rpartition("_")[0]: row["camera"] for row in rows}
    (tmp_path / "annotations/cameras_train.json").write_text(json.dumps(cameras))
    dataset = datasets.open("mpi-inf-3dhp", tmp_path)
    assert [s.sequence for s in dataset] == ["S4_Seq2_Cam0", "S8_Seq1_Cam8"]
    for sample in dataset:
        assert np.nanmax(np.abs(sample.camera.project(sample.points) - sample.keypoints)) < 2


def test_posetrack_as_published_reads_all_videos(testdata, tmp_path):
    data = json.loads((testdata / "body2d/posetrack18/test_posetrack18_val.json").read_text())
    for image in data["images"]:
        mine = [row for row in data["annotations"] if row["image_id"] == image["id"]]
        other = {**image, "id": image["id"] + 1, "is_labeled": False}
        part = {"images": [image, other], "annotations": mine, "categories": data["categories"]}
        path = tmp_path / "annotations/val" / f"{image['vid_id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(part))
    dataset = datasets.open("posetrack18", tmp_path)
    assert len(dataset) == len(data["images"])
    assert sum(map(len, dataset)) == len(data["annotations"])
    assert all(sample.tracks is not None and (sample.normalisers["head"] > 0).all() for sample in dataset)


def test_a_sleap_project_finds_its_video(testdata, tmp_path):
    (tmp_path / "labels.slp").symlink_to(testdata / "video/sleap_dance.labels.slp")
    (tmp_path / "dance.mp4").symlink_to(testdata / "video/sleap_dance.mp4")
    people, everything = (datasets.open("sleap", tmp_path, split) for split in ("user", "all"))
    assert (len(people), len(everything)) == (3, 450)
    # Numbers of nodes in the file are not their places in the skeleton: who stands shows which is which.
    place = {name: i for i, name in enumerate(people.skeleton.keypoints)}
    heights = people[0].keypoints[0, [place[name] for name in ("nose", "left_shoulder", "left_hip", "left_knee")], 1]
    assert (np.diff(heights) > 0).all()
    assert (place["left_shoulder"], place["left_hip"]) in people.skeleton.edges
    assert people[1].read().ndim == 3
    assert np.isfinite(people[1].keypoints).any()


def test_boxes_of_jhmdb_count_from_one(testdata):
    folder = testdata / "body2d/jhmdb"
    sample = datasets.open("jhmdb", folder, "test_jhmdb_sub1.json")[0]
    x, y, width, height = json.loads((folder / "test_jhmdb_sub1.json").read_text())["annotations"][0]["bbox"]
    assert sample.boxes.tolist() == [[x - 1, y - 1, x - 1 + width, y - 1 + height]]


def test_labels_can_be_looked_at(testdata):
    dataset = datasets.open("crowdpose", testdata / "body2d/crowdpose", "test_crowdpose.json")
    sheet = contact_sheet(list(dataset), dataset)
    assert sheet.shape == (400, 400, 3)
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 1000
