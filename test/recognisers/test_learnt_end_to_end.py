# SPDX-License-Identifier: Apache-2.0
"""From a card and a checkpoint to actions that are told: a network that is sure of one class, people of known deeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scenes.cameras import posed
from scenes.choreography import Do, perform, seen

from pose_ros.models import cards
from pose_ros.networks import catalogue
from pose_ros.recognisers.episodes import Phase
from pose_ros.recognition import Recognition, RecognitionOptions, recognisers

EYE = posed("side", (0.3, -4.5, 1.3), (0, 0, 0.9))
SURE = "hand_waving"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write a card with its checkpoint, whose network says the same of everybody."""
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(tmp_path))

    def write(like: str, **network: object) -> str:
        card = cards.get(like)
        description = {**card.network, **network}
        made = catalogue.build(description, card.input_wh)
        state = made.state_dict()
        (bias,) = (key for key in state if key.startswith("cls_head") and key.endswith("bias"))
        state[bias][list(card.classes).index(SURE)] += 50
        torch.save({"state_dict": state, "meta": {}}, tmp_path / "own.pth")
        listed = ", ".join(card.classes)
        (tmp_path / "own.yaml").write_text(
            f"{{kind: recogniser, plugin: {card.plugin}, summary: Sure., file: {{path: own.pth}}, licence: {{weights: "
            f"Apache-2.0}}, input_wh: {list(card.input_wh)}, skeleton: {card.skeleton}, network: {dict(description)}, "
            f"params: {dict(card.params)}, classes: [{listed}]}}\n")
        return "own"

    return write


@pytest.mark.parametrize("like", ["stgcn-ntu60-2d-joint", "stgcnpp-ntu60-3d-bone"])
def test_what_a_network_says_is_told(own, like):
    found = recognisers([own(like, blocks=2)], {"own": {"window": 2.0, "least": 0.6}}, {"device": "cpu"})
    assert found["own"].steps == 61
    recognition = Recognition(found, RecognitionOptions(max_rate=3.0, max_pause=1.0), fail=pytest.fail)
    told = []
    for stamp, poses in seen([perform(Do("stand", 1), Do("wave", 3))], EYE, "halpe26", seed=1):
        told += [(stamp, action) for action in recognition(poses, stamp, EYE.camera.size_wh).actions]
    began = [(stamp, action) for stamp, action in told if action.phase == Phase.BEGAN]
    assert [action.name for _, action in began] == [SURE]
    assert began[0][1].score > 0.99
    first = told[0][0]
    # Not before the person was there for 0.6 of 2 s.
    assert (began[0][0] - first) * 1e-9 < 3
    assert np.isfinite(began[0][1].score)
