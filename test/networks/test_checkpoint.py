# SPDX-License-Identifier: Apache-2.0
"""Checkpoints give their weights, and nothing that they ask for is ever run."""

from __future__ import annotations

import collections
import os
import sys
import types
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_ros import formats
from pose_ros.errors import ModelCorruptError
from pose_ros.networks import checkpoint

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2, dtype=torch.float16)}


def read(path: Path):
    formats.check(path)
    return checkpoint.read(path)


def same(found) -> bool:
    return found.keys() == WEIGHTS.keys() and all(torch.equal(found[key], WEIGHTS[key]) for key in WEIGHTS)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".pth.tar", ".ckpt"])
@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_what_pytorch_writes(tmp_path, suffix, new):
    path = tmp_path / f"net{suffix}"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=new)
    assert same(read(path))


def test_safetensors(tmp_path):
    from safetensors.torch import save_file

    save_file(WEIGHTS, tmp_path / "net.safetensors", metadata={"format": "pt"})
    assert same(read(tmp_path / "net.safetensors"))


@pytest.mark.parametrize("wrap", [
    lambda w: {"state_dict": w, "epoch": 3, "meta": {"version": "1.0"}},
    lambda w: {"model": collections.OrderedDict(w), "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
    lambda w: {"model": None, "ema": {"module": w, "updates": 7}},
    lambda w: {"model": {"state_dict": w}},
    lambda w: {**w, "epoch": 3, "names": ["a"], "nothing": None},
])  # fmt: skip
def test_weights_are_found_where_people_put_them(tmp_path, wrap):
    torch.save(wrap(WEIGHTS), tmp_path / "net.pth")
    assert same(read(tmp_path / "net.pth"))


@pytest.fixture
def history(monkeypatch):
    """A class of mmengine that its checkpoints carry; it is here while a checkpoint is written, and not when read."""
    module = types.ModuleType("mmengine.logging.history_buffer")

    class HistoryBuffer:
        def __init__(self):
            self._log_history = np.arange(5.0)
            self.statistics = {"mean": HistoryBuffer.mean, "count": self.count}

        @classmethod
        def mean(cls):
            pytest.fail("called")

        def count(self):
            pytest.fail("called")

        def __setstate__(self, state):
            pytest.fail("restored")

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    module.HistoryBuffer = HistoryBuffer
    for name in ("mmengine", "mmengine.logging", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    return HistoryBuffer


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_what_training_left_is_passed_over(tmp_path, history, monkeypatch, new):
    path = tmp_path / "net.pth"
    left = {
        "history": history(), "best": np.float64(0.7), "table": np.ones((2, 2)), "seen": collections.defaultdict(list),
        "last": collections.deque([1, 2], 3), "names": {"a", "b"}, "log": Path("log.txt"),
    }  # fmt: skip
    left["seen"]["a"].append(1)
    torch.save({"state_dict": WEIGHTS, "message_hub": left}, path, _use_new_zipfile_serialization=new)
    for name in ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer"):
        monkeypatch.delitem(sys.modules, name)
    before = set(torch.serialization.get_safe_globals())
    assert same(read(path))
    assert set(torch.serialization.get_safe_globals()) == before
    assert "mmengine" not in sys.modules


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", ["yacs.config.CfgNode", "pytorch_lightning.utilities.parsing.AttributeDict"])
def test_settings_that_are_dictionaries_are_passed_over(tmp_path, monkeypatch, name, new):
    """As Lightning leaves them, and HaMeR with it."""
    package, _, kind = name.rpartition(".")
    parts = package.split(".")
    for n in range(len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[: n + 1]), types.ModuleType(".".join(parts[: n + 1])))
    settings = type(kind, (dict,), {"__module__": package, "__qualname__": kind})
    setattr(sys.modules[package], kind, settings)
    made = settings(MODEL=settings(SIZE=256), NAME="x")
    made.__dict__["__immutable__"] = True
    path = tmp_path / "net.ckpt"
    torch.save({"state_dict": WEIGHTS, "hyper_parameters": made}, path, _use_new_zipfile_serialization=new)
    monkeypatch.undo()
    assert same(read(path))
    assert package not in sys.modules


class _Runs:
    """Runs something when it is unpickled."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


def attack(path: Path, function, *arguments, new: bool = True, protocol: int = 2) -> Path:
    content = {"state_dict": WEIGHTS, "meta": _Runs(function, *arguments)}
    torch.save(content, path, _use_new_zipfile_serialization=new, pickle_protocol=protocol)
    return path


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("function", [os.system, os.mkdir, eval, exec, __import__, np.save, torch.save],
                         ids=lambda f: f.__name__)
def test_a_checkpoint_that_runs_code_is_refused_by_name(tmp_path, function, new, protocol):
    mark = tmp_path / "was-here"
    arguments = {"system": [f"touch {mark}"], "mkdir": [str(mark)], "__import__": ["antigravity"],
                 "save": [str(mark), 1] if function is np.save else [1, str(mark)]}
    path = attack(tmp_path / "net.pth", function, *arguments.get(function.__name__, [f"open({str(mark)!r}, 'w')"]),
                  new=new, protocol=protocol)
    if function is torch.save:  # of PyTorch's own, it knows itself what is harmless
        formats.check(path)
    else:
        name = rf"{function.__module__}\.{function.__name__}"
        with pytest.raises(ModelCorruptError, match=f"weights alone, got one that asks to run {name} when it is read"):
            formats.check(path)
    # The outlines are one guard, PyTorch's own reader is the other one.
    with pytest.raises(ModelCorruptError, match=r"weights alone at .* cannot be read"):
        checkpoint.read(path)
    assert not mark.exists()


def test_the_attack_is_a_real_one(tmp_path):
    mark = tmp_path / "was-here"
    torch.load(attack(tmp_path / "net.pth", os.mkdir, str(mark)), weights_only=False)
    assert mark.is_dir()


def _script(path: Path) -> None:
    class Double(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Double()).save(path)


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "x")


@pytest.mark.parametrize(("write", "message"), [
    (lambda p: p.write_bytes(b""), "expected a whole .pth file at .*, got 0 bytes; fetch it again"),
    (lambda p: p.write_bytes(b"\r\n<!DOCTYPE html><html><title>Sign in</title>"),
     "got a message of the server in place of a file, '.*<!DOCTYPE html>.*; fetch it again"),
    (lambda p: p.write_bytes(b'{"error": "not found"}'), "got a message of the server"),
    (lambda p: p.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:ab"), "got a message of the s"),
    (lambda p: p.write_bytes(bytes(1000)), r"got one that begins with b'\\x00.*fetch it again"),
    (_script, r"got a TorchScript program in place of weights: load it .* and save its state_dict\(\)"),
    (_zip, "got a zip that holds readme.txt; fetch it again"),
    (lambda p: torch.save([1, 2], p), "expected a state dict of tensors in .*, bare or under one of .*; got list"),
    (lambda p: torch.save({"epoch": 3, "model": {"lr": 0.1}}, p), "expected a state dict of .*; got epoch, model"),
    (lambda p: torch.save({}, p), "expected a state dict of .*; got nothing"),
])  # fmt: skip
def test_other_files_are_named_for_what_they_are(tmp_path, write, message):
    path = tmp_path / "net.pth"
    write(path)
    with pytest.raises(ModelCorruptError, match=message):
        read(path)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_half_a_file_is_refused(tmp_path, kind, part):
    path, weights = tmp_path / "net.pth", {f"layer{i}.weight": torch.ones(50) for i in range(20)}
    if kind == "safetensors":
        from safetensors.torch import save_file

        path = tmp_path / "net.safetensors"
        save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=kind == "zip")
    assert len(read(path)) == 20
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ModelCorruptError, match=r"expected a whole .*fetch it again"):
        read(path)
