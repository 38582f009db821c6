# SPDX-License-Identifier: Apache-2.0
"""Every registered plugin, with a network without weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import CROP, FAKES, IMAGE, NOBODY, PLUGINS, Network, session
from fakes import card as fake_card

from pose_ros import registry
from pose_ros.plugin import Model, NetworkPlugin


@pytest.fixture(scope="session", autouse=True)
def _hand_model(mano_file: Path) -> Iterator[None]:
    """Let plugins that need MANO find one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSE_ROS_MANO", str(mano_file))
        yield


def _make(
    kind: str,
    name: str,
    spoil: Callable[[np.ndarray], np.ndarray] | None = None,
    network: Network | None = None,
    seed: int | None = None,
    **options: Any,
) -> NetworkPlugin:
    """Make a plugin; its network can be spoiled, replaced, or made blind by a seed."""
    card_name, own = FAKES[kind][name]
    card = fake_card(card_name)
    plugin = registry.load(kind, name)
    return plugin(Model(card, session(card, network or own, spoil, seed)), plugin.Options(**options))


@pytest.fixture(params=PLUGINS, ids="/".join)
def plugin(request: pytest.FixtureRequest) -> NetworkPlugin:
    return _make(*request.param)


@pytest.fixture(params=[p for p in PLUGINS if p[0] != "lifters"], ids="/".join)
def seeing(request: pytest.FixtureRequest) -> NetworkPlugin:
    """A plugin that takes images."""
    return _make(*request.param)


@pytest.fixture(params=[p for p in PLUGINS if p[0] == "lifters"], ids="/".join)
def make_lifter(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return lambda **how: _make(*request.param, **how)


@pytest.fixture
def lifter(make_lifter: Callable[..., Any]) -> Any:
    return make_lifter()


@pytest.fixture(params=[p for p in PLUGINS if p[0] == "detectors"], ids="/".join)
def make_detector(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return lambda **how: _make(*request.param, **how)


@pytest.fixture(params=CROP, ids="/".join)
def make_estimator(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return lambda **how: _make(*request.param, **how)


@pytest.fixture(params=IMAGE, ids="/".join)
def make_image_estimator(request: pytest.FixtureRequest) -> Callable[..., Any]:
    def make(*, nobody: bool = False, **how: Any) -> NetworkPlugin:
        return _make(*request.param, network=NOBODY[request.param[1]] if nobody else None, **how)

    return make


@pytest.fixture
def detector(make_detector: Callable[..., Any]) -> Any:
    return make_detector()


@pytest.fixture
def estimator(make_estimator: Callable[..., Any]) -> Any:
    return make_estimator()


@pytest.fixture
def image_estimator(make_image_estimator: Callable[..., Any]) -> Any:
    return make_image_estimator()


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    made = rng.integers(0, 256, (120, 160, 3), np.uint8)
    made.flags.writeable = False
    return made
