# SPDX-License-Identifier: Apache-2.0
"""Cards are read strictly; every shipped card is right."""

from __future__ import annotations

import os
import re

import pytest

from pose_ros import registry
from pose_ros.errors import CardError, UnknownNameError
from pose_ros.models import cards
from pose_ros.models.accuracy import Result
from pose_ros.models.store import Store
from pose_ros.networks.catalogue import ARCHITECTURES
from pose_ros.skeletons import catalogue

_SHA = "ab" * 32
_CARD = f"""\
kind: detector
plugin: yolox
summary: A test.
file: {{url: "https://example.org/a/net.onnx?x=1", sha256: {_SHA}}}
licence: {{weights: MIT}}
input_wh: [416, 320]
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of the user's own cards."""
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(tmp_path))
    return tmp_path


def test_defaults_and_conversions(own):
    extra = "preprocess: {std: [255, 255, 255]}\naccuracy: [{data: coco, measure: AP, value: 1}]\nparams: {a: [1, x]}\n"
    (own / "mine.yaml").write_text(_CARD + extra)
    card = cards.get("mine")
    assert (card.name, card.kind, card.input_wh, card.folder) == ("mine", "detector", (416, 320), own)
    assert card.file.suffix == ".onnx"
    assert card.preprocess.std == (255.0, 255.0, 255.0)
    assert card.accuracy == (Result("coco", "AP", 1.0),)
    assert card.params == {"a": [1, "x"]}
    assert card.outputs == card.classes == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("plugin:", "plugni:"), "plugni: unknown key; did you mean 'plugin'"),
        (("summary", "name: x\nsummary"), "name: unknown key"),
        (("licence: {", "licence: {comercial: yes, "), "licence.comercial: unknown key; did you mean 'non_commercial'"),
        (("kind: detector\n", ""), "kind: missing"),
        (("{weights: MIT}", "{source: x}"), "licence.weights: missing"),
        (("{weights: MIT}", "MIT"), "licence: expected a mapping, got str 'MIT'"),
        (("[416, 320]", "[416]"), "input_wh: expected a list of 2 int, got [416]"),
        (("[416, 320]", "[416, 3.5]"), "input_wh[1]: expected int, got float 3.5"),
        (("[416, 320]", "416"), "input_wh: expected a list of 2 int, got 416"),
        (("[416, 320]", "[416, 0]"), "input_wh: expected positive sizes, got (416, 0)"),
        (("kind: detector", "kind: tracker"),
         "kind: expected one of detector, estimator, lifter, recogniser; got 'tracker'"),
        (("kind: detector", "kind: estimator"), "skeleton: every kind but a detector has to name one"),
        (("kind: detector", "kind: [detector"), "not readable as YAML"),
        ((_SHA, "abcdef"), "file.sha256: expected 64 hex digits, or the first 7 or more, got 'abcdef'"),
        ((_SHA, "123"), "file.sha256: expected str, got int 123"),
        (("{url:", "{path: net.onnx, url:"), "file: expected exactly one of url, wheel, path; got url, path"),
        (("A test.", "yes"), "summary: expected str, got bool True"),
        *((("summary: A test.", f"summary: A test.\naccuracy: {wrong}"), problem) for wrong, problem in (
            ("{AP: 1}", "accuracy: expected a list of Result, got {'AP': 1}"),
            ("[{data: coco, measure: AP, value: high}]", "accuracy[0].value: expected float, got str 'high'"),
            ("[{data: coco, measure: AP, value: 1, unit: cm}]", "accuracy: unit: expected one of %, px, mm; got 'cm'"),
            ("[{data: coco, measure: AP, value: 1, boxes: mine}]", "accuracy: boxes: expected one of truth, detector; "
                                                                  "got 'mine'"),
            ("[{data: coco, measure: AP, value: 1, detector: x}]", "accuracy: detector: expected with boxes: detector, "
                                                                  "got 'x'"),
        )),
        (("summary:", "params: [1]\nsummary:"), "params: expected a mapping with words as keys, got [1]"),
        (("summary: A test.", "summary: A test.\nclasses: person"), "classes: expected a list of str, got 'person'"),
    ],
)
def test_wrong_card_names_the_file_and_the_key(own, change, problem):
    assert change[0] in _CARD
    (own / "mine.yaml").write_text(_CARD.replace(*change))
    with pytest.raises(CardError) as caught:
        cards.get("mine")
    assert str(caught.value).startswith(f"model 'mine': {own / 'mine.yaml'}: {problem}")


def test_name_of_the_file_has_to_be_a_name(own):
    (own / "My Net.yaml").write_text(_CARD)
    with pytest.raises(CardError, match="expected lower case, digits"):
        cards.get("My Net")


def test_unknown_name_lists_near_ones():
    with pytest.raises(UnknownNameError, match="unknown model 'blazepose-ful'; did you mean 'blazepose-full'"):
        cards.get("blazepose-ful")


def test_own_cards_win_and_may_change(own, monkeypatch, tmp_path):
    config = tmp_path / "config"
    (config / "pose_ros/models").mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    (config / "pose_ros/models/yolox-nano.yaml").write_text(_CARD)
    assert cards.get("yolox-nano").summary == "A test."
    (own / "yolox-nano.yaml").write_text(_CARD.replace("A test.", "Another test."))
    assert cards.get("yolox-nano").summary == "Another test."
    (own / "yolox-nano.yaml").write_text(_CARD.replace("A test.", "A third, longer test."))
    os.utime(own / "yolox-nano.yaml", ns=(1, 1))
    assert cards.get("yolox-nano").summary == "A third, longer test."


def test_a_file_of_its_own_comes_before_a_family_with_that_member(own):
    (own / "a-family.yaml").write_text(f"shared: {{{_CARD.splitlines()[0]}}}\nmodels: {{mine: {{}}, other: {{}}}}")
    (own / "mine.yaml").write_text(_CARD)
    (own / "z-family.yaml").write_text("models: {other: {}, more: {}}")
    found = cards.places([own])
    assert {name: path.name for name, path in found.items()} == {
        "mine": "mine.yaml", "other": "a-family.yaml", "more": "z-family.yaml",
    }  # fmt: skip
    assert cards.get("mine").summary == "A test."


def test_wrong_card_does_not_hide_the_others(own, caplog):
    (own / "broken.yaml").write_text("kind: [")
    names = Store().names()
    assert "broken" not in names
    assert "blazepose-full" in names
    assert str(own / "broken.yaml") in caplog.text


SHIPPED = cards.names(cards.folders()[-1:])


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_card(name):
    card = cards.get(name)
    assert card.folder == cards.folders()[-1]
    assert card.summary.endswith(".")
    assert card.licence.source.startswith("https://")
    assert card.source.startswith("https://")
    assert card.plugin in registry.BUILTIN[f"{card.kind}s"]
    assert not card.file.path
    if card.kind == "estimator":
        catalogue.get(card.skeleton)
        assert not card.detector or cards.get(card.detector).kind == "detector"
    if card.network:
        assert card.network["architecture"] in ARCHITECTURES
    if published := re.search(r"-([0-9a-f]{8})_\d{8}\.(pth|zip)$", card.file.url):
        # OpenMMLab's names carry the hash of the checkpoint; a zip was made from one and has another.
        assert card.file.sha256.startswith(published[1]) == (published[2] == "pth")


def test_shipped_files_have_places_of_their_own(store):
    files = {(card.file.url, card.file.member or card.file.sha256): card for card in map(cards.get, SHIPPED)}
    assert len({store.place(card) for card in files.values()}) == len(files)


def test_a_card_may_hold_its_skeleton(own):
    text = _CARD.replace("kind: detector", "kind: estimator") + """\
skeleton:
  keypoints: [nose, left_ear, right_ear]
  edges: [[nose, left_ear]]
  flip_pairs: [[left_ear, right_ear]]
"""
    (own / "my-mouse.yaml").write_text(text)
    assert cards.get("my-mouse").skeleton == "my-mouse"
    found = catalogue.get("my-mouse")
    assert (found.name, found.keypoints, found.edges, found.flip) == (
        "my-mouse", ("nose", "left_ear", "right_ear"), ((0, 1),), (0, 2, 1))
    (own / "wrong.yaml").write_text(text.replace("edges", "edge"))
    with pytest.raises(CardError, match=r"wrong.yaml: skeleton: expected keypoints and any of .*'edges'.*got .*'edge'"):
        cards.get("wrong")
