#include "model/products_body.hpp"

DEFINE_PRODUCTS(avx2)
