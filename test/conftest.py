# SPDX-License-Identifier: Apache-2.0
"""What all tests share: an isolated ROS domain, the folder of test data, an own rclpy context."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def _claim_domain() -> tuple[int, socket.socket]:
    """Return a ROS domain id that no other test process on this machine uses, and the socket that keeps it so."""
    for attempt in range(100):
        domain = 1 + (os.getpid() + attempt) % 100
        claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind(("127.0.0.1", 21000 + domain))
        except OSError:
            claim.close()
        else:
            return domain, claim
    raise RuntimeError("all ROS domain ids 1 .. 100 are claimed by other test processes")


# Before anything imports rclpy, and for every process that a test starts: nothing leaves this machine, and neither a
# robot in the neighbourhood nor another test run is heard.
_DOMAIN, _CLAIM = _claim_domain()
atexit.register(_CLAIM.close)
os.environ["ROS_DOMAIN_ID"] = str(_DOMAIN)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


def pytest_configure() -> None:
    """Let property tests try the same examples in every run, and leave no files."""
    with contextlib.suppress(ModuleNotFoundError):
        from hypothesis import settings

        settings.register_profile("same", derandomize=True, deadline=None, database=None)
        settings.load_profile("same")


@pytest.fixture(scope="session")
def testdata() -> Path:
    """Folder of the test data; it is not part of this repository."""
    named = os.environ.get("POSE_ROS_TESTDATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "testdata"
    if not (folder / "expected.json").is_file():
        pytest.skip(f"no test data at {folder}; set POSE_ROS_TESTDATA to the folder that holds expected.json")
    return folder


class Ros:
    """An rclpy context of one test, its nodes and one executor."""

    def __init__(self) -> None:
        """Start a context."""
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        self.context.init()
        self.executor = SingleThreadedExecutor(context=self.context)
        self._nodes: list[Any] = []

    def node(self, name: str = "test", **arguments: Any) -> Any:
        """Return a new plain node."""
        from rclpy.node import Node

        return self.add(Node(name, context=self.context, **arguments))

    def add(self, node: Any) -> Any:
        """Spin a node that was made with ``context=ros.context``; it is destroyed after the test."""
        self._nodes.append(node)
        self.executor.add_node(node)
        return node

    def spin_until(self, condition: Callable[[], object], timeout_s: float = 30.0) -> bool:
        """Spin until the condition holds; returns whether it did."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                return False
            self.executor.spin_once(timeout_sec=0.05)
        return True

    def spin_for(self, seconds: float) -> None:
        """Spin for a while, to show that something does not happen."""
        self.spin_until(lambda: False, seconds)

    def close(self) -> None:
        """Destroy the nodes and end the context."""
        for node in reversed(self._nodes):
            self.executor.remove_node(node)
            node.destroy_node()
        self.executor.shutdown()
        self.context.try_shutdown()


@pytest.fixture
def ros() -> Iterator[Ros]:
    """An rclpy context of this test's own; the test is skipped where ROS 2 is not installed."""
    pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
    session = Ros()
    try:
        yield session
    finally:
        session.close()


@pytest.fixture(scope="session")
def mano_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like MANO_RIGHT.pkl, which nobody may hand on, with a made-up hand in it."""
    sys.path.append(str(Path(__file__).parent / "data"))
    from synthetic_mano import write

    return write(tmp_path_factory.mktemp("mano") / "MANO_RIGHT.pkl")


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(7)


#: Networks that come from PyPI: of bodies, and of hands and faces that belong to them or stand alone.
_FROM_PYPI = (
    "blazepose-full", "mediapipe-pose-detection", "mediapipe-hand-landmark-full", "mediapipe-hand-recrop",
    "mediapipe-palm-detection-full", "mediapipe-face-mesh-iris", "mediapipe-iris-landmark",
    "mediapipe-face-detection-short-range", "mediapipe-face-detection-on-body",
)
#: Model -> file of the test data, for networks that do not come from PyPI.
_TESTDATA_MODELS = {
    "yolox-nano": "detector/yolox_nano.onnx",
    "simplepose-ultralight": "body/ultralight_simplepose_256x192.onnx",
}


@pytest.fixture
def models(testdata: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder with real networks: those that ``make test`` fetched from PyPI, and those of the test data."""
    from pose_ros.errors import ModelMissingError
    from pose_ros.models.store import Store

    cache = Store()
    try:
        fetched = [cache.path(cache.card(name)) for name in _FROM_PYPI]
    except ModelMissingError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("POSE_ROS_CACHE", str(tmp_path))
    monkeypatch.setenv("POSE_ROS_ACCEPT_LICENCES", "simplepose-ultralight")
    (tmp_path / "models").mkdir()
    for path in fetched:
        shutil.copy(path, tmp_path / "models")
    own = Store()
    for name, file in _TESTDATA_MODELS.items():
        own.fetch(own.card(name), source=testdata / "models" / file)


#: Of the lifter below.
_LIFTER = {
    "kind": "lifter", "plugin": "sequence", "summary": "A test.", "file": {"path": "mine.onnx"},
    "licence": {"weights": "Apache-2.0"}, "input_wh": [17, 27], "preprocess": {"layout": "nchw", "channels": 2},
    "skeleton": "h36m17", "params": {"takes": "h36m17", "step": 0.02, "coordinates": "width"},
}  # fmt: skip


@pytest.fixture
def my_lifter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network in a folder of models: weights that are random around somebody who stands upright."""
    torch = pytest.importorskip("torch", reason="torch is not installed, which writes the network")
    pytest.importorskip("onnx", reason="onnx is not installed, which writes the network")
    import yaml
    from scenes import Person, at, look_at, stand

    from pose_ros.networks import catalogue
    from pose_ros.networks.export import export

    torch.manual_seed(0)
    folder = tmp_path / "mine"
    folder.mkdir()
    network = catalogue.build({"architecture": "videopose3d", "blocks": 2})
    rotation, _ = look_at((4, 0, 1), (0, 0, 1))
    upright = at([Person(stand(), 1.75, 0.0, gait=0.0)], 0.0).points("h36m17")[0, 0] @ rotation.T
    with torch.no_grad():
        network.head["conv"].weight.mul_(0.1)
        network.head["conv"].bias.copy_(torch.tensor(upright - upright[0]).flatten())
    export(network, (17, 27), folder / "mine.onnx")
    (folder / "my-lifter.yaml").write_text(yaml.safe_dump(_LIFTER))
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(folder))
