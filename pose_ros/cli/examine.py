# SPDX-License-Identifier: Apache-2.0
"""``pose-ros doctor --live``: what a running system lacks, and what to do about it."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pose_ros.cli import console

if TYPE_CHECKING:
    from pose_ros.ros.listening import Endpoint, Heard, Status, Times, Topic

_OK, _PROBLEMS = 0, 1
#: Levels of diagnostics.
_FINE = 0
_LEVELS = ("ok", "warning", "error", "stale")
#: Stamps that are older, or newer, than this are of another clock, seconds.
_OLD_S, _NEW_S = 5.0, 0.1
#: A transform that comes more often than this may not pause for longer than that, Hz and seconds.
_OFTEN_HZ, _PAUSE_S = 2.0, 1.0
#: What arrives here and what a node reports may differ by this part, and by this many Hz.
_DIFFERENT, _DIFFERENT_HZ = 0.3, 2.0
#: Nodes report once a second; who has said nothing for this long does not, seconds.
_SILENT_S = 3.0
#: Topics that everybody has.
_EVERYWHERE = ("/rosout", "/parameter_events", "/diagnostics", "/clock", "/tf", "/tf_static")
#: Of rows, what stands below a table.
_BELOW = ("model", "device")
#: What nobody works without.
_NEEDED = ("images", "skeletons", "points")


@dataclass(frozen=True)
class Finding:
    """One thing that is worth saying."""

    part: str
    name: str
    #: ``problem``, or ``note``: not wrong by itself.
    state: str
    detail: str
    fix: str = ""


def handle(seconds: float, as_json: bool) -> int:
    """Listen, and show what was heard and what is wrong; 0 when nothing is, 1 otherwise.

    Raises:
        ModuleNotFoundError: ROS 2 is not here.
    """
    from pose_ros.ros.listening import listen

    console.note(f"listens for {seconds:g} s")
    heard = listen(seconds)
    found = sorted(findings(heard), key=lambda f: f.state != "problem")
    problems = [f for f in found if f.state == "problem"]
    if as_json:
        console.show_json({"seconds": seconds, "nodes": nodes(heard), "topics": topics(heard),
                           "findings": [vars(f) for f in found]})
    else:
        said = [f"{f.state}: {f.name}: {f.detail}" + (f"\n    {f.fix}" if f.fix else "") for f in found]
        tables = [_table(title, rows) for title, rows in (("nodes", nodes(heard)), ("topics", topics(heard))) if rows]
        console.show(*tables, "\n".join(said) or "nothing is wrong")
    return _PROBLEMS if problems else _OK


def _table(title: str, rows: list[dict[str, Any]]) -> console.Table:
    used = [key for key in rows[0] if key not in _BELOW and any(row[key] is not None for row in rows)]
    names = {"rate_hz": "Hz", "p50_ms": "p50 ms", "p95_ms": "p95 ms", "late_ms": "late ms"}
    below = (" on ".join(filter(None, map(row.get, _BELOW))) for row in rows)
    caption = "\n".join(f"{row[used[0]]}: {text}" for row, text in zip(rows, below, strict=True) if text)
    cells = [[row[key] for key in used] for row in rows]
    return console.Table([names.get(key, key) for key in used], cells, title, caption)


def nodes(heard: Heard) -> list[dict[str, Any]]:
    """Return what is known of each node."""
    found = []
    for name in sorted(set(heard.nodes)):
        status = heard.statuses.get(name)
        values = status.values if status is not None else {}
        found.append({
            "node": name,
            "state": values.get("state") or heard.states.get(name),
            "health": _LEVELS[status.level] if status is not None else None,
            "rate_hz": _number(values, "rate_hz"),
            # Latencies by another clock say nothing.
            "p50_ms": None if "clock" in values else _number(values, "latency_p50_ms"),
            "p95_ms": None if "clock" in values else _number(values, "latency_p95_ms"),
            "subjects": _count(values, "subjects"),
            "dropped": _count(values, "dropped"),
            "model": values.get("model") or None,
            "device": values.get("device") or None,
        })
    return found


def topics(heard: Heard) -> list[dict[str, Any]]:
    """Return which topic feeds which node, and how well."""
    from pose_ros.ros.listening import STAMPED

    found = []
    for name, topic in sorted(heard.topics.items()):
        kinds = {end.type for end in (*topic.publishers, *topic.subscribers)}
        if kinds & STAMPED.keys() or any(kind.startswith("pose_ros/") for kind in kinds):
            times = heard.streams.get(name)
            late = times.late_s if times is not None else None
            found.append({
                "topic": name,
                "type": ", ".join(sorted(kind.rpartition("/")[2] for kind in kinds)),
                "rate_hz": times.hz if times is not None else None,
                "late_ms": 1e3 * late if late is not None and -_NEW_S <= late <= _OLD_S else None,
                "from": _who(topic.publishers),
                "to": _who(topic.subscribers),
            })
    return found


def _who(ends: list[Endpoint]) -> str | None:
    return ", ".join(sorted({end.node for end in ends})) or None


def findings(heard: Heard) -> Iterator[Finding]:
    """Yield what is worth saying, the nodes' own words first."""
    yield from _of_nodes(heard)
    for name, topic in sorted(heard.topics.items()):
        yield from _of_topic(heard, name, topic)
    for name, times in sorted(heard.streams.items()):
        yield from _of_stream(heard, name, times)
    yield from _of_transforms(heard)


def _of_nodes(heard: Heard) -> Iterator[Finding]:
    from pose_ros.ros.watchdog import domain

    ours = {name for name in heard.nodes if name in heard.statuses and "rate_hz" in heard.statuses[name].values}
    mute = sorted(_ends_of_ours(heard) - ours - heard.statuses.keys())
    if not ours and not mute:
        others = f"{len(set(heard.nodes))} other nodes are" if heard.nodes else "nobody is"
        yield Finding("node", "pose_ros", "problem", f"no node of this package is heard, {others}",
                      f"start one, in the same ROS_DOMAIN_ID. {domain()}")
    for name, count in sorted(Counter(heard.nodes).items()):
        if count > 1:
            yield Finding("node", name, "problem", f"{count} nodes have this name",
                          "stop one, or give it another name or namespace: --ros-args -r __node:=NAME -r __ns:=/SPACE")
    for name in mute if heard.seconds >= _SILENT_S else ():
        yield Finding("node", name, "problem", f"it said nothing of itself for {heard.seconds:g} s",
                      "it hangs, or it is no node of this version, or the machine is overloaded: look at its log")
    # Topics say more exactly whose stamps are wrong.
    told = any(_other_clock(times) for times in heard.streams.values())
    for name, status in sorted(heard.statuses.items()):
        yield from _of_status(name, status, told)
    said = {name for name, status in heard.statuses.items() if status.level != _FINE}.union(mute)
    for name, state in sorted(heard.states.items()):
        if state not in ("active", "finalized") and name not in said:
            step = {"unconfigured": "configure", "inactive": "activate"}.get(state)
            yield Finding("node", name, "problem", f"its life cycle: {state}",
                          f"ros2 lifecycle set {name} {step}" if step else "it hangs: look at its log")


def _of_status(name: str, status: Status, told: bool) -> Iterator[Finding]:
    if status.level != _FINE:
        yield Finding("node", name, "problem", status.message)
    elif "idle" in status.values.get("state", ""):
        yield Finding("node", name, "note", status.values["state"],
                      "it works as soon as somebody subscribes to its results")
    if (clock := status.values.get("clock")) and not told:
        yield Finding("clock", name, "problem", clock)
    for reason, fix in _DROPS.items():
        key = f"drops_{reason}"
        lost = (_count(status.values, key) or 0) - (_count(status.first, key) or 0)
        if lost > 0:
            yield Finding("node", name, "problem", f"{lost} {reason} while the doctor listened", fix)


#: Reason of a drop that should not be -> what to do; that newer images overwrite older ones is as it should be.
_DROPS = {
    "lost": "set parameter reliability to 'reliable', send compressed images, or give the network more",
    "no_transform": "see what TF lacks, and parameter tf_wait",
}


def _ends_of_ours(heard: Heard) -> set[str]:
    """Return the nodes that publish what only this package has words for."""
    return {
        end.node for name, topic in heard.topics.items() if name not in _EVERYWHERE for end in topic.publishers
        if end.type.startswith("pose_ros/")
    }


def _of_topic(heard: Heard, name: str, topic: Topic) -> Iterator[Finding]:
    from rclpy.qos import QoSCompatibility, qos_check_compatible

    from pose_ros.ros.listening import STAMPED

    kinds = {end.type for end in (*topic.publishers, *topic.subscribers)}
    if len(kinds) > 1:
        ends = (f"{end.node} {verb} {end.type}" for verb, group in
                (("publishes", topic.publishers), ("expects", topic.subscribers)) for end in group)
        yield Finding("topic", name, "problem", f"has several types: {', '.join(ends)}",
                      "remap one of them, or set image_transport")
    for publisher in topic.publishers:
        for subscriber in topic.subscribers:
            if publisher.type != subscriber.type:
                continue
            compatible, reason = qos_check_compatible(publisher.qos, subscriber.qos)
            if compatible == QoSCompatibility.ERROR:
                yield Finding("topic", name, "problem",
                              f"{subscriber.node} does not hear {publisher.node}, whose QoS does not fit: "
                              f"{reason.strip().rstrip(';').removeprefix('ERROR: ')}",
                              "set parameter reliability, or qos_overrides, of one of them")
    words = [STAMPED[kind] for kind in kinds if kind in STAMPED]
    if not words:
        return
    if not topic.publishers and _is_extra(heard, name):
        return
    if not topic.publishers:
        same = [
            n for n, t in heard.topics.items()
            if "/image_annotated" not in n and kinds & {end.type for end in t.publishers}
        ]
        near = sorted(same, key=lambda n: -difflib.SequenceMatcher(None, n, name).ratio())[:3]
        fix = f"{words[0]} are on {', '.join(near)}: set the parameter that names the topic, or remap it" if near else \
            f"start what publishes {words[0]}"
        yield Finding("topic", name, "problem" if words[0] in _NEEDED else "note",
                      f"{_who(topic.subscribers)} waits for {words[0]}, and nobody publishes them", fix)
    elif not topic.subscribers and words[0] not in ("images", "camera_info"):
        yield Finding("topic", name, "note", f"nobody listens to the {words[0]} of {_who(topic.publishers)}")


def _is_extra(heard: Heard, name: str) -> bool:
    """Whether it is of hands and faces, which only come where they are looked at."""
    from pose_ros.core.kinds import PARTS

    base, _, last = name.rpartition("/")
    above, _, part = base.rpartition("/")
    whole = heard.topics.get(f"{above}/{last}")
    return part in PARTS and whole is not None and bool(whole.publishers)


def _of_stream(heard: Heard, name: str, times: Times) -> Iterator[Finding]:
    from pose_ros.ros.listening import STAMPED

    topic = heard.topics[name]
    word, who = STAMPED[topic.publishers[0].type] if topic.publishers else "messages", _who(topic.publishers)
    statuses = [heard.statuses[end.node] for end in topic.publishers if end.node in heard.statuses]
    mute = not statuses and any(end.type.startswith("pose_ros/") for end in topic.publishers)
    if not times.late and topic.publishers and not mute and all(status.level == _FINE for status in statuses):
        yield Finding("topic", name, "problem" if word in _NEEDED else "note",
                      f"{who} publishes {word}, but none came", "see what the node says of itself")
    # Results bear the stamps of what came in, of which their node has complained.
    if (off := _other_clock(times)) and not any("clock" in status.values for status in statuses):
        yield Finding("clock", name, "problem", f"the stamps are {off} the clock here",
                      "play bags with --clock and set use_sim_time; synchronise the clocks of the machines (chrony)")
    for node in sorted({end.node for end in topic.publishers}):
        status = heard.statuses.get(node)
        told = _number(status.values, "rate_hz") if status is not None and name == f"{node}/skeletons" else None
        if told and times.hz and told - times.hz > max(_DIFFERENT * told, _DIFFERENT_HZ):
            yield Finding("topic", name, "problem", f"{node} reports {told:.1f} Hz, {times.hz:.1f} arrive here",
                          "messages are lost on the way, or this machine is busy")


def _of_transforms(heard: Heard) -> Iterator[Finding]:
    frames = {frame for edge in heard.transforms for frame in edge}
    named = {times.frame_id.lstrip("/"): name for name, times in sorted(heard.streams.items()) if times.frame_id}
    for frame in sorted(named.keys() - frames if frames else ()):
        yield Finding("tf", frame, "note", f"{named[frame]} is of this frame, which TF does not know",
                      "publish where the camera stands: ros2 run tf2_ros static_transform_publisher")
    parents: dict[str, list[str]] = {}
    for child, parent in heard.transforms:
        parents.setdefault(child, []).append(parent)
    for child, several in sorted(parents.items()):
        if len(several) > 1:
            yield Finding("tf", child, "problem", f"has several parents: {', '.join(sorted(several))}",
                          "two nodes publish this frame: stop one, or set its tf_prefix")
    # Frames of subjects come and go; those that cameras and results stand in may not.
    needed, ahead = set[str](), [*named]
    while ahead:
        if (frame := ahead.pop()) not in needed:
            needed.add(frame)
            ahead += parents.get(frame, [])
    for (child, parent), times in sorted(heard.transforms.items()):
        if child not in needed:
            continue
        pauses = [b - a for a, b in zip(times.stamps, times.stamps[1:], strict=False)]
        if not times.static and pauses and (times.hz or 0) > _OFTEN_HZ and max(pauses) > _PAUSE_S:
            yield Finding("tf", child, "problem", f"'{child}' in '{parent}' paused for {max(pauses):.1f} s",
                          "what publishes it is overloaded or was started again; nothing is known for that time")
        if not times.static and (off := _other_clock(times)):
            yield Finding("clock", child, "problem", f"'{child}' in '{parent}' is {off} the clock here",
                          "synchronise the clocks of the machines, or set use_sim_time everywhere")
    roots = sorted({parent for _, parent in heard.transforms} - parents.keys())
    if len(roots) > 1:
        yield Finding("tf", ", ".join(roots), "note", f"TF has {len(roots)} trees that are not joined",
                      "publish how one stands in the other, if anything is to be known in both")


def _other_clock(times: Times) -> str:
    """Return by how much stamps differ from the time here; empty where they do not."""
    late = times.late_s
    if late is None or -_NEW_S <= late <= _OLD_S:
        return ""
    return f"{abs(late):.1f} s {'behind' if late > 0 else 'ahead of'}"


def _number(values: dict[str, str], key: str) -> float | None:
    try:
        return float(values[key])
    except (KeyError, ValueError):
        return None


def _count(values: dict[str, str], key: str) -> int | None:
    number = _number(values, key)
    return None if number is None else int(number)
