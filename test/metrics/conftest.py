# SPDX-License-Identifier: Apache-2.0
"""What other programs said of scenes that both sides make."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "test/data/metrics"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"metrics_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def scenes() -> ModuleType:
    return _load(DATA / "metric_scenes.py")


@pytest.fixture(scope="session")
def benchmark_scenes() -> ModuleType:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed; see the extra 'dev'")
    return _load(ROOT / "benchmarks/average_precision.py")


@pytest.fixture(scope="session")
def recorded() -> dict[str, Any]:
    return {what: json.loads((DATA / f"{what}.json").read_text()) for what in ("xtcocotools", "tracks", "mmpose")}
