#include "train/step_body.hpp"

namespace glassmill::train {

const Kernels<float> scalar::floats = all_kernels<float>();
const Kernels<Bf16> scalar::bf16s = all_kernels<Bf16>();

}  // namespace glassmill::train
