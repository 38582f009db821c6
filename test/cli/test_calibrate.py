# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_ros.cli import sightings
from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError
from pose_ros.media.calibration import read_calibration
from pose_ros.media.video import write_image
from pose_ros.multiview.files import read_rig, write_rig
from pose_ros.multiview.rig import PosedCamera, Rig

sys.path.append(str(Path(__file__).parents[1] / "multiview"))
from boards import BOARD, picture, places

LENS = Camera(np.array([[260.0, 0, 161], [0, 261, 118], [0, 0, 1]]), (320, 240))
WORDS = "6x8:0.04:0.03:DICT_4X4_50"


def two() -> Rig:
    turn = cv2.Rodrigues(np.array([0, 0.5, 0.0]))[0]
    return Rig([PosedCamera("left", LENS, np.eye(3), np.zeros(3)),
                PosedCamera("right", LENS, turn, -turn @ np.array([0.25, 0.0, 0.03]))])  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Folders of pictures that two cameras have taken of a board at the same moments."""
    folder = tmp_path_factory.mktemp("photos")
    for number, (turn, shift) in enumerate(places(22, 0.4, seed=2, spread=0.2)):
        for posed in two():
            seen = posed.rotation @ turn, posed.rotation @ shift + posed.translation
            write_image(folder / posed.name / f"{number}.png", picture(LENS, *seen))
    return folder


def test_intrinsics_of_a_folder_of_pictures(cli, photos, tmp_path):
    out = tmp_path / "cameras/left.yaml"
    ran = cli("calibrate", "intrinsics", photos / "left", "--board", WORDS, "--output", out)
    assert ran.code == 0, ran.err
    assert "rms px" in ran.out
    assert str(out) in ran.out
    camera = read_calibration(out)
    np.testing.assert_allclose(camera.K[[0, 1], [0, 1]], [260, 261], rtol=0.01)
    said = json.loads(cli("calibrate", "intrinsics", photos / "left", "--board", WORDS, "--json").out)
    assert said["report"]["cameras"][0]["name"] == "left"
    assert said["report"]["cameras"][0]["images"] == 22
    assert said["cameras"][0]["size_wh"] == [320, 240]
    wrong = cli("calibrate", "intrinsics", photos / "left", "--board", "6x8:0.04:0.03:DICT_7X7_50")
    assert wrong.code == 2
    assert "found it in 0 of 22" in wrong.err


def test_rig_from_a_board_with_and_without_known_lenses(cli, photos, tmp_path):
    write_rig(two(), tmp_path / "lenses.toml")
    sources = [f"{name}={photos / name}" for name in ("left", "right")]
    ran = cli("calibrate", "rig", *sources, "--board", WORDS, "--cameras", tmp_path / "lenses.toml", "--output",
              tmp_path / "rig")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "position ± mm" in ran.out
    found = {camera.name: camera for camera in read_rig(tmp_path / "rig")}
    assert np.linalg.norm(found["right"].centre - [0.25, 0, 0.03]) < 0.002
    assert json.loads((tmp_path / "rig/report.json").read_text())["cameras"][1]["position_mm"] > 0
    said = json.loads(cli("calibrate", "rig", *sources, "--board", WORDS, "--world", "board", "--json").out)
    centres = np.array([camera["centre"] for camera in said["cameras"]])
    assert (centres[:, 2] > 0.1).all()
    assert abs(np.linalg.norm(centres[0] - centres[1]) - np.linalg.norm([0.25, 0.03])) < 0.01


def test_rig_refuses_what_it_cannot_use(cli, photos, tmp_path):
    write_rig(two(), tmp_path / "lenses.toml")
    board = ("--board", WORDS, "--cameras", tmp_path / "lenses.toml")
    for arguments, message in [
        ((photos / "left", photos / "right", *board), "expected two or more NAME=SOURCE with different names"),
        ((f"a={photos / 'left'}", *board), "expected two or more NAME=SOURCE"),
        ((f"a={photos / 'left'}", f"right={photos / 'right'}", *board), "has no a; it has left, right"),
        ((f"left={photos / 'no'}", f"right={photos / 'right'}", *board), "no such file or folder"),
    ]:
        ran = cli("calibrate", "rig", *arguments)
        assert ran.code in (1, 2)
        assert message in ran.err


def test_convert(cli, testdata, tmp_path):
    source = testdata / "multiview/shelf/calibration_shelf.json"
    ran = cli("calibrate", "convert", source, tmp_path / "shelf.toml")
    assert ran.code == 2
    assert "0: size: this file does not say" in ran.err
    assert cli("calibrate", "convert", source, tmp_path / "shelf.toml", "--size", "1032").code == 2
    ran = cli("calibrate", "convert", source, tmp_path / "shelf.toml", "--size", "1032x776")
    assert ran.code == 0
    assert "-1.586 -2.109 1.104" in ran.out
    said = json.loads(cli("calibrate", "convert", tmp_path / "shelf.toml", tmp_path / "ros", "--frame", "lab",
                          "--optical", "{name}_optical", "--json").out)  # fmt: skip
    assert said["frame_id"] == "lab"
    assert len(said["written"]) == 7
    np.testing.assert_allclose(read_rig(tmp_path / "ros").cameras[0].centre, [-1.586, -2.109, 1.104], atol=1e-3)


def test_board_to_print(cli, tmp_path):
    ran = cli("calibrate", "board", WORDS, tmp_path / "board.png", "--pixels", "50")
    assert ran.code == 0
    assert "a square is 40 mm wide" in ran.out
    image = cv2.imread(str(tmp_path / "board.png"))
    assert image.shape == (450, 350, 3)
    assert np.isfinite(BOARD.find(image)).all()


@pytest.fixture
def walked(tmp_path):
    """results.json of three cameras, as `pose-ros run` writes them, and the cameras."""
    from scenes import observe, rig, walker

    true = rig(3)
    recording = observe(walker(), true, "coco17", seed=3)
    for v, camera in enumerate(true):
        frames = []
        for shots in recording.ticks()[::2]:
            shot, subjects = shots[v], []
            if shot is not None and len(shot.poses):
                joints = np.column_stack([shot.poses.keypoints[0], shot.poses.scores[0]])
                joints = [[None if np.isnan(x) else float(x) for x in row] for row in joints]
                subjects = [{"id": 7 + v, "keypoints": joints}]
            frames.append({"time_s": len(frames) / 15, "subjects": subjects})
        (tmp_path / f"{camera.name}.json").write_text(json.dumps({
            "skeleton": {"name": "coco17"}, "sources": [{"width": 1280, "height": 720, "frames": frames}]
        }))  # fmt: skip
    write_rig(true, tmp_path / "lenses.toml")
    return true, [f"{c.name}={tmp_path / c.name}.json" for c in true], tmp_path


def test_people_from_recorded_results(cli, walked):
    true, sources, folder = walked
    lenses = ("--cameras", folder / "lenses.toml", "--max-offset", "0")
    ran = cli("calibrate", "people", *sources, *lenses, "--world", "floor", "--output", folder / "out")
    assert ran.code == 0, ran.err
    assert "nobody said how tall the people are" in ran.out
    first, second = true.cameras[:2]
    apart = np.linalg.norm(first.centre - second.centre)
    ran = cli("calibrate", "people", *sources, *lenses, "--world", "floor", "--distance", f"camera0:camera1={apart}",
              "--output", folder / "out")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "nobody said" not in ran.out
    found = {camera.name: camera for camera in read_rig(folder / "out")}
    for camera in true:
        assert abs(found[camera.name].centre[2] - camera.centre[2]) < 0.15
    last = true.cameras[2]
    ours = np.linalg.norm(found["camera0"].centre - found["camera2"].centre)
    assert abs(ours - np.linalg.norm(first.centre - last.centre)) < 0.03
    said = json.loads(cli("calibrate", "people", *sources, *lenses, "--height", "1.75", "--json").out)
    assert not [warning for warning in said["report"]["warnings"] if "tall" in warning or "scale" in warning]
    np.testing.assert_allclose(said["cameras"][0]["centre"], 0, atol=1e-9)


def test_recordings_that_begin_at_different_moments(cli, walked):
    """Sixty milliseconds that the second camera began late are found, said, and allowed for."""
    true, sources, folder = walked
    document = json.loads((folder / "camera1.json").read_text())
    for frame in document["sources"][0]["frames"]:
        frame["time_s"] -= 0.06
    (folder / "camera1.json").write_text(json.dumps(document))
    arguments = ("--cameras", folder / "lenses.toml", "--height", "1.75", "--max-offset", "0.2")
    ran = cli("calibrate", "people", *sources, *arguments, "--output", folder / "out")
    assert ran.code == 0, ran.err
    assert "stamps + ms" in ran.out
    assert "camera1: its stamps are 6" in ran.out or "camera1: its stamps are 5" in ran.out
    assert "too early beside camera0" in ran.out
    said = json.loads((folder / "out/report.json").read_text())["cameras"]
    assert abs(said[1]["offset_ms"] - 60) < max(4, 3 * said[1]["offset_deviation_ms"])
    found = {camera.name: camera for camera in read_rig(folder / "out")}
    for camera in true.cameras[1:]:
        apart = np.linalg.norm(camera.centre - true.cameras[0].centre)
        assert abs(np.linalg.norm(found[camera.name].centre - found["camera0"].centre) - apart) < 0.03 * apart


def test_people_from_recorded_skeletons(cli, walked):
    """What pose nodes have published finds the same cameras as what `pose-ros run` has written."""
    pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
    from pose_ros.msg import SkeletonArray
    from rclpy.serialization import serialize_message
    from std_msgs.msg import Header

    from pose_ros.core.poses import Poses
    from pose_ros.core.stages import Stages
    from pose_ros.pipeline import Result
    from pose_ros.ros.bag import BagWriter
    from pose_ros.ros.messages import poses_to_array
    from pose_ros.skeletons import catalogue

    true, sources, folder = walked
    lenses = ("--cameras", folder / "lenses.toml", "--height", "1.75", "--json", "--max-offset", "0")
    with BagWriter(folder / "bag") as bag:
        for camera in true:
            bag.add(f"/{camera.name}/skeletons", SkeletonArray)
            for frame in json.loads((folder / f"{camera.name}.json").read_text())["sources"][0]["frames"]:
                joints = np.array([one["keypoints"] for one in frame["subjects"]], np.float32).reshape(-1, 17, 3)
                poses = Poses(catalogue.get("coco17"), joints[..., :2], np.nan_to_num(joints[..., 2]),
                              ids=np.array([one["id"] for one in frame["subjects"]], np.int64))  # fmt: skip
                stamp = 1_700_000_000_000_000_000 + round(frame["time_s"] * 1e9)
                header = Header(frame_id=camera.name)
                header.stamp.sec, header.stamp.nanosec = divmod(stamp, 10**9)
                message = poses_to_array(Result(poses, (), Stages()), header, camera.camera.size_wh, "m")
                bag.write(f"/{camera.name}/skeletons", serialize_message(message), stamp)
    said = json.loads(cli("calibrate", "people", *sources, *lenses).out)
    recorded = [f"{camera.name}={folder / 'bag'}#/{camera.name}/skeletons" for camera in true]
    ran = cli("calibrate", "people", *recorded, *lenses)
    assert ran.code == 0, ran.err
    for ours, theirs in zip(json.loads(ran.out)["cameras"], said["cameras"], strict=True):
        np.testing.assert_allclose(ours["centre"], theirs["centre"], atol=2e-3)
    ran = cli("calibrate", "people", f"camera0={folder / 'bag'}", *recorded[1:], *lenses)
    assert ran.code == 1
    assert f"name one of: {folder / 'bag'}#/camera0/skeletons, " in ran.err


def test_people_refuse_what_they_cannot_use(cli, walked):
    _, sources, folder = walked
    (folder / "no.json").write_text("{}")
    lenses = ("--cameras", folder / "lenses.toml", "--max-offset", "0")
    for arguments, message in [
        ((*sources[:2], f"camera2={folder / 'no.json'}", *lenses), "expected results.json of `pose-ros run`"),
        ((*sources, *lenses, "--distance", "camera0:door=3"), "expected two of camera0, camera1, camera2"),
        ((*sources, *lenses, "--distance", "camera0:camera0=3"), "expected two of camera0"),
    ]:
        ran = cli("calibrate", "people", *arguments)
        assert ran.code == 2
        assert message in ran.err


def test_images_of_another_size_take_the_lens_along(cli, walked, capsys):
    _, _, folder = walked
    known = read_rig(folder / "lenses.toml").cameras[0].camera
    from pose_ros.cli.calibrating import image_cameras

    half = image_cameras(folder / "lenses.toml", {"camera0": (640, 360)})["camera0"]
    assert half.K[0, 0] == pytest.approx(known.K[0, 0] / 2)
    for width, share in ((1270, 1), (635, 0.5)):
        cut = image_cameras(folder / "lenses.toml", {"camera0": (width, round(720 * share))})["camera0"]
        assert cut.K[0, 0] == pytest.approx(known.K[0, 0] * share)
        assert cut.size_wh[0] == width
    said = capsys.readouterr().err
    assert "images are 640 x 360, the calibration is of 1280 x 720: taken as scaled by 0.5\n" in said
    assert "taken as scaled by 0.5, and cut at the right or the bottom" in said
    with pytest.raises(ConfigError, match=r"camera0: images are 960 x 720, .* expected the same shape"):
        image_cameras(folder / "lenses.toml", {"camera0": (960, 720)})


def test_images_of_one_moment_belong_together():
    first, second = np.arange(5) / 10, np.arange(8) / 10 + 0.13
    index = sightings.together([first, second])
    assert index.tolist() == [[0, 1, 2, 3, 4], [-1, 0, 1, 2, 3]]
    column = np.arange(8.0)[:, None]
    np.testing.assert_array_equal(sightings.picked(column, index[1])[:, 0], [np.nan, 0, 1, 2, 3])
    with pytest.raises(ConfigError, match="found no two images that belong together"):
        sightings.together([first, second + 60])
