# SPDX-License-Identifier: Apache-2.0
"""Every registered plugin, with a network without weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import FAKES, session

from pose_ros import registry
from pose_ros.models import cards
from pose_ros.plugin import Model, Plugin

PLUGINS = [(kind, name) for kind in registry.BUILTIN for name in registry.BUILTIN[kind]]


def _make(kind: str, name: str, spoil: Callable[[np.ndarray], np.ndarray] | None = None, **options: Any) -> Plugin:
    card_name, network = FAKES[kind][name]
    card = cards.get(card_name)
    fake = session(card, network if spoil is None else lambda rng: [spoil(x) for x in network(rng)])
    plugin = registry.load(kind, name)
    return plugin(Model(card, fake), plugin.Options(**options))


@pytest.fixture(params=PLUGINS, ids="/".join)
def plugin(request: pytest.FixtureRequest) -> Plugin:
    return _make(*request.param)


@pytest.fixture(params=[p for p in PLUGINS if p[0] == "detectors"], ids="/".join)
def make_detector(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return lambda **how: _make(*request.param, **how)


@pytest.fixture(params=[p for p in PLUGINS if p[0] == "estimators"], ids="/".join)
def make_estimator(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return lambda **how: _make(*request.param, **how)


@pytest.fixture
def detector(make_detector: Callable[..., Any]) -> Any:
    return make_detector()


@pytest.fixture
def estimator(make_estimator: Callable[..., Any]) -> Any:
    return make_estimator()


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    made = rng.integers(0, 256, (120, 160, 3), np.uint8)
    made.flags.writeable = False
    return made
