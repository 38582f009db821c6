# SPDX-License-Identifier: Apache-2.0
"""Plugins that say from the last seconds of skeletons what subjects do: rules, and networks."""
