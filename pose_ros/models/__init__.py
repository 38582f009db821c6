# SPDX-License-Identifier: Apache-2.0
"""Models as data: cards, and the store that keeps their files."""
