// SPDX-License-Identifier: Apache-2.0
// Bring a gripper to the hand that is held out to it: ros2 run pose_ros_example handover
#include <geometry_msgs/msg/pose_stamped.hpp>
#include <rclcpp/rclcpp.hpp>
#include <std_msgs/msg/float64.hpp>

#include "gripper.hpp"

using Clock = std::chrono::steady_clock;

class Handover : public rclcpp::Node {
 public:
  Handover() : Node("gripper") {
    separations_ = create_subscription<pose_ros::msg::SeparationArray>(
        "manipulation/separation", rclcpp::QoS(5),
        [this](const pose_ros::msg::SeparationArray& array) { gripper_.obey(array, Clock::now()); });
    handovers_ = create_subscription<pose_ros::msg::HandoverArray>(
        "manipulation/handovers", rclcpp::QoS(5),
        [this](const pose_ros::msg::HandoverArray& array) { gripper_.choose(array, Clock::now()); });
    targets_ = create_publisher<geometry_msgs::msg::PoseStamped>("gripper_target", rclcpp::QoS(5));
    scales_ = create_publisher<std_msgs::msg::Float64>("speed_scale", rclcpp::QoS(5));
    timer_ = create_wall_timer(std::chrono::milliseconds(50), [this] { move(); });
  }

 private:
  void move() {
    const auto now = Clock::now();
    std_msgs::msg::Float64 scale;
    scale.data = gripper_.scale(now);
    scales_->publish(scale);
    if (const auto target = gripper_.target(now)) targets_->publish(*target);
  }

  pose_ros::Gripper gripper_;
  rclcpp::Subscription<pose_ros::msg::SeparationArray>::SharedPtr separations_;
  rclcpp::Subscription<pose_ros::msg::HandoverArray>::SharedPtr handovers_;
  rclcpp::Publisher<geometry_msgs::msg::PoseStamped>::SharedPtr targets_;
  rclcpp::Publisher<std_msgs::msg::Float64>::SharedPtr scales_;
  rclcpp::TimerBase::SharedPtr timer_;
};

int main(int argc, char** argv) {
  rclcpp::init(argc, argv);
  rclcpp::spin(std::make_shared<Handover>());
  rclcpp::shutdown();
}
