# SPDX-License-Identifier: Apache-2.0
"""A server that offers the file of a model, and can misbehave."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def network(body: bytes) -> bytes:
    """Return the outline of an .onnx file: a version, and a graph of which nothing but the length is looked at."""
    return b"\x08\x08\x3a" + bytes([len(body) & 127 | 128, len(body) >> 7 & 127 | 128, len(body) >> 14]) + body


#: More than one read of the downloader.
CONTENT = network(bytes(range(256)) * 1024)


class Server:
    """Serves CONTENT at /net.onnx; the attributes say how well."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag = '"1"'
        #: The connection ends after this many bytes, so many times.
        self.cut_after, self.cuts = 0, 0
        #: Statuses to answer with before it works.
        self.statuses: list[int] = []
        self.ranges = True
        #: (Range, If-Range) of every request.
        self.requests: list[tuple[str | None, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/net.onnx"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range"), request.headers.get("If-Range")
        self.requests.append(wanted)
        if self.statuses:
            request.send_error(self.statuses.pop(0))
            return
        start = 0
        if self.ranges and wanted[0] and wanted[1] in (None, self.etag):
            start = int(wanted[0].removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.content):
                request.send_error(416)
                return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body)))
        if self.etag:
            request.send_header("ETag", self.etag)
        request.end_headers()
        if self.cuts:
            self.cuts -= 1
            body = body[: self.cut_after]
        with contextlib.suppress(ConnectionError):  # who has enough may hang up
            request.wfile.write(body)

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
