# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys

import pytest

import pose_ros
from pose_ros import errors
from pose_ros.cli import main as main_module
from pose_ros.cli.main import FAILED, INTERRUPTED, MISSING, OK, USAGE


def spawn(*argv, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-m", "pose_ros.cli", *argv],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment},
    )


def test_version_in_a_process_of_its_own():
    ran = spawn("--version")
    assert (ran.returncode, ran.stdout.strip()) == (OK, f"pose-ros {pose_ros.__version__}")


@pytest.mark.parametrize("command", [[], ["up"], ["run"], ["list"], ["models"], ["models", "fetch"], ["doctor"]])
def test_help_teaches_by_examples_and_exit_codes(cli, command):
    ran = cli(*command, "--help")
    assert ran.code == OK
    assert "examples:\n  pose-ros" in ran.out
    assert "130  interrupted" in ran.out


def test_importing_the_command_line_is_light():
    heavy = ("cv2", "rclpy", "onnxruntime", "rich")
    code = f"import sys, pose_ros.cli.main; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("argv", [["dance"], ["run"], ["list", "shoes"], ["run", "x.jpg", "--every", "often"], []])
def test_wrong_usage_is_2_and_says_what_is_known(cli, argv):
    ran = cli(*argv)
    assert ran.code == USAGE
    assert ran.out == ""
    assert "usage: pose-ros" in ran.err


def test_unknown_model_is_2_and_lists_near_names():
    ran = spawn("models", "info", "blazepose-ful")
    assert ran.returncode == USAGE
    assert "did you mean 'blazepose-full'" in ran.stderr
    assert ran.stderr.startswith("pose-ros: unknown model")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("a.b", "expected x, got y"), USAGE),
        (errors.UnknownNameError("model", "x", ["y"]), USAGE),
        (errors.ModelMissingError("x", "not here"), MISSING),
        (errors.LicenceError("x", "not accepted"), MISSING),
        (errors.DeviceError("cuda", "not there"), MISSING),
        (ModuleNotFoundError("no", name="rclpy"), MISSING),
        (errors.ModelCorruptError("x", "cut off"), FAILED),
        (errors.SourceError("x", "gone"), FAILED),
        (PermissionError(13, "Permission denied", "out"), FAILED),
        (ZeroDivisionError("oh"), FAILED),
        (KeyboardInterrupt(), INTERRUPTED),
    ],
)
def test_every_error_has_its_code_and_is_one_line(cli, monkeypatch, error, code):
    def fail(args):
        raise error

    monkeypatch.setattr(main_module.doctor, "handle", fail)
    ran = cli("doctor")
    assert ran.code == code
    assert ran.out == ""
    assert ran.err.startswith("pose-ros: ")
    assert ran.err.count("\n") == 1


def test_debug_shows_where_an_error_came_from(cli, monkeypatch):
    def fail(args):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(main_module.doctor, "handle", fail)
    assert "Traceback" not in cli("doctor").err
    ran = cli("doctor", "--debug")
    assert "Traceback" in ran.err
    assert "in fail" in ran.err


def test_a_reader_that_goes_away_early_is_no_error():
    command = [sys.executable, "-m", "pose_ros.cli", "list", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == FAILED


def test_json_stands_alone_on_stdout():
    ran = spawn("list", "--json")
    assert ran.returncode == OK
    assert set(json.loads(ran.stdout)) == {"plugins", "models", "skeletons", "architectures"}


def test_no_escape_codes_without_a_terminal():
    ran = spawn("list")
    assert "\x1b" not in ran.stdout + ran.stderr
