# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import re

import pytest

_NET = b"\x08\x08\x3a\x0ea graph inside"
_CARD = """\
kind: estimator
plugin: heatmap
summary: Made up.
file: {{url: "https://example.org/net.onnx", sha256: {sha}, size: 18}}
licence: {{weights: {licence}, source: "https://example.org/licence"}}
input_wh: [8, 8]
skeleton: coco17
accuracy:
  - {{data: coco, split: val2017, measure: AP, value: 0.5, source: 'https://example.org/table'}}
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    """Card names of a free and an unclear model of one file, and the file."""
    cards = tmp_path / "cards"
    cards.mkdir()
    sha = hashlib.sha256(_NET).hexdigest()
    (cards / "free.yaml").write_text(_CARD.format(sha=sha, licence="MIT"))
    (cards / "unclear.yaml").write_text(_CARD.format(sha=sha, licence="unknown"))
    file = tmp_path / "net.onnx"
    file.write_bytes(_NET)
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(cards))
    monkeypatch.setenv("POSE_ROS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POSE_ROS_OFFLINE", "1")
    return file


def test_list_says_which_files_are_here(cli, net):
    states = {m["name"]: m["state"] for m in json.loads(cli("models", "list", "--json").out)}
    assert states["free"] == "missing"
    assert states["blazepose-full"] == "missing"
    assert cli("models", "fetch", "free", "--from", net).code == 0
    states = {m["name"]: m["state"] for m in json.loads(cli("models", "list", "--json").out)}
    assert states["free"] == "ready"


def test_fetch_shows_the_licence_first(cli, net):
    ran = cli("models", "fetch", "free", "--from", net, "--json")
    assert ran.code == 0
    assert "free: licence: weights MIT, see https://example.org/licence" in ran.err.splitlines()[0]
    assert list(json.loads(ran.out)) == ["free"]


def test_an_unclear_licence_has_to_be_accepted_by_name(cli, net):
    ran = cli("models", "fetch", "unclear", "--from", net)
    assert ran.code == 3
    assert "--accept-licence unclear" in ran.err
    assert cli("models", "fetch", "unclear", "--from", net, "--accept-licence", "unclear").code == 0


def test_fetch_offline_says_how_to_bring_the_file(cli, net):
    ran = cli("models", "fetch", "free")
    assert ran.code == 3
    assert "pose-ros models fetch free --from FILE" in ran.err


def test_fetch_of_another_file_is_refused(cli, net):
    net.write_bytes(b"something else")
    assert cli("models", "fetch", "free", "--from", net).code == 1


def test_verify_finds_a_changed_file(cli, net):
    cli("models", "fetch", "free", "--from", net)
    ran = cli("models", "verify", "--json")
    assert ran.code == 0
    ok = {r["model"]: r for r in json.loads(ran.out)}
    assert ok["free"]["state"] == "ok"
    with open(ok["free"]["detail"], "ab") as file:
        file.write(b"!")
    ran = cli("models", "verify", "free", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)[0]["state"] == "corrupt"


def test_verify_of_a_missing_file_is_3(cli, net):
    assert cli("models", "verify", "free").code == 3
    assert "no model files" in cli("models", "verify").out


def test_info_shows_card_state_and_accuracy(cli, net):
    (info,) = json.loads(cli("models", "info", "free", "--json").out)
    assert info["state"] == "missing"
    assert info["accuracy"] == [{"data": "coco", "split": "val2017", "measure": "AP", "value": 0.5,
                                 "source": "https://example.org/table"}]
    text = cli("models", "info", "free").out
    assert "coco val2017: AP 0.5" in text
    assert "https://example.org/table" in text
    assert "weights MIT" in text


def test_fetch_without_a_name_is_2(cli, net):
    ran = cli("models", "fetch")
    assert ran.code == 2
    assert "--all-from-pypi" in ran.err


def test_all_from_pypi_takes_the_cards_that_name_a_wheel(cli, net, monkeypatch):
    asked = []
    monkeypatch.setattr("pose_ros.cli.models.fetch", lambda store, card, *a, **k: asked.append(card.name) or net)
    assert cli("models", "fetch", "--all-from-pypi").code == 0
    assert "blazepose-full" in asked
    assert "mediapipe-pose-detection" in asked
    assert "free" not in asked
    assert len(asked) == len(set(asked))
    assert "dlib-5" in asked
    assert "dlib-68" not in asked, "its licence has to be accepted"
    assert cli("models", "fetch", "--all-from-pypi", "--accept-licence", "dlib-68").code == 0
    assert "dlib-68" in asked


def _names(cli, *argv):
    return [m["name"] for m in json.loads(cli("models", "list", *argv, "--json").out)]


def test_list_is_narrowed(cli, net):
    every = _names(cli)
    assert {"free", "unclear", "yolox-nano"} <= set(every)
    assert _names(cli, "free", "--skeleton", "coco17", "--plugin", "heatmap") == ["free"]
    assert _names(cli, "Made UP") == ["free", "unclear"]
    assert _names(cli, "unc*") == ["unclear"]
    assert _names(cli, "made up", "?ree") == ["free"]
    assert _names(cli, "made up", "--free") == ["free"]
    assert _names(cli, "made up", "--kind", "detector") == []
    assert all(name in _names(cli, "--kind", "detector") for name in ("yolox-nano", "mediapipe-pose-detection"))
    cli("models", "fetch", "free", "--from", net)
    # Both cards name the same file.
    assert _names(cli, "--state", "ready") == ["free", "unclear"]
    assert "no network is like that" in cli("models", "list", "no-such-word").out


def test_list_does_not_read_the_files(cli, net, monkeypatch):
    cli("models", "fetch", "free", "--from", net)
    monkeypatch.setattr("pose_ros.models.store.sha256", lambda path: pytest.fail("read"))
    assert "free" in _names(cli, "--state", "ready")


def test_list_marks_what_is_not_for_commercial_use(cli, net):
    card = (net.parent / "cards" / "free.yaml")
    card.write_text(card.read_text().replace("licence: {", "licence: {non_commercial: true, "))
    text = cli("models", "list", "made up").out
    assert "MIT NC" in text
    assert "NC: commercial use is excluded. NC and unknown have to be accepted by name" in text
    assert "NC" not in cli("models", "list", "yolox-nano").out


def test_info_says_by_what_a_file_is_known(cli, net):
    sha, card = hashlib.sha256(_NET).hexdigest(), net.parent / "cards" / "free.yaml"

    def checked(change: str) -> str:
        card.write_text(_CARD.format(sha="S", licence="MIT").replace("sha256: S", change))
        return json.loads(cli("models", "info", "free", "--json").out)[0]["checked"]

    assert checked(f"sha256: {sha}") == f"SHA-256 {sha}"
    assert checked(f"sha256: {sha[:8]}") == f"SHA-256 {sha[:8]} (its first digits; no more is published)"
    assert checked("member: net.onnx, sha256: abcdef0") == "SHA-256 not published (abcdef0 is that of the zip)"
    assert checked("sha256: ''") == "SHA-256 not published"
    cli("models", "fetch", "free", "--from", net)
    assert checked("sha256: ''") == f"SHA-256 not published; first seen {sha}"


def test_unknown_among_many_names_only_those_that_are_near(cli):
    ran = cli("models", "info", "hrnt-w32")
    assert re.fullmatch(r"pose-ros: unknown model 'hrnt-w32'; did you mean 'hrnet-w32' or '[^,]*' or '[^,]*'\? \d+ are "
                        r"known\. `pose-ros models list` shows all; own cards go into .*\n", ran.err)
    ran = cli("models", "info", "xyz")
    assert re.search(r"unknown model 'xyz'; \d+ are known, such as blazepose-full, \S+, \S+\. ", ran.err)


def test_a_licence_that_is_a_sentence_is_short_in_the_list_and_whole_elsewhere(cli):
    assert max(map(len, cli("models", "list", "openpose-body25").out.splitlines())) < 150
    assert "noncommercial research use only" in cli("models", "info", "openpose-body25").out
