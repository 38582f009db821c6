# SPDX-License-Identifier: Apache-2.0
"""A pose node with a model of a third party that needs no weights."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_HERE = Path(__file__).parent
_CARD = """\
kind: {kind}
plugin: {plugin}
summary: Known answers.
file: {{path: tiny.onnx{sha256}}}
licence: {{weights: Apache-2.0}}
input_wh: [8, 8]
skeleton: {skeleton}
"""


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def stub_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that is like a site-packages with the plugin ``stub``, and like one with its model cards."""
    folder = tmp_path_factory.mktemp("stub_package")
    shutil.copy(_HERE / "stub_pose.py", folder)
    info = folder / "stub_pose-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stub-pose\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[pose_ros.estimators]\nstub = stub_pose:Stub\nstub_hand = stub_pose:StubHand\nbroken = stub_pose:Nothing\n"
        "written = stub_pose:Written\n[pose_ros.lifters]\nstub_lifter = stub_pose:StubLifter\n"
    )
    _load(_HERE.parent / "runtime" / "onnx_file.py").write(folder / "tiny.onnx", size=(3, 8, 8))
    cards = {
        "stub": ("stub", "coco17", ""),
        "stub33": ("stub", "mediapipe33", ""),
        "stub133": ("stub", "wholebody133", ""),
        "stub-hand": ("stub_hand", "hand21", ""),
        "broken": ("broken", "coco17", ""),
        "nameless": ("stubb", "coco17", ""),
        "tampered": ("stub", "coco17", ", sha256: " + "ab" * 32),
        "written": ("written", "coco17", ""),
        "stub-lifter": ("stub_lifter", "coco17", ""),
        "hand-lifter": ("stub_lifter", "hand21", ""),
    }
    for name, (plugin, skeleton, sha256) in cards.items():
        kind = "lifter" if name.endswith("lifter") else "estimator"
        (folder / f"{name}.yaml").write_text(_CARD.format(kind=kind, plugin=plugin, skeleton=skeleton, sha256=sha256))
    (folder / "gone.yaml").write_text(
        _CARD.format(kind="estimator", plugin="stub", skeleton="coco17", sha256="").replace("tiny.onnx", "gone.onnx")
    )
    return folder


@pytest.fixture
def stub_environment(stub_package: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Environment of this process, and of others, in which the stub is installed."""
    monkeypatch.syspath_prepend(stub_package)
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(stub_package))
    monkeypatch.setenv("POSE_ROS_OFFLINE", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(stub_package), str(_HERE.parents[1]), *sys.path]))
    return dict(os.environ)


@pytest.fixture
def pose_node(ros: Any, stub_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Make a pose node in the test's executor; keyword arguments are parameters, ``__`` stands for a dot."""
    from rclpy.parameter import Parameter

    from pose_ros.nodes import managed
    from pose_ros.nodes.pose_node import PoseNode

    monkeypatch.setattr(managed, "_REPORT_S", 0.1)  # diagnostics without long waits
    made = []

    def make(**parameters: Any) -> Any:
        values = {"model": "stub", **{name.replace("__", "."): value for name, value in parameters.items()}}
        node = PoseNode(
            context=ros.context, parameter_overrides=[Parameter(n, value=v) for n, v in values.items()]
        )
        made.append(node)
        return ros.add(node)

    yield make
    for node in made:
        node.close()




class Scene:
    """A pose node between a camera and a listener, all in one executor."""

    def __init__(self, ros: Any, node: Any, capture: pytest.CaptureFixture[str]) -> None:
        """Connect the listener; the camera follows with :meth:`camera`."""
        from pose_ros.msg import SkeletonArray

        self.ros, self.node, self._capture = ros, node, capture
        self.other = ros.node("other")
        self.arrays: list[Any] = []
        self.other.create_subscription(SkeletonArray, "/pose/skeletons", self.arrays.append, 100)
        self._camera: Any = None
        self._clients: dict[str, Any] = {}
        self._stamp_ns = 1_000_000_123

    def camera(self, topic: str = "image", message_type: Any = None, qos: Any = 100) -> Any:
        """Return a publisher that the node has subscribed to."""
        from sensor_msgs.msg import Image

        self._camera = self.other.create_publisher(message_type or Image, topic, qos)
        assert self.ros.spin_until(self._camera.get_subscription_count), "the node did not subscribe"
        return self._camera

    def image(self, subjects: int = 1, size_wh: tuple[int, int] = (64, 48), stamp_ns: int | None = None) -> Any:
        """Return an image in which the stub sees so many subjects; the stamp moves on by 1/30 s."""
        from std_msgs.msg import Header

        from pose_ros.ros.images import rgb_to_image

        self._stamp_ns = stamp_ns if stamp_ns is not None else self._stamp_ns + 33_333_333
        rgb = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
        rgb[0, 0, 0] = subjects
        header = Header(frame_id="camera")
        header.stamp.sec, header.stamp.nanosec = divmod(self._stamp_ns, 10**9)
        return rgb_to_image(rgb, header)

    def send(self, message: Any) -> Any:
        """Publish an image and return the array that answers it."""
        if self._camera is None:
            self.camera()
        count = len(self.arrays)
        self._camera.publish(message)
        assert self.ros.spin_until(lambda: len(self.arrays) > count), "no array came"
        assert self.arrays[-1].header == message.header
        return self.arrays[-1]

    def call(self, service_type: Any, name: str, **fields: Any) -> Any:
        """Call a service of the node and return its response."""
        if name not in self._clients:
            self._clients[name] = self._client(service_type, name)
        client = self._clients[name]
        future = client.call_async(service_type.Request(**fields))
        assert self.ros.spin_until(future.done)
        return future.result()

    def _client(self, service_type: Any, name: str) -> Any:
        """Return a client that has found the service; discovery on a busy machine sometimes loses one for good."""
        for _ in range(3):
            client = self.other.create_client(service_type, f"/pose/{name}")
            if self.ros.spin_until(client.service_is_ready, 10.0):
                return client
            self.other.destroy_client(client)
        raise AssertionError(f"/pose/{name} was not found")

    def set(self, **values: Any) -> Any:
        """Set parameters as another node would, and return the results."""
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        parameters = [Parameter(n.replace("__", "."), value=v).to_parameter_msg() for n, v in values.items()]
        return self.call(SetParameters, "set_parameters", parameters=parameters).results

    def diagnostics(self) -> Any:
        """Return the next diagnostics of the pose node as (status, {key: value}); others report, too."""
        from diagnostic_msgs.msg import DiagnosticArray

        got: list[Any] = []
        def take(array: DiagnosticArray) -> None:
            got.extend(status for status in array.status if status.name.startswith("pose: "))

        subscription = self.other.create_subscription(DiagnosticArray, "/diagnostics", take, 10)
        assert self.ros.spin_until(lambda: got)
        self.other.destroy_subscription(subscription)
        status = got[-1]
        return status, {v.key: v.value for v in status.values}

    def said(self, words: str) -> None:
        """Check that the node logs these words, and only once."""
        text = ""

        def logged() -> bool:
            nonlocal text
            text += self._capture.readouterr().err
            return words in text

        assert self.ros.spin_until(logged), text
        self.ros.spin_for(0.1)
        logged()
        assert text.count(words) == 1, text


@pytest.fixture
def scene(
    ros: Any, pose_node: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> Callable[..., Scene]:
    """Make a scene; keyword arguments are parameters of its pose node."""
    return lambda **parameters: Scene(ros, pose_node(**parameters), capfd)
