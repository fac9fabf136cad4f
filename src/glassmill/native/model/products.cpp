#include "model/products.hpp"

#include "base/processor.hpp"

namespace glassmill::model {

#ifdef GLASSMILL_X86_KERNELS
#define ALL_SETS(name) \
    { &scalar::name, &scalar::name, &avx2::name, &avx512::name, &avx512_bf16::name }
#else
#define ALL_SETS(name) \
    { &scalar::name, &scalar::name, &scalar::name, &scalar::name, &scalar::name }
#endif

const Products& products(Format format) {
    static constexpr const Products* kAll[kNumFormats][5] = {ALL_SETS(f32_products),  ALL_SETS(bf16_products),
                                                             ALL_SETS(q8_0_products), ALL_SETS(q4_0_products),
                                                             ALL_SETS(q4_1_products), ALL_SETS(q4_k_products)};
    return *kAll[static_cast<std::size_t>(format)][static_cast<std::size_t>(instruction_set())];
}

}  // namespace glassmill::model
