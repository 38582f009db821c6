# SPDX-License-Identifier: Apache-2.0
"""Recognition: poses over time to what their subjects do, by any number of recognisers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_ros import registry, wiring
from pose_ros.core.back_off import BackOff
from pose_ros.core.join import join
from pose_ros.core.options import from_mapping, option
from pose_ros.core.poses import RIGHT, Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.stages import Stages
from pose_ros.errors import ConfigError, PluginError, UnknownNameError
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store
from pose_ros.plugin import Plugin
from pose_ros.recognisers.aim import Targets
from pose_ros.recognisers.base import Clip, Recogniser, Rule, Seen
from pose_ros.recognisers.episodes import Action, EpisodeOptions, Episodes, Sight
from pose_ros.recognisers.window import Place, Window
from pose_ros.skeletons import catalogue

Sees = Rule | Recogniser
#: Bodies together with their hands.
_WHOLE = catalogue.get("wholebody133")
#: A recogniser that failed looks again after this time, which doubles with every failure up to the longest; seconds.
_RETRY_S, _LONGEST_RETRY_S = 1.0, 60.0
#: A subject of which nothing is said for so long has ended, whether anybody said so or not; seconds.
_FORGET_S = 60.0
#: Images may come so much earlier than they are due, nanoseconds.
_EARLY_NS = 5_000_000


@dataclass(frozen=True)
class RecognitionOptions(EpisodeOptions):
    """How often to look, and when something counts as done."""

    max_rate: float = option(10.0, "How often each recogniser looks at most; networks have a rate of their own as "
                             "well.", unit="Hz", low=0.1, high=1000.0, live=True)
    max_gap: float = option(0.5, "Keypoints that were not seen for longer are missing in between.", unit="s", low=0.0,
                            high=10.0)


@dataclass(frozen=True)
class Actions:
    """What all subjects do at one moment."""

    actions: Sequence[Action]
    #: Subjects of which nothing more will be told.
    ended_ids: Sequence[int]


class _Runner:
    """One recogniser: when it looks, and whether it works."""

    def __init__(self, name: str, sees: Sees) -> None:
        self.name, self.sees = name, sees
        self._retry = BackOff(_RETRY_S, _LONGEST_RETRY_S)
        self.reset()

    def reset(self) -> None:
        self.due_ns: int | None = None
        self.works()

    def works(self) -> None:
        self.problem = ""
        self._retry.succeeded()

    def due(self, stamp_ns: int) -> bool:
        return self.due_ns is None or stamp_ns >= self.due_ns - _EARLY_NS

    def failed(self, stamp_ns: int, error: Exception) -> None:
        self.problem = f"{type(error).__name__}: {error}"
        self.due_ns = stamp_ns + round(self._retry.failed(stamp_ns) * 1e9)

    def see(self, clip: Clip) -> list[Seen]:
        """Return what it sees, checked: what it says is published, whoever wrote it."""
        found = list(self.sees.see(clip))
        for seen in found:
            problem = ""
            if seen.name not in self.sees.actions:
                problem = f"'{seen.name}' is not among its actions"
            elif not 0 <= seen.row < len(clip):
                problem = f"row {seen.row} of {len(clip)} subjects"
            elif not 0 <= seen.score <= 1:
                problem = f"score {seen.score} of '{seen.name}'; expected 0 .. 1"
            elif lacking := seen.values.keys() - self.sees.units.keys():
                problem = f"units lack {', '.join(sorted(lacking))}"
            elif seen.ray is not None and np.shape(seen.ray) != (6,):
                problem = f"ray of shape {np.shape(seen.ray)}; expected (6,)"
            if problem:
                raise PluginError(self.name, problem)
        return found


class Recognition:
    """Looks at the subjects of one kind: bodies, hands or faces."""

    def __init__(
        self, recognisers: Mapping[str, Sees], options: RecognitionOptions = RecognitionOptions(),
        fail: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        """Start with nobody.

        Args:
            recognisers: Name -> what looks; those for other kinds of subjects are left alone.
            options: When something counts.
            fail: Told why a recogniser failed; it looks again after a while, the others are not disturbed.
        """
        self._runners = [_Runner(name, sees) for name, sees in recognisers.items()]
        self._fail, self._max_gap = fail, options.max_gap
        self._episodes = Episodes(options)
        self._skeleton: Skeleton | None = None
        self._active: list[_Runner] = []
        self._windows: dict[Skeleton, Window] = {}
        self._seen_ns: dict[int, int] = {}
        self._stamp_ns: int | None = None
        self.options = options

    @property
    def options(self) -> RecognitionOptions:
        """When something counts; may be set."""
        return self._options

    @options.setter
    def options(self, options: RecognitionOptions) -> None:
        self._options = self._episodes.options = options

    @property
    def active(self) -> tuple[str, ...]:
        """Recognisers that look at the subjects that come."""
        return tuple(runner.name for runner in self._active)

    @property
    def problems(self) -> dict[str, str]:
        """Recognisers that do not work at present, and why."""
        return {runner.name: runner.problem for runner in self._active if runner.problem}

    def reset(self) -> Actions:
        """End everything, and forget everybody."""
        ids = tuple(self._seen_ns)
        ended = self._episodes.forget(ids)
        self._seen_ns, self._stamp_ns = {}, None
        for window in self._windows.values():
            window.reset()
        for runner in self._runners:
            runner.reset()
        return Actions(ended, ids)

    def __call__(
        self, poses: Poses, stamp_ns: int, size_wh: tuple[int, int], ended_ids: Iterable[int] = (),
        place: Place | None = None, targets: Targets | None = None, stages: Stages | None = None,
        hands: Poses | None = None,
    ) -> Actions:
        """Take an image, and return what is done by then.

        Args:
            poses: Of one skeleton; subjects without an id are left out.
            stamp_ns: When; earlier than the last one: everything ends, and begins anew.
            size_wh: Of the image, pixels.
            ended_ids: Subjects that do not come back.
            place: Where the camera stood in a frame that does not move and whose z points up; None: not known.
            targets: What may be pointed at.
            stages: Told how long each recogniser took.
            hands: Those of these bodies in this image, for recognisers that look at fingers; None: they have not come.
        """
        told: list[Action] = []
        gone: set[int] = set()
        if poses.skeleton != self._skeleton or (self._stamp_ns is not None and stamp_ns < self._stamp_ns):
            before = self.reset()
            told += before.actions
            gone.update(before.ended_ids)
            if poses.skeleton != self._skeleton:
                self._choose(poses.skeleton)
        self._stamp_ns = stamp_ns
        here = poses.ids[poses.ids > 0].tolist()
        self._seen_ns.update(dict.fromkeys(here, stamp_ns))
        fingers = _with_hands(poses, hands) if any(map(looks_at_hands, self._windows)) else poses
        for takes, window in self._windows.items():
            window.put(fingers if looks_at_hands(takes) else poses, stamp_ns, size_wh, place)
        clips: dict[tuple[Skeleton, int, float], Clip] = {}
        for runner in self._active:
            if runner.due(stamp_ns):
                told += self._look(runner, clips, stages or Stages())
        ended = {*ended_ids, *(i for i, seen in self._seen_ns.items() if stamp_ns - seen > _FORGET_S * 1e9)}
        told += self._forget(ended)
        told += self._episodes.tell(stamp_ns)
        if targets is not None:
            told = [_aimed(action, targets) for action in told]
        return Actions(told, sorted((gone | ended) - ({*here} - ended)))

    def _look(self, runner: _Runner, clips: dict[tuple[Skeleton, int, float], Clip], stages: Stages) -> list[Action]:
        """Let one recogniser look at the newest image; returns the events that are new."""
        sees, stamp = runner.sees, self._stamp_ns
        assert stamp is not None
        key = sees.takes, sees.steps, sees.step_s
        if key not in clips:
            clips[key] = self._windows[sees.takes].clip(sees.steps, sees.step_s)
        clip = clips[key]
        period = round(max(sees.step_s, 1 / min(self._options.max_rate, sees.max_rate)) * 1e9)
        runner.due_ns = stamp + period
        began = time.perf_counter()
        try:
            found = runner.see(clip) if len(clip) else []
        except Exception as error:  # of a third party, and no reason for the others to stop
            runner.failed(stamp, error)
            self._fail(error)
            return []
        finally:
            stages.add(runner.name, (time.perf_counter() - began) * 1e3)
        runner.works()
        sights = [
            Sight(runner.name, int(clip.ids[seen.row]), int(clip.parents[seen.row]),
                  seen.side or int(clip.sides[seen.row]), seen, sees.units,
                  sees.exclusive if seen.name in sees.exclusive else ())
            for seen in found
        ]  # fmt: skip
        return self._episodes.add(sights, stamp, round(sees.step_s * 1e9), round(sees.window_s * 1e9), period)

    def _choose(self, skeleton: Skeleton) -> None:
        """Find out who can look at subjects of a skeleton."""
        kind = "body" if skeleton.subject == "person" else skeleton.subject
        self._skeleton, self._active, longest = skeleton, [], dict[Skeleton, float]()
        for runner in self._runners:
            if runner.sees.subject != kind:
                continue
            try:
                Poses.empty(skeleton).to(runner.sees.takes)
            except ConfigError as error:
                self._fail(PluginError(runner.name, str(error)))
                continue
            self._active.append(runner)
            longest[runner.sees.takes] = max(longest.get(runner.sees.takes, 0.0), runner.sees.window_s)
        self._windows = {takes: Window(takes, seconds, self._max_gap) for takes, seconds in longest.items()}

    def _forget(self, ids: Iterable[int]) -> list[Action]:
        gone = np.array(sorted(ids), np.int64)
        for window in self._windows.values():
            window.forget(gone)
        for i in gone.tolist():
            self._seen_ns.pop(i, None)
        return self._episodes.forget(gone.tolist())


def looks_at_hands(takes: Skeleton) -> bool:
    """Return whether clips of a skeleton show bodies together with their hands."""
    return takes.subject == "person" and any("_hand/" in joint for joint in takes.joints)


def _with_hands(bodies: Poses, hands: Poses | None) -> Poses:
    """Return bodies with the fingers of their hands, in metres where the bodies have their wrists.

    A hand's own distance from the camera may be another one than that of its body, and a ray from an eye to its tip
    would be wrong by that.
    """
    whole = join(bodies, {}, _WHOLE)
    if hands is None or not len(hands) or not len(bodies):
        return whole
    shape = np.full((*hands.scores.shape, 3), np.nan)
    for points in (hands.local_points, hands.points):
        if points is not None:
            shape = np.where(np.isfinite(points).any(axis=(1, 2), keepdims=True), points, shape)
    placed = None
    if whole.points is not None:
        wrists = whole.points[:, [_WHOLE.index["left_wrist"], _WHOLE.index["right_wrist"]]]
        owner = (hands.parents[:, None] == whole.ids).argmax(axis=1)
        at = wrists[owner, (hands.sides == RIGHT).astype(np.int64)]
        placed = (shape - shape[:, [hands.skeleton.root]] + at[:, None]).astype(np.float32)
    return join(bodies, {"hands": hands.replace(points=placed, covariances=None)}, _WHOLE)


def _aimed(action: Action, targets: Targets) -> Action:
    if action.ray is None:
        return action
    target, name = targets.met_by(action.ray)
    return dataclasses.replace(action, target=target, target_name=name)


def recognisers(
    names: Iterable[str], blocks: Mapping[str, Mapping[str, Any]] | None = None,
    run: Mapping[str, Any] | None = None, store: Store | None = None, *, allow_fetch: bool = True,
) -> dict[str, Sees]:
    """Return rules and learnt recognisers by name.

    Args:
        names: Of rules, and of models whose card is that of a recogniser.
        blocks: Name -> options.
        run: What networks run on: keys of :class:`pose_ros.wiring.RunOptions` but ``model``.
        store: Where cards and files are; the default store when left out.
        allow_fetch: Whether missing files may be downloaded.

    Raises:
        PoseRosError: Anything that does not fit, named.
    """
    blocks, store, found = blocks or {}, store or Store(), dict[str, Sees]()
    for name in names:
        if name in found:
            raise ConfigError("recognisers", f"expected each name once, got '{name}' twice")
        values = blocks.get(name, {})
        if name in registry.targets("rules"):
            plugin = registry.load_rule(name)
            made: Plugin = plugin(from_mapping(plugin.Options, values, name))
        else:
            _card(name, store)
            config = {**(run or {}), "model": name, "recogniser": values}
            made = wiring.recogniser(config, store, allow_fetch=allow_fetch)
        if not isinstance(made, (Rule, Recogniser)):
            raise PluginError(name, f"expected a Rule, got {type(made).__name__}")
        found[name] = made
    return found


def options_of(name: str, store: Store | None = None) -> type:
    """Return the class of the options of a rule or of a model's plugin.

    Raises:
        PoseRosError: There is no such rule or model.
    """
    if name in registry.targets("rules"):
        return registry.load_rule(name).Options
    return registry.load("recognisers", _card(name, store or Store()).plugin).Options


def _card(name: str, store: Store) -> ModelCard:
    """Return the card of a recogniser."""
    if name in store.names() and (card := store.card(name)).kind == "recogniser":
        return card
    known = [other for other in store.names() if store.card(other).kind == "recogniser"]
    raise UnknownNameError("rule or recogniser", name, [*registry.targets("rules"), *known])


def default_rules() -> tuple[str, ...]:
    """Return the rules of this package."""
    return tuple(registry.BUILTIN["rules"])
