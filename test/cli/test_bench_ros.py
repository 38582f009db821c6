# SPDX-License-Identifier: Apache-2.0
"""``pose-ros bench ros``: cameras, nodes and a listener as processes; what is counted, and how failures are told."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from pose_ros.cli import bench_ros

_MS = 1_000_000


def case(**changes) -> bench_ros.Case:
    values = {"cameras": 1, "people": 0, "size_wh": (64, 48), "transport": "raw", "sources": ["demo"], "rate": 100.0,
              "seconds": 0.06, "warm_up": 0.02, "together": False, "parameters": (), **changes}
    return bench_ros.Case(**values)


def test_what_a_row_counts():
    """Eight images 10 ms apart, the first two while warming up, one without an answer."""
    stamps = [1000 * _MS + 10 * _MS * i for i in range(8)]
    sent = [[s, s + _MS, s + 3 * _MS] for s in stamps]  # 1 ms to make the message, 2 ms to publish it
    late = [100, 100, 8, 8, 9, None, 9, 12]
    heard = [[0, s, s + ms * _MS, {"transport": 1.0, "detect": 2.0, "estimate": 1.5}, 3]
             for s, ms in zip(stamps, late, strict=True) if ms]
    window = 1020 * _MS, 1080 * _MS
    samples = [(1000 * _MS, 5.0, 80.0), (1030 * _MS, 5.1, 90.0), (1070 * _MS, 5.14, 90.0), (1090 * _MS, 9.0, 99.0)]
    whole, *stages = bench_ros._rows(case(), [sent], heard, window, samples, [])
    numbers = whole["numbers"]
    assert numbers["latency_ms"]["p50"] == 9.0
    assert numbers["latency_ms"]["max"] == 12.0
    assert numbers["publish_ms"]["p50"] == 2.0
    assert numbers["networks_ms"]["p50"] == 3.5
    assert numbers["added_ms"]["p50"] == 9 - 1 - 3.5
    assert numbers["drift_ms"] == 12 - 8
    assert (numbers["images"], numbers["dropped"], numbers["subjects"]) == (6, 1, 3)
    assert numbers["offered_hz"] == pytest.approx(100)
    assert numbers["nodes_cpu_percent"] == pytest.approx(100)  # 40 ms of 40
    assert numbers["nodes_cpu_ms_per_image"] == pytest.approx(12)  # 60 ms for five arrays
    assert numbers["nodes_memory_mb"]["p50"] == 90
    assert "peers_cpu_percent" not in numbers
    assert "memory_slope_mb_per_min" not in numbers
    assert [row["case"].rpartition(": ")[2] for row in stages] == ["transport", "detect", "estimate"]
    assert set(numbers) | {"stage_ms", "peers_cpu_percent", "memory_slope_mb_per_min"} == bench_ros.MEANS.keys()


def test_no_answer_at_all_is_an_error():
    stamp = 1030 * _MS
    with pytest.raises(bench_ros.BenchError, match=r"1 images were published and no skeletons came"):
        bench_ros._rows(case(), [[[stamp, stamp, stamp]]], [], (1020 * _MS, 1080 * _MS), [], [])


def test_two_cameras_over_topics(cli, toy, picture, tmp_path):
    """The toy takes longer than an image lasts, so that every other one, and more, is passed over."""
    out = tmp_path / "ros.json"
    ran = cli("bench", "ros", "--model", toy, "--source", picture, "--cameras", 2, "--rate", 10, "--seconds", 1.5,
              "--warm-up", 0.5, "--together", "--sizes", "96x72", "--set", "estimator.delay=0.25", "--output", out,
              "--plot", tmp_path / "ros.svg")
    assert ran.code == 0, ran.err
    data = json.loads(out.read_text())
    whole = data["rows"][0]
    numbers = whole["numbers"]
    assert whole["case"] == "2 cameras, 96x72 raw"
    assert numbers["images"] == pytest.approx(30, abs=4)
    assert numbers["dropped"] >= 0.3 * numbers["images"]
    assert numbers["latency_ms"]["p50"] > numbers["networks_ms"]["p50"] >= 250
    assert 0 < numbers["added_ms"]["p50"] < numbers["latency_ms"]["p50"]
    assert numbers["nodes_memory_mb"]["min"] > 10
    assert numbers["subjects"] == 1
    assert {row["case"].rpartition(": ")[2] for row in data["rows"][1:]} >= {"transport", "estimate"}
    assert data["workload"] == {"source": str(picture), "rate_hz": 10.0}
    assert "<svg" in (tmp_path / "ros.svg").read_text()


def test_a_node_that_fails_is_named(cli, toy, picture):
    ran = cli("bench", "ros", "--model", toy, "--source", picture, "--seconds", 1, "--set", "no_such_parameter=1")
    assert ran.code == 1
    assert "the process 'pose node 0' has ended with exit code" in ran.err
    assert "no_such_parameter" in ran.err
