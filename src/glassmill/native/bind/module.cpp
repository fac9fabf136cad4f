// The Python module glassmill.native._core; its types are in _core.pyi, its description is in __init__.py.
#define GLASSMILL_IMPORTS_NUMPY
#include <nanobind/stl/string.h>

#include <bit>

#include "base/processor.hpp"
#include "bind/python.hpp"

static_assert(std::endian::native == std::endian::little, "pieces are hashed as little-endian words");

namespace glassmill {
namespace {

using namespace nb::literals;

struct NamedScheme {
    const char* name;
    Scheme scheme;
};
constexpr NamedScheme kSchemes[] = {{"cl100k_base", Scheme::cl100k}, {"llama3", Scheme::llama3},
                                    {"gpt2", Scheme::gpt2},          {"gpt2_digits", Scheme::gpt2_digits},
                                    {"o200k_base", Scheme::o200k},   {"whitespace", Scheme::whitespace},
                                    {"none", Scheme::none}};

// Ends of the pieces in bytes of UTF-8, and the branch that cut each; `plain` uses `cut_one` only.
nb::tuple split(nb::handle object, const std::string& scheme, unsigned digits, bool plain) {
    const Rules rules = make_rules(scheme, digits);
    Buffer<Byte> scratch;
    const Utf8 text = to_utf8(text_of(object), scratch);
    std::vector<std::uint64_t> ends;
    std::vector<Byte> branches;
    std::size_t block[256];
    Splitter splitter(rules, text.data, text.size);
    for (std::size_t start = 0; start < text.size;) {
        const std::size_t before = ends.size();
        if (plain) {
            ends.push_back(cut_one(rules, text.data, start, text.size));
        } else {
            const std::size_t count = splitter.next(block, 256);
            ends.insert(ends.end(), block, block + count);
        }
        for (std::size_t i = before; i < ends.size(); ++i) {
            Branch branch;
            cut_one(rules, text.data, start, text.size, &branch);
            branches.push_back(static_cast<Byte>(branch));
            start = ends[i];
        }
    }
    return nb::make_tuple(to_array(ends.data(), ends.size()), to_array(branches.data(), branches.size()));
}

int import_numpy() {
    import_array1(-1);
    return 0;
}

}  // namespace

Rules make_rules(const std::string& scheme, unsigned digits) {
    if (digits > 8) throw nb::value_error("digits must be 0 (no bound) to 8");
    for (const NamedScheme& known : kSchemes) {
        if (scheme == known.name) return {known.scheme, digits};
    }
    throw nb::value_error(("no split scheme '" + scheme + "'").c_str());
}

}  // namespace glassmill

NB_MODULE(_core, module) {
    using namespace glassmill;
    using namespace nb::literals;
    nb::set_leak_warnings(false);  // a model that lives until the interpreter ends is no leak
    if (import_numpy() != 0) nb::raise_python_error();
    module.attr("UNICODE_VERSION") = unicode_version();
    module.attr("INSTRUCTION_SET") = name_of(instruction_set());
    nb::list sets;
    for (const InstructionSet set : instruction_sets()) sets.append(name_of(set));
    module.attr("INSTRUCTION_SETS") = nb::tuple(sets);
    module.def("split", &split, "text"_a, "scheme"_a, "digits"_a = 3, "plain"_a = false);
    bind_encoder(module);
    bind_train(module);
    bind_trainer(module);
    bind_html(module);
    bind_words(module);
    bind_dedup(module);
    bind_language(module);
    bind_model(module);
    bind_formats(module);
    bind_trace(module);
}
