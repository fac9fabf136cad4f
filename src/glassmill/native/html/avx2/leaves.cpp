#include "html/leaves_body.hpp"

void glassmill::html::avx2::add_leaves(const Forest& forest, const float* columns, float* sums) {
    add_leaves_of<32>(forest, columns, sums);
}
