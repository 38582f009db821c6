# SPDX-License-Identifier: Apache-2.0
"""Plugins that other packages bring: found by entry points, loaded when asked for, and unable to break the rest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pose_ros import registry
from pose_ros.errors import PluginError, UnknownNameError

GOOD = """
from pose_ros.core.regions import Detections
from pose_ros.detectors.base import Detector

class Mine(Detector):
    def detect(self, image):
        return Detections.empty()
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Make an installed distribution of one module with entry points, and forget it afterwards."""
    modules = set(sys.modules)

    def put(source: str, entries: str, group: str = "pose_ros.detectors") -> None:
        (tmp_path / "third_party.py").write_text(source)
        info = tmp_path / "third_party-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{entries}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    yield put
    for name in sys.modules.keys() - modules:
        if name.startswith("third_party"):
            del sys.modules[name]


def test_is_found_by_name_and_loaded_when_asked_for(install):
    install(GOOD, "mine = third_party:Mine")
    assert registry.targets("detectors")["mine"] == "third_party:Mine"
    assert "third_party" not in sys.modules
    assert registry.load("detectors", "mine").__name__ == "Mine"


@pytest.mark.parametrize(("source", "entry", "message"), [
    ("import no_such_module", "mine = third_party:Mine", "cannot load third_party:Mine: ModuleNotFoundError"),
    ("this is no Python", "mine = third_party:Mine", "cannot load third_party:Mine: SyntaxError"),
    ("raise RuntimeError('no licence')", "mine = third_party:Mine", "RuntimeError: no licence"),
    (GOOD, "mine = third_party:Yours", "cannot load third_party:Yours: AttributeError"),
    ("Mine = 3", "mine = third_party:Mine", "expected a subclass of NetworkPlugin at third_party:Mine, got 3"),
    (GOOD + "    api_version = 99", "mine = third_party:Mine", "written for plugin contract 99, this is 1"),
])
def test_a_broken_one_is_an_error_only_for_who_asks_for_it(install, source, entry, message):
    install(source, entry)
    assert "mine" in registry.targets("detectors")
    registry.load("detectors", "yolox")
    with pytest.raises(PluginError, match=f"plugin 'mine': .*{message}"):
        registry.load("detectors", "mine")


def test_cannot_replace_a_built_in_one(install, caplog):
    install(GOOD, "yolox = third_party:Mine")
    assert registry.load("detectors", "yolox").__name__ == "YoloxDetector"
    assert "plugin 'yolox' of detectors is built in; the one from third_party:Mine is not used" in caplog.text


def test_belongs_to_one_kind(install):
    install(GOOD, "mine = third_party:Mine")
    with pytest.raises(UnknownNameError, match="unknown plugin of estimators 'mine'"):
        registry.load("estimators", "mine")


def test_an_unknown_name_lists_near_ones():
    with pytest.raises(UnknownNameError, match="unknown plugin of detectors 'yolo'; did you mean 'yolox'") as caught:
        registry.load("detectors", "yolo")
    assert caught.value.known == sorted(registry.BUILTIN["detectors"])
    with pytest.raises(UnknownNameError, match="unknown plugin kind 'detector'; did you mean 'detectors'"):
        registry.targets("detector")
