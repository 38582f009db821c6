# SPDX-License-Identifier: Apache-2.0
"""``pose-ros bag diff``: whether two bags hold the same results, bit for bit, and where they first differ."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_ros.cli import console
from pose_ros.errors import SourceError, UnknownNameError

if TYPE_CHECKING:
    from pose_ros.media.bag_file import BagFile

_OK, _FAILED = 0, 1
#: Types that are compared where no topic is named: what this package says, and what it says of people for ROS4HRI.
_KINDS = ("pose_ros/msg/*", "hri_msgs/msg/*")
_TRANSFORMS = "tf2_msgs/msg/TFMessage"
#: What is measured when a message is made, and is no result.
_MEASURED = ("stage_names", "stage_ms")

_EPILOG = """\
Messages are compared by topic, in the order of their headers' stamps; when they were recorded does not count, and
neither do stage_names and stage_ms, which say how long the work took. NaN equals NaN of the same bits, and -0 is not 0.
Topics are those of skeletons, actions, handovers, separations and hri_msgs, or those that --topic names. Transforms are
compared frame by frame, as several nodes may publish them.

examples:
  pose-ros bag diff a/skeletons b/skeletons               code 0 if they are the same, else 1 and the first difference
  pose-ros bag diff a b --topic /pose/hands/skeletons     of one topic
  pose-ros bag diff a b --topic '/humans/*' --topic /tf   of many
  pose-ros up demo --source bag/ --exact --output a       how to make such a bag

"""


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("bag", help="compare recorded results", description="Work with recorded results.")
    below = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    diff = below.add_parser(
        "diff", parents=[common], help="compare the results in two bags bit by bit",
        description="Compare the results in two bags bit by bit, and name the first difference.",
        epilog=_EPILOG + exit_codes, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("a", "b"):
        diff.add_argument(name, metavar=name.upper(), type=Path, help="folder with metadata.yaml, .mcap or .db3 file")
    diff.add_argument("--topic", dest="topics", action="append", default=[], help="compare this one, or those like "
                      "'/humans/*'; many times")
    diff.set_defaults(handler=handle)


def handle(args: argparse.Namespace) -> int:
    """Run the command."""
    found = compare(args.a, args.b, args.topics)
    same = not any(topic["differ"] for topic in found)
    if args.json:
        console.show_json({"same": same, "topics": found})
        return _OK if same else _FAILED
    rows = [[t["topic"], t["a"], t["b"], t["differ"]] for t in found]
    firsts = [f"{t['topic']}, stamp {t['first']['stamp']}: {t['first']['field']}: {t['first']['a']} in {args.a}, "
              f"{t['first']['b']} in {args.b}" for t in found if t["first"]]
    console.show(console.Table(["topic", "in A", "in B", "differ"], rows),
                 "the same, bit for bit" if same else "\n".join(["first differences:", *firsts]))
    return _OK if same else _FAILED


def compare(a: Path, b: Path, topics: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return for each topic how many messages each bag has, how many differ, and the first that does.

    Args:
        a: A bag.
        b: Another one.
        topics: Those that count, or patterns of them; all results where none is named.

    Raises:
        SourceError: One is no bag, or none has results.
        UnknownNameError: None has such a topic.
    """
    from pose_ros.media.bag_file import BagFile

    with closing(BagFile(str(a), a.expanduser())) as first, closing(BagFile(str(b), b.expanduser())) as second:
        known = sorted({c.topic for bag in (first, second) for c in bag.connections})
        for topic in topics:
            if not any(fnmatchcase(name, topic) for name in known):
                raise UnknownNameError("topic", topic, known)
        one, other = _read(first, topics), _read(second, topics)
    found = sorted({*one, *other})
    if not found:
        raise SourceError(str(a), f"expected results in it, and in '{b}', such as skeletons; found none in either")
    return [_topic(topic, one.get(topic, []), other.get(topic, [])) for topic in found]


def _read(bag: BagFile, topics: Sequence[str]) -> dict[str, list[tuple[int, Any]]]:
    """Return topic -> stamps and messages, in their order; transforms by topic and child frame."""
    found: dict[str, list[tuple[int, Any]]] = {}
    wanted = [c for c in bag.connections if any(fnmatchcase(c.topic, topic) for topic in topics)
              or (not topics and any(fnmatchcase(c.msgtype, kind) for kind in _KINDS))]
    for connection, _, data in bag.messages(wanted):
        message, topic = bag.deserialize(data, connection.msgtype), connection.topic
        if connection.msgtype == _TRANSFORMS:
            for transform in message.transforms:
                found.setdefault(f"{topic} {transform.child_frame_id}", []).append((_stamp_ns(transform), transform))
        else:
            found.setdefault(topic, []).append((_stamp_ns(message), message))
    return {topic: sorted(messages, key=lambda pair: pair[0]) for topic, messages in found.items()}


def _stamp_ns(message: Any) -> int:
    """Return the stamp of a message; 0 where it has none."""
    stamp = message.header.stamp if hasattr(message, "header") else None
    return stamp.sec * 1_000_000_000 + stamp.nanosec if stamp is not None else 0


def _topic(topic: str, one: list[tuple[int, Any]], other: list[tuple[int, Any]]) -> dict[str, Any]:
    differ = 0
    first: dict[str, str] | None = None
    for stamp_ns, a, b in _paired(one, other):
        if a is None or b is None:
            differences = iter([("the message", "none" if a is None else "there", "none" if b is None else "there")])
        else:
            differences = _differences(a, b, "")
        for difference in islice(differences, 1):
            differ += 1
            stamp = f"{stamp_ns // 10**9}.{stamp_ns % 10**9:09}"
            first = first or dict(zip(("stamp", "field", "a", "b"), (stamp, *difference), strict=True))
    return {"topic": topic, "a": len(one), "b": len(other), "differ": differ, "first": first}


def _paired(one: list[tuple[int, Any]], other: list[tuple[int, Any]]) -> Iterator[tuple[int, Any, Any]]:
    """Yield stamp and messages of it, None where one bag has none."""
    i = j = 0
    while i < len(one) or j < len(other):
        stamp = min(pairs[at][0] for pairs, at in ((one, i), (other, j)) if at < len(pairs))
        a = one[i][1] if i < len(one) and one[i][0] == stamp else None
        b = other[j][1] if j < len(other) and other[j][0] == stamp else None
        i, j = i + (a is not None), j + (b is not None)
        yield stamp, a, b


def _differences(a: Any, b: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield field and both values wherever two messages, or parts of them, are not the same bits."""
    import numpy as np

    if hasattr(a, "__dataclass_fields__"):
        for name in a.__dataclass_fields__:
            if name not in _MEASURED and not name.startswith("__"):
                yield from _differences(getattr(a, name), getattr(b, name), f"{path}.{name}".lstrip("."))
    elif isinstance(a, np.ndarray) and a.shape == b.shape:
        if a.tobytes() != b.tobytes():
            bits = [x.reshape(-1, 1).view(np.uint8) for x in (a, b)]
            at = int(np.flatnonzero((bits[0] != bits[1]).any(axis=1))[0])
            yield f"{path}[{at}]", _said(a[at]), _said(b[at])
    elif isinstance(a, list | np.ndarray):
        if len(a) != len(b):
            yield f"number of {path}", str(len(a)), str(len(b))
        for number, (x, y) in enumerate(zip(a, b, strict=True) if len(a) == len(b) else ()):
            yield from _differences(x, y, f"{path}[{number}]")
    elif isinstance(a, float) and np.float64(a).tobytes() != np.float64(b).tobytes():
        yield path, _said(a), _said(b)
    elif not isinstance(a, float) and a != b:
        yield path, repr(a), repr(b)


def _said(value: Any) -> str:
    """Return a number with as many digits as tell it from its neighbours."""
    return str(value) if hasattr(value, "dtype") else repr(value)
