# SPDX-License-Identifier: Apache-2.0
"""What the pages say about options, models and skeletons is what the code says."""

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from pose_ros.models.card import Licence, ModelCard, ModelFile
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_tables_are_those_of_the_code():
    """Run ``python docs/tables.py`` after an option, a card or a skeleton has changed."""
    pytest.importorskip("rclpy", reason="the nodes' options are read from the nodes, which need ROS 2")
    check = [sys.executable, str(ROOT / "docs" / "tables.py"), "--check"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("script", ["pictures.py", "frames.py", "gait.py"])
def test_pictures_are_those_of_the_code(script):
    """Run ``python docs/pictures.py`` after a skeleton has changed; ``docs/layout.yaml`` says where joints are.

    ``python docs/frames.py`` draws what frames and angles mean, ``python docs/gait.py`` a walk.
    """
    check = [sys.executable, str(ROOT / "docs" / script), "--check"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    """Every relative link and picture of a page exists."""
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_every_page_is_reached_from_the_readme():
    """A page that nobody links to is a page that nobody reads."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in PAGES if page.parent.name == "docs" and f"docs/{page.name}" not in readme]


def test_the_plugin_of_the_tutorial_works():
    """The class that a reader would copy finds a point where its network says it is."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code
    module = types.ModuleType("my_net")
    sys.modules["my_net"] = module
    try:
        exec(compile(code[1], "docs/plugins.md", "exec"), module.__dict__)
        card = ModelCard("my-net", "estimator", "my_net", "", ModelFile(path="my_net.onnx"), Licence("Apache-2.0"),
                         (64, 64), skeleton="coco17")
        answer = np.full((1, 17, 3), (0.5, 0.25, 0.9), np.float32)
        answer[:, 0, 2] = 0.1
        session = FakeSession(Tensor("image", (-1, 64, 64, 3)), [Tensor("points", (-1, 17, 3))], lambda b: {
            "points": np.repeat(answer, len(b), axis=0)
        })
        net = module.MyNet(Model(card, session))
        poses = net.estimate(np.zeros((100, 100, 3), np.uint8), np.float32([[50, 60, 40, 40, 0]]))
    finally:
        del sys.modules["my_net"]
    np.testing.assert_allclose(poses.keypoints[0, 1:], [[50, 60 - 0.25 * 50]] * 16, atol=1e-4)
    assert np.isnan(poses.keypoints[0, 0]).all()
    assert poses.scores[0, :2].tolist() == pytest.approx([0, 0.9])
