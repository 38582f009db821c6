// SPDX-License-Identifier: Apache-2.0
// Built and run by test_cpp_example.py; a check that fails is named and ends the program with 1.
#include "gripper.hpp"

#include <cmath>
#include <cstdio>

#define CHECK(condition) \
  if (!(condition)) return std::printf("failed: %s\n", #condition), 1

int main() {
  pose_ros::Gripper gripper;
  const pose_ros::Gripper::Time start{std::chrono::hours(1)};
  CHECK(gripper.scale(start) == 0.0 && !gripper.target(start));  // nothing is known

  pose_ros::msg::HandoverArray array;
  array.header.frame_id = "base_link";
  array.handovers.resize(1);
  auto& best = array.handovers[0];
  best.pose.pose.position.z = 1.0;
  best.approach.z = -1.0;
  pose_ros::msg::SeparationArray separations;
  separations.zone = pose_ros::msg::Separation::ZONE_SLOW;
  gripper.obey(separations, start);
  gripper.choose(array, start);
  CHECK(gripper.scale(start) == 0.3 && !gripper.target(start));  // not valid

  best.valid = true;
  gripper.choose(array, start);
  const auto target = gripper.target(start);
  CHECK(target && target->header.frame_id == "base_link");
  CHECK(std::abs(target->pose.position.z - 1.1) < 1e-9);  // above a palm that looks up
  const auto late = start + std::chrono::milliseconds(201);
  CHECK(gripper.scale(late) == 0.0 && !gripper.target(late));  // silence is stop
  gripper.obey(separations, late);
  CHECK(gripper.scale(late) == 0.3 && !gripper.target(late));  // an old target is none

  separations.zone = pose_ros::msg::Separation::ZONE_FREE;
  gripper.obey(separations, start);
  CHECK(gripper.scale(start) == 1.0);
  separations.zone = pose_ros::msg::Separation::ZONE_STOP;
  gripper.obey(separations, start);
  CHECK(gripper.scale(start) == 0.0 && !gripper.target(start));
}
