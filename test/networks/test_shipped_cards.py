# SPDX-License-Identifier: Apache-2.0
"""Shipped cards of checkpoints: their networks have the outputs that they name, one for each of their keypoints."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from pose_ros import registry
from pose_ros.models import cards
from pose_ros.networks import catalogue
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

ARCHITECTURES = ("corner_hourglass", "deeppose", "hourglass", "integral", "simplebaseline")
NAMES = [n for n in cards.names() if cards.get(n).network.get("architecture") in ARCHITECTURES]


@cache
def outputs(name):
    """Return the outputs of a card's network, from shapes alone."""
    card = cards.get(name)
    with torch.device("meta"), torch.inference_mode():
        network = catalogue.build(card.network, card.input_wh)
        found = network(torch.zeros(1, 3, *card.input_wh[::-1]))
    return {key: Tensor(key, (-1, *value.shape[1:])) for key, value in zip(network.outputs, found, strict=True)}


@pytest.mark.parametrize("name", NAMES)
def test_network_fits_plugin_and_skeleton(name):
    card = cards.get(name)
    # Most differ in the weights alone.
    found = outputs(next(n for n in NAMES if same(cards.get(n), card)))
    tensors = [found[key] for key in card.outputs or found]
    image = Tensor("image", (-1, 3, *card.input_wh[::-1]))
    made = registry.load("estimators", card.plugin)(Model(card, FakeSession(image, tensors, lambda batch: {})))
    assert made.card.name == name


def same(one, other):
    return (one.network, one.input_wh) == (other.network, other.input_wh)
