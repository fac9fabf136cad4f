#include "html/leaves_body.hpp"

void glassmill::html::scalar::add_leaves(const Forest& forest, const float* columns, float* sums) {
    add_leaves_of<16>(forest, columns, sums);
}
