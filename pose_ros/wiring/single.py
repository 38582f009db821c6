# SPDX-License-Identifier: Apache-2.0
"""Plugins without a pipeline around them: a recogniser, or a network that is judged by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pose_ros.core.options import from_mapping
from pose_ros.models.store import Store
from pose_ros.plugin import NetworkPlugin
from pose_ros.recognisers.base import Recogniser
from pose_ros.wiring.names import card_of, parse_model
from pose_ros.wiring.options import RunOptions
from pose_ros.wiring.pieces import Pieces, check_runs, plugin_of


def recogniser(
    config: Mapping[str, Any] | str, store: Store | None = None, *, allow_fetch: bool = True
) -> Recogniser:
    """Open a recogniser that has learnt.

    Args:
        config: A model's name, or keys of :class:`RunOptions` and a block ``recogniser`` with the plugin's options.
        store: Where cards and files are; the default store when left out.
        allow_fetch: Whether missing files may be downloaded.

    Raises:
        PoseRosError: Anything that does not fit, named.
    """
    values: dict[str, Any] = {"model": config} if isinstance(config, str) else dict(config)
    blocks = {"recogniser": dict(values.pop("recogniser", {}) or {})}
    options, store = from_mapping(RunOptions, values), store or Store()
    card = card_of("recogniser", options.model, store)
    for name in (card.name, *card.needs.values()):
        check_runs(store.card(name), options)
    plugin, plugin_options = plugin_of("recognisers", "recogniser", card, blocks["recogniser"])
    plugin.check(plugin_options)
    found = Pieces(options, blocks, store, allow_fetch).plugin("recognisers", "recogniser", card)
    assert isinstance(found, Recogniser)
    return found


def alone(config: Mapping[str, Any], store: Store | None = None, *, allow_fetch: bool = True) -> NetworkPlugin:
    """Open an estimator, detector or lifter without what stands around it in a pipeline.

    Args:
        config: Keys of :class:`RunOptions` and a block of the kind's name, such as ``estimator``, with the plugin's
            options. Of ``DETECTOR+ESTIMATOR`` it is the estimator.
        store: Where cards and files are; the default store when left out.
        allow_fetch: Whether missing files may be downloaded.

    Raises:
        PoseRosError: Anything that does not fit, named.
    """
    values, store = dict(config), store or Store()
    blocks = {kind: dict(values.pop(kind, {}) or {}) for kind in ("detector", "estimator", "lifter")}
    options = from_mapping(RunOptions, values)
    card = store.card(options.model) if "+" not in options.model else parse_model(options.model, store)[1]
    return Pieces(options, blocks, store, allow_fetch).plugin(f"{card.kind}s", card.kind, card)
