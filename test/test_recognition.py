# SPDX-License-Identifier: Apache-2.0
"""Recognition: several recognisers look at the subjects of a stream, and one that fails disturbs nobody."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from scenes.choreography import FRONT, Do, perform, seen
from scenes.observing import EPOCH_NS

from pose_ros.core.poses import Poses
from pose_ros.errors import ConfigError, PluginError, UnknownNameError
from pose_ros.recognisers.base import Rule, Seen
from pose_ros.recognisers.episodes import Phase
from pose_ros.recognition import Recognition, RecognitionOptions, options_of, recognisers
from pose_ros.skeletons import catalogue

COCO = catalogue.get("coco17")
SIZE = (1280, 720)
MS = 1_000_000


class Toy(Rule):
    """Says what it is told to; remembers the clips."""

    takes = COCO
    window_s, step_s = 1.0, 0.1
    actions = ("toy", "done")
    units: ClassVar = {"size": "m"}

    def __init__(self, say=lambda clip: [Seen(row, "toy", 0.9) for row in range(len(clip))], **attributes):
        super().__init__()
        self.say, self.clips = say, []
        vars(self).update(attributes)

    def see(self, clip):
        self.clips.append(clip)
        return self.say(clip)


def image(ids=(1,), skeleton=COCO):
    ids = np.array(ids, int)
    keypoints = np.ones((len(ids), len(skeleton), 2))
    return Poses(skeleton, keypoints, np.ones(keypoints.shape[:2]), ids=ids)


def run(recognition, times_ms, ids=(1,), **how):
    return [recognition(image(ids), t * MS, SIZE, **how) for t in times_ms]


def names(actions):
    return [(a.name, a.phase.name) for a in actions.actions]


def test_what_takes_long_looks_less_often():
    slow = Toy(step_s=0.01, max_rate=2.0)
    recognition = Recognition({"slow": slow, "fast": (fast := Toy(step_s=0.01))}, RecognitionOptions(max_rate=5.0))
    run(recognition, range(0, 2000, 100))
    assert (len(slow.clips), len(fast.clips)) == (4, 10)


def test_each_looks_at_its_own_rate():
    fast, slow = Toy(step_s=0.05), Toy(window_s=2.0, step_s=0.2)
    recognition = Recognition({"fast": fast, "slow": slow}, RecognitionOptions(max_rate=20))
    run(recognition, range(0, 1000, 33))
    assert len(fast.clips) == 16
    assert len(slow.clips) == 6
    assert [c.keypoints.shape[1] for c in (fast.clips[0], slow.clips[0])] == [21, 11]


def test_recognisers_of_one_kind_of_clip_share_it():
    one, two = Toy(), Toy()
    run(Recognition({"one": one, "two": two}), [0])
    assert one.clips[0] is two.clips[0]


def test_only_those_who_fit_the_subjects_look():
    body, hand, face = Toy(), Toy(subject="hand", takes=catalogue.get("hand21")), Toy(subject="face")
    errors = []
    recognition = Recognition({"body": body, "hand": hand, "face": face}, fail=errors.append)
    recognition(image(skeleton=catalogue.get("hand21")), 0, SIZE)
    assert recognition.active == ("hand",)
    recognition(image(skeleton=catalogue.get("mediapipe33")), MS, SIZE)
    assert recognition.active == ("body",)
    assert body.clips[0].skeleton.keypoints == COCO.keypoints
    assert errors == []
    recognition(image(skeleton=catalogue.get("face68")), 2 * MS, SIZE)
    assert recognition.active == ()
    assert "no keypoint in common" in str(errors[0])


def test_who_fails_is_told_about_and_asked_again_later_and_later():
    errors = []

    def say(clip):
        raise ZeroDivisionError("of my own")

    bad, good = Toy(say), Toy()
    recognition = Recognition({"bad": bad, "good": good}, fail=errors.append)
    told = run(recognition, range(0, 8000, 100))
    assert all(names(actions) for actions in told[3:])
    # At once, after 1, 2 and 4 seconds.
    assert len(bad.clips) == 4
    assert [type(e) for e in errors] == [ZeroDivisionError] * 4
    assert recognition.problems == {"bad": "ZeroDivisionError: of my own"}
    bad.say = lambda clip: []
    run(recognition, [15_000])
    assert recognition.problems == {}


@pytest.mark.parametrize(("seen", "problem"), [
    (Seen(0, "jumping", 1.0), "'jumping' is not among its actions"),
    (Seen(1, "toy", 1.0), "row 1 of 1"),
    (Seen(0, "toy", float("nan")), "score nan"),
    (Seen(0, "toy", 1.0, values={"weight": 1.0}), "units lack weight"),
    (Seen(0, "toy", 1.0, ray=np.zeros(3)), "ray of shape"),
])  # fmt: skip
def test_nonsense_is_not_passed_on(seen, problem):
    errors = []
    recognition = Recognition({"toy": Toy(lambda clip: [seen])}, fail=errors.append)
    assert all(names(actions) == [] for actions in run(recognition, range(0, 900, 100)))
    assert isinstance(errors[0], PluginError)
    assert problem in str(errors[0])


def test_a_subject_that_ends_ends_what_it_does():
    recognition = Recognition({"toy": Toy()})
    told = run(recognition, range(0, 1000, 100), ids=(1, 2))
    assert names(told[-1]) == [("toy", "ONGOING")] * 2
    end = recognition(image((1,)), 1000 * MS, SIZE, ended_ids=(2,))
    assert [(a.id, a.phase, a.end_ns) for a in end.actions if a.phase == Phase.ENDED] == [(2, Phase.ENDED, 900 * MS)]
    assert list(end.ended_ids) == [2]
    # One that is missing from the images ends it too, but may come back.
    later = run(recognition, range(1100, 2000, 100), ids=())
    assert [a.phase for actions in later for a in actions.actions if a.phase != Phase.ONGOING] == [Phase.ENDED]
    assert all(list(actions.ended_ids) == [] for actions in later)
    # Without a word for a minute, it has ended.
    assert list(run(recognition, [62_000], ids=())[0].ended_ids) == [1]


def test_time_that_runs_backwards_ends_everything():
    toy = Toy()
    recognition = Recognition({"toy": toy})
    run(recognition, range(0, 1000, 100), ids=(1, 2))
    back = recognition(image((2,)), 500 * MS, SIZE)
    assert names(back) == [("toy", "ENDED")] * 2
    assert list(back.ended_ids) == [1]
    assert np.isfinite(toy.clips[-1].keypoints[0, :, 0, 0]).sum() == 1


def test_without_ids_there_is_nothing_to_tell_and_nobody_gives_an_empty_list():
    toy = Toy()
    recognition = Recognition({"toy": toy})
    assert all(names(actions) == [] for actions in run(recognition, range(0, 900, 100), ids=(0, 0)))
    assert toy.clips == []


def test_options_hold_at_once():
    recognition = Recognition({"toy": Toy()})
    run(recognition, range(0, 1000, 100))
    recognition.options = RecognitionOptions(off_score=0.95, on_score=0.95)
    assert names(run(recognition, range(1000, 2000, 100))[-1]) == []


def test_memory_is_bounded():
    """A thousand people who come and go, each told of by nobody when it ends."""
    recognition = Recognition({"toy": Toy()})
    for i in range(3000):
        recognition(image((i // 3 + 1,)), i * 100 * MS, SIZE)
    assert len(recognition._seen_ns) < 250
    assert len(recognition._episodes._open) < 10


def test_they_are_made_by_name():
    made = recognisers(["posture"], {"posture": {"fall_speed": 2.0}})
    assert made["posture"].options.fall_speed == 2.0
    assert options_of("posture").__name__ == "PostureOptions"
    with pytest.raises(UnknownNameError, match="did you mean 'posture'"):
        recognisers(["postures"])
    with pytest.raises(ConfigError, match=r"posture\.speed: unknown key"):
        recognisers(["posture"], {"posture": {"speed": 2.0}})
    with pytest.raises(ConfigError, match="twice"):
        recognisers(["posture", "posture"])
    with pytest.raises(UnknownNameError, match="rule or recogniser 'blazepose-full'"):
        recognisers(["blazepose-full"])


def test_who_stands_sits_down_and_falls_is_told_of_in_time():
    play = perform(Do("stand", 2.0), Do("sit", 2.0), Do("stand", 1.5), Do("fall", 2.0))
    recognition = Recognition(recognisers(["posture"]))
    began, events = [], []
    for stamp, poses in seen([play], skeleton="halpe26"):
        for action in recognition(poses, stamp, SIZE, place=(FRONT.rotation.T, FRONT.centre)).actions:
            seconds = (action.onset_ns - EPOCH_NS) * 1e-9
            if action.phase == Phase.BEGAN:
                began.append((action.name, seconds))
            elif action.phase == Phase.EVENT:
                events.append((action.name, seconds, action.count, dict(action.values)))
    truth = [(d.name, d.onset_s) for d in play.truth if not d.event]
    assert [name for name, _ in began] == [name for name, _ in truth]
    np.testing.assert_allclose([t for _, t in began], [t for _, t in truth], atol=0.35)
    ((name, onset, count, values),) = events
    fall = next(d for d in play.truth if d.event)
    assert (name, count) == ("fall", 1)
    assert fall.onset_s <= onset <= fall.end_s
    assert values["speed"] > 2


@pytest.mark.parametrize("metres", ["points", "local_points", "both"])
def test_hands_of_bodies_show_where_fingers_point(metres):
    whole, hand21 = catalogue.get("wholebody133"), catalogue.get("hand21")
    play = perform(Do("stand", 1.0), Do("point", 2.0, side="right"))
    told = {}
    for fingers in (True, False):
        recognition, last = Recognition(recognisers(["pointing"])), None
        for i, (stamp, all_of_it) in enumerate(seen([play], skeleton=whole, sigma_px=0, sigma_m=0)):
            block = list(whole.blocks["right_hand"][1])
            body, hand = all_of_it.to(COCO), all_of_it.points[:, block]
            # Its own network thinks that the hand is smaller or larger, and so farther away or nearer.
            away = {"points": hand * 1.1, "local_points": hand - hand[:, :1], "both": hand * 0.9}[metres]
            hands = Poses(hand21, all_of_it.keypoints[:, block], all_of_it.scores[:, block], ids=np.array([7]),
                          sides=np.array([2]), parents=np.array([1]),
                          **({"points": away, "local_points": hand - hand[:, :1]} if metres == "both"
                             else {metres: away}))
            # Now and then the hands of an image do not come, or nobody's hand is seen.
            given = None if i % 7 == 3 or not fingers else hands.select(np.array([], int)) if i % 7 == 5 else hands
            for action in recognition(body, stamp, SIZE, hands=given).actions:
                last = action if action.values.get("finger", 0) == fingers else last
        told[fingers] = last
        tip, eyes = all_of_it.points[0, block[8]], all_of_it.points[0, 1:3].mean(axis=0)
    way = (tip - eyes) / np.linalg.norm(tip - eyes)
    off = {known: np.degrees(np.linalg.norm(action.ray[3:] - way)) for known, action in told.items()}
    assert off[True] < 0.9
    assert off[False] > 2.0
    np.testing.assert_allclose(told[True].ray[:3], eyes, atol=0.01)


def test_hands_in_metres_of_bodies_without_do_not_hide_their_shape():
    play, hand21 = perform(Do("stand", 1.0), Do("point", 1.0, side="right")), catalogue.get("hand21")
    recognition, found = Recognition(recognisers(["pointing"])), []
    for stamp, poses in seen([play], space="local_points"):
        hands = Poses(hand21, np.ones((1, 21, 2)), np.ones((1, 21)), points=np.ones((1, 21, 3)), ids=np.array([7]),
                      sides=np.array([2]), parents=np.array([1]))
        found += recognition(poses, stamp, SIZE, hands=hands).actions
    assert {action.name for action in found} == {"pointing"}
    assert found[-1].ray is None
    assert "azimuth" in found[-1].values
