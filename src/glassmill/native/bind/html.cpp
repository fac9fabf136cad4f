#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <optional>

#include "bind/python.hpp"
#include "html/clean.hpp"
#include "html/content.hpp"

namespace glassmill {
namespace {

using namespace nb::literals;

nb::object string_of(std::string_view text) {
    PyObject* object = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
    if (!object) nb::raise_python_error();
    return nb::steal(object);
}

bool is_utf8_of(nb::bytes body) { return is_utf8(reinterpret_cast<const Byte*>(body.c_str()), body.size()); }

nb::object clean_of(nb::handle text) {
    Buffer<Byte> scratch;
    const Utf8 source = to_utf8(text_of(text), scratch);
    return string_of(html::clean({reinterpret_cast<const char*>(source.data), source.size}));
}

// Pages to text, with one model; keeps no state between pages.
class Extractor {
public:
    Extractor(nb::dict entities, std::vector<std::int32_t> features, std::vector<float> thresholds,
              std::vector<std::int32_t> yes, std::vector<std::int32_t> no, const std::vector<float>& leaves,
              const std::vector<std::int32_t>& roots, float least_words)
        : least_words_(least_words) {
        for (const auto& [name, text] : entities) entities_[nb::cast<std::string>(name)] = nb::cast<std::string>(text);
        std::size_t count = features.size();
        if (thresholds.size() != count || yes.size() != count || no.size() != count) {
            throw nb::value_error("features, thresholds, yes and no must have the same length");
        }
        std::vector<html::Node> nodes;
        for (std::size_t i = 0; i < count; ++i) nodes.push_back({features[i], thresholds[i], yes[i], no[i]});
        trees_.emplace(nodes, leaves, roots, html::feature_names().size());
    }

    nb::object text(nb::handle page, bool main_content) const {
        Buffer<Byte> scratch;
        const Utf8 source = to_utf8(text_of(page), scratch);
        std::string result;
        {
            nb::gil_scoped_release released;
            html::Page parsed = html::read_page(view(source), entities_);
            std::vector<bool> kept(parsed.blocks.size(), true);
            if (main_content && parsed.blocks.size() <= html::kMaxJudgedBlocks) {
                html::Features features = html::features_of(parsed);
                kept = html::choose(html::probabilities(*trees_, features), features.words, least_words_);
            }
            result = html::clean(html::render(parsed, kept));
        }
        return string_of(result);
    }

    // For each block: text, number of words, features (rows of float32, as bytes), probability, whether it is kept.
    nb::tuple blocks(nb::handle page) const {
        Buffer<Byte> scratch;
        const Utf8 source = to_utf8(text_of(page), scratch);
        html::Page parsed = html::read_page(view(source), entities_);
        html::Features features = html::features_of(parsed);
        std::vector<float> likely = html::probabilities(*trees_, features);
        std::vector<bool> kept = html::choose(likely, features.words, least_words_);
        nb::list texts;
        for (const html::Block& block : parsed.blocks) texts.append(string_of(parsed.text_of(block)));
        nb::bytes rows(reinterpret_cast<const char*>(features.values.data()), features.values.size() * sizeof(float));
        return nb::make_tuple(texts, features.words, rows, likely, kept);
    }

private:
    static std::string_view view(const Utf8& text) { return {reinterpret_cast<const char*>(text.data), text.size}; }

    html::Entities entities_;
    std::optional<html::Trees> trees_;
    float least_words_;
};

}  // namespace

void bind_html(nb::module_& module) {
    module.def("html_feature_names", &html::feature_names);
    module.def("clean", &clean_of, "text"_a);
    module.def("is_utf8", &is_utf8_of, "body"_a);
    nb::class_<Extractor>(module, "Extractor")
        .def(nb::init<nb::dict, std::vector<std::int32_t>, std::vector<float>, std::vector<std::int32_t>,
                      std::vector<std::int32_t>, std::vector<float>, std::vector<std::int32_t>, float>(),
             "entities"_a, "features"_a, "thresholds"_a, "yes"_a, "no"_a, "leaves"_a, "roots"_a, "least_words"_a)
        .def("text", &Extractor::text, "page"_a, "main_content"_a = true)
        .def("blocks", &Extractor::blocks, "page"_a);
}

}  // namespace glassmill
