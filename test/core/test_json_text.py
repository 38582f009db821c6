# SPDX-License-Identifier: Apache-2.0
"""JSON of unknown origin is of the kind and size that is expected, and does not nest without end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pose_ros.cli.import_lab import _read
from pose_ros.cli.sightings import tracks
from pose_ros.cli.takes import read_run, run_moments
from pose_ros.core import json_text
from pose_ros.errors import PoseRosError
from pose_ros.multiview.files import read_rig

ENTITIES = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
DEEP = ["[" * 200_000, "[" * 200_000 + "]" * 200_000, '{"a":' * 5000 + "1" + "}" * 5000]


@pytest.mark.parametrize("data", [
    {}, {"a": [1, 2.5, None, True, {"b": "c"}]}, {"brackets": "[" * 500, "\\": "[{" * 100 + '"\\"'},
    {'"' + "[" * 200 + '\\"': "\\\\"}, [[{}]],
])  # fmt: skip
@pytest.mark.parametrize("indent", [None, 2])
def test_what_is_within_reason_is_read(data: object, indent: int | None) -> None:
    assert json_text.load(json.dumps(data, indent=indent), type(data)) == data


@pytest.mark.parametrize("text", [*DEEP, "[" * 65 + "]" * 65, '{"a":"[]]]]]' + ']' * 900 + '","b":' + "[" * 70])
def test_what_nests_without_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nested up to 64 deep"):
        json_text.load(text)
    assert json_text.load("[" * 64 + "]" * 64, list)


@pytest.mark.parametrize(("text", "said"), [
    ("[1]", "expected a mapping, got list"), ("null", "expected a mapping, got NoneType"), ("", "Expecting value"),
    ('\\"' * 1_000_000, "Expecting value"), ('{"a"', "Expecting ':'"),
    ('{"a": ' + "9" * 5000 + "}", "Exceeds the limit"),
])  # fmt: skip
def test_what_is_something_else_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        json_text.load(text)


def test_any_text_is_read_as_python_reads_it_or_refused(rng: np.random.Generator) -> None:
    letters = np.array(list('[]{}",:\\1 an'))
    for _ in range(3000):
        text = "".join(rng.choice(letters, rng.integers(1, 40)))
        try:
            expected = json.loads(text)
        except ValueError:
            expected = None
        try:
            assert json_text.load(text, type(expected)) == expected
        except (ValueError, KeyError):
            assert expected is None


def test_files_are_no_larger_than_they_may_be(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": "b" * 1000}).encode())
    assert len(json_text.read(tmp_path / "a.json")["a"]) == 1000
    with pytest.raises(ValueError, match="0 MiB at most, got a larger one"):
        json_text.read(tmp_path / "a.json", most=1000)
    with pytest.raises(ValueError, match="16 MiB at most, got a larger one"):
        json_text.read(Path("/dev/zero"))
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match="codec"):
        json_text.read(tmp_path / "a.json")


@pytest.mark.parametrize("text", [
    *DEEP, "[]", "null", "1", '{"schema": "pose_ros.run/1"}', '{"schema": "pose_ros.run/1", "sources": 3}',
    '{"schema": "pose_ros.run/1", "sources": [[]]}', '{"skeleton": 3, "sources": [{}]}', '{"cameras": 3}',
    '{"schema": "pose_ros.run/1", "sources": [{"kind": "video", "frames": [{"time_s": "now"}]}], '
    '"skeleton": {"name": "coco17"}}', '{"skeleton": {"name": []}, "sources": [{"frames": [3]}]}',
    '{"skeleton": {"name": "coco17"}, "sources": [{"frames": [{"subjects": 3}]}]}', '{"cameras": [[[]]]}',
    '{"cameras": [{"K": {}}]}', '{"a": {"fx": []}}',
], ids=lambda text: text[:20])  # fmt: skip
def test_whoever_reads_files_of_users_says_what_is_wrong(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(text)
    # What "--config" reads may be any mapping; what it lacks is said later.
    readers = [lambda: list(run_moments(read_run(path))), lambda: list(run_moments(read_run(path), "hands")),
               lambda: tracks(str(path), None), lambda: read_rig(path)]  # fmt: skip
    for read in [*readers, *([lambda: _read(path)] if text[0] != "{" or text in DEEP else [])]:
        with pytest.raises(PoseRosError):
            read()


@pytest.mark.parametrize(("name", "text", "said"), [
    ("a.toml", "a = " + "[" * 200_000, "no calibration file of a known kind"),
    ("a.toml", "a = " + "[" * 200_000 + "]" * 200_000, "no calibration file of a known kind"),
    ("a.qca.txt", f'<!DOCTYPE c [<!ENTITY a0 "a">{ENTITIES}]><calibration>&a11;</calibration>', "is no XML"),
])  # fmt: skip
def test_calibrations_of_other_kinds_do_not_grow_either(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PoseRosError, match=said):
        read_rig(tmp_path / name)
