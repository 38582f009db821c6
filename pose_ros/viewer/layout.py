# SPDX-License-Identifier: Apache-2.0
"""Layout: which views there are, from what there is to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import rerun.blueprint as rrb

#: How the frames of cameras end (REP-103): x right, y down, z forward; in all others z points up.
_OPTICAL = ("optical", "optical_frame", "#local")


class Layout:
    """Collects what is written, and arranges views of it: images left, space right, numbers and words below."""

    def __init__(self) -> None:
        """Start with nothing to see."""
        #: Whether something came that has no place in the last blueprint.
        self.changed = False
        #: Frame of pixels -> entities with pictures, and with what is drawn over them.
        self._images: dict[str, set[str]] = {}
        self._flat: dict[str, set[str]] = {}
        #: Entities in metres, and frame -> entities with shapes that have no place.
        self._solid: set[str] = set()
        self._shapes: dict[str, set[str]] = {}
        self._parents: dict[str, str] = {}
        self._frames: dict[str, None] = {}
        self._ms, self._hz, self._actions, self._logs, self._statuses = (set[str]() for _ in range(5))

    def _add(self, to: set[str], entity: str) -> None:
        if entity and entity not in to:
            to.add(entity)
            self.changed = True

    def add_image(self, entity: str, frame: str) -> None:
        """Note a picture."""
        self._add(self._images.setdefault(frame, set()), entity)

    def add_flat(self, entity: str, frame: str) -> None:
        """Note what is drawn over a picture."""
        self._add(self._flat.setdefault(frame, set()), entity)

    def add_solid(self, entity: str, frame: str, *, placed: bool) -> None:
        """Note what stands in space, or has a shape only."""
        self._add(self._solid if placed else self._shapes.setdefault(frame, set()), entity)
        if placed:
            self._frames.setdefault(frame)

    def add_frame(self, frame: str, entity: str) -> None:
        """Note a camera."""
        self._add(self._solid, entity)
        self._frames.setdefault(frame)

    def add_transform(self, parent: str, child: str) -> None:
        """Note where a frame stands."""
        if self._parents.get(child) != parent:
            before = self.root
            self._parents[child] = parent
            self.changed |= before != self.root
        self._add(self._solid, "/tf")

    def add_times(self, ms: str, hz: str) -> None:
        """Note latencies and a rate."""
        self._add(self._ms, ms)
        self._add(self._hz, hz)

    def add_actions(self, entity: str) -> None:
        """Note actions."""
        self._add(self._actions, entity)

    def add_log(self, entity: str) -> None:
        """Note lines of text."""
        self._add(self._logs, entity)

    def add_status(self, entity: str) -> None:
        """Note a table of diagnostics."""
        self._add(self._statuses, entity)

    @property
    def root(self) -> str:
        """The frame that all others stand in, as far as it is known: that of what is drawn, or of the first camera."""
        frame = next(iter(self._frames), next(iter(self._parents), ""))
        for _ in range(len(self._parents)):  # no more than these, whatever circle TF makes
            frame = self._parents.get(frame, frame)
        return frame

    def blueprint(self) -> rrb.Blueprint:
        """Return the arrangement."""
        import rerun as rr
        import rerun.blueprint as rrb

        self.changed = False

        def space(frame: str) -> Any:
            axes = rr.ViewCoordinates.RDF if frame.endswith(_OPTICAL) else rr.ViewCoordinates.FLU
            return rrb.SpatialInformation(frame, axes=axes)

        flat = [
            rrb.Spatial2DView(
                contents=_all({*([image] if image else []), *self._flat.get(frame, ())}),
                name=image.lstrip("/") or frame.removesuffix("#image"),
                spatial_information=rrb.SpatialInformation(frame),
            )
            for frame in (self._images or self._flat) for image in sorted(self._images.get(frame, [""]))
        ]
        solid = [
            rrb.Spatial3DView(contents=_all(entities), name=name, spatial_information=space(frame))
            for name, frame, entities in [
                (f"in {self.root}", self.root, self._solid | set().union(*self._images.values())),
                *((f"shape {frame.removesuffix('#local')}", frame, shapes) for frame, shapes in self._shapes.items()),
            ]
            if (self._solid if frame == self.root else entities)
        ]
        # Of several topics it would hide what it explains.
        legend = rrb.PlotLegend(visible=len(self._ms) == 1)
        below = [
            rrb.TimeSeriesView(contents=_all(self._ms), name="latency, ms", plot_legend=legend),
            rrb.TimeSeriesView(contents=_all(self._hz), name="rate, Hz", plot_legend=legend),
            rrb.StateTimelineView(contents=_all(self._actions), name="actions"),
            rrb.TextLogView(contents=_all(self._logs), name="log"),
            rrb.TextDocumentView(contents=_all(self._statuses), name="diagnostics"),
        ]
        below = [view for view, shown in zip(
            below, (self._ms, self._hz, self._actions, self._logs, self._statuses), strict=True) if shown]
        above = [rrb.Grid(*flat)] if flat else []
        above += [rrb.Tabs(*solid)] if solid else []
        rows = [rrb.Horizontal(*above)] if above else []
        if below:
            # Numbers and what people do side by side, the rest behind them.
            first, rest = below[:1], below[1:]
            rows.append(rrb.Horizontal(*first, rrb.Tabs(*rest)) if rest else rrb.Horizontal(*first))
        shares = [3, 1][: len(rows)]
        return rrb.Blueprint(
            rrb.Vertical(*rows, row_shares=shares), rrb.TimePanel(timeline="stamp"), auto_views=False,
            collapse_panels=True,
        )


def _all(entities: set[str]) -> list[str]:
    """Return the query of entities and all below them."""
    return [f"{entity}/**" for entity in sorted(entities)]
