#include "model/blocked_body.hpp"

DEFINE_BLOCKED(avx512)
