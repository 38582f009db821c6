# SPDX-License-Identifier: Apache-2.0
"""Where a recording goes: a file, the viewer in a window, the viewer as a web page."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pose_ros.errors import ConfigError, SourceError

if TYPE_CHECKING:
    import rerun as rr

_APPLICATION = "pose_ros"
#: How long the viewer may take until it listens, and how long it is watched then; seconds.
_PATIENCE_S, _STEADY_S = 20.0, 0.5
#: Addresses that stand for all of this machine.
_EVERYWHERE = ("0.0.0.0", "::")


class Viewer:
    """A recording and whoever shows it; a context manager. A window stays when it ends, a web page goes."""

    def __init__(
        self, save: Path | None = None, *, window: bool = True, serve: bool = False, host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Begin a recording.

        Args:
            save: File to write.
            window: Whether to open the viewer in a window.
            serve: Whether to serve it as a web page.
            host: Address at which the viewer listens.
            port: Of the web page; 0 is any that is free.

        Raises:
            ConfigError: Rerun is not installed, or its viewer does not start.
            SourceError: The file cannot be written.
        """
        try:
            import rerun as rr
        except ModuleNotFoundError as error:
            raise ConfigError("view", "the viewer needs Rerun: pip install 'pose_ros[view]' (Python 3.11 or newer)"
                              ) from error
        self._process: subprocess.Popen[bytes] | None = None
        #: Where the web page is; empty where there is none.
        self.url = ""
        #: Written to.
        self.recording: rr.RecordingStream = rr.RecordingStream(_APPLICATION)
        sinks: list[rr.FileSink | rr.GrpcSink] = []
        if save is not None:
            try:
                save.parent.mkdir(parents=True, exist_ok=True)
                save.open("wb").close()
            except OSError as error:
                raise SourceError(str(save), f"cannot be written: {error.strerror or error}") from error
            sinks.append(rr.FileSink(str(save)))
        if window or serve:
            sinks.append(rr.GrpcSink(self._start(serve, host, port)))
        self.recording.set_sinks(*sinks)

    def _start(self, serve: bool, host: str, port: int) -> str:
        """Start Rerun's own program, which listens to the world unless told not to, and return where data goes."""
        if not serve and sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
            raise ConfigError("view", "there is no display for the viewer: use --serve for a web page, or --save FILE")
        data, page = _free(host), port or _free(host)
        command = [sys.executable, "-m", "rerun_cli", "--bind", host, "--port", str(data)]
        command += ["--serve-web", "--web-viewer-port", str(page)] if serve else ["--expect-data-soon"]
        # A session of its own: Ctrl-C is for us, and what runs in it ends together.
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                         start_new_session=True)
        if not self._runs(host, (data, page) if serve else (data,)):
            self._end()
            raise ConfigError("view", f"Rerun's viewer does not start; `{' '.join(command)}` says why")
        source = f"rerun+http://{_reached(host)}:{data}/proxy"
        if serve:
            self.url = f"http://{_reached(host)}:{page}/?url={quote(source, safe='')}"
        return source

    def _runs(self, host: str, ports: tuple[int, ...]) -> bool:
        """Wait until the program listens, and return whether it goes on then."""
        assert self._process is not None
        patience = time.monotonic() + _PATIENCE_S
        while not all(_listens(host, port) for port in ports):
            if self._process.poll() is not None or time.monotonic() > patience:
                return False
            time.sleep(0.1)
        try:
            self._process.wait(_STEADY_S)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait()

    def close(self) -> None:
        """Finish the file, and take the web page away."""
        self.recording.flush()
        self.recording.disconnect()
        if self.url:
            self._end()

    def __enter__(self) -> Viewer:
        """Return the viewer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Finish."""
        self.close()


def _reached(host: str) -> str:
    """Return the address by which a browser here reaches what listens at ``host``."""
    reached = "127.0.0.1" if host in _EVERYWHERE else host
    return f"[{reached}]" if ":" in reached else reached


def _free(host: str) -> int:
    """Return a port that nobody listens at."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((_reached(host).strip("[]"), port), timeout=1.0).close()
    except OSError:
        return False
    return True
