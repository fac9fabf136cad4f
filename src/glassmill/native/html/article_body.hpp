// The article's text that a page states in its metadata (schema.org's `articleBody` in JSON-LD), as a hint at where the
// same words stand in the page.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace glassmill::html {

constexpr std::size_t kMaxArticleBody = 200'000;  // bytes

// The longest value of `"articleBody"` in a JSON text, unescaped; empty if there is none. Nothing else of it is parsed.
std::string article_body_in(std::string_view json);

class ArticleBody {
public:
    explicit ArticleBody(std::string_view text);

    bool known() const { return !grams_.empty(); }
    // The share of a text's runs of three words (of all words, if there are fewer) that the article has.
    float share_of(std::string_view text) const;

private:
    std::vector<std::uint64_t> grams_;  // hashes of runs of one, two and three words, sorted
};

}  // namespace glassmill::html
