// SPDX-License-Identifier: Apache-2.0
// OpenPose's own peaks and grouping for record_openpose.py, without its networks: see there how it is compiled.
#include <openpose/net/bodyPartConnectorBase.hpp>
#include <openpose/net/nmsBase.hpp>
#include <openpose/pose/poseParameters.hpp>

#include <stdexcept>

// Parts of OpenPose that its grouping names and does not use, and which would need OpenCV.
namespace op
{
Matrix::Matrix() {}
#define UNUSED_HERE(T)                                                                                \
    template <> Array<T>::Array(const std::vector<int>&) {}                                           \
    template <> int Array<T>::getSize(const int) const { throw std::logic_error("unused"); }          \
    template <> T& Array<T>::commonAt(const int) const { throw std::logic_error("unused"); }          \
    template <> void Array<T>::reset(const int) { throw std::logic_error("unused"); }                 \
    template <> void Array<T>::reset(const std::vector<int>&) { throw std::logic_error("unused"); }   \
    template <> void Array<T>::reset(const std::vector<int>&, const T) { throw std::logic_error("unused"); }
UNUSED_HERE(float)
UNUSED_HERE(double)
template <typename T> float getKeypointsRoi(const Rectangle<T>&, const Rectangle<T>&)
{
    throw std::logic_error("unused");
}
template float getKeypointsRoi(const Rectangle<float>&, const Rectangle<float>&);
template float getKeypointsRoi(const Rectangle<double>&, const Rectangle<double>&);
void error(const std::string& message, const int, const std::string&, const std::string&)
{
    throw std::runtime_error(message);
}
}  // namespace op

using namespace op;

// Maps (keypoints + 1 + 2 limbs, height, width) -> people (most, keypoints, 3) of x, y, score; their scores. Returns N.
extern "C" int group(
    const float* maps, int kind, int width, int height, float offset, float* people, float* scores, int most)
{
    const auto model = static_cast<PoseModel>(kind);
    const int parts = getPoseNumberBodyParts(model), most_peaks = POSE_MAX_PEOPLE;
    const auto& pairs = getPosePartPairs(model);
    const unsigned int limbs = pairs.size() / 2;
    const float threshold = getPoseDefaultNmsThreshold(model, false);
    std::vector<float> peaks(parts * (most_peaks + 1) * 3, 0.f);
    std::vector<int> kernel(parts * width * height);
    nmsCpu(peaks.data(), kernel.data(), maps, threshold, std::array<int, 4>{1, parts, most_peaks + 1, 3},
           std::array<int, 4>{1, parts, height, width}, Point<float>{offset, offset});
    auto found = createPeopleVector(
        maps, peaks.data(), model, Point<int>{width, height}, most_peaks,
        getPoseDefaultConnectInterThreshold(model, false), getPoseDefaultConnectInterMinAboveThreshold(false), pairs,
        static_cast<unsigned int>(parts), limbs, threshold);
    std::vector<int> valid;
    int count = 0;
    removePeopleBelowThresholdsAndFillFaces(
        valid, count, found, static_cast<unsigned int>(parts), static_cast<int>(getPoseDefaultMinSubsetCnt(false)),
        getPoseDefaultConnectMinSubsetScore(false), false, static_cast<const float*>(peaks.data()));
    for (int person = 0; person < count && person < most; person++)
    {
        for (int part = 0; part < parts; part++)
        {
            const int index = found[valid[person]].first[part];
            for (int i = 0; i < 3; i++)
                people[(person * parts + part) * 3 + i] = index > 0 ? peaks[index - 2 + i] : 0.f;
        }
        scores[person] = found[valid[person]].second / (parts + limbs);
    }
    return count;
}
