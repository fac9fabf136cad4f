#include "train/step_body.hpp"

namespace glassmill::train {

const Kernels<float> avx2::floats = all_kernels<float>();
const Kernels<Bf16> avx2::bf16s = all_kernels<Bf16>();

}  // namespace glassmill::train
