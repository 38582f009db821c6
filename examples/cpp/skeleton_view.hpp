// SPDX-License-Identifier: Apache-2.0
// Named access to skeleton messages without copying: header-only, needs Eigen and the generated messages.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "pose_ros/msg/skeleton.hpp"
#include "pose_ros/msg/skeleton_info.hpp"

namespace pose_ros {

// One column per keypoint; NaN where a keypoint was not found. Valid as long as the message that is looked at.
using Keypoints = Eigen::Map<const Eigen::Matrix<float, 2, Eigen::Dynamic>>;  // pixels
using Points = Eigen::Map<const Eigen::Matrix<float, 3, Eigen::Dynamic>>;     // metres in header.frame_id
using Frames = Eigen::Map<const Eigen::Matrix<float, 7, Eigen::Dynamic>>;     // x y z qx qy qz qw in header.frame_id
using Measures = Eigen::Map<const Eigen::VectorXf>;

inline Keypoints keypoints(const msg::Skeleton& skeleton) {
  return {skeleton.keypoints.data(), 2, static_cast<Eigen::Index>(skeleton.keypoints.size() / 2)};
}

// No column at all where no metric position is known.
inline Points points(const msg::Skeleton& skeleton) {
  return {skeleton.points.data(), 3, static_cast<Eigen::Index>(skeleton.points.size() / 3)};
}

// One number per measure of SkeletonInfo, or none.
inline Measures measures(const msg::Skeleton& skeleton) {
  return {skeleton.measures.data(), static_cast<Eigen::Index>(skeleton.measures.size())};
}

// One column per frame of SkeletonInfo, or none. Of a column c: position c.head<3>(), Eigen::Quaternionf(c.data() + 3).
inline Frames frames(const msg::Skeleton& skeleton) {
  return {skeleton.frames.data(), 7, static_cast<Eigen::Index>(skeleton.frames.size() / 7)};
}

// Where a name stands among others. Throws std::out_of_range for an unknown name.
inline Eigen::Index index(const std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw std::out_of_range("no such name in this SkeletonInfo: " + name);
  return found - names.begin();
}

// The column of a keypoint, to be looked up once per SkeletonInfo; likewise of a measure and of a frame.
inline Eigen::Index column(const msg::SkeletonInfo& info, const std::string& name) {
  return index(info.keypoint_names, name);
}
inline Eigen::Index measure_column(const msg::SkeletonInfo& info, const std::string& name) {
  return index(info.measure_names, name);
}
inline Eigen::Index frame_column(const msg::SkeletonInfo& info, const std::string& name) {
  return index(info.frame_names, name);
}

}  // namespace pose_ros
