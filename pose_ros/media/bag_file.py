# SPDX-License-Identifier: Apache-2.0
"""The one place that opens ROS 2 bags: by rosbags, and as files of unknown origin."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import yaml

from pose_ros.core import documents
from pose_ros.errors import PoseRosError, SourceError
from pose_ros.media import unpack

#: How a .mcap file begins and, if its writer has come to the end, ends.
_MAGIC = b"\x89MCAP0\r\n"


class BagFile:
    """A bag that is open."""

    def __init__(self, name: str, path: Path) -> None:
        """Open a bag.

        Args:
            name: What was asked for, to be named in errors.
            path: Folder with metadata.yaml, or a .mcap or .db3 file.

        Raises:
            SourceError: rosbags is not installed, it is no bag, or it unpacks to more than it may.
            ConfigError: The limit of the environment is none.
        """
        self.name = name
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise SourceError(name, "reading bags needs the package rosbags: pip install rosbags") from error
        unpack.limit()
        self._open = contextlib.ExitStack()
        try:
            unpack.guard_chunks()
            folder, self._packed_messages = self._unpacked(path)
            for file in sorted(folder.glob("*.db3")) if folder.is_dir() else [folder]:
                if file.suffix == ".db3":
                    _check_tables(file)
            # Bags of Humble do not say what their messages look like.
            reader = AnyReader([folder], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
            self._reader = self._open.enter_context(reader)
            for one in reader.readers:
                storage: Any = getattr(one, "storage", None)
                for part in getattr(storage, "storages", [storage]):
                    unpack.check_together(getattr(part, "chunks", ()))
        except Exception as error:  # the library lets out whatever a broken file provokes
            self._open.close()
            raise SourceError(name, _why_unreadable(path, error)) from error
        #: Its topics, as rosbags describes them.
        self.connections: list[Any] = list(reader.connections)
        #: From the first to the last message, nanoseconds.
        self.duration_ns = int(reader.duration)

    def _unpacked(self, path: Path) -> tuple[Path, bool]:
        """Return a bag without compressed files, and whether its messages are packed one by one."""
        if not path.is_dir():
            return path, False
        said = documents.load((path / "metadata.yaml").read_text(encoding="utf-8"))
        about: Any = said.get("rosbag2_bagfile_information") if isinstance(said, dict) else None
        mode = str(about.get("compression_mode", "")).lower() if isinstance(about, dict) else ""
        if mode not in ("file", "message") or about.get("compression_format") != "zstd":
            return path, False
        folder = Path(self._open.enter_context(TemporaryDirectory(prefix="pose_ros_bag_")))
        names = [PurePath(name).name for name in about["relative_file_paths"]]
        for name in names:
            packed = path / name
            if not packed.is_file():
                raise FileNotFoundError(f"some files are missing: {packed}")
            if mode == "file":
                unpack.file(packed, folder / packed.stem)
            else:
                (folder / name).symlink_to(packed.resolve())
        about |= {"compression_mode": "", "compression_format": "",
                  "relative_file_paths": [PurePath(name).stem if mode == "file" else name for name in names]}
        (folder / "metadata.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
        return folder, mode == "message"

    def messages(self, connections: Sequence[Any]) -> Iterator[tuple[Any, int, bytes]]:
        """Yield connection, time of recording in nanoseconds, and serialized message, in order of time.

        Args:
            connections: Whose; none yields nothing.

        Raises:
            SourceError: The bag is broken.
        """
        # To rosbags none would be all of them.
        with self.reading():
            for connection, stamp_ns, data in self._reader.messages(connections) if connections else ():
                yield connection, stamp_ns, unpack.message(data) if self._packed_messages else bytes(data)

    def deserialize(self, data: bytes, message_type: str) -> Any:
        """Return what a message says, with the fields of the ROS message.

        Raises:
            SourceError: It is none of its type, or nothing says what the type looks like.
        """
        if message_type not in self._reader.typestore.fielddefs:
            raise SourceError(self.name, f"the bag does not say what {message_type} looks like; write it again on a "
                                         "machine that knows: `ros2 bag convert` to storage mcap")
        with self.reading():
            return self._reader.deserialize(data, message_type)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Say of whatever else goes wrong inside that the bag is broken: a bag also says what its messages look like.

        Raises:
            SourceError: In place of it.
        """
        try:
            yield
        except PoseRosError:
            raise
        except Exception as error:
            said = str(error) if isinstance(error, unpack.TooLargeError) else f"{type(error).__name__}: {error}"
            raise SourceError(self.name, f"the bag is broken here: {said}") from error

    def close(self) -> None:
        """Close the files; may be called twice."""
        self._open.close()


def _check_tables(file: Path) -> None:
    """Check that a database is tables of values, as views and computed columns are programs that need not end.

    Raises:
        sqlite3.Error: It is none.
        ValueError: It is something else.
    """
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(file.resolve()))}?immutable=1", uri=True)) as database:
        rows = database.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        for kind, name, sql in rows:
            words = str(sql).upper().split()
            if kind not in ("table", "index") or "VIRTUAL" in words[:2]:
                raise ValueError(f"expected a database of tables, found the {kind} '{name}'")
            columns = database.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", [name]).fetchall()
            if any(hidden for _, hidden in columns):
                raise ValueError(f"expected a database of plain columns, table '{name}' computes some")


def _why_unreadable(path: Path, error: Exception) -> str:
    """Return why a bag cannot be read, and what to do if whoever wrote it was killed."""
    if isinstance(error, unpack.TooLargeError):
        return str(error)
    for file in sorted(path.glob("*.mcap")) if path.is_dir() else [path]:
        with contextlib.suppress(OSError), file.open("rb") as content:
            begins = content.read(len(_MAGIC)) == _MAGIC
            content.seek(max(0, file.stat().st_size - len(_MAGIC)))
            if begins and (content.tell() == 0 or content.read() != _MAGIC):
                return (f"{file.name} was not written to its end, its recorder was killed perhaps; what is there "
                        f"becomes a bag by `mcap recover {file} -o recovered.mcap`")
    return f"cannot be read as a ROS 2 bag: {type(error).__name__}: {error}"
