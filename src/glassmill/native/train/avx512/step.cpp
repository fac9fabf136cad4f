#include "train/step_body.hpp"

namespace glassmill::train {

const Kernels<float> avx512::floats = all_kernels<float>();
const Kernels<Bf16> avx512::bf16s = all_kernels<Bf16>();

}  // namespace glassmill::train
