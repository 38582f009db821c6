# SPDX-License-Identifier: Apache-2.0
"""See it in Rerun: core words into a recording that its viewer shows. Needs the extra ``view``; knows no ROS."""
