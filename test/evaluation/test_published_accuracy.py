# SPDX-License-Identifier: Apache-2.0
"""What authors published is data in the words of our data sets, measures and options, and compared with its like."""

from __future__ import annotations

import re

import pytest

from pose_ros import datasets, registry
from pose_ros.core.options import specs
from pose_ros.evaluation.published import comparable, published
from pose_ros.metrics.average_precision import WHOLEBODY_PARTS
from pose_ros.models import cards
from pose_ros.models.accuracy import Result, told

#: Sets that cards name and nothing here reads.
WITHOUT_READER = {
    "apt36k", "body8", "coco-wholebody-face", "coco-wholebody-hand", "finegym", "hand5", "ho3d-v2", "humanart+coco",
    "kinetics400", "ntu60", "widerface", "yoga",
}  # fmt: skip
#: Splits that are not among the files of a set's layouts: labels that nobody was given, and two that mmpose names.
WITHOUT_FILES = {("coco", "test-dev"), ("300w-lp", "full"), ("300w-lp", "test")}
MEASURES = re.compile(
    rf"AP|AP50|AP75|AR|AP (person|hand|{'|'.join(WHOLEBODY_PARTS)})|PCK@0\.[12]|PCKh(@0\.[15])?|EPE|AUC|NME"
    r"|([PN]-)?MPJPE|P-MPVPE|F@(5|15)mm|top-1|mean class accuracy")
CARDS = [card for card in map(cards.get, cards.names(cards.folders()[-1:])) if card.accuracy]


def test_sets_splits_and_measures_are_known_ones():
    results = {one for card in CARDS for one in [(r.data, r.split, r.measure) for r in card.accuracy]}
    assert len(results) > 50
    for data, split, measure in results:
        assert (data in datasets.names()) != (data in WITHOUT_READER), data
        assert MEASURES.fullmatch(measure), measure
        if data not in WITHOUT_READER and split:
            assert (split in datasets.get(data).splits) != ((data, split) in WITHOUT_FILES), (data, split)
    assert {data for data, *_ in results} >= WITHOUT_READER


def test_conditions_are_options_of_the_plugin_and_sources_are_addresses():
    for card in CARDS:
        known = {spec.name: spec for spec in specs(registry.load(f"{card.kind}s", card.plugin).Options)}
        for one in card.accuracy:
            for name, value in one.options.items():
                assert type(value) is known[name].type, (card.name, name)
                assert value != known[name].default, (card.name, name)
            assert one.source.startswith("https://") or not one.source, card.name
            assert one.value <= (100 if one.unit else 1), (card.name, one)
            assert (one.unit == "mm") == ("MPJPE" in one.measure or "MPVPE" in one.measure), (card.name, one)
            assert (one.unit == "px") == (one.measure == "EPE"), (card.name, one)


def test_nothing_is_said_twice():
    for card in CARDS:
        said = [(one.measure, one.conditions) for one in card.accuracy]
        assert len(set(said)) == len(said), card.name


def test_published_numbers_are_those_of_the_card():
    card = cards.get("simplepose-ultralight")
    assert published(card, "coco", ["AP", "AP50"]) == [Result("coco", "AP", 0.518, split="val2017")]
    for data, measure in (("coco", "AP50"), ("coco-wholebody", "AP"), ("my-own", "AP")):
        assert published(card, data, [measure]) == []


def test_percent_becomes_a_fraction():
    card = cards.get("rtmpose-m-wflw")
    (printed,) = card.accuracy
    (ours,) = published(card, "wflw", ["NME", "AUC@0.1"])
    assert (printed.value, printed.unit) == (4.01, "%")
    assert (ours.value, ours.unit, ours.split) == (pytest.approx(0.0401), "", "test")


@pytest.mark.parametrize(("result", "split", "boxes", "same"), [
    ({"split": "val2017"}, "val2017", "truth", True), ({"split": "val2017"}, "person_keypoints.json", "truth", False),
    ({}, "person_keypoints.json", "keypoints", True), ({"boxes": "truth"}, "val2017", "detector", False),
    ({"boxes": "truth"}, "val2017", "truth", True),
    ({"boxes": "detector", "split": "val2017"}, "val2017", "truth", False),
])  # fmt: skip
def test_another_split_and_other_boxes_are_apart(result, split, boxes, same):
    assert comparable(Result("coco", "AP", 0.5, **result), split, boxes) == same


def test_results_of_the_same_conditions_are_told_together():
    card = cards.get("vitpose-b-humanart")
    assert told(card.accuracy) == [
        "humanart validation_humanart from the truth, flip_test: AP 0.759, AR 0.79",
        "coco val2017 from a detector (people, AP 0.564), flip_test: AP 0.758",
    ]
    assert told(cards.get("higherhrnet-w32").accuracy)[1] == "coco val2017, flip_test, scales 0.5 1 2: AP 0.706"
    assert told(cards.get("martinez-h36m").accuracy) == ["h36m from the truth: MPJPE 43.4 mm, P-MPJPE 34.3 mm"]
