// Text without control characters, trailing blanks and runs of empty lines: the native twin of `clean` in
// corpus/extract/extract.py.
#pragma once

#include <string>
#include <string_view>

namespace glassmill::html {

// `text` is well-formed UTF-8.
std::string clean(std::string_view text);

}  // namespace glassmill::html
