# SPDX-License-Identifier: Apache-2.0
"""Nodes: message -> core word -> message. No arithmetic here."""
