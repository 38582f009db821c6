# SPDX-License-Identifier: Apache-2.0
"""What the pages tell readers to type is taken by what reads it: command lines, files of nodes, Python."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from pose_ros.cli import launching
from pose_ros.cli.compose import load
from pose_ros.cli.main import build_parser

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
#: Arguments of all launch files.
LAUNCH = {
    "params_file", "namespace", "log_level", "use_rviz", "rviz_config", "use_web", "fixed_frame",
    *launching._TOPICS, *launching._DEPTH, *launching._MODEL, *launching._DEVICE,
}  # fmt: skip


def blocks(*languages):
    """Return (id, text) of all blocks of some languages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            if match[2] in languages:
                line = text[: match.start()].count("\n") + 2
                found.append(pytest.param(match[3], id=f"{page.name}:{line}"))
    return found


def command_lines(block, program):
    """Return the words of each command of a block that runs a program."""
    for line in block.replace("\\\n", " ").splitlines():
        for command in re.split(r" (?:\||&&|;) ", re.sub(r"^\s*\$ ", "", line)):
            if re.match(rf"\s*(?:[A-Z_]+=\S* )*{program} ", command):
                words = shlex.split(command, comments=True)
                yield [word for word in words[words.index(program.split()[0]) + 1 :] if word != ">"]


def problem(words, capsys):
    """Return what argparse has against words, if anything."""
    try:
        build_parser().parse_args(words)
    except SystemExit as leaving:
        captured = capsys.readouterr()
        return captured.err if leaving.code else ""
    return ""


@pytest.mark.parametrize("block", blocks("", "bash", "console"))
def test_commands_of_blocks_parse(block, capsys):
    for words in command_lines(block, "pose-ros"):
        assert not problem(words, capsys), words


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_in_sentences_exist(page, capsys):
    """A sentence may leave arguments out, but names no command or option that does not exist."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for command in re.findall(r"`pose-ros ([^`]+)`", text):
        words = shlex.split(command.replace("\n", " "))
        said = problem(words, capsys) if "..." not in words else ""
        assert not said or re.search("arguments are required|expected one argument", said), command


@pytest.mark.parametrize("block", blocks("", "bash", "console"))
def test_launch_files_exist_and_take_what_is_given(block):
    for words in command_lines(block, "ros2 launch pose_ros"):
        file, given = words[2], [word.partition(":=")[0] for word in words[3:] if ":=" in word]
        assert (ROOT / "launch" / file).is_file(), file
        assert set(given) <= LAUNCH, words


@pytest.mark.parametrize("block", [p for p in blocks("yaml") if "ros__parameters" in p.values[0]])
def test_files_of_nodes_are_read(block, tmp_path, monkeypatch):
    """Every key exists and fits; a part of a file leaves out the plugin of the node that it is for."""
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load(block)
    for name, node in content.items():
        if not name.startswith("/") and "ros__parameters" in node:
            node["ros__parameters"].setdefault("plugin", f"{name}_node")
    file = tmp_path / "file.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load(file)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_yaml_is_yaml(block):
    assert yaml.safe_load(block)


@pytest.mark.parametrize("block", blocks("toml"))
def test_toml_is_toml(block):
    assert tomllib.loads(block)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_compiles_and_what_it_takes_of_us_is_there(block):
    tree = ast.parse(block)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.partition(".")[0] == "pose_ros":
                    importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "pose_ros":
            if node.module in ("pose_ros.msg", "pose_ros.srv"):
                pytest.importorskip("rclpy", reason="messages need ROS 2")
            module = importlib.import_module(node.module)
            for name in node.names:
                if not hasattr(module, name.name):
                    importlib.import_module(f"{node.module}.{name.name}")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pose_ros":
            assert hasattr(importlib.import_module("pose_ros"), node.attr), node.attr
