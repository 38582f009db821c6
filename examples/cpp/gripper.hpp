// SPDX-License-Identifier: Apache-2.0
// Where a gripper should go and how fast, from the messages of manipulation_node. This is no safety function.
#pragma once

#include <chrono>
#include <geometry_msgs/msg/pose_stamped.hpp>
#include <optional>

#include "pose_ros/msg/handover_array.hpp"
#include "pose_ros/msg/separation_array.hpp"

namespace pose_ros {

class Gripper {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr double kStandoff = 0.1;                     // metres before the palm
  static constexpr std::chrono::milliseconds kPatience{200};  // what is not heard for longer means stop

  void obey(const msg::SeparationArray& separations, Time now) {
    zone_ = separations.zone;
    zone_at_ = now;
  }

  // The first handover is the best one; a robot may act on it while it is valid.
  void choose(const msg::HandoverArray& array, Time now) {
    if (array.handovers.empty() || !array.handovers.front().valid) return;
    const auto& best = array.handovers.front();
    geometry_msgs::msg::PoseStamped target;
    target.header = array.header;
    target.pose = best.pose.pose;
    target.pose.position.x -= kStandoff * best.approach.x;
    target.pose.position.y -= kStandoff * best.approach.y;
    target.pose.position.z -= kStandoff * best.approach.z;
    target_ = target;
    target_at_ = now;
  }

  // 1 free, 0.3 slow, 0 stop.
  double scale(Time now) const {
    if (now - zone_at_ >= kPatience || zone_ == msg::Separation::ZONE_STOP) return 0.0;
    return zone_ == msg::Separation::ZONE_FREE ? 1.0 : 0.3;
  }

  std::optional<geometry_msgs::msg::PoseStamped> target(Time now) const {
    if (scale(now) == 0.0 || now - target_at_ >= kPatience) return std::nullopt;
    return target_;
  }

 private:
  unsigned zone_ = msg::Separation::ZONE_STOP;
  std::optional<geometry_msgs::msg::PoseStamped> target_;
  Time zone_at_{}, target_at_{};
};

}  // namespace pose_ros
