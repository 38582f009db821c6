# SPDX-License-Identifier: Apache-2.0
"""Logs: lines for people, or one JSON object per line for machines.

rcutils formats a line by ``RCUTILS_CONSOLE_OUTPUT_FORMAT``, but does not escape what it puts there, and a message may
have quotes and several lines. So it is told to put characters around the fields that no text has, and a thread of the
process turns these, and whatever else comes by the same way, into JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.node import Node

#: Environment variable: ``text`` or ``json``.
VARIABLE = "POSE_ROS_LOG_FORMAT"
#: What a line is about, as the last part of the name of its logger.
EVENTS = ("error", "warning", "clock", "state")
#: Before a record, between its fields, and behind it.
_BEGIN, _NEXT, _END = "\x1e", "\x1f", "\x1d"
_FORMAT = _BEGIN + _NEXT.join(("{severity}", "{time}", "{name}", "{message}")) + _END
_CHUNK = 1 << 16


def wanted() -> bool:
    """Whether logs are to be JSON."""
    return os.environ.get(VARIABLE, "text") == "json"


def logger(node: Node, event: str) -> Any:
    """Return the logger of a node; where logs are JSON, one that says which kind of event it tells of."""
    return node.get_logger().get_child(event) if wanted() else node.get_logger()


@contextmanager
def structured() -> Iterator[None]:
    """Write logs of this process, and all else that goes to stderr, as JSON where that is wanted.

    Enter it before anything is logged.
    """
    if not wanted():
        yield
        return
    os.environ.update(
        RCUTILS_CONSOLE_OUTPUT_FORMAT=_FORMAT, RCUTILS_COLORIZED_OUTPUT="0", RCUTILS_LOGGING_USE_STDOUT="0"
    )
    sys.stderr.flush()
    before = os.dup(2)
    ours, theirs = os.pipe()
    os.dup2(theirs, 2)
    os.close(theirs)
    thread = threading.Thread(target=_translate, args=(ours, before), name="logs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)  # the last end that writes into the pipe is closed, and the thread ends
        thread.join(timeout=2.0)
        os.close(before)


def _translate(source: int, target: int) -> None:
    rest = ""
    while chunk := os.read(source, _CHUNK):
        made, rest = lines(rest + chunk.decode(errors="replace"))
        _write(target, made)
    made, rest = lines(rest + "\n")
    _write(target, made)
    os.close(source)


def _write(target: int, made: list[str]) -> None:
    data = "".join(f"{line}\n" for line in made).encode()
    while data:
        data = data[os.write(target, data):]


def lines(text: str) -> tuple[list[str], str]:
    """Return lines of JSON for what is complete in a text, and the rest."""
    made: list[str] = []
    while text:
        if text.startswith(_BEGIN):
            record, end, behind = text[1:].partition(_END)
            if not end:
                break
            text = behind.removeprefix("\n")
            made.append(_record(*record.split(_NEXT, 3)))
            continue
        plain, end, behind = text.partition("\n")
        if not end and _BEGIN not in plain:
            break
        if _BEGIN in plain:  # somebody wrote without an end of line
            plain, _, _ = plain.partition(_BEGIN)
            behind = text[len(plain):]
        text = behind
        if plain.strip():
            made.append(json.dumps({"severity": "UNKNOWN", "event": "output", "message": plain}))
    return made, text


def _record(severity: str, stamp: str, name: str, message: str) -> str:
    node, _, event = name.rpartition(".")
    if event not in EVENTS:
        node, event = name, "log"
    return json.dumps({"stamp": float(stamp), "severity": severity, "node": node, "event": event, "message": message},
                      ensure_ascii=False)
