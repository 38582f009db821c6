# SPDX-License-Identifier: Apache-2.0
"""A web page for a robot without a screen: who may see it, what it is sent, the server. No ROS here."""
