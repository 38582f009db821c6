# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest
import yaml

from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError
from pose_ros.media.calibration import read_calibration
from pose_ros.multiview.files import read_cameras, read_rig, write_rig
from pose_ros.multiview.rig import PosedCamera, Rig

K = np.array([[800.0, 0, 320], [0, 810, 240], [0, 0, 1]])
PLUMB = np.array([-0.2, 0.05, 0.001, -0.002, 0.01])
FISHEYE = np.array([0.02, -0.01, 0.003, -0.001])
RATIONAL = np.array([0.1, 0.02, 0.001, 0.002, 0.003, 0.05, 0.01, 0.002])


def turn(*vector: float) -> np.ndarray:
    return cv2.Rodrigues(np.array(vector, np.float64))[0]


def rig() -> Rig:
    lenses = {"left": Camera(K, (640, 480), PLUMB, "plumb_bob"), "wide": Camera(K, (640, 480), FISHEYE, "equidistant"),
              "rational": Camera(K, (640, 480), RATIONAL, "rational_polynomial"), "ideal": Camera(K, (640, 480))}
    cameras = [
        PosedCamera(name, lens, turn(0.3 * i, -0.2, 0.1 * i), np.array([0.1 * i, -1, 3.0]))
        for i, (name, lens) in enumerate(lenses.items())
    ]
    return Rig(cameras, "room")


def store(path, **values):
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for key, value in values.items():
        storage.write(key, value)
    storage.release()
    return path


def same(a: Rig, b: Rig) -> None:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))
    assert [c.name for c in a] == [c.name for c in b]
    np.testing.assert_allclose(a.project(points), b.project(points), atol=1e-6)
    assert [c.camera.size_wh for c in a] == [c.camera.size_wh for c in b]


@pytest.mark.parametrize("name", ["rig.toml", "folder"])
def test_what_is_written_is_read_again(tmp_path, name):
    files = write_rig(rig(), tmp_path / name)
    assert all(file.is_file() for file in files)
    again = read_rig(tmp_path / name, frame_id="room")
    by_name = {c.name: c for c in again}
    same(Rig([by_name[c.name] for c in rig()]), rig())


def test_folder_says_its_frame_and_single_files_are_those_of_ros(tmp_path):
    write_rig(rig(), tmp_path / "out", optical="{name}_optical")
    assert read_rig(tmp_path / "out").frame_id == "room"
    camera = read_calibration(tmp_path / "out/wide.yaml")
    assert camera.model == "equidistant"
    np.testing.assert_array_equal(camera.D, FISHEYE)
    assert list(read_cameras(tmp_path / "out/left.yaml")) == ["left"]
    with pytest.raises(ConfigError, match=r"left.yaml: says how cameras see, but not where they stand: left"):
        read_rig(tmp_path / "out/left.yaml")
    said = yaml.safe_load((tmp_path / "out/left.yaml").read_text())
    assert said["distortion_model"] == "plumb_bob"
    assert said["projection_matrix"]["data"][:4] == [800, 0, 320, 0]
    launch = (tmp_path / "out/static_transforms.launch.xml").read_text()
    assert launch.count("static_transform_publisher") == 4
    assert "--frame-id room --child-frame-id left_optical" in launch


def test_transforms_may_go_over_other_frames_but_end_in_one(tmp_path):
    write_rig(rig(), tmp_path)
    path = tmp_path / "static_transforms.yaml"
    tree = yaml.safe_load(path.read_text())["transforms"]
    above = {"header": {"frame_id": "map"}, "child_frame_id": "room",
             "transform": {"translation": {"x": 1.0, "y": 2, "z": 3}, "rotation": {"x": 0, "y": 0, "z": 1, "w": 0}}}
    path.write_text(yaml.safe_dump({"transforms": [*tree, above]}))
    moved = read_rig(tmp_path)
    assert moved.frame_id == "map"
    centres = {c.name: c.centre for c in rig()}
    for camera in moved:
        np.testing.assert_allclose(camera.centre, np.array([-1, -1, 1]) * centres[camera.name] + [1, 2, 3], atol=1e-9)
    other = [{**item, "header": {"frame_id": "elsewhere"}} if i == 0 else item for i, item in enumerate(tree)]
    path.write_text(yaml.safe_dump({"transforms": other}))
    with pytest.raises(ConfigError, match="expected all cameras in one frame, got elsewhere, room"):
        read_rig(tmp_path)
    path.write_text(yaml.safe_dump({"transforms": [*tree, {**above, "header": {"frame_id": "room"}}]}))
    with pytest.raises(ConfigError, match="room -> room"):
        read_rig(tmp_path)
    path.write_text(yaml.safe_dump({"transforms": tree[:1]}))
    with pytest.raises(ConfigError, match=r"child_frame_id is \w+_optical_frame or .* has those of left_optical_frame"):
        read_rig(tmp_path)
    tree[0]["transform"]["rotation"]["w"] = 5.0
    path.write_text(yaml.safe_dump({"transforms": tree}))
    with pytest.raises(ConfigError, match="expected a quaternion of length 1"):
        read_rig(tmp_path)


def test_caliscope_projects_its_points_onto_its_corners(testdata):
    folder = testdata / "multiview/caliscope_charuco"
    cameras = read_rig(folder / "config.toml")
    assert [c.name for c in cameras] == ["cam_0", "cam_1", "cam_2", "cam_3"]
    corners = np.genfromtxt(folder / "xy_CHARUCO.csv", delimiter=",", names=True)
    points = np.genfromtxt(folder / "xyz_CHARUCO.csv", delimiter=",", names=True)
    known = {(r["sync_index"], r["keypoint_id"]): [r["x_coord"], r["y_coord"], r["z_coord"]] for r in points}
    missing = [np.nan] * 3
    for number, camera in enumerate(cameras):
        mine = corners[corners["cam_id"] == number]
        world = np.array([known.get((row["sync_index"], row["keypoint_id"]), missing) for row in mine])
        off = np.linalg.norm(camera.project(world) - np.column_stack([mine["img_loc_x"], mine["img_loc_y"]]), axis=1)
        assert np.isfinite(off).sum() > 300
        assert np.nanmedian(off) < 1.5


def test_qualisys_is_what_pose2sim_makes_of_it(testdata):
    folder = testdata / "multiview/pose2sim_singleperson"
    ours, theirs = read_rig(folder / "Calib.qca.txt"), read_rig(folder / "calib_converted.toml")
    assert [c.name for c in ours] == ["cam01", "cam02", "cam03", "cam04"]
    for a, b in zip(ours, theirs, strict=True):
        assert a.camera.size_wh == b.camera.size_wh == (1088, 1920)
        np.testing.assert_allclose(a.rotation, b.rotation, atol=1e-9)
        np.testing.assert_allclose(a.translation, b.translation, atol=1e-9)
        np.testing.assert_allclose(a.camera.K, b.camera.K, atol=1e-9)
        # Its converter divides the coefficients by the 64 subpixels of a pixel, but they have no unit.
        np.testing.assert_allclose(a.camera.D[:4], 64 * b.camera.D, rtol=1e-6)


def test_qualisys_video_of_half_the_resolution_and_a_fisheye(testdata, tmp_path):
    text = (testdata / "multiview/pose2sim_singleperson/Calib.qca.txt").read_text()
    half = text.replace('bottom="1919"', 'bottom="959"').replace('right="1087"', 'right="543"')
    (tmp_path / "half.txt").write_text(half)
    whole = read_rig(testdata / "multiview/pose2sim_singleperson/Calib.qca.txt")
    for a, b in zip(read_rig(tmp_path / "half.txt"), whole, strict=True):
        assert a.camera.size_wh == (544, 960)
        np.testing.assert_allclose(a.camera.K[:2], b.camera.K[:2] / 2)
    (tmp_path / "fisheye.txt").write_text(text.replace('type="regular"', 'type="fisheye"'))
    with pytest.raises(ConfigError, match="expected a calibration of ordinary lenses"):
        read_rig(tmp_path / "fisheye.txt")
    (tmp_path / "less.txt").write_text(text.replace("fov_video ", "other "))
    with pytest.raises(ConfigError, match=r"less.txt: camera cam01: <fov_video>: expected this element, found only"):
        read_rig(tmp_path / "less.txt")


def test_panoptic_centimetres_become_metres(testdata):
    path = testdata / "multiview/panoptic_160906_band1/calibration_160906_band1_hd.json"
    cameras = read_rig(path)
    raw = json.loads(path.read_text())["cameras"]
    assert len(cameras) == len(raw)
    people = json.loads(next((path.parent / "hdPose3d_stage1_coco19").glob("*168.json")).read_text())["bodies"]
    joints_cm = np.array(people[0]["joints19"], np.float64).reshape(-1, 4)[:, :3].copy()
    seen = 0
    for camera, said in zip(cameras, raw, strict=True):
        if said["type"] != "hd":
            continue
        vector = cv2.Rodrigues(np.array(said["R"], np.float64))[0]
        k, d = np.array(said["K"], np.float64), np.array(said["distCoef"], np.float64)
        expected = cv2.projectPoints(joints_cm, vector, np.array(said["t"], np.float64), k, d)[0][:, 0]
        found = camera.project(joints_cm / 100)
        ahead = np.isfinite(found[:, 0])
        np.testing.assert_allclose(found[ahead], expected[ahead], atol=1e-3)
        seen += bool(((found > 0) & (found < [1920, 1080])).all())
    assert seen > 5


def test_shelf_millimetres_from_its_centre(testdata):
    path = testdata / "multiview/shelf/calibration_shelf.json"
    with pytest.raises(ConfigError, match=r"calibration_shelf.json: 0: size: this file does not say how large"):
        read_rig(path)
    cameras = read_rig(path, size_wh=(1032, 776))
    raw = json.loads(path.read_text())
    point_mm = np.array([100.0, -200, 900])
    for camera in cameras:
        said = raw[camera.name]
        local = np.array(said["R"]) @ (point_mm - np.ravel(said["T"]))
        expected = [said["fx"] * local[0] / local[2] + said["cx"], said["fy"] * local[1] / local[2] + said["cy"]]
        if local[2] > 0:
            np.testing.assert_allclose(camera.project(point_mm / 1000), expected, atol=1e-2)
        np.testing.assert_allclose(camera.centre * 1000, np.ravel(said["T"]), atol=0.1)


@pytest.mark.parametrize("suffix", ["yml", "xml"])
def test_opencv_stereo_pair_in_two_files(tmp_path, suffix):
    store(tmp_path / f"intrinsics.{suffix}", M1=K, D1=PLUMB, M2=K, D2=RATIONAL)
    store(tmp_path / f"extrinsics.{suffix}", R=turn(0, 0.1, 0), T=np.array([[-60.0], [0], [0]]))
    first, second = read_rig(tmp_path, unit="mm", size_wh=(640, 480))
    assert (first.camera.model, second.camera.model) == ("plumb_bob", "rational_polynomial")
    np.testing.assert_array_equal(first.centre, np.zeros(3))
    np.testing.assert_allclose(second.translation, [-0.06, 0, 0])
    with pytest.raises(ConfigError, match="does not say how large the images are"):
        read_rig(tmp_path)


def test_opencv_one_file_per_camera_and_fisheye(tmp_path):
    pose = {"rvec": np.array([0.0, 0.2, 0]), "tvec": np.array([0.0, 0, 2])}
    common = {"image_width": 640, "image_height": 480, "camera_matrix": K}
    store(tmp_path / "a.yml", **common, distortion_coefficients=PLUMB[:4], **pose)
    store(tmp_path / "b.yml", **common, distortion_coefficients=FISHEYE, fisheye_model=1, **pose)
    a, b = read_rig(tmp_path)
    assert (a.name, a.camera.model, b.name, b.camera.model) == ("a", "plumb_bob", "b", "equidistant")
    point = np.array([0.3, -0.2, 1.0])
    expected = cv2.fisheye.projectPoints(point[None, None], pose["rvec"], pose["tvec"], K, FISHEYE)[0].ravel()
    np.testing.assert_allclose(b.project(point), expected)


def test_opencv_many_cameras_as_easymocap_and_ccalib_write_them(tmp_path):
    (tmp_path / "easy").mkdir()
    store(tmp_path / "easy/intri.yml", K_01=K, dist_01=PLUMB, K_02=K, dist_02=np.zeros((1, 5)))
    store(tmp_path / "easy/extri.yml", R_01=np.zeros((3, 1)), Rot_01=np.eye(3), T_01=np.ones((3, 1)),
          R_02=np.array([[0], [0.5], [0]]), T_02=np.zeros((3, 1)))  # fmt: skip
    first, second = read_rig(tmp_path / "easy", size_wh=(640, 480))
    assert (first.name, second.name, second.camera.model) == ("01", "02", "")
    np.testing.assert_allclose(second.rotation, turn(0, 0.5, 0))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn(0.1, 0, 0), (1, 2, 3)
    store(tmp_path / "many.xml", nCameras=1, camera_matrix_0=K, camera_distortion_0=PLUMB, camera_pose_0=pose)
    (only,) = read_rig(tmp_path / "many.xml", size_wh=(640, 480))
    np.testing.assert_allclose(only.translation, [1, 2, 3])


ANIPOSE = """
[cam_0]
name = "A"
size = [640, 480]
matrix = [[800.0, 0, 320], [0, 800, 240], [0, 0, 1]]
distortions = [0.02, -0.01, 0.003, -0.001]
rotation = [0.0, 0.1, 0.0]
translation = [0.0, 0.0, 2000.0]
fisheye = true
[metadata]
error = 0.3
"""


def test_anipose_fisheye_units_and_nested_tables(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(ANIPOSE)
    (a,) = read_rig(path, unit="mm")
    assert (a.camera.model, a.translation[2]) == ("equidistant", 2.0)
    path.write_text(ANIPOSE + 'units = "mm"\n')
    (b,) = read_rig(path)
    assert b.translation[2] == 2.0
    path.write_text(ANIPOSE.replace("cam_0", "cameras.0").replace('name = "A"', ""))
    (c,) = read_rig(path)
    assert c.name == "cam_0"
    path.write_text(ANIPOSE + "\n[cam_1]\nignore = true\nmatrix = []\n")
    assert len(read_rig(path)) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("matrix", "matrice"), "expected tables with 'matrix'"),
        (("size = [640, 480]", ""), r"c.toml: cam_0: size: this file does not say how large"),
        (("size = [640, 480]", "size = [640]"), r"cam_0: size: expected 2 finite numbers, got \[640\]"),
        (("[0, 0, 1]]", "[0, 0]]"), r"cam_0: matrix: expected 3 x 3 finite numbers"),
        (("rotation = [0.0, 0.1, 0.0]", ""), r"cam_0: rotation: expected this key, found only name, size"),
        (("[0.0, 0.1, 0.0]", "[0.0, 0.1]"), "expected 3 x 3 or 3 numbers, got 2"),
        (("[0.0, 0.1, 0.0]", "[1, 0, 0, 0, 2, 0, 0, 0, 1]"), "expected a rotation matrix"),
        (("[0.0, 0.0, 2000.0]", "[nan, 0, 0]"), "translation: expected 3 finite numbers"),
        (("-0.001]", "-0.001, 1, 2, 3]"), "cam_0: D: expected 0 or 4 coefficients for 'equidistant', got 7"),
        (("800.0, 0, 320", "0.0, 0, 320"), "not calibrated"),
        (("[metadata]", "[metadata"), "is no calibration file of a known kind; read as TOML"),
        (("[metadata]\n", '[metadata]\nunits = "ell"\n'), "unit: expected one of m, cm, mm; got 'ell'"),
    ],
)
def test_errors_name_the_key(tmp_path, change, message):
    assert change[0] in ANIPOSE
    (tmp_path / "c.toml").write_text(ANIPOSE.replace(*change))
    with pytest.raises(ConfigError, match=message):
        read_rig(tmp_path / "c.toml")


def test_other_errors(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing.toml: cannot be read: No such file"):
        read_rig(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match=r"expected YAML files of ROS's .* found nothing"):
        read_rig(tmp_path)
    for name, text, message in [
        ("a.json", "{", "is no JSON"),
        ("b.json", '{"a": 1}', "expected a list 'cameras'"),
        ("c.json", '{"cameras": [{"name": "x"}]}', r"c.json: cameras\[0\]: K: expected this key, found only name"),
        ("d.xml", "<a></b>", "is no XML"),
        ("e.xml", "<a/>", "expected <opencv_storage> or Qualisys' <calibration>, got <a>"),
        ("f.yml", "%YAML:1.0\n---\nq: 1\n", "expected camera_matrix, M1 and M2"),
        ("g.bin", "\0\1", "is no calibration file"),
    ]:
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_rig(tmp_path / name)
    far = Rig([dataclasses.replace(c, translation=c.translation * 1000) for c in rig()])
    write_rig(far, tmp_path / "far.toml")
    with pytest.raises(ConfigError, match="m apart, expected at most 200 m; is the file in another unit"):
        read_rig(tmp_path / "far.toml")
    assert len(read_rig(tmp_path / "far.toml", unit="mm")) == 4
    (tmp_path / "twice.toml").write_text(ANIPOSE + ANIPOSE.replace("cam_0", "cam_1").replace("metadata", "other"))
    with pytest.raises(ConfigError, match=r"twice.toml: cameras: expected different names, got A more than once"):
        read_rig(tmp_path / "twice.toml")
    with pytest.raises(ConfigError, match=r"expected a name that ends in .toml"):
        write_rig(rig(), tmp_path / "out.json")
