# SPDX-License-Identifier: Apache-2.0
"""Bring models here, and say under which licence they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pose_ros.cli import console

if TYPE_CHECKING:
    from pose_ros.models.card import ModelCard
    from pose_ros.models.store import Store


def licence_text(card: ModelCard) -> str:
    """Return the licence of a model in one line."""
    licence = card.licence
    parts = [f"weights {licence.weights}"]
    parts += [f"trained on {licence.data}"] if licence.data else []
    parts += ["no commercial use"] if licence.non_commercial else []
    parts += [f"see {licence.source or card.source}"] if licence.source or card.source else []
    return ", ".join(parts)


def fetch(store: Store, card: ModelCard, source: Path | None = None, *, force: bool = False) -> Path:
    """Bring one file here; before a download its licence is shown, and meanwhile how far it is."""
    if not force and source is None and store.state(card) == "ready":
        return store.path(card)
    console.note(f"{card.name}: licence: {licence_text(card)}")
    with console.progress(card.name, size=True) as progress:
        path = store.fetch(card, progress, source=source, force=force)
    console.note(f"{card.name}: {path}")
    return path
