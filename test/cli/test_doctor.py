# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib
import json

import pytest

from pose_ros.cli import doctor


def test_json_lists_findings_with_states(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("POSE_ROS_CACHE", str(tmp_path))
    ran = cli("doctor", "--json")
    found = json.loads(ran.out)
    assert {f["state"] for f in found} <= {"ok", "missing", "optional"}
    assert {"system", "python", "runtime", "ros", "model", "camera"} <= {f["part"] for f in found}
    assert ran.code == (3 if any(f["state"] == "missing" for f in found) else 0)
    cache = next(f for f in found if f["name"] == "cache")
    assert cache["state"] == "ok"
    assert str(tmp_path) in cache["detail"]


@pytest.mark.parametrize(("module", "state", "code"), [("yaml", "missing", 3), ("matplotlib", "optional", None)])
def test_what_is_absent_comes_with_the_command_that_gets_it(cli, monkeypatch, module, state, code):
    real = importlib.import_module

    def without(name, *rest):
        if name == module:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *rest)

    monkeypatch.setattr(doctor.importlib, "import_module", without)
    ran = cli("doctor", "--json")
    name = doctor._PACKAGES[module][0]
    finding = next(f for f in json.loads(ran.out) if f["name"] == name)
    assert finding["state"] == state
    assert finding["fix"] == f"pip install {name}"
    assert code in (None, ran.code)
    assert f"pip install {name}" in cli("doctor").out


def test_a_machine_without_ros_is_told_how_to_get_it(cli, monkeypatch):
    real = importlib.import_module

    def without(name, *rest):
        if name == "rclpy":
            raise ModuleNotFoundError("No module named 'rclpy'", name="rclpy")
        return real(name, *rest)

    monkeypatch.setattr(doctor.importlib, "import_module", without)
    ran = cli("doctor", "--json")
    assert ran.code == 3
    assert "requirements/ros.txt" in next(f for f in json.loads(ran.out) if f["name"] == "rclpy")["fix"]


def test_a_cache_folder_that_takes_no_files_is_found(cli, monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("POSE_ROS_CACHE", str(blocked))
    ran = cli("doctor", "--json")
    assert ran.code == 3
    assert next(f for f in json.loads(ran.out) if f["name"] == "cache")["state"] == "missing"
