# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest

from pose_ros.media.sources import open_source
from pose_ros.media.video import VideoWriter, write_image


def test_table_of_one_image(cli, toy, picture):
    ran = cli("run", picture, "--model", toy)
    assert ran.code == 0
    assert "48 x 64, 1 found" in ran.out
    assert "16 of 17" in ran.out


def test_json_keeps_numbers_and_says_null_for_missing(cli, toy, picture):
    document = json.loads(cli("run", picture, "--model", toy, "--json").out)
    assert document["schema"] == "pose_ros.run/1"
    assert document["model"] == "toy"
    assert document["skeleton"]["keypoints"][0] == "nose"
    (source,) = document["sources"]
    assert (source["kind"], source["width"], source["height"]) == ("image", 48, 64)
    (subject,) = source["frames"][0]["subjects"]
    assert subject["score"] == 0.75
    assert subject["box"] == [1, 2, 30, 40]
    assert subject["keypoints"][0] == [None, None, 0]
    assert subject["keypoints"][1] == [10, 20.5, 0.9]
    assert subject["id"] is None
    assert "local_points" not in subject


def test_json_has_parts_sides_measures_and_frames(cli, models, testdata, tmp_path):
    photo = testdata / "body2d/coco_mini/000000109313.jpg"
    ran = cli("run", photo, "--hands", "--faces", "--json", "--output", tmp_path / "out")
    document = json.loads(ran.out)
    assert document["parts"]["hands"]["model"] == "mediapipe-hand-landmark-full"
    assert document["parts"]["faces"]["skeleton"]["name"] == "facemesh478"
    (source,) = document["sources"]
    (frame,) = source["frames"]
    (person,) = frame["subjects"]
    assert (person["id"], person.get("label")) == (1, None)  # its detector knows people alone
    assert "parent" not in person
    left, right = sorted(frame["parts"]["hands"], key=lambda hand: hand["side"])
    assert [(h["parent"], h["side"], len(h["keypoints"])) for h in (left, right)] == [(1, "left", 21), (1, "right", 21)]
    assert 0 <= left["side_score"] <= 1
    (face,) = frame["parts"]["faces"]
    assert face["parent"] == 1
    assert "side" not in face
    assert 0 <= face["measures"]["mouth_opening"] < 0.5
    assert frame["ms"].keys() >= {"hands", "faces"}
    table = cli("run", photo, "--hands", "--faces").out
    assert "1 found, 2 hands, 1 faces" in table
    assert "left hand of 1" in table
    again = cli("run", photo, "--hands", "--set", "hands.model=mediapipe-hand-landmark-lit")
    assert again.code == 2
    assert "did you mean 'mediapipe-hand-landmark-lite'" in again.err


def test_frames_are_named_and_nan_is_null():
    from pose_ros.cli import console
    from pose_ros.cli.results import frame_to_dict
    from pose_ros.core.poses import Poses
    from pose_ros.core.skeleton import Skeleton
    from pose_ros.core.stages import Stages
    from pose_ros.pipeline import Result

    skeleton = Skeleton("face", ("nose",), measures=("mouth_opening",), frames=("face", "gaze"))
    frames = np.array([[[1, 2, 3, 0, 0, 0, 1], [np.nan] * 7]])
    poses = Poses(skeleton, np.zeros((1, 1, 2)), np.ones((1, 1)), measures=[[0.25]], frames=frames, labels=["dog"])
    (subject,) = console.jsonable(frame_to_dict(Result(poses, (), Stages()), 0, 0.0))["subjects"]
    assert subject["frames"] == {"face": [1, 2, 3, 0, 0, 0, 1], "gaze": [None] * 7}
    assert (subject["measures"], subject["label"]) == ({"mouth_opening": 0.25}, "dog")


def test_what_looks_at_parts_is_there():
    from pose_ros.cli.runner import PART_MODELS
    from pose_ros.models.store import Store
    from pose_ros.wiring import PARTS

    assert PART_MODELS.keys() == PARTS.keys()
    assert all(Store().card(name).kind == "estimator" for name in PART_MODELS.values())


def test_output_folder_holds_picture_json_and_coco(cli, toy, picture, tmp_path):
    out = tmp_path / "deep" / "out"
    ran = cli("run", picture.parent, "--model", toy, "--output", out, "--coco")
    assert ran.code == 0
    assert sorted(p.name for p in out.iterdir()) == ["000000000139_pose.jpg", "coco.json", "results.json"]
    annotated = json.loads((out / "results.json").read_text())["sources"][0]["annotated"]
    assert annotated == str(out / "000000000139_pose.jpg")
    with open_source(annotated) as source:
        (frame,) = source
    assert frame.size_wh == (48, 64)
    assert np.ptp(frame.image) > 50  # something was drawn
    (entry,) = json.loads((out / "coco.json").read_text())
    assert entry["image_id"] == 139
    assert entry["keypoints"][:6] == [0, 0, 0, 10, 20.5, 0.9]
    assert len(entry["keypoints"]) == 51


def test_two_sources_of_one_name_do_not_overwrite_each_other(cli, toy, picture, tmp_path):
    twin = tmp_path / "twin" / picture.name
    write_image(twin, np.full((32, 32, 3), 150, np.uint8))
    cli("run", picture, twin, "--model", toy, "--output", tmp_path / "out")
    assert (tmp_path / "out" / "000000000139_pose.jpg").exists()
    assert (tmp_path / "out" / "000000000139_pose_2.jpg").exists()


@pytest.fixture
def clip(tmp_path):
    """Ten frames at 10 Hz; the person is there from frame 4 on."""
    with VideoWriter(tmp_path / "clip.mp4", 10) as writer:
        for index in range(10):
            writer.write(np.full((64, 64, 3), 30 if index < 4 else 200, np.uint8))
    return tmp_path / "clip.mp4"


def test_every_and_max_frames_of_a_video(cli, toy, clip, tmp_path):
    ran = cli("run", clip, "--model", toy, "--json", "--every", 2, "--max-frames", 4, "--output", tmp_path / "out")
    (source,) = json.loads(ran.out)["sources"]
    assert [f["index"] for f in source["frames"]] == [0, 2, 4, 6]
    assert [f["time_s"] for f in source["frames"]] == pytest.approx([0, 0.2, 0.4, 0.6], abs=0.01)
    assert [len(f["subjects"]) for f in source["frames"]] == [0, 0, 1, 1]
    with open_source(source["annotated"]) as annotated:
        assert annotated.fps == pytest.approx(5)
        assert len(list(annotated)) == 4


def test_table_of_a_video(cli, toy, clip):
    row = cli("run", clip, "--model", toy).out.splitlines()[-1].split()
    assert row[1:4] == ["10", "6", "1"]


def test_a_source_that_cannot_be_read_does_not_stop_the_others(cli, toy, picture, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff but no more")
    ran = cli("run", bad, tmp_path / "gone.jpg", picture, "--model", toy, "--json")
    assert ran.code == 1
    first, second, third = json.loads(ran.out)["sources"]
    assert "cannot be decoded" in first["error"]
    assert "no such file" in second["error"]
    assert len(third["frames"]) == 1
    assert ran.err.count("pose-ros: source") == 2


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--model", "toi"], 2, "did you mean 'toy'"),
        (["--model", "toy", "--skeleton", "coco-17"], 2, "did you mean 'coco17'"),
        (["--model", "toy", "--coco"], 2, "--output"),
        (["--model", "toy", "--every", "0"], 2, "--every"),
        (["--model", "yolox-nano"], 2, "is a detector"),
    ],
)
def test_what_does_not_fit_is_named(cli, toy, picture, argv, code, words):
    ran = cli("run", picture, *argv)
    assert ran.code == code
    assert words in ran.err


def test_a_missing_model_without_a_network_is_3(cli, toy, picture):
    ran = cli("run", picture, "--model", "blazepose-full")
    assert ran.code == 3
    assert "pose-ros models fetch" in ran.err


def test_ctrl_c_keeps_what_was_found_until_then(cli, toy, clip, tmp_path, monkeypatch):
    from pose_ros.pipeline import Pipeline

    real, calls = Pipeline.__call__, []

    def interrupted(self, frame, stages=None):
        calls.append(frame)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(self, frame, stages)

    monkeypatch.setattr(Pipeline, "__call__", interrupted)
    ran = cli("run", clip, "later.mp4", "--model", toy, "--json", "--output", tmp_path / "out")
    assert ran.code == 130
    (source,) = json.loads(ran.out)["sources"]
    assert len(source["frames"]) == 5
    with open_source(source["annotated"]) as annotated:
        assert len(list(annotated)) == 5


def test_any_option_can_be_set(cli, toy, picture):
    ran = cli("run", picture, "--model", toy, "--set", "smooth=false", "--set", "one_stage.max_subjects=0", "--json")
    assert ran.code == 2
    assert "one_stage.max_subjects: expected 1 .. 1000, got 0" in ran.err
    assert cli("run", picture, "--model", toy, "--set", "precision=float32", "--set", "batch=2").code == 0


@pytest.mark.parametrize(("text", "message"), [
    ("smooth", "--set: expected KEY=VALUE, such as estimator.flip_test=true, got 'smooth'"),
    ("smooth=[", "--set: expected KEY=VALUE"),
    ("smoth=true", "smoth: unknown key; did you mean 'smooth'"),
    ("estimator.flip=true", "estimator.flip: unknown key"),
])
def test_a_setting_that_does_not_fit_is_named(cli, toy, picture, text, message):
    ran = cli("run", picture, "--model", toy, "--set", text)
    assert ran.code == 2
    assert message in ran.err


def test_where_nothing_can_be_read_no_model_is_said_to_have_run(cli, toy):
    ran = cli("run", "nowhere.jpg", "--model", toy)
    assert (ran.code, ran.out.strip()) == (1, "")
    assert "no such file" in ran.err


def test_a_licence_is_asked_for_before_anything_is_downloaded(cli, picture, monkeypatch, tmp_path):
    monkeypatch.setenv("POSE_ROS_CACHE", str(tmp_path))
    monkeypatch.setattr("pose_ros.models.download.fetch", lambda *_: pytest.fail("a download"))
    ran = cli("run", picture, "--model", "yolox-nano+rtmw-l")
    assert ran.code == 3
    assert "model 'rtmw-l': expected that you accept its licence" in ran.err
