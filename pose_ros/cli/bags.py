# SPDX-License-Identifier: Apache-2.0
"""``pose-ros bag diff``: whether two bags hold the same skeletons, bit for bit, and where they first differ."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from pose_ros.cli import console
from pose_ros.errors import SourceError, UnknownNameError

_OK, _FAILED = 0, 1
_KINDS = ("pose_ros/msg/SkeletonArray", "pose_ros/msg/SkeletonInfo")
#: What is measured when a message is made, and is no result.
_MEASURED = ("stage_names", "stage_ms")

_EPILOG = """\
Messages are compared by topic, in the order of their headers' stamps; when they were recorded does not count, and
neither do stage_names and stage_ms, which say how long the work took. NaN equals NaN of the same bits, and -0 is not 0.

examples:
  pose-ros bag diff a/skeletons b/skeletons               code 0 if they are the same, else 1 and the first difference
  pose-ros bag diff a b --topic /pose/hands/skeletons     of one topic
  pose-ros up demo --source bag/ --exact --output a       how to make such a bag

"""


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("bag", help="compare recorded skeletons", description="Work with recorded skeletons.")
    below = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    diff = below.add_parser(
        "diff", parents=[common], help="compare the skeletons of two bags bit by bit",
        description="Compare the skeletons of two bags bit by bit, and name the first difference.",
        epilog=_EPILOG + exit_codes, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("a", "b"):
        diff.add_argument(name, metavar=name.upper(), type=Path, help="folder with metadata.yaml, .mcap or .db3 file")
    diff.add_argument("--topic", dest="topics", action="append", default=[], help="compare this one; many times")
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
        topics: Those that count; all with skeletons where none is named.

    Raises:
        SourceError: One is no bag, or none has skeletons.
        UnknownNameError: None has such a topic.
    """
    one, other = _read(a), _read(b)
    known = sorted({*one, *other})
    for topic in topics:
        if topic not in known:
            raise UnknownNameError("topic of skeletons", topic, known)
    if not known:
        raise SourceError(str(a), f"expected skeletons in it, and in '{b}'; found none in either")
    return [_topic(topic, one.get(topic, []), other.get(topic, [])) for topic in topics or known]


def _read(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """Return topic -> stamps and messages, in their order."""
    from pose_ros.media.bag_file import BagFile

    found: dict[str, list[tuple[int, Any]]] = {}
    with closing(BagFile(str(path), path.expanduser())) as bag:
        for connection, _, data in bag.messages([c for c in bag.connections if c.msgtype in _KINDS]):
            message = bag.deserialize(data, connection.msgtype)
            stamp = message.header.stamp if hasattr(message, "header") else None
            stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec if stamp is not None else 0
            found.setdefault(connection.topic, []).append((stamp_ns, message))
    return {topic: sorted(messages, key=lambda pair: pair[0]) for topic, messages in found.items()}


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
