# SPDX-License-Identifier: Apache-2.0
"""Files of networks: which kinds there are, and whether a file is whole and what its ending promises.

Only the outlines of a file are read and nothing of it is executed. What is found here is said in plain words, before a
library has to make sense of the file; that library still refuses what it cannot use.
"""

from __future__ import annotations

import io
import json
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pose_ros.errors import ModelCorruptError

#: Files that hold a network with its weights.
NETWORKS = (".onnx", ".tflite")
#: Files that hold a cascade of regression trees: dlib's shape predictors.
CASCADES = (".dat",)
#: Files that hold weights without the network; the card describes that in ``network``.
CHECKPOINTS = (".pth", ".pt", ".tar", ".bin", ".ckpt", ".safetensors", ".caffemodel")
#: What training leaves in checkpoints beside the weights. None of it is ever imported or called: where it is met, a
#: thing without any function stands in its place (``networks.checkpoint``). ``getattr`` is how pickle writes a method.
HARMLESS = re.compile(
    r"(mmengine|mmcv|mmpose|mmdet|mmcls|mmpretrain|yacs|easydict|addict|omegaconf|pytorch_lightning|lightning)\..*"
    r"|numpy\.(_?core\.(multiarray\.(scalar|_reconstruct)|numeric\._frombuffer)|ndarray|dtypes?(\.\w+)?|u?int\w*"
    r"|float\w*|bool_?|random\..*)"
    r"|argparse\.Namespace|pathlib\.\w*Path|datetime\.\w+|_codecs\.encode|collections\.(defaultdict|deque|Counter)"
    r"|copyreg\._reconstructor|typing\.Any"
    r"|builtins\.(getattr|set|frozenset|slice|range|complex|bytearray|object|list|dict|tuple|int|float|str)"
)
#: What Python 2 called the modules that any pickle may name.
_OLD_NAMES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
#: What PyTorch itself decides about.
_TORCH = re.compile(r"torch\..*|collections\.OrderedDict")
#: How damage shows itself to the parsers below.
_DAMAGE = (struct.error, ValueError, EOFError, LookupError, TypeError, AttributeError, RecursionError,
           zipfile.BadZipFile)
_MARKUP = re.compile(rb"\s*(<[!?a-zA-Z]|\{\s*\"|version https://git-lfs)")


def check(path: Path, suffix: str = "", model: str = "") -> None:
    """Refuse a file that is cut off, is of another kind than its ending says, or asks to run code.

    Args:
        path: The file.
        suffix: Its ending; that of ``path`` when left out.
        model: What to call it in messages; the name of the file when left out.

    Raises:
        ModelCorruptError: With what is wrong.
        OSError: It cannot be read.
    """
    suffix = suffix or path.suffix
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        head = file.read(64)
        file.seek(0)
        problem = f"{size} bytes" if size < 8 else ""
        if not problem and _MARKUP.match(head):
            said = " ".join(head.decode("ascii", "replace").split())
            problem = f"a message of the server in place of a file, '{said} ...'"
        asked: list[str] = []
        try:
            problem = problem or _problem(file, size, suffix)
            if not problem and suffix in CHECKPOINTS:
                known = (name for name in pickled_names(path) if not _TORCH.fullmatch(name))
                asked = sorted(name for name in known if not HARMLESS.fullmatch(name))
        except _DAMAGE as error:
            problem = f"one that is cut off or damaged ({error})"
    if problem:
        raise ModelCorruptError(
            model or path.name, f"expected a whole {suffix} file at {path}, got {problem}; fetch it again"
        )
    if asked:
        raise ModelCorruptError(
            model or path.name, f"expected a checkpoint with weights alone, got one that asks to run "
                                f"{', '.join(asked[:4])} when it is read ({path}). Nothing of it was run. If you trust "
                                f"its authors, read it with their program and save its state_dict() anew"
        )


def pickled_names(path: Path) -> set[str]:
    """Return the full names of everything that a checkpoint's pickles would import, without importing any of it."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if head[:2] == b"PK":
            with zipfile.ZipFile(file) as archive:
                inside = [name for name in archive.namelist() if name.endswith(".pkl")]
                return {found for name in inside for found in _names(io.BytesIO(archive.read(name)))}
        if head[:1] == b"\x80":  # PyTorch before 1.6: five pickles, then the numbers
            return {found for _ in range(5) for found in _names(file)}
    return set()


def onnx_versions(path: Path) -> str:
    """Return what an .onnx file that :func:`check` has let pass was made for, such as ``ONNX IR 8, opset 13``."""
    ir, opsets = "?", []
    with path.open("rb") as file:
        for field, kind, value in fields(file, path.stat().st_size):
            if field == 1 and kind == 0:
                ir = str(value)
            elif field == 8 and kind == 2:
                inside = {f: (k, v) for f, k, v in fields(io.BytesIO(file.read(value)), value)}
                domain = " of an own domain" if inside.get(1, (0, 0))[1] else ""
                opsets.append(f"opset {inside.get(2, (0, '?'))[1]}{domain}")
    return f"ONNX IR {ir}, {', '.join(opsets) or 'no opset'}"


def _problem(file: BinaryIO, size: int, suffix: str) -> str:
    """Return what is wrong with a file, nothing where nothing is; it may raise what parsing raises."""
    head = file.read(8)
    file.seek(0)
    if suffix == ".onnx":
        return _protobuf(file, size, holds=7)
    if suffix == ".tflite":
        return "" if head[4:] == b"TFL3" else f"one that begins with {head!r}"
    if suffix == ".safetensors":
        (length,) = struct.unpack("<Q", file.read(8))
        if length > size - 8:
            return f"{size} bytes that do not hold its own list of tensors"
        tensors = json.loads(file.read(length))
        tensors.pop("__metadata__", None)
        whole = 8 + length + max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        return "" if whole == size else f"{size} bytes in place of {whole}: it is cut off"
    if suffix == ".caffemodel":
        return _protobuf(file, size, holds=0)
    if suffix in CASCADES:  # its version, 1, and the height of a matrix, which is negated
        return "" if head[:2] == b"\1\1" and head[2] & 0xF0 == 0x80 else f"one that begins with {head!r}"
    if suffix == ".zip":
        zipfile.ZipFile(file).close()
        return ""
    if suffix in CHECKPOINTS:
        if head[:2] == b"PK":
            with zipfile.ZipFile(file) as archive:
                names = {name.rpartition("/")[2] for name in archive.namelist()}
                unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > size:  # PyTorch compresses nothing
                return f"a zip of {size} bytes that unpack to {unpacked}, which no checkpoint does"
            if "constants.pkl" in names:
                return "a TorchScript program in place of weights: load it in PyTorch and save its state_dict()"
            return "" if "data.pkl" in names else f"a zip that holds {', '.join(sorted(names)[:4])}"
        return "" if head[:1] == b"\x80" else f"one that begins with {head!r}"
    return f"one of a kind that nothing here reads; known: {', '.join((*NETWORKS, *CHECKPOINTS, *CASCADES))}"


def _protobuf(file: BinaryIO, size: int, holds: int) -> str:
    """Walk the outermost fields, which have to end where the file ends; field ``holds`` has to be among them."""
    seen = {field for field, *_ in fields(file, size)}
    return "" if not holds or holds in seen else "one without a network in it"


def fields(file: BinaryIO, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, kind, and value or length of each outermost field of protobuf; the file stands at its content."""
    while (at := file.tell()) < size:
        key = _varint(file)
        field, kind = key >> 3, key & 7
        if kind not in (0, 1, 2, 5):
            raise ValueError(f"at byte {at} of {size}")
        value = _varint(file) if kind in (0, 2) else 0
        step = {0: 0, 1: 8, 2: value, 5: 4}[kind]
        end = file.tell() + step
        if end > size:
            raise ValueError(f"{size} bytes where part {field}, at {at}, needs {end}")
        yield field, kind, value
        file.seek(end)


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise EOFError("it ends within a number")
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("not protobuf")


def _names(file: BinaryIO) -> Iterator[str]:
    """Yield what one pickle would import, and read up to its end."""
    texts, memo, made = ["", ""], {}, 0
    text = ""  # what the last instruction put on the stack, if that was a text
    for opcode, argument, _ in pickletools.genops(file):
        kind, last, text = opcode.name, text, ""
        if kind in ("GLOBAL", "INST"):
            module, _, name = str(argument).partition(" ")
            yield f"{_OLD_NAMES.get(module, module)}.{name}"
        elif kind == "STACK_GLOBAL":  # two texts that were pushed before it
            yield ".".join(texts[-2:])
        elif kind.startswith("EXT"):
            yield f"extension {argument}"
        elif kind == "MEMOIZE" or "PUT" in kind:
            memo[made if kind == "MEMOIZE" else int(str(argument))] = last
            made, text = made + 1, last
        elif "GET" in kind or isinstance(argument, str):
            text = memo.get(int(str(argument)), "") if "GET" in kind else str(argument)
            if text:
                texts.append(text)
