# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json


def test_everything_that_exists_is_listed(cli, toy):
    ran = cli("list")
    assert ran.code == 0
    for word in ("blazepose-full", "yolox-nano", "coco17", "mediapipe33", "ssd", "heatmap", toy):
        assert word in ran.out


def test_one_kind_as_json(cli):
    skeletons = json.loads(cli("list", "skeletons", "--json").out)["skeletons"]
    coco = next(s for s in skeletons if s["name"] == "coco17")
    assert coco["points"] == 17
    assert coco["keypoints"][0] == "nose"


def test_a_plugin_that_does_not_load_says_why(cli, monkeypatch):
    from pose_ros import registry

    broken = {**registry.BUILTIN, "detectors": {"broken": "no_such_module:Thing"}}
    monkeypatch.setattr(registry, "BUILTIN", broken)
    ran = cli("list", "plugins")
    assert ran.code == 0
    assert "not usable" in ran.out
    assert "no_such_module" in ran.out


def test_summaries_are_for_people(cli):
    out = cli("list", "plugins").out
    assert "HeatmapParams" in out
    assert "`" not in out
