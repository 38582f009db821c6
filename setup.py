# SPDX-License-Identifier: Apache-2.0
"""Take the version from package.xml, the one place where it is written; everything else is in pyproject.toml."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from setuptools import setup

setup(version=ElementTree.parse(Path(__file__).with_name("package.xml")).getroot().findtext("version"))
