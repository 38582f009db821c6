// SPDX-License-Identifier: Apache-2.0
// Named access to skeleton messages without copying: header-only, needs Eigen and the generated messages.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <stdexcept>
#include <string>

#include "pose_ros/msg/skeleton.hpp"
#include "pose_ros/msg/skeleton_info.hpp"

namespace pose_ros {

// One column per keypoint; NaN where a keypoint was not found. Valid as long as the message that is looked at.
using Keypoints = Eigen::Map<const Eigen::Matrix<float, 2, Eigen::Dynamic>>;  // pixels
using Points = Eigen::Map<const Eigen::Matrix<float, 3, Eigen::Dynamic>>;     // metres in header.frame_id

inline Keypoints keypoints(const msg::Skeleton& skeleton) {
  return {skeleton.keypoints.data(), 2, static_cast<Eigen::Index>(skeleton.keypoints.size() / 2)};
}

// No column at all where no metric position is known.
inline Points points(const msg::Skeleton& skeleton) {
  return {skeleton.points.data(), 3, static_cast<Eigen::Index>(skeleton.points.size() / 3)};
}

// The column of a keypoint, to be looked up once per SkeletonInfo. Throws std::out_of_range for an unknown name.
inline Eigen::Index column(const msg::SkeletonInfo& info, const std::string& name) {
  const auto found = std::find(info.keypoint_names.begin(), info.keypoint_names.end(), name);
  if (found == info.keypoint_names.end()) throw std::out_of_range("skeleton " + info.name + " has no keypoint " + name);
  return found - info.keypoint_names.begin();
}

}  // namespace pose_ros
