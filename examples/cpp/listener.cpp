// SPDX-License-Identifier: Apache-2.0
// Print where everybody's left wrist is: ros2 run pose_ros_example listener
#include <optional>
#include <rclcpp/rclcpp.hpp>

#include "pose_ros/msg/skeleton_array.hpp"
#include "skeleton_view.hpp"

class Listener : public rclcpp::Node {
 public:
  Listener() : Node("listener") {
    info_ = create_subscription<pose_ros::msg::SkeletonInfo>(
        "pose/skeleton_info", rclcpp::QoS(1).reliable().transient_local(),
        [this](const pose_ros::msg::SkeletonInfo& info) {
          schema_ = info.name;
          wrist_ = pose_ros::column(info, "left_wrist");
        });
    arrays_ = create_subscription<pose_ros::msg::SkeletonArray>(
        "pose/skeletons", rclcpp::QoS(5), [this](const pose_ros::msg::SkeletonArray& array) {
          if (!wrist_ || array.schema != schema_) return;  // the names are still on their way
          for (const auto& skeleton : array.skeletons) {
            const Eigen::Vector2f wrist = pose_ros::keypoints(skeleton).col(*wrist_);
            if (!wrist.hasNaN()) RCLCPP_INFO(get_logger(), "%u: %.1f %.1f", skeleton.track_id, wrist.x(), wrist.y());
          }
        });
  }

 private:
  std::string schema_;
  std::optional<Eigen::Index> wrist_;
  rclcpp::Subscription<pose_ros::msg::SkeletonInfo>::SharedPtr info_;
  rclcpp::Subscription<pose_ros::msg::SkeletonArray>::SharedPtr arrays_;
};

int main(int argc, char** argv) {
  rclcpp::init(argc, argv);
  rclcpp::spin(std::make_shared<Listener>());
  rclcpp::shutdown();
}
