# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from pose_ros.cli import compose
from pose_ros.cli.node_options import check, options_of, pipeline_config
from pose_ros.cli.node_spec import NodeSpec
from pose_ros.errors import ConfigError, SourceError, UnknownNameError

CONFIGS = Path(__file__).parents[2] / "config"
POSE = "{ros__parameters: {plugin: pose_node, model: blazepose-full}}"


def load(tmp_path: Path, text: str, *overrides: str) -> dict[str, NodeSpec]:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return {spec.path: spec for spec in compose.load(path, overrides)}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"pose: {POSE}", "/pose"),
        (f"/pose: {POSE}", "/pose"),
        (f"/robot/pose: {POSE}", "/robot/pose"),
        (f"robot: {{pose: {POSE}}}", "/robot/pose"),
        (f"/a/b: {{c: {{pose: {POSE}}}}}", "/a/b/c/pose"),
    ],
)
def test_names_and_namespaces(tmp_path, text, path):
    (spec,) = load(tmp_path, text).values()
    assert spec.path == path
    assert (spec.plugin, spec.parameters["model"]) == ("pose_node", "blazepose-full")


@pytest.mark.parametrize("pattern", ["/**", "/*", "/*/b/pose", "/**/pose", "/a/*/pose", "/a/**", "/**/b/*"])
def test_wildcards_reach_what_they_reach_in_ros(tmp_path, ros, pattern):
    from rclpy.node import Node

    text = f"pose: {POSE}\n/a/b/pose: {POSE}\n{pattern}: {{ros__parameters: {{watchdog: 9.0}}}}"
    for path, spec in load(tmp_path, text).items():
        arguments = spec.arguments(tmp_path / "config.yaml")
        node = ros.add(Node("other", context=ros.context, cli_args=arguments, use_global_arguments=False,
                            automatically_declare_parameters_from_overrides=True))
        assert node.get_fully_qualified_name() == path
        assert ("watchdog" in spec.parameters) == node.has_parameter("watchdog"), path


def test_the_last_block_wins_as_in_ros(tmp_path):
    text = f"pose: {POSE}\n/**: {{ros__parameters: {{model: blazepose-lite}}}}"
    assert load(tmp_path, text)["/pose"].parameters["model"] == "blazepose-lite"


def test_blocks_of_the_parts_become_dotted_keys(tmp_path):
    text = "pose: {ros__parameters: {plugin: pose_node, top_down: {max_subjects: 2}, tracker.predict: 1}}"
    parameters = load(tmp_path, text)["/pose"].parameters
    assert parameters["top_down.max_subjects"] == 2
    assert parameters["tracker.predict"] == 1


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ("modle: x", UnknownNameError, "unknown parameter of /pose 'modle'; did you mean 'model'"),
        ("top_down: {max_subject: 2}", UnknownNameError, "'top_down.max_subjects'"),
        ("model: blazepos-full", UnknownNameError, "'blazepose-full'"),
        ("estimator: {}", ConfigError, "/pose.estimator: ROS 2 cannot read an empty"),
        ("tf_keypoints: []", ConfigError, "/pose.tf_keypoints: ROS 2 cannot read an empty list '[]'; write ''"),
        ("tf_keypoints: 3", ConfigError, "/pose.tf_keypoints: expected a list of texts, such as [a, b], got 3"),
        ("model: ", ConfigError, "/pose.model: expected a value"),
        ("watchdog: soon", ConfigError, "/pose.watchdog: expected float"),
        ("top_down: {max_subjects: 0}", ConfigError, "/pose.top_down.max_subjects: expected 1 .. 100, got 0"),
    ],
)
def test_a_key_that_does_not_fit_is_named(tmp_path, keys, error, words):
    with pytest.raises(error) as caught:
        load(tmp_path, f"pose: {{ros__parameters: {{plugin: pose_node, {keys}}}}}")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("pose: {ros__parameters: {plugin: pose_nod}}", UnknownNameError, "'pose_nod'; did you mean 'pose_node'"),
        ("pose: {ros__parameters: {model: blazepose-full}}", ConfigError, "/pose.plugin: missing"),
        ("pose: {ros_parameters: {plugin: pose_node}}", ConfigError, "'ros__parameters' below, got 'ros_parameters'"),
        ("pose: {ros__parameters: {plugin: pose_node}, extra: 1}", ConfigError, "nothing beside"),
        ("pose: 3", ConfigError, "/pose: expected ros__parameters or a namespace"),
        ("pose: {}", ConfigError, "expected 'ros__parameters' below"),
        ("- pose", ConfigError, "got list"),
        ("", ConfigError, "got NoneType"),
        ("/**: {ros__parameters: {use_sim_time: true}}", ConfigError, "at least one node"),
        ("pose: [", ConfigError, "is not YAML"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path, text, error, words):
    with pytest.raises(error) as caught:
        load(tmp_path, text)
    assert words in str(caught.value)


def test_parameters_of_rclpy_itself_are_taken(tmp_path):
    keys = "use_sim_time: true, qos_overrides: {/tf: {publisher: {depth: 5}}}"
    text = f"pose: {{ros__parameters: {{plugin: pose_node, {keys}}}}}"
    assert load(tmp_path, text)["/pose"].parameters["use_sim_time"] is True


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        compose.load(tmp_path / "gone.yaml")


@pytest.mark.parametrize("node", ["pose", "/robot/pose", "pose_node"])
def test_overrides_name_a_node_by_name_path_or_plugin(tmp_path, node):
    spec = load(tmp_path, f"/robot/pose: {POSE}", f"{node}.top_down.max_subjects=3", f"{node}.model=blazepose-lite")
    overrides = spec["/robot/pose"].overrides
    assert overrides == {"top_down.max_subjects": 3, "model": "blazepose-lite"}
    assert spec["/robot/pose"].parameters["plugin"] == "pose_node"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("pose", "expected node.key=value"),
        ("pose=1", "expected node.key=value"),
        ("pos.model=x", "unknown node 'pos'; did you mean 'pose'"),
        ("pose.modl=x", "did you mean 'model'"),
        ("pose.watchdog=soon", "expected float"),
        ("pose.watchdog=[", "--set watchdog: is not YAML"),
        ("pose.device=[", None),
    ],
)
def test_wrong_overrides_are_named(tmp_path, override, words):
    if words is None:  # text stays text, whatever YAML would make of it
        assert load(tmp_path, f"pose: {POSE}", override)["/pose"].overrides == {"device": "["}
        return
    with pytest.raises((ConfigError, UnknownNameError)) as caught:
        load(tmp_path, f"pose: {POSE}", override)
    assert words in str(caught.value)


def test_a_source_goes_to_the_camera_of_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"eye: {{ros__parameters: {{plugin: camera_node, source: old}}}}\npose: {POSE}\n")
    eye, pose = compose.load(path, source="0")
    assert (eye.parameters["source"], eye.overrides) == ("0", {"source": "0"})
    assert pose.overrides == {}


def test_a_file_without_a_camera_gets_one_that_all_hear(tmp_path, ros):
    from rclpy.node import Node

    path = tmp_path / "config.yaml"
    path.write_text(f"robot: {{pose: {POSE}}}\nrecorder: {{ros__parameters: {{plugin: recorder_node}}}}\n")
    camera, pose, recorder = compose.load(path, source="a clip.mp4")
    assert (camera.path, camera.plugin, camera.parameters["wait_for_subscribers"]) == ("/camera", "camera_node", 2)
    check(camera.path, camera.parameters, options_of("camera_node", {}))
    for spec in (pose, recorder):
        assert spec.parameters["image_topic"] == spec.overrides["image_topic"] == "/camera/image"
        assert spec.parameters["camera_info_topic"] == "/camera/camera_info"
        check(spec.path, spec.parameters, options_of(spec.plugin, spec.parameters))
    node = ros.add(Node("other", context=ros.context, cli_args=camera.arguments(path), use_global_arguments=False,
                        automatically_declare_parameters_from_overrides=True))
    assert node.get_fully_qualified_name() == "/camera"
    assert node.get_parameter("source").value == "a clip.mp4"
    path.write_text(f"camera: {POSE}\n")
    with pytest.raises(ConfigError, match="no other node of the name '/camera'"):
        compose.load(path, source="0")


def test_no_camera_waits_for_the_node_that_seldom_hears_images(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"pose: {POSE}\nhri: {{ros__parameters: {{plugin: hri_node}}}}\n")
    camera, _, hri = compose.load(path, source="a clip.mp4")
    assert camera.parameters["wait_for_subscribers"] == 1
    assert hri.overrides == {"image_topic": "/camera/image"}


def test_overrides_reach_the_node_that_a_source_adds_and_win(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"pose: {POSE}\n")
    changes = ["camera.fov=60", "camera_node.pace=as_fast", "/camera.publish=both", "pose.image_topic=/other"]
    camera, pose = compose.load(path, changes, "clip.mp4")
    assert camera.overrides == {"source": "clip.mp4", "publish": "both", "wait_for_subscribers": 1, "fov": 60,
                                "pace": "as_fast"}
    assert pose.overrides["image_topic"] == pose.parameters["image_topic"] == "/other"
    assert pose.overrides["camera_info_topic"] == "/camera/camera_info"
    with pytest.raises(UnknownNameError, match=r"unknown parameter of /camera 'fow'; did you mean 'fov'"):
        compose.load(path, ["camera.fow=60"], "clip.mp4")
    with pytest.raises(ConfigError, match=r"/camera\.fov: expected 0 \.\. 170, got 200"):
        compose.load(path, ["camera.fov=200"], "clip.mp4")
    with pytest.raises(UnknownNameError, match="unknown node 'camera'; known: pose"):
        compose.load(path, ["camera.fov=60"])
    # Whether a camera or a player is added may itself be an override.
    player, pose = compose.load(path, ["pose.depth_topic=/depth", "player.speed=0.5", "pose.depth=7"], "bag")
    assert (player.plugin, player.parameters["speed"], player.parameters["wait_for_subscribers"]) == (
        "player_node", 0.5, 3)
    assert (pose.parameters["depth"], pose.parameters["reliability"]) == (7, "reliable")


def test_a_bag_of_several_cameras_is_played(tmp_path):
    path = tmp_path / "config.yaml"
    room = "{ros__parameters: {plugin: multiview_node, cameras: 'a, b'}}"
    path.write_text(f"a: {{pose: {POSE}}}\nb: {{pose: {POSE}}}\nmultiview: {room}\n")
    player, one, other, fusing = compose.load(path, source="bag")
    assert (player.path, player.plugin) == ("/player", "player_node")
    assert player.parameters == {"plugin": "player_node", "source": "bag", "wait_for_subscribers": 4,
                                 "wait_timeout": 300.0, "clock": True}
    # Nothing of a bag is left out, however long its images take, and how old they are is told by its time.
    for spec in (one, other):
        assert spec.overrides == {"use_sim_time": True, "reliability": "reliable", "depth": 100}
    assert fusing.overrides.keys() == {"use_sim_time", "sync.max_wait", "sync.max_silence"}
    for spec in (player, one, other, fusing):
        check(spec.path, spec.parameters, options_of(spec.plugin, spec.parameters))
    path.write_text(f"eye: {{ros__parameters: {{plugin: player_node, source: old}}}}\nmultiview: {room}\n")
    assert compose.load(path, source="bag")[0].overrides == {"source": "bag"}
    path.write_text(f"player: {POSE}\nmultiview: {room}\n")
    with pytest.raises(ConfigError, match="no other node of the name '/player'"):
        compose.load(path, source="bag")


def test_options_of_the_pieces_of_a_multiview_node_are_known(tmp_path):
    text = "room: {{ros__parameters: {{plugin: multiview_node, cameras: 'a, b', {}}}}}"
    spec = load(tmp_path, text.format("sync: {tolerance: 0.02}, fuser: {noise: 0.02}, filter: {kind: none}"))["/room"]
    assert spec.parameters["sync.tolerance"] == 0.02
    with pytest.raises(UnknownNameError, match=r"'sync\.tolerance'"):
        load(tmp_path, text.format("sync: {tolerence: 0.02}"))


def test_parameters_of_parts_are_those_of_their_models(tmp_path):
    hands = "hands: {model: mediapipe-hand-landmark-full, retry: 1.0}"
    text = f"pose: {{ros__parameters: {{plugin: pose_node, model: blazepose-full, {hands}}}}}"
    spec = load(tmp_path, text)["/pose"]
    known = options_of("pose_node", spec.parameters)
    assert {"hands.model", "hands.retry", "faces.model", "faces.detect_every"} <= known.keys()
    without = options_of("pose_node", {"model": "blazepose-full"})
    assert {"hands.model", "faces.model"} <= without.keys()
    assert not any(name.startswith(("hand_estimator", "face_estimator")) for name in without)
    assert pipeline_config(spec.parameters)["hands"] == {"model": "mediapipe-hand-landmark-full", "retry": 1.0}
    with pytest.raises(UnknownNameError, match="did you mean 'mediapipe-hand-landmark-full'"):
        load(tmp_path, text.replace("landmark-full", "landmark-ful"))
    with pytest.raises(UnknownNameError, match=r"hands\.retyr.*did you mean 'hands\.retry'"):
        load(tmp_path, text.replace("retry", "retyr"))


def test_a_process_is_given_exactly_these_parameters(tmp_path, ros):
    """What the command line says is what rcl makes of it: quotes, spaces, numbers that are text, nested blocks."""
    from rclpy.node import Node

    text = """
/**: {ros__parameters: {use_sim_time: false}}
robot:
  pose:
    ros__parameters: {plugin: pose_node, model: blazepose-full, min_score: 0.5, top_down: {max_subjects: 2}}
"""
    changes = "pose.image_topic=0", "pose.tf_kind=a: 'b' \"c\" ü", "pose.watchdog=5", "pose.tf_prefix="
    changes += "pose.tf_keypoints=[left_wrist, nose]", "pose.tf_frames=[]"
    spec = load(tmp_path, text, *changes)
    arguments = spec["/robot/pose"].arguments(tmp_path / "config.yaml")
    node = ros.add(Node("other", context=ros.context, cli_args=arguments, use_global_arguments=False,
                        automatically_declare_parameters_from_overrides=True))
    assert node.get_fully_qualified_name() == "/robot/pose"
    got = {name: node.get_parameter(name).value for name in node.get_parameters_by_prefix("")}
    assert got["model"] == "blazepose-full"
    assert got["top_down.max_subjects"] == 2
    assert got["image_topic"] == "0"
    assert got["tf_kind"] == "a: 'b' \"c\" ü"
    assert got["watchdog"] == 5
    assert (got["tf_prefix"], got["tf_keypoints"], got["tf_frames"]) == ("", ["left_wrist", "nose"], "")
    assert {k: got[k] for k in spec["/robot/pose"].parameters} == dict(spec["/robot/pose"].parameters)


_TWO = """\
body: {ros__parameters: {plugin: pose_node, model: blazepose-full, process: {name: eyes, cpus: "0"}}}
hand: {ros__parameters: {plugin: pose_node, model: blazepose-full, process: {name: %s, cpus: "%s"}}}
"""


def test_a_camera_waits_for_as_many_subscriptions_as_there_will_be(tmp_path):
    path = tmp_path / "config.yaml"
    for name, subscriptions in (("eyes", 1), ("other", 2)):
        path.write_text(_TWO % (name, 0))
        camera = next(s for s in compose.load(path, source="demo") if s.plugin == "camera_node")
        assert camera.parameters["wait_for_subscribers"] == subscriptions
    path.write_text(_TWO % ("eyes", 0))
    camera = next(s for s in compose.load(path, ["hand.depth=5"], "demo") if s.plugin == "camera_node")
    assert camera.parameters["wait_for_subscribers"] == 2


def test_nodes_of_one_process_have_to_agree_about_it(tmp_path):
    with pytest.raises(ConfigError, match=r"/hand.process.cpus: expected what /body of the same process says, '0'"):
        load(tmp_path, _TWO % ("eyes", 1))


def test_a_source_needs_a_process_of_its_own(tmp_path):
    text = "camera: {ros__parameters: {plugin: camera_node, source: demo, process: {name: eyes}}}"
    with pytest.raises(ConfigError, match=r"/camera.process.name: expected none, got 'eyes': a camera_node ends with"):
        load(tmp_path, text)


def test_a_namespace_moves_nodes_their_frames_and_the_added_camera(tmp_path, ros):
    from rclpy.node import Node

    path = tmp_path / "config.yaml"
    path.write_text(f"pose: {POSE}\n/**: {{ros__parameters: {{watchdog: 9.0, tf_keypoints: [nose, left_wrist]}}}}")
    camera, pose = compose.load(path, ["pose.depth=3"], "demo", "robot1", ["/tf:=tf"])
    assert (camera.path, pose.path) == ("/robot1/camera", "/robot1/pose")
    assert pose.parameters["image_topic"] == "/robot1/camera/image"
    # What the file says of /pose reaches a node of another name, as ROS reads it.
    node = ros.add(Node("other", context=ros.context, cli_args=pose.arguments(path), use_global_arguments=False,
                        automatically_declare_parameters_from_overrides=True))
    assert node.get_fully_qualified_name() == "/robot1/pose"
    assert node.resolve_topic_name("/tf") == "/robot1/tf"
    for key, value in {"tf_prefix": "robot1/", "watchdog": 9.0, "depth": 3, "tf_keypoints": ["nose", "left_wrist"],
                       "model": "blazepose-full"}.items():
        assert node.get_parameter(key).value == value
    path.write_text("pose: {ros__parameters: {plugin: pose_node, model: blazepose-full, tf_prefix: mine_}}")
    assert compose.load(path, namespace="/robot1/")[0].parameters["tf_prefix"] == "mine_"


def test_managed_nodes_do_not_start_themselves(tmp_path):
    text = "pose: {ros__parameters: {plugin: pose_node, process: {managed: true}}}"
    assert load(tmp_path, text)["/pose"].overrides == {"autostart": False}


def test_a_rule_that_is_none_is_refused(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"pose: {POSE}")
    with pytest.raises(ConfigError, match=r"--remap: expected from:=to, such as /tf:=tf, got '/tf'"):
        compose.load(path, remaps=["/tf"])


def test_a_web_page_is_added_when_it_is_asked_for(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"pose: {POSE}")
    assert [spec.path for spec in compose.load(path)] == ["/pose"]
    _, web = compose.load(path, ["web.port=9000"], namespace="robot1", web=True)
    assert (web.path, web.plugin, web.parameters["port"], web.lives) == ("/robot1/web", "web_node", 9000, True)
    path.write_text("mine: {ros__parameters: {plugin: web_node}}")
    assert [spec.path for spec in compose.load(path, web=True)] == ["/mine"]
    path.write_text(f"web: {POSE}")
    with pytest.raises(ConfigError, match="--web: expected a web_node in the file"):
        compose.load(path, web=True)


def exactly(testdata, file, *overrides, topic=""):
    source = f"{testdata / 'bags' / 'pose2sim_single_4cam'}{topic}"
    return {spec.path: spec for spec in compose.load(CONFIGS / file, overrides, source, exact=True)}


def test_exactly_a_player_takes_the_place_of_the_camera(testdata):
    specs = exactly(testdata, "demo.yaml", "player.speed=4", topic="#/cam02/image_raw/compressed")
    assert list(specs) == ["/player", "/pose", "/recorder"]
    played = specs["/player"].overrides
    assert played["answers"] == ["/cam02/image_raw/compressed:=/pose/skeletons"]
    assert (played["speed"], played["clock"], played.get("wait_for_subscribers", 0)) == (4, True, 0)
    for name, exact in (("/pose", True), ("/recorder", None)):
        heard = specs[name].overrides
        assert heard["image_topic"] == "/cam02/image_raw/compressed"
        assert heard["camera_info_topic"] == "/cam02/camera_info"
        assert (heard["use_sim_time"], heard.get("exact")) == (True, exact)


def test_exactly_several_cameras_keep_their_topics(tmp_path, testdata):
    specs = exactly(testdata, "multiview.yaml")
    assert specs["/player"].overrides["answers"] == [
        f"/cam0{i}/image_raw/compressed:=/cam0{i}/pose/skeletons" for i in range(1, 5)]  # fmt: skip
    assert all(specs[name].overrides["exact"] for name in ("/cam01/pose", "/cam04/pose", "/multiview"))
    assert "image_topic" not in specs["/cam01/pose"].overrides
    # A recorder without pictures needs none.
    recorder = "\nrecorder: {ros__parameters: {plugin: recorder_node, image_topic: ''}}"
    (tmp_path / "c.yaml").write_text((CONFIGS / "multiview.yaml").read_text() + recorder)
    assert "image_topic" not in exactly(testdata, tmp_path / "c.yaml")["/recorder"].overrides


def test_exactly_what_cannot_be_said_twice_is_refused(tmp_path, testdata):
    with pytest.raises(ConfigError, match="expected --source BAG"):
        compose.load(CONFIGS / "demo.yaml", exact=True)
    with pytest.raises(SourceError, match="several cameras; name one of"):
        exactly(testdata, "demo.yaml")
    (tmp_path / "c.yaml").write_text("fuse: {ros__parameters: {plugin: multiview_node, cameras: [a, b]}}")
    with pytest.raises(ConfigError, match="expected a pose_node"):
        compose.load(tmp_path / "c.yaml", (), str(testdata / "bags" / "pose2sim_single_4cam"), exact=True)
