# SPDX-License-Identifier: Apache-2.0
"""HigherHRNet against its authors' code and mmpose's HRNet with tags, replayed; see test/data/networks/README.md."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from replay import Case, Exported, prepared, run

from pose_ros.networks import catalogue
from pose_ros.runtime import open_session

#: Case -> arguments of the constructor.
RUNS = {"original-w32": {"width": 32}, "mmpose-embedding": {"width": 32, "higher": False}}


def build(case, arguments):
    network = catalogue.build({"architecture": "higherhrnet", **arguments})
    network.load(case.state(), "reference")
    return network


@pytest.mark.parametrize("name", RUNS)
def test_draws_the_same_maps(name):
    case = Case("higherhrnet", name)
    network = build(case, RUNS[name])
    for n in (1, 4):
        for output, maps in run(network, prepared(case.crops(n))).items():
            assert case.error(n, output, maps) < 1e-4


def test_draws_the_same_maps_when_exported_and_of_any_size(tmp_path):
    case = Case("higherhrnet", "original-w32")
    network = build(case, RUNS["original-w32"])
    exported = Exported(network, (128, 64), tmp_path)
    assert exported.session.inputs[0].shape == (-1, 3, -1, -1)
    for n in (1, 4):
        found = exported(prepared(case.crops(n)))
        assert tuple(found) == ("heatmaps_tags", "heatmaps")
        assert max(case.error(n, output, maps) for output, maps in found.items()) < 1e-4


def test_a_checkpoint_is_for_any_size(tmp_path):
    case = Case("higherhrnet", "mmpose-embedding")
    torch.save({"state_dict": dict(case.state())}, tmp_path / "net.pth")
    session = open_session(tmp_path / "net.pth", input_wh=(64, 64), device="cpu",
                           network={"architecture": "higherhrnet", **RUNS["mmpose-embedding"]})
    assert session.inputs[0].shape == (-1, 3, -1, -1)
    assert [t.shape for t in session.outputs] == [(-1, 34, -1, -1)]
    assert session.run(np.zeros((1, 3, 64, 96), np.float32))["heatmaps_tags"].shape == (1, 34, 16, 24)


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize(("name", "arguments", "old"), [
    ("original-w48", {"width": 48}, lambda key: key),
    # mmpose 0.x: the same head, called keypoint_head.
    ("original-w48", {"width": 48}, lambda key: (
        f"keypoint_head.{key}" if key.startswith(("final", "deconv")) else f"backbone.{key}")),
    ("mmpose-embedding", {"width": 32, "higher": False}, lambda key: key.replace("head.", "keypoint_head.")),
    # HRNet of the authors with a last layer for tags.
    ("mmpose-embedding", {"width": 32, "higher": False}, lambda key: key.replace("head.", "").replace("backbone.", "")),
])
def test_takes_the_names_of_every_layout(name, arguments, old):
    with torch.device("meta"):
        network = catalogue.build({"architecture": "higherhrnet", **arguments})
    network.load({old(key): value for key, value in Case("higherhrnet", name).empty().items()}, name)
