# SPDX-License-Identifier: Apache-2.0
"""A video through detector, estimator, tracker, lifter and filter, with a lifter of the user's own as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from scenes import Person, at, look_at, stand

from pose_ros import wiring
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Source
from pose_ros.media.calibration import guess_camera
from pose_ros.media.sources import open_source

CARD = {
    "kind": "lifter", "plugin": "sequence", "summary": "A test.", "file": {"path": "mine.onnx"},
    "licence": {"weights": "Apache-2.0"}, "input_wh": [17, 27], "preprocess": {"layout": "nchw", "channels": 2},
    "skeleton": "h36m17", "params": {"takes": "h36m17", "step": 0.02, "coordinates": "width"},
}  # fmt: skip


@pytest.fixture
def my_lifter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network in a folder of models: weights that are random around somebody who stands upright."""
    torch = pytest.importorskip("torch", reason="torch is not installed, which writes the network")
    pytest.importorskip("onnx", reason="onnx is not installed, which writes the network")
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
    (folder / "my-lifter.yaml").write_text(yaml.safe_dump(CARD))
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(folder))


def test_a_lifter_of_ones_own_on_a_video(testdata: Path, models: None, my_lifter: None) -> None:
    """Such a network sees nothing; what is shown is that all of the way is there."""
    pipeline = wiring.build({"model": "blazepose-full", "lifting": {"model": "my-lifter"}}, allow_fetch=False)
    lifted = placed = 0
    with open_source(str(testdata / "video" / "sports2d_demo.mp4")) as source:
        for number, shot in zip(range(12), source, strict=False):
            size_wh = shot.image.shape[1], shot.image.shape[0]
            camera = guess_camera(size_wh, 1.0) if number >= 4 else None
            result = pipeline(Frame(shot.image, shot.stamp_ns, "camera", camera))
            poses = result.poses
            assert "lift" in result.stages.ms
            assert poses.local_points is not None
            hips = [poses.skeleton.joints.index(f"{side}_hip") for side in ("left", "right")]
            found = np.isfinite(poses.local_points[:, hips]).all()
            lifted += bool(len(poses) and found)
            assert (poses.sources[:, hips] == Source.INFERRED).all() == found
            if camera is None:
                assert poses.points is None
            elif len(poses) and np.isfinite(poses.points[:, hips]).all():
                placed += 1
                assert (np.abs(poses.points[:, hips, 2] - 5) < 4).all()
                assert np.isfinite(poses.covariances[:, hips]).all()
    assert lifted >= 11  # nobody is found in the first one
    assert placed == 8
