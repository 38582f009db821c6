# SPDX-License-Identifier: Apache-2.0
"""The arrows between the modules point one way: read from the sources, nothing is imported."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pose_ros.registry import BUILTIN

ROOT = Path(__file__).parents[1]

#: Room -> rooms it may use. A room is a folder or a module of pose_ros; every room may use itself.
MAY_USE = {
    "errors": set(),
    "folders": set(),
    "memory": set(),
    "formats": {"errors"},
    "core": {"errors"},
    "anatomy": {"core", "errors"},
    "tracking": {"core", "errors"},
    "rgbd": {"anatomy", "core", "errors"},
    "skeletons": {"anatomy", "core", "errors"},
    "decode": {"core", "errors"},
    "networks": {"core", "errors", "formats"},
    "runtime": {"core", "errors", "folders", "formats", "networks"},
    "models": {"core", "errors", "folders", "formats", "skeletons"},
    "plugin": {"core", "errors", "models", "runtime"},
    "registry": {"errors", "plugin"},
    "media": {"core", "errors", "folders", "skeletons"},
    "viewer": {"core", "errors", "media"},
    "detectors": {"core", "decode", "errors", "models", "plugin", "runtime", "skeletons"},
    "estimators": {"anatomy", "core", "decode", "errors", "models", "plugin", "runtime", "skeletons"},
    "lifters": {"anatomy", "core", "errors", "models", "plugin", "runtime", "skeletons", "tracking"},
    "recognisers": {"anatomy", "core", "errors", "models", "plugin", "runtime", "skeletons", "tracking"},
    "recognition": {
        "anatomy", "core", "errors", "models", "plugin", "recognisers", "registry", "runtime", "skeletons", "tracking",
        "wiring"
    },
    "metrics": {"core", "errors"},
    "manipulation": {"anatomy", "core", "errors", "skeletons", "tracking"},
    "multiview": {"anatomy", "core", "errors", "media"},
    "datasets": {"core", "errors", "skeletons"},
    "evaluation": {
        "core", "datasets", "decode", "detectors", "errors", "estimators", "lifters", "media", "metrics", "models",
        "multiview", "pipeline", "skeletons", "wiring"
    },
    "web": {"errors"},
    "exports": {"anatomy", "core", "errors", "skeletons"},
    "space": {"anatomy", "core", "lifters", "rgbd", "tracking"},
    "sources": {"core", "detectors", "errors", "estimators", "skeletons", "tracking"},
    "pipeline": {"anatomy", "core", "errors", "sources", "space", "tracking"},
    "fusion": {"anatomy", "core", "errors", "multiview", "pipeline", "tracking"},
    "benching": {"core", "errors", "media", "pipeline"},
    "parts": {"core", "decode", "detectors", "errors", "estimators", "tracking"},
    "wiring": {
        "core", "detectors", "errors", "estimators", "lifters", "models", "parts", "pipeline", "plugin", "recognisers",
        "registry", "rgbd", "runtime", "skeletons", "sources", "space", "tracking"
    },
}  # fmt: skip
#: The rooms that know ROS, and the command line above them, may use everything below; nothing below uses them.
ROS = {"ros", "nodes"}
TOP = {"cli"}
BELOW_ROS = {*MAY_USE, "msg", "srv"}
MAY_USE |= {"ros": BELOW_ROS, "nodes": BELOW_ROS | {"ros"}, "cli": BELOW_ROS | ROS}
PLUGIN_ROOMS = {"detectors", "estimators", "lifters", "recognisers"}
#: Translations that read anything with the fields of a message: they load without ROS, and bags are read by them.
TRANSLATIONS = {"pose_ros.ros.cameras", "pose_ros.ros.images", "pose_ros.ros.reading"}
#: The only modules outside the ROS rooms that import ROS at once; they are loaded by `up` and `view`.
MONITORS = {"pose_ros.cli.bring_up", "pose_ros.cli.monitor", "pose_ros.cli.view_live"}
ROS_PACKAGES = ("rclpy", "launch", "launch_ros", "ament_index_python", "rosidl_runtime_py", "tf2_ros", "cv_bridge")

SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "pose_ros").rglob("*.py"))
}


def imports(module: str) -> list[tuple[str, bool]]:
    """Return what a module imports as full names, and whether that happens whenever the module is imported."""
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, eager: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((name.name, eager) for name in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}:{child.lineno}: a relative import"
                for name in child.names:
                    full = f"{child.module}.{name.name}"
                    found.append((full if full in SOURCES else str(child.module), eager))
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                visit(ast.Module(child.body, []), False)
                visit(ast.Module(child.orelse, []), eager)
            else:
                lazy = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                visit(child, eager and not lazy)

    visit(tree, True)
    return found


def room(module: str) -> str:
    """Return the folder or top-level module that a module of pose_ros belongs to; "" for the package itself."""
    return [*module.split("."), ""][1]


def is_ros(name: str) -> bool:
    """Whether a full name belongs to ROS: a library of it, or generated messages."""
    top = name.split(".")[0]
    generated = top.endswith(("_msgs", "_interfaces", "_srvs")) or name.startswith(("pose_ros.msg", "pose_ros.srv"))
    return top in ROS_PACKAGES or generated


def test_every_room_is_known() -> None:
    assert {room(module) for module in SOURCES} - {""} <= MAY_USE.keys()


@pytest.mark.parametrize("module", [name for name in SOURCES if room(name)])
def test_imports_point_down(module: str) -> None:
    mine = room(module)
    names = {name for name, _ in imports(module) if name.startswith("pose_ros.")}
    if module == "pose_ros.media.bags":
        names -= TRANSLATIONS
    used = {room(name) for name in names} - {mine}
    assert used <= MAY_USE[mine], f"{module} must not use {sorted(used - MAY_USE[mine])}"


@pytest.mark.parametrize("module", [name for name in SOURCES if room(name) not in ROS and name not in MONITORS])
def test_only_ros_rooms_import_ros(module: str) -> None:
    for name, eager in imports(module):
        allowed = room(module) in TOP and not eager
        assert allowed or not is_ros(name), f"{module} imports {name}"


@pytest.mark.parametrize("module", sorted(TRANSLATIONS))
def test_translations_load_without_ros(module: str) -> None:
    assert not [name for name, eager in imports(module) if eager and is_ros(name)]


def test_command_line_starts_without_ros() -> None:
    reached: set[str] = set()
    ahead = ["pose_ros.cli.main"]
    while ahead:
        module = ahead.pop()
        reached.add(module)
        ahead += [name for name, eager in imports(module) if eager and name in SOURCES and name not in reached]
    assert "pose_ros.cli.up" in reached
    assert not MONITORS & reached
    assert not [(module, name) for module in reached for name, eager in imports(module) if eager and is_ros(name)]


@pytest.mark.parametrize("module", [name for name in SOURCES if room(name) in PLUGIN_ROOMS])
def test_plugins_do_not_import_plugins(module: str) -> None:
    """What several plugins share stands in modules that are none."""
    plugins = {target.partition(":")[0] for kind in (*PLUGIN_ROOMS, "rules") for target in BUILTIN[kind].values()}
    others = {name for name, _ in imports(module)} & plugins - {module}
    assert not others, f"{module} imports {sorted(others)}"


def test_no_import_circles() -> None:
    above: list[str] = []
    done: set[str] = set()

    def walk(module: str) -> None:
        assert module not in above, " -> ".join([*above[above.index(module) :], module])
        if module in done:
            return
        above.append(module)
        for name, eager in imports(module):
            if eager and name in SOURCES and name != module:
                walk(name)
        above.pop()
        done.add(module)

    for module in SOURCES:
        walk(module)


def test_no_room_takes_a_public_name():
    """An imported room becomes an attribute of the package, in place of what bears its name there."""
    import pose_ros

    rooms = {path.stem for path in (ROOT / "pose_ros").iterdir()}
    assert not rooms & set(pose_ros.__all__)
