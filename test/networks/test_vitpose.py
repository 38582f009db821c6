# SPDX-License-Identifier: Apache-2.0
"""ViTPose and ViTPose++ against mmpose, transformers and the authors' own code."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import replay
import torch

from pose_ros.decode.heatmap import argmax, quarter, udp
from pose_ros.errors import ConfigError, ModelCorruptError, UnknownNameError
from pose_ros.networks import catalogue

SIZE = (192, 256)
#: File, case -> what the card's network says.
CASES = {
    ("vitpose", "mmpose-small"): {},
    ("vitpose", "mmpose-small-simple"): {"head": "simple"},
    ("vitpose", "authors-0"): {"expert": 0},
    ("vitpose", "authors-3"): {"expert": 3},
    ("vitpose_transformers", "small-simple"): {"head": "simple"},
    ("vitpose_transformers", "plus-small-3"): {"expert": 3},
}
#: Cases of which only the names are compared.
NAMES = {
    ("vitpose", "mmpose-base"): ("base", {}),
    ("vitpose", "mmpose-large-simple"): ("large", {"head": "simple"}),
    ("vitpose", "mmpose-huge"): ("huge", {}),
    ("vitpose_transformers", "small"): ("small", {}),
    ("vitpose_transformers", "plus-base"): ("base", {"expert": 0}),
    ("vitpose_transformers", "plus-huge"): ("huge", {"expert": 5}),
}
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
ANIMAL_FLIP = (1, 0, 2, 3, 4, 8, 9, 10, 5, 6, 7, 14, 15, 16, 11, 12, 13)


def build(size="small", **arguments):
    return catalogue.build({"architecture": "vitpose", "size": size, **arguments}, SIZE)


@cache
def loaded(file, name):
    case, network = replay.Case(file, name), build(**CASES[file, name])
    network.load(case.state(), "reference")
    return case, network


def heatmaps(network, crops):
    return replay.run(network, replay.prepared(crops))["heatmaps"]


@pytest.mark.parametrize(("file", "name"), CASES)
def test_outputs_are_those_of_the_reference(file, name):
    case, network = loaded(file, name)
    for n in (1, 4):
        assert case.error(n, "heatmaps", heatmaps(network, case.crops(n))) < 1e-4


@pytest.mark.parametrize(("file", "name"), [("vitpose", "mmpose-small-simple"), ("vitpose", "authors-3")])
def test_exported_outputs_are_those_of_the_reference(file, name, tmp_path):
    case, network = loaded(file, name)
    run = replay.Exported(network, SIZE, tmp_path)
    for n in (1, 4):
        assert case.error(n, "heatmaps", run(replay.prepared(case.crops(n)))["heatmaps"]) < 1e-4


@pytest.mark.parametrize("flipped", [False, True])
def test_keypoints_of_people_are_those_of_mmpose(flipped):
    case, network = loaded("vitpose", "mmpose-small")
    maps = heatmaps(network, case.crops(4))
    if flipped:
        maps = (maps + heatmaps(network, case.crops(4)[:, :, ::-1])[:, FLIP, :, ::-1]) / 2
    found, scores = udp(np.ascontiguousarray(maps))
    kind = "flipped" if flipped else "straight"
    away = np.abs(found / (47, 63) * SIZE - case[f"4/{kind}/keypoints"]).max(axis=2)
    # These maps are noise. Where there is no top near the maximum, mmpose steps to a saddle or far away; we do not.
    refined = (found != argmax(np.ascontiguousarray(maps))[0]).any(axis=2)
    assert refined.sum() >= 15
    assert away[refined].max() < 0.02
    np.testing.assert_allclose(scores, case[f"4/{kind}/scores"], atol=1e-5)


def test_keypoints_of_animals_are_those_of_mmpose():
    case, network = loaded("vitpose", "authors-3")
    maps = heatmaps(network, case.crops(4))
    assert np.abs(quarter(maps)[0] * 4 - case["4/straight/keypoints"]).max() < 0.02
    mirrored = heatmaps(network, case.crops(4)[:, :, ::-1])[:, ANIMAL_FLIP, :, ::-1]
    mirrored[..., 1:] = mirrored[..., :-1].copy()
    away = np.abs(quarter((maps + mirrored) / 2)[0] * 4 - case["4/flipped/keypoints"]).max(axis=2)
    # Of two neighbours that are equal in both maps, either may be the larger one by the last digit.
    assert np.sort(away.ravel())[-2] < 0.02


def test_experts_of_one_file_differ():
    (case, first), (_, second) = loaded("vitpose", "authors-0"), loaded("vitpose", "authors-3")
    assert case.shapes == loaded("vitpose", "authors-3")[0].shapes
    maps = heatmaps(first, case.crops(1))
    assert np.abs(maps - heatmaps(second, case.crops(1))).max() > 0.1 * np.abs(maps).max()


@pytest.mark.parametrize(("file", "name"), NAMES)
def test_names_and_shapes_are_those_of_the_reference(file, name):
    size, arguments = NAMES[file, name]
    with torch.device("meta"):
        build(size, **arguments).load(replay.Case(file, name).empty(), "reference")


@pytest.mark.parametrize(("expert", "keypoints"), [*enumerate((17, 14, 16, 17, 17, 133))])
def test_every_expert_has_its_own_head(expert, keypoints):
    with torch.device("meta"):
        build(keypoints=keypoints, expert=expert).load(replay.Case("vitpose", "authors-0").empty(), "reference")


def test_files_with_a_class_token_lose_it():
    network = build(head="simple")
    state = {**network.state_dict(), "backbone.pos_embed": torch.arange(193.0)[None, :, None].expand(1, 193, 384)}
    network.load(state, "mmpose")
    assert network.backbone.pos_embed[0, :, 0].tolist() == list(range(1, 193))


def test_wrong_expert_is_refused():
    case = replay.Case("vitpose", "authors-0")
    with torch.device("meta"):
        with pytest.raises(ModelCorruptError, match=r"got one without experts\. Leave 'expert' out"):
            build(expert=1).load(build().state_dict(), "plain")
        with pytest.raises(ModelCorruptError, match=r"final_layer.* has shape \(14.* in place of \(17"):
            build(expert=1).load(case.empty(), "aic")
        with pytest.raises(ModelCorruptError, match=r"ffn\.layers\.1"):
            build(expert=6).load(case.empty(), "no such expert")


def test_giant_has_the_billion_parameters_of_the_paper():
    with torch.device("meta"):
        network = catalogue.build({"architecture": "vitpose", "size": "giant"}, (432, 576))
        (maps,) = network(torch.empty(2, 3, 576, 432))
    assert maps.shape == (2, 17, 144, 108)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(1.02e9, rel=0.01)


def test_unknown_choices_are_named():
    with pytest.raises(UnknownNameError, match="size of ViTPose 'medium'"):
        build("medium")
    with pytest.raises(UnknownNameError, match="head of ViTPose 'fancy'"):
        build(head="fancy")
    with pytest.raises(ConfigError, match="expected multiples of 16, got 190 x 256"):
        build(input_wh=(190, 256))
