#include "model/vectors_body.hpp"

DEFINE_VECTORS(avx512);
