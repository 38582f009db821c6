# SPDX-License-Identifier: Apache-2.0
"""A model, a store of its own for each test, and a server that offers the model's file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from model_server import CONTENT, Server

from pose_ros.models.card import Licence, ModelCard, ModelFile
from pose_ros.models.store import Store


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store in a folder that does not exist yet, and no waiting between tries."""
    for name in ("POSE_ROS_OFFLINE", "POSE_ROS_ACCEPT_LICENCES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("pose_ros.models.download._BACKOFF_S", (0.0, 0.0, 0.0))
    return Store(tmp_path / "cache" / "models")


@pytest.fixture
def make_card() -> Callable[..., ModelCard]:
    """Make a card whose file is CONTENT."""

    def make(name: str = "net", licence: Licence | None = None, content: bytes = CONTENT, **file: object) -> ModelCard:
        return ModelCard(
            name=name, kind="detector", plugin="yolox", summary="A test.", input_wh=(4, 4),
            file=ModelFile(**{"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), **file}),
            licence=licence or Licence("MIT", source="https://example.org"),
        )

    return make
