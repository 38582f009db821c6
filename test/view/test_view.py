# SPDX-License-Identifier: Apache-2.0
"""``pose-ros view``: what stands in the recording is what the messages said, where and when they said it."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rerun", reason="rerun-sdk is not installed: pip install 'pose_ros[view]'")
pytest.importorskip("rosbags", reason="rosbags is not installed")
from rrd import Rrd, array, header, info, make, write

from pose_ros.cli.main import main
from pose_ros.cli.view import choose, is_bag
from pose_ros.core.poses import Poses
from pose_ros.skeletons import catalogue
from pose_ros.viewer import shapes

COCO = catalogue.get("coco17")
#: Of the first image, and how much later things were recorded.
T0, LATE = 1_700_000_000_000_000_000, 30_000_000
STEP = 100_000_000


def two_people(rng: np.random.Generator) -> Poses:
    """People with ids 4 and 9: the nose of the second is missing, its left eye hardly seen."""
    keypoints = rng.uniform(0, 480, (2, 17, 2)).astype(np.float32)
    points = rng.uniform(-2, 2, (2, 17, 3)).astype(np.float32)
    scores = np.full((2, 17), 0.9, np.float32)
    keypoints[1, 0] = points[1, 0] = np.nan
    scores[1, :2] = 0, 0.1
    covariances = np.tile(np.diag([1e-4, 4e-4, 9e-4]).astype(np.float32), (2, 17, 1, 1))
    boxes = np.array([[10, 20, 110, 220], [200, 20, 300, 220]], np.float32)
    return Poses(COCO, keypoints, scores, boxes=boxes, ids=np.array([4, 9]), points=points, covariances=covariances)


def jpeg(rng: np.random.Generator) -> bytes:
    return bytes(cv2.imencode(".jpg", rng.integers(0, 255, (48, 64, 3), np.uint8))[1])


def view(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(["view", *args])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def poses(rng: np.random.Generator) -> Poses:
    return two_people(rng)


@pytest.fixture
def recorded(rng: np.random.Generator, poses: Poses, tmp_path: Path) -> str:
    """A bag of a camera on a base, two people who then leave, one who waves, and a node that warns."""
    times = [T0, T0 + STEP, T0 + 2 * STEP]

    def moved(child: str) -> Any:
        place = make("geometry_msgs/msg/Vector3", x=1.0, y=2.0, z=3.0)
        turn = make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.6, w=0.8)
        transform = make("geometry_msgs/msg/Transform", translation=place, rotation=turn)
        return make("geometry_msgs/msg/TransformStamped", header=header(T0, "base_link"), child_frame_id=child,
                    transform=transform)

    def waving(phase: int, at: int, **fields: Any) -> Any:
        done = make("pose_ros/msg/Action", name="waving", recogniser="waving", phase=phase, track_id=4, side=1,
                    score=0.8, onset=header(T0 - STEP).stamp, **fields)
        return make("pose_ros/msg/ActionArray", header=header(at), schema="coco17", actions=[done])

    k = np.array([500.0, 0, 32, 0, 510, 24, 0, 0, 1])
    camera = make("sensor_msgs/msg/CameraInfo", header=header(T0), width=64, height=48, k=k, d=np.zeros(5),
                  distortion_model="plumb_bob")
    stages = {"stage_names": ["detect", "estimate"], "stage_ms": np.array([2.5, 4.0], np.float32)}
    moving = make("tf2_msgs/msg/TFMessage", transforms=[moved("body_4/left_wrist"), moved("hand")])
    value = make("diagnostic_msgs/msg/KeyValue", key="rate", value="9.7")
    status = make("diagnostic_msgs/msg/DiagnosticStatus", level=1, name="pose", message="slow", values=[value])
    words = [make("diagnostic_msgs/msg/DiagnosticArray", header=header(at), status=[status]) for at in times]
    line = make("rcl_interfaces/msg/Log", stamp=header(T0 + 10**17).stamp, level=40, name="pose", msg="no model")
    return write(tmp_path / "bag", {
        "/camera/image/compressed": [
            (t + LATE, make("sensor_msgs/msg/CompressedImage", header=header(t), format="jpeg",
                            data=np.frombuffer(jpeg(rng), np.uint8))) for t in times
        ],
        "/camera/camera_info": [(T0 + LATE, camera)],
        "/tf_static": [(T0, make("tf2_msgs/msg/TFMessage", transforms=[moved("camera_optical_frame")]))],
        "/tf": [(T0 + LATE + 1, moving)],
        # The first array comes before the message that explains it.
        "/pose/skeletons": [
            (T0 + LATE, array(times[0], poses, **stages)),
            (T0 + STEP + LATE, array(times[1], poses.select(np.array([1])), **stages)),
            (T0 + 2 * STEP + LATE, array(times[2], Poses.empty(COCO), **stages)),
        ],
        "/pose/skeleton_info": [(T0 + LATE + 5, info(COCO))],
        "/action/actions": [
            (T0 + LATE, waving(1, T0)), (T0 + STEP + LATE, waving(2, T0 + STEP)),
            (T0 + 2 * STEP + LATE, waving(3, T0 + 2 * STEP, end=header(T0 + STEP + 5).stamp)),
        ],
        "/diagnostics": [(t + LATE, each) for t, each in zip(times, words, strict=True)],
        "/rosout": [(T0 + LATE, line)],
        "/chatter": [(T0, make("std_msgs/msg/String", data="hello"))],
    })


@pytest.fixture
def shown(recorded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Rrd:
    code, out, err = view(capsys, recorded, "--save", str(tmp_path / "out.rrd"))
    assert code == 0, err
    assert "/pose/skeletons" in out
    assert "/chatter" not in out
    return Rrd(tmp_path / "out.rrd")


def test_keypoints_are_those_of_the_messages(shown: Rrd, poses: Poses) -> None:
    drawn = np.isfinite(poses.points).all(axis=2) & (poses.scores >= 0.3)
    assert drawn.sum() == 32
    for entity, kind, column in (("image", "Points2D", poses.keypoints), ("space", "Points3D", poses.points)):
        entity = f"pose/skeletons/{entity}/keypoints"
        both, second, *nobody = shown.values(entity, f"{kind}:positions")
        np.testing.assert_array_equal(both, column[drawn])
        np.testing.assert_array_equal(second, column[1][drawn[1]])
        assert nobody == ([[]] if kind == "Points2D" else [])
        assert shown.values(entity, f"{kind}:keypoint_ids")[0] == [*range(17), *range(2, 17)]
        assert shown.stamps(entity, f"{kind}:positions") == [T0, T0 + STEP, T0 + 2 * STEP][: 2 + len(nobody)]
        assert next(log for _, log, _ in shown.entities[entity][f"{kind}:positions"]) == T0 + LATE
    assert shown.stamps("pose/skeletons/space/keypoints", "Clear:is_recursive") == [T0 + 2 * STEP], "nobody is there"
    assert shown.values("pose/skeletons", "track_ids") == [[4, 9], [9], []]


def test_limbs_have_the_colour_of_their_subject(shown: Rrd, poses: Poses) -> None:
    strips = shown.values("pose/skeletons/space/limbs", "LineStrips3D:strips")[0]
    assert strips[0] == [poses.points[0, COCO.edges[0][0]].tolist(), poses.points[0, COCO.edges[0][1]].tolist()]
    lacking = sum(bool({0, 1} & {*edge}) for edge in COCO.edges)
    assert len(strips) == 2 * len(COCO.edges) - lacking
    colors = shown.values("pose/skeletons/space/limbs", "LineStrips3D:colors")
    assert len({*colors[0]}) == 2
    assert {*colors[1]} == {colors[0][-1]}, "the second one keeps its colour when the first one has left"
    assert shown.values("pose/skeletons/image/boxes", "Boxes2D:labels")[0] == ["#4", "#9"]


def test_ellipsoids_are_one_standard_deviation(shown: Rrd, poses: Poses) -> None:
    entity = "pose/skeletons/space/covariances"
    half = np.array(shown.values(entity, "Ellipsoids3D:half_sizes")[0])
    assert half.shape == (32, 3)
    np.testing.assert_allclose(half[0], [0.01, 0.02, 0.03], rtol=1e-5)
    np.testing.assert_array_equal(shown.values(entity, "Ellipsoids3D:centers")[0][0], poses.points[0, 0])


def test_tilted_ellipsoids(rng: np.random.Generator, poses: Poses) -> None:
    root = rng.normal(0, 0.05, (2, 17, 3, 3)).astype(np.float32)
    covariances = root @ root.swapaxes(2, 3)
    solid = shapes.in_space(poses.replace(covariances=covariances), 0, 0.3)["covariances"]
    half = np.array(solid.half_sizes.as_arrow_array().to_pylist(), np.float64)
    x, y, z, w = np.array(solid.quaternions.as_arrow_array().to_pylist(), np.float64).T
    turn = np.moveaxis(np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]), 2, 0)
    squares = np.eye(3) * half[:, None] ** 2
    drawn = np.isfinite(poses.points).all(axis=2) & (poses.scores >= 0.3)
    np.testing.assert_allclose(turn @ squares @ turn.swapaxes(1, 2), covariances[drawn], atol=1e-6)


def test_cameras_and_frames_are_joined_by_name(shown: Rrd) -> None:
    camera, tf = "camera/camera_info", "tf/camera_optical_frame"
    np.testing.assert_array_equal(np.reshape(shown.values(camera, "Pinhole:image_from_camera"), (3, 3)).T,
                                  [[500, 0, 32], [0, 510, 24], [0, 0, 1]])
    assert shown.values(camera, "Pinhole:parent_frame") == [["camera_optical_frame"]]
    pixels = shown.values(camera, "Pinhole:child_frame")[0]
    for entity in ("camera/image/compressed", "pose/skeletons/image/keypoints"):
        assert shown.values(entity, "CoordinateFrame:frame")[0] == pixels
    assert shown.values("pose/skeletons/space/keypoints", "CoordinateFrame:frame")[0] == ["camera_optical_frame"]
    assert shown.values(tf, "Transform3D:translation") == [[[1, 2, 3]]]
    np.testing.assert_allclose(shown.values(tf, "Transform3D:quaternion"), [[[0, 0, 0.6, 0.8]]], rtol=1e-6)
    assert shown.values(tf, "Transform3D:parent_frame") == [["base_link"]]
    assert shown.stamps(tf, "Transform3D:translation") == [None], "it holds for ever"
    assert shown.stamps("tf/hand", "Transform3D:translation") == [T0]
    assert "tf/body_4/left_wrist" not in shown.entities, "the skeleton shows it"


def test_images_are_the_bytes_that_were_recorded(shown: Rrd, recorded: str) -> None:
    blobs = shown.values("camera/image/compressed", "EncodedImage:blob")
    assert len(blobs) == 3
    image = cv2.imdecode(np.array(blobs[0][0], np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (48, 64, 3)


def test_latency_and_rate(shown: Rrd) -> None:
    assert shown.values("pose/skeletons/ms/estimate", "Scalars:scalars") == [[4.0]] * 3
    np.testing.assert_allclose(shown.values("pose/skeletons/ms/capture\\ to\\ here", "Scalars:scalars"), [[30.0]] * 3)
    np.testing.assert_allclose(shown.values("pose/skeletons/hz", "Scalars:scalars"), [[10.0]] * 2)


def test_actions_last_from_onset_to_end(shown: Rrd) -> None:
    lane = next(entity for entity in shown.entities if entity.endswith("waving\\ left"))
    assert shown.values(lane, "StateChange:state") == [["waving"], [""]]
    assert shown.stamps(lane, "StateChange:state") == [T0 - STEP, T0 + STEP + 5]
    assert shown.values("action/actions/told", "TextLog:text") == [["#4 waving left began (0.80)"],
                                                                   ["#4 waving left ended (0.80)"]]


def test_words(shown: Rrd) -> None:
    assert shown.values("diagnostics/told", "TextLog:text") == [["pose: slow"]], "told once, not every second"
    assert shown.values("diagnostics/told", "TextLog:level") == [["WARN"]]
    tables = shown.values("diagnostics/pose", "TextDocument:text")
    assert len(tables) == 3
    assert "| rate | 9.7 |" in tables[0][0]
    assert shown.values("rosout", "TextLog:text") == [["pose: no model"]]
    assert shown.stamps("rosout", "TextLog:text") == [None], "its clock is not that of the images"


def test_views_are_arranged(shown: Rrd) -> None:
    assert shown.blueprints == 1, "once, when it is known what there is"


def test_what_has_no_place_stands_in_a_space_of_its_own(
    poses: Poses, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local = poses.replace(points=None, covariances=None, local_points=poses.points)
    topics = {"/pose/skeletons": [(T0, array(T0, local))], "/pose/skeleton_info": [(T0, info(COCO))]}
    bag = write(tmp_path / "bag", topics)
    assert view(capsys, bag, "--save", str(tmp_path / "out.rrd"))[0] == 0
    read = Rrd(tmp_path / "out.rrd")
    entity = "pose/skeletons/shape/keypoints"
    positions = np.array(read.values(entity, "Points3D:positions")[0])
    np.testing.assert_allclose(positions[17:], poses.points[1, 2:] + [shapes.APART_M, 0, 0], rtol=1e-6)
    assert read.values(entity, "CoordinateFrame:frame") == [["/pose/skeletons#local"]]


def test_keypoints_that_nobody_explains_are_named(
    poses: Poses, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = array(T0, poses)
    theirs = array(T0, dataclasses.replace(poses, skeleton=dataclasses.replace(COCO, name="mine")))
    bag = write(tmp_path / "bag", {"/a/skeletons": [(T0, ours)], "/b/skeletons": [(T0, theirs)]})
    code, _, err = view(capsys, bag, "--save", str(tmp_path / "out.rrd"))
    assert code == 0
    read = Rrd(tmp_path / "out.rrd")
    assert len(read.values("a/skeletons/image/keypoints", "Points2D:positions")[0]) == 32, "we know what coco17 is"
    assert "b/skeletons/image/keypoints" not in read.entities
    assert "/b/skeletons: nobody says what 'mine' is; record /b/skeleton_info, too" in err


def test_broken_messages_are_named_once_and_left_out(
    poses: Poses, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = make("sensor_msgs/msg/CompressedImage", header=header(T0), format="jpeg", data=np.zeros(9, np.uint8))
    bag = write(tmp_path / "bag", {"/camera/image": [(T0, broken)] * 3, "/pose/skeletons": [(T0, array(T0, poses))]})
    code, _, err = view(capsys, bag, "--save", str(tmp_path / "out.rrd"))
    assert code == 0
    assert err.count("pose-ros: /camera/image:") == 1
    assert "pose/skeletons/image/keypoints" in Rrd(tmp_path / "out.rrd").entities


def test_topics_are_chosen() -> None:
    image, compressed, text = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "std_msgs/msg/String")
    topics = {"/a/image": image, "/a/image/compressed": compressed, "/b/image": image, "/talk": text,
              "/pose/image_annotated/compressed": compressed}
    assert choose(topics, [], [image, compressed]) == ["/a/image/compressed", "/b/image"]
    assert choose(topics, ["/a/*", "/talk"], [image, compressed]) == ["/a/image", "/a/image/compressed"]


def test_a_video_is_run_through_a_model(
    models: None, testdata: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = str(testdata / "video" / "mediapipe_pose_world_landmarks.mp4")
    assert not is_bag(video)
    code, _, err = view(capsys, video, "--max-frames", "3", "--save", str(tmp_path / "out.rrd"), "--model",
                        "blazepose-full")
    assert code == 0, err
    read = Rrd(tmp_path / "out.rrd")
    assert len(read.values("camera/image", "EncodedImage:blob")) == 3
    inside = np.array(read.values("pose/skeletons/image/keypoints", "Points2D:positions")[0])
    assert inside.min() > 0
    assert len(read.values("pose/skeletons/shape/keypoints", "Points3D:positions")[0]) > 20
    assert read.stamps("camera/image", "EncodedImage:blob")[0] == 0, "time since its beginning"


def test_the_real_bag(testdata: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = str(testdata / "bags" / "pose2sim_single_4cam")
    assert is_bag(bag)
    code, _, err = view(capsys, bag, "--topics", "/cam0[12]/*", "--topics", "/tf_static", "--save",
                        str(tmp_path / "out.rrd"))
    assert code == 0, err
    read = Rrd(tmp_path / "out.rrd")
    assert len(read.values("cam02/image_raw/compressed", "EncodedImage:blob")) == 20
    assert "cam03/camera_info" not in read.entities
    assert "tf/cam03_optical_frame" in read.entities


@pytest.mark.parametrize(("args", "said"), [
    ([], "--live"), (["a.mcap", "--live"], "one of them"), (["a.mp4", "b.mp4"], "or one video"),
    (["there_is_none.mcap", "--save", "x.rrd"], "no such file"),
])
def test_wrong_words(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = view(capsys, *args)
    assert code in (1, 2)
    assert said in err


def test_without_a_display(recorded: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = view(capsys, recorded)
    assert code == 2
    assert "--serve" in err


def test_without_rerun(recorded: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    code, _, err = view(capsys, recorded, "--save", "x.rrd")
    assert code == 2
    assert "pip install 'pose_ros[view]'" in err


def test_a_file_that_cannot_be_written(recorded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = view(capsys, recorded, "--save", str(tmp_path))
    assert code == 1
    assert "cannot be written" in err


def test_the_web_page_is_for_this_machine_alone(tmp_path: Path) -> None:
    from pose_ros.cli.view_viewer import Viewer

    with Viewer(serve=True, window=False) as viewer:
        assert viewer.url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(viewer.url, timeout=10) as page:
            assert b"rerun" in page.read().lower()
        assert _open_to_others(viewer) == []
        process = viewer._process
    assert process is not None
    assert process.poll() is not None, "it has ended with us"


def _open_to_others(viewer: Any) -> list[str]:
    """Return at which other addresses of this machine the viewer listens, by the kernel's table."""
    page = int(viewer.url.split(":")[2].partition("/")[0])
    data = int(viewer.url.rpartition("%3A")[2].partition("%2F")[0])
    ours = {f"{port:04X}" for port in (page, data)}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    at = [row[1].split(":") for row in rows if row[3] == "0A" and row[1].split(":")[1] in ours]
    assert len(at) == 2
    return [address for address, _ in at if address != "0100007F"]


def test_live_topics(ros: Any, poses: Poses, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What real nodes publish, with qualities of service of their own, and a topic that turns up late."""
    from pose_ros.msg import SkeletonArray, SkeletonInfo
    from sensor_msgs.msg import CompressedImage
    from std_msgs.msg import Header

    from pose_ros.core.stages import Stages
    from pose_ros.pipeline import Result
    from pose_ros.ros.messages import poses_to_array, skeleton_to_info
    from pose_ros.ros.qos import LATCHED, RESULT, SENSOR

    node = ros.node("robot")
    infos = node.create_publisher(SkeletonInfo, "/pose/skeleton_info", LATCHED)
    arrays = node.create_publisher(SkeletonArray, "/pose/skeletons", RESULT)
    images = node.create_publisher(CompressedImage, "/camera/image/compressed", SENSOR)
    infos.publish(skeleton_to_info(COCO, "toy"))
    image = CompressedImage(format="jpeg", data=jpeg(np.random.default_rng(1)))
    image.header.frame_id = "camera"
    late: list[Any] = []
    codes: list[int] = []
    path = tmp_path / "out.rrd"
    command = ["view", "--live", "--seconds", "5", "--save", str(path)]
    thread = threading.Thread(target=lambda: codes.append(main(command)))
    thread.start()
    began = time.monotonic()
    while thread.is_alive():
        stamp = node.get_clock().now().to_msg()
        image.header.stamp = stamp
        images.publish(image)
        result, head = Result(poses, (), Stages()), Header(stamp=stamp, frame_id="camera")
        arrays.publish(poses_to_array(result, head, (64, 48), "toy"))
        if not late and time.monotonic() - began > 2.0:
            late.append(node.create_publisher(CompressedImage, "/late/image/compressed", SENSOR))
        for publisher in late:
            publisher.publish(image)
        ros.spin_for(0.1)
    thread.join()
    assert codes == [0], capsys.readouterr().err
    read = Rrd(path)
    seen = read.values("pose/skeletons/image/keypoints", "Points2D:positions")
    assert len(seen) > 5
    drawn = np.isfinite(poses.keypoints[..., 0]) & (poses.scores >= 0.3)
    np.testing.assert_array_equal(seen[0], poses.keypoints[drawn])
    for topic in ("camera", "late"):
        assert len(read.values(f"{topic}/image/compressed", "EncodedImage:blob")) > 3
    stamp, log, _ = read.entities["pose/skeletons/image/keypoints"]["Points2D:positions"][-1]
    assert stamp is not None
    assert log is not None
    assert 0 < log - stamp < 10**9
