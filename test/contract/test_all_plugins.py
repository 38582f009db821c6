# SPDX-License-Identifier: Apache-2.0
"""What every plugin promises, of whatever kind."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from fakes import FAKES, KINDS, PLUGINS, card

from pose_ros import registry
from pose_ros.core.options import from_mapping, specs
from pose_ros.detectors.base import Detector
from pose_ros.errors import ConfigError, ShapeError
from pose_ros.estimators.base import ImageEstimator
from pose_ros.models import cards
from pose_ros.plugin import API_VERSION
from pose_ros.skeletons import catalogue

CARDS = [cards.get(name) for name in cards.names()]

BAD_IMAGES = {
    "grey": np.zeros((4, 4), np.uint8),
    "four channels": np.zeros((4, 4, 4), np.uint8),
    "float": np.zeros((4, 4, 3), np.float32),
    "no rows": np.zeros((0, 4, 3), np.uint8),
    "no columns": np.zeros((4, 0, 3), np.uint8),
    "list": [[[0, 0, 0]]],
}


def run(plugin: Any, image: Any) -> Any:
    """Call the one verb of the plugin."""
    if isinstance(plugin, Detector):
        return plugin.detect(image)
    if isinstance(plugin, ImageEstimator):
        return plugin.estimate(image)
    return plugin.estimate(image, np.float32([[2, 2, 3, 3, 0]]))


def test_every_registered_plugin_is_under_this_contract():
    assert {k: set(v) for k, v in FAKES.items()} == {k: set(v) for k, v in registry.BUILTIN.items() if k in KINDS}


def test_states_the_version_of_the_contract(plugin):
    assert plugin.api_version == API_VERSION


@pytest.mark.parametrize("bad", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_refuses_what_is_no_image(seeing, bad):
    with pytest.raises(ShapeError, match="image: expected"):
        run(seeing, bad)
    assert seeing.session.calls == []


def test_options_survive_a_round_trip(plugin):
    values = dataclasses.asdict(plugin.Options())
    assert from_mapping(plugin.Options, values, "part") == plugin.Options() == plugin.options


def test_options_are_explained_and_their_defaults_allowed(plugin):
    for spec in specs(plugin.Options):
        assert spec.help.endswith("."), spec.name
        assert spec.check(spec.default) == spec.default


def test_options_are_frozen(plugin):
    with pytest.raises(dataclasses.FrozenInstanceError):
        plugin.options.anything = 1


def test_refuses_bad_options(plugin):
    with pytest.raises(ConfigError, match=r"part\.no_such_key: unknown key"):
        from_mapping(plugin.Options, {"no_such_key": 1}, "part")
    for spec in specs(plugin.Options):
        expected = "a list of texts" if spec.default.__class__ is tuple else spec.type.__name__
        with pytest.raises(ConfigError, match=rf"part\.{spec.name}: expected {expected}"):
            from_mapping(plugin.Options, {spec.name: [1]}, "part")
        for limit, step in ((spec.low, -1), (spec.high, 1)):
            if limit is not None:
                with pytest.raises(ConfigError, match=rf"part\.{spec.name}: expected .* got"):
                    from_mapping(plugin.Options, {spec.name: spec.type(limit + step)}, "part")


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_every_plugin_has_a_card(kind, name):
    """A shipped one; or, where nobody publishes such a network, one of test/data/cards, as a user would write it."""
    found = card(FAKES[kind][name][0])
    assert (f"{found.kind}s", found.plugin) == (kind, name)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_shipped_card_fits_a_plugin_a_skeleton_and_a_detector(card):
    registry.load(f"{card.kind}s", card.plugin)
    if card.kind != "detector":
        assert len(catalogue.get(card.skeleton)) > 0
    if card.detector:
        assert cards.get(card.detector).kind == "detector"
