# SPDX-License-Identifier: Apache-2.0
"""The pose node changes its model and its parameters while images come in."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from pose_ros.msg import SkeletonInfo
from pose_ros.srv import SetModel
from rcl_interfaces.srv import DescribeParameters, GetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile

from pose_ros.core.options import specs
from pose_ros.nodes.pose_options import PoseOptions

QUEUE = {"depth": 1000, "reliability": "reliable"}
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def get(scene, name):
    value = scene.call(GetParameters, "get_parameters", names=[name]).values[0]
    return {1: value.bool_value, 2: value.integer_value, 3: value.double_value, 4: value.string_value}[value.type]


def test_set_model_under_load_loses_no_stamp(scene, ros):
    scene = scene(**QUEUE)
    events, images = [], []
    scene.other.create_subscription(SkeletonInfo, "/pose/skeleton_info", events.append, LATCHED)
    camera = scene.camera()

    def publish():
        images.append(scene.image(subjects=2))
        camera.publish(images[-1])

    timer = scene.other.create_timer(0.01, publish)
    assert ros.spin_until(lambda: len(scene.arrays) > 10)
    # A second model that takes its time: the first one goes on meanwhile.
    scene.set(estimator__load=0.5)
    client = scene.other.create_client(SetModel, "/pose/set_model")
    assert ros.spin_until(client.service_is_ready)
    ros.spin_until(lambda: not scene.node._switch.loading)
    count = len(scene.arrays)
    future = client.call_async(SetModel.Request(model="stub33"))
    assert ros.spin_until(future.done)
    response = future.result()
    assert (response.success, response.model) == (True, "stub33"), response.message
    assert 0.5 < response.load_s < 5
    assert "cpu" in response.device
    assert len(scene.arrays) > count + 10, "the old model did not go on"
    assert ros.spin_until(lambda: scene.arrays[-1].model == "stub33")
    ros.spin_for(0.2)
    timer.cancel()
    assert ros.spin_until(lambda: len(scene.arrays) == len(images))
    ros.spin_for(0.2)

    assert [a.header for a in scene.arrays] == [m.header for m in images]
    models = [a.model for a in scene.arrays]
    first = models.index("stub33")
    assert models == ["stub"] * first + ["stub33"] * (len(models) - first)
    assert {(a.model, a.schema) for a in scene.arrays} == {("stub", "coco17"), ("stub33", "mediapipe33")}
    assert {len(s.scores) for s in scene.arrays[first].skeletons} == {33}
    # The tracks of the old model ended with the first array of the new one, and ids go on counting.
    old, new = ({s.track_id for s in scene.arrays[i].skeletons} for i in (first - 1, first))
    assert set(scene.arrays[first].ended_ids.tolist()) == old
    assert not old & new
    assert len(all_ended := [i for a in scene.arrays for i in a.ended_ids]) == len(set(all_ended))
    assert [e.name for e in events][-1] == "mediapipe33"
    assert get(scene, "model") == "stub33"
    assert get(scene, "estimator.load") == 0.5  # the same plugin keeps its options


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "stub3"}, "did you mean"),
        ({"model": "gone"}, "found none"),
        ({"model": "tampered"}, "SHA-256"),
        ({"model": "stub33", "device": "cuda"}, "cuda"),
        ({"model": "yolox-nano"}, "is a detector"),
        ({"model": ""}, "unknown model"),
    ],
)
def test_a_model_that_cannot_be_loaded_leaves_the_old_one(scene, fields, expected):
    scene = scene()
    scene.send(scene.image())
    response = scene.call(SetModel, "set_model", **fields)
    assert not response.success
    assert expected in response.message
    assert response.model == "stub"
    array = scene.send(scene.image())
    assert (array.model, array.skeletons[0].track_id) == ("stub", 1)
    assert (get(scene, "model"), get(scene, "device")) == ("stub", "auto")


def test_set_model_of_a_node_that_is_not_configured(scene):
    response = scene(autostart=False).call(SetModel, "set_model", model="stub")
    assert not response.success
    assert "not configured" in response.message


def test_parameter_model_sets_the_model(scene, ros):
    scene = scene()
    scene.send(scene.image())
    assert scene.set(model="stub33")[0].successful
    assert ros.spin_until(lambda: scene.send(scene.image()).model == "stub33")
    assert scene.set(skeleton="coco17")[0].successful
    assert ros.spin_until(lambda: scene.send(scene.image()).schema == "coco17")


def test_a_parameter_that_cannot_be_followed_goes_back(scene, ros):
    scene = scene()
    result = scene.set(model="stubb33")[0]
    assert not result.successful
    assert "did you mean 'stub33'" in result.reason
    assert scene.set(device="cuda")[0].successful  # only loading will show that there is none
    assert ros.spin_until(lambda: "cuda" in scene.node._health.last_error)
    assert ros.spin_until(lambda: get(scene, "device") == "auto")
    scene.send(scene.image())


def test_live_options_of_the_plugin(scene, ros):
    scene = scene()
    scene.send(scene.image())
    running = scene.node._switch.worker.pipeline
    assert scene.set(estimator__score=0.5)[0].successful
    assert scene.send(scene.image()).skeletons[0].scores[0] == 0.5
    assert scene.node._switch.worker.pipeline is running
    assert scene.set(estimator__load=0.01)[0].successful
    assert ros.spin_until(lambda: scene.node._switch.worker.pipeline is not running)
    assert ros.spin_until(lambda: not scene.node._switch.loading)
    assert (get(scene, "estimator.load"), get(scene, "estimator.score")) == (0.01, 0.5)


def test_every_parameter_is_described(scene):
    node = scene().node
    known = specs(PoseOptions)
    for spec, descriptor in zip(known, node.describe_parameters([s.name for s in known]), strict=True):
        assert descriptor.description == spec.help
        assert len(descriptor.description) > 10
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        assert bool(ranges) == (spec.type in (int, float)), f"{spec.name} has no range"


def test_what_needs_a_restart_is_read_only(scene):
    scene = scene()
    for name, value in {"image_topic": "other", "depth": 2, "plugin": "pose_node", "autostart": False}.items():
        result = scene.set(**{name: value})[0]
        assert not result.successful
        assert "read-only" in result.reason
    assert scene.set(min_score=2.0)[0].reason.startswith("Parameter min_score out of range")
    assert scene.set(min_score=0.5, jpeg_quality=50)[1].successful
    assert scene.node._switch.options.jpeg_quality == 50
    assert scene.call(DescribeParameters, "describe_parameters", names=["depth"]).descriptors[0].read_only
