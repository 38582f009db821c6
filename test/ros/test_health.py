# SPDX-License-Identifier: Apache-2.0
"""Health: counts, percentiles, levels, the rate that is aimed at, and nothing that was not measured."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.parameter import Parameter

from pose_ros.errors import ConfigError, ImageError
from pose_ros.ros import health as module
from pose_ros.ros.health import Health, Rate, temperature


class Time:
    """A clock that is set."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Time()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def health(ros, clock):
    node = ros.node("one")
    node.declare_parameter("health.target_rate", 0.0)
    return Health(node, "pipeline")


def frames(health, clock, count=20, hz=10.0, stages=None, late_ms=30.0, missed=0):
    for _ in range(count):
        clock.now += 1 / hz
        health.took(missed)
        health.finished(late_ms, 20.0, 2, {}, stages or {"transport": 2.0, "detect": 5.0, "estimate": 15.0})


def told(health, state="active", warning="", **values):
    status = health.report(state, warning, (), **values)
    return status, {pair.key: pair.value for pair in status.values}


def test_several_at_once_count_in_a_rate(clock):
    rate = Rate()
    for _ in range(11):
        clock.now += 0.1
        rate.tick(3)
    assert rate.hz == pytest.approx(30.0)
    clock.now += 3.0
    assert rate.hz == 0.0


def test_stages_have_percentiles_and_the_worst(health, clock):
    for ms in range(1, 101):
        frames(health, clock, 1, stages={"detect": float(ms)})
    values = told(health)[1]
    assert [values[f"detect_{p}_ms"] for p in ("p50", "p95", "max")] == ["50.5", "95.0", "100.0"]
    assert values["latency_max_ms"] == "30.0"
    frames(health, clock, 100, stages={"estimate": 1.0})
    assert "detect_p50_ms" not in told(health)[1], "a stage that is no more is not shown"


def test_drops_have_reasons(health, clock):
    health.took(missed=5, lost=2)
    health.took(missed=1, lost=9)
    health.fail(ImageError("bad"))
    health.fail(ConfigError("a", "b"))
    health.drop("no_transform")
    values = told(health)[1]
    assert {k: v for k, v in values.items() if k.startswith("drops_")} == {
        "drops_overwritten": "3", "drops_lost": "3", "drops_unreadable": "1", "drops_failed": "1",
        "drops_no_transform": "1",
    }
    assert (values["dropped"], values["failed"]) == ("6", "2")


@pytest.mark.parametrize(
    ("hz", "missed", "stages", "expected"),
    [
        (28.0, 0, None, ""),
        (10.0, 0, None, "10.0 Hz of the 30 that health.target_rate asks for: only 10.0 come in"),
        (10.0, 2, None, "'estimate' takes 15 of 20 ms; take a smaller model"),
        (10.0, 2, {"transport": 90.0, "detect": 50.0, "estimate": 9.0}, "'detect' takes 50 of 59 ms"),
    ],
)
def test_a_rate_below_the_target_is_explained(health, clock, hz, missed, stages, expected):
    health._node.set_parameters([Parameter("health.target_rate", value=30.0)])
    frames(health, clock, hz=hz, missed=missed, stages=stages)
    status, values = told(health)
    assert expected in status.message
    assert status.level == (DiagnosticStatus.WARN if expected else DiagnosticStatus.OK)
    assert values["target_hz"] == "30"


def test_levels(health, clock):
    level = lambda *given: told(health, *given)[0].level  # noqa: E731
    assert level("idle: nobody listens") == DiagnosticStatus.OK
    frames(health, clock)
    assert level() == DiagnosticStatus.OK
    assert level("active", "no depth") == DiagnosticStatus.WARN
    health.fail(ImageError("one is bad"))
    assert level() == DiagnosticStatus.WARN
    clock.now += 6.0
    assert level() == DiagnosticStatus.OK
    assert level("active", "no image for 6 s") == DiagnosticStatus.STALE
    health.took(0)
    assert level("active", "nothing could be fused") == DiagnosticStatus.ERROR
    health.fail(ImageError("all are bad"))
    assert level() == DiagnosticStatus.ERROR


def test_what_keeps_a_node_from_being_configured_stays_until_it_is(health, clock):
    health.fail(ConfigError("model", "there is none"), refuses=True)
    clock.now += 100.0
    status, values = told(health, "unconfigured", "nothing is done")
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, "model: there is none")
    assert values["drops_failed"] == "0"
    assert told(health, "inactive")[0].level == DiagnosticStatus.OK
    assert told(health, "unconfigured")[0].level == DiagnosticStatus.OK


@pytest.mark.parametrize(
    ("late_s", "expected"),
    [(0.05, ""), (50.0, ""), (3600.0, "stamps are 3600.0 s behind"), (-2.0, "stamps are 2.0 s ahead of")],
)
def test_stamps_of_another_clock(health, clock, capfd, late_s, expected):
    frames(health, clock, late_ms=late_s * 1e3)
    for _ in range(3):
        status, values = told(health)
    assert status.level == DiagnosticStatus.OK, "all that is asked of it works"
    assert (expected in values["clock"]) if expected else "clock" not in values
    assert capfd.readouterr().err.count("this node's clock") == bool(expected)


def test_simulated_time_that_nobody_tells(ros):
    from rosgraph_msgs.msg import Clock

    node = ros.node("two", parameter_overrides=[Parameter("use_sim_time", value=True)])
    health = Health(node, "pipeline")
    status = health.report("active")
    assert status.level == DiagnosticStatus.ERROR
    assert "nobody publishes /clock" in status.message
    publisher = ros.node("world").create_publisher(Clock, "/clock", 1)
    assert ros.spin_until(lambda: node.count_publishers("/clock"))
    assert "no time has come" in health.report("active").message
    message = Clock()
    message.clock.sec = 5

    def comes():
        publisher.publish(message)
        return health.report("active").level == DiagnosticStatus.OK

    assert ros.spin_until(comes)


def test_who_only_sends_tells_no_latency_and_no_subjects(ros):
    health = Health(ros.node("camera"), "camera", answers=False)
    health.sent()
    values = {pair.key for pair in health.report("active").values}
    assert {"processed", "rate_hz"} <= values
    assert not [key for key in values if "latency" in key or key in ("subjects", "dropped")]


def test_temperature_is_that_of_a_sensor_or_none(tmp_path, monkeypatch, health):
    assert temperature(tmp_path) == {}
    for number, text in enumerate(("41000\n", "53500\n", "broken")):
        (tmp_path / f"thermal_zone{number}").mkdir()
        (tmp_path / f"thermal_zone{number}" / "temp").write_text(text)
    assert temperature(tmp_path) == {"temperature_max_c": "53.5"}
    monkeypatch.setattr(module, "_SENSORS", tmp_path / "none")
    assert "temperature_max_c" not in told(health)[1]
