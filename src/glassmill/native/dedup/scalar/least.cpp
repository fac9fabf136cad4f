#include "dedup/least_body.hpp"

void glassmill::dedup::scalar::lower_least(const Functions& functions, const Halves& x, std::uint32_t* least) {
    lower_each(functions, x, least);
}
