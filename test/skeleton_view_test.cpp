// SPDX-License-Identifier: Apache-2.0
// Built and run by test_cpp_example.py; a check that fails is named and ends the program with 1.
#include <Eigen/Geometry>
#include <cmath>
#include <cstdio>
#include <limits>

#include "pose_ros/msg/skeleton_array.hpp"
#include "skeleton_view.hpp"

#define CHECK(condition) \
  if (!(condition)) return std::printf("failed: %s\n", #condition), 1

int main() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  pose_ros::msg::SkeletonInfo info;
  info.name = "pair";
  info.keypoint_names = {"nose", "left_wrist", "right_wrist"};
  info.measure_names = {"left_eye_opening", "mouth_opening"};
  info.frame_names = {"face", "gaze"};
  pose_ros::msg::SkeletonArray array;
  array.skeletons.resize(1);
  auto& skeleton = array.skeletons[0];
  skeleton.keypoints = {1, 2, 30, 40, nan, nan};
  skeleton.points = {0, 0, 1, 0.3f, 0.4f, 1.5f, nan, nan, nan};

  const auto wrist = pose_ros::column(info, "left_wrist");
  const auto pixels = pose_ros::keypoints(skeleton);
  const auto metres = pose_ros::points(skeleton);
  CHECK(pixels.cols() == 3 && metres.cols() == 3);
  CHECK(pixels.col(wrist) == Eigen::Vector2f(30, 40));
  CHECK(metres.col(wrist) == Eigen::Vector3f(0.3f, 0.4f, 1.5f));
  CHECK(pixels.col(pose_ros::column(info, "right_wrist")).hasNaN());
  CHECK(pixels.data() == skeleton.keypoints.data());  // looked at, not copied

  skeleton.measures = {0.25f, 0.75f};
  skeleton.frames = {nan, nan, nan, nan, nan, nan, nan, 1, 2, 3, 0, 0, 0.6f, 0.8f};
  skeleton.parent_id = 4;
  skeleton.label = "person";
  CHECK(pose_ros::measures(skeleton)[pose_ros::measure_column(info, "mouth_opening")] == 0.75f);
  const auto frames = pose_ros::frames(skeleton);
  const auto gaze = pose_ros::frame_column(info, "gaze");
  CHECK(frames.cols() == 2 && frames.col(0).hasNaN());
  CHECK(frames.col(gaze).head<3>() == Eigen::Vector3f(1, 2, 3));
  const Eigen::Quaternionf rotation(frames.col(gaze).data() + 3);
  CHECK(rotation.z() == 0.6f && rotation.w() == 0.8f);

  skeleton.frames.clear();
  CHECK(pose_ros::frames(skeleton).cols() == 0);
  skeleton.points.clear();
  CHECK(pose_ros::points(skeleton).cols() == 0);
  try {
    pose_ros::column(info, "left_wirst");
    CHECK(!"an unknown name is refused");
  } catch (const std::out_of_range&) {
  }
}
