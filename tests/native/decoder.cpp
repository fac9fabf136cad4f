// The decoder and its team of threads: rows that come, grow, part and go at random, each compared with itself alone; a
// team without threads, and over fork(). Prints what went wrong. decoder ROUNDS SEED
#include "model/decoder.hpp"

#include <cstdio>
#include <cstdlib>
#include <list>
#include <random>

#include "model/formats.hpp"

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define REAL_PROCESS 1  // the sanitizers stop at a fork with threads
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace glassmill;
using namespace glassmill::model;

namespace {

std::mt19937 source;

std::size_t below(std::size_t bound) { return source() % bound; }

void require(bool good, const char* what) {
    if (good) return;
    std::fprintf(stderr, "%s\n", what);
    std::_Exit(1);
}

void fill(Decoder& decoder, const char* name, std::size_t layer, std::size_t rows, std::size_t columns, Format format) {
    std::vector<float> values(rows * columns);
    for (float& value : values) value = std::normal_distribution<float>(rows == 1 ? 1.0f : 0.0f, 0.15f)(source);
    values.shrink_to_fit();  // so that reading beyond the end is seen
    decoder.set(name, layer, {Stored::f32, values.data(), rows, columns}, format);
}

void fill(Decoder& decoder, Format format) {
    const Shape& s = decoder.shape();
    const std::size_t D = s.d_model, queries = s.heads * s.head_dim, keys = s.kv_heads * s.head_dim;
    fill(decoder, "embedding", 0, s.vocab_size, D, format);
    if (!s.tied) fill(decoder, "head", 0, s.vocab_size, D, format);
    fill(decoder, "norm", 0, 1, D, format);
    for (std::size_t layer = 0; layer < s.layers; ++layer) {
        fill(decoder, "input_norm", layer, 1, D, format), fill(decoder, "post_norm", layer, 1, D, format);
        fill(decoder, "q", layer, queries, D, format), fill(decoder, "o", layer, D, queries, format);
        fill(decoder, "k", layer, keys, D, format), fill(decoder, "v", layer, keys, D, format);
        fill(decoder, "gate", layer, s.d_ff, D, format), fill(decoder, "up", layer, s.d_ff, D, format);
        fill(decoder, "down", layer, D, s.d_ff, format);
        if (s.qk_norm) fill(decoder, "q_norm", layer, 1, s.head_dim, format);
        if (s.qk_norm) fill(decoder, "k_norm", layer, 1, s.head_dim, format);
        if (s.qkv_bias) fill(decoder, "q_bias", layer, 1, queries, format);
        if (s.qkv_bias)
            fill(decoder, "k_bias", layer, 1, keys, format), fill(decoder, "v_bias", layer, 1, keys, format);
    }
    decoder.check_complete();
}

std::vector<float> logits_alone(Decoder& decoder, const std::vector<std::uint32_t>& text) {
    Row row(decoder.cache());
    std::vector<float> logits(decoder.shape().vocab_size);
    std::vector<Piece> pieces{{&row, text.data(), text.size(), 1, logits.data(), nullptr}};
    decoder.forward(pieces);
    return logits;
}

struct Text {
    explicit Text(Cache& cache) : row(cache) {}
    Row row;
    std::vector<std::uint32_t> ids;
};

void random_step(Decoder& decoder, std::list<Text>& texts) {
    const std::size_t action = below(10);
    auto chosen = texts.begin();
    if (!texts.empty()) std::advance(chosen, below(texts.size()));
    if (action == 0 && texts.size() < 9) {
        texts.emplace_back(decoder.cache());
    } else if (action == 1 && !texts.empty()) {
        texts.erase(chosen);
    } else if (action == 2 && !texts.empty()) {
        chosen->ids.resize(below(chosen->ids.size() + 1));
        chosen->row.truncate(chosen->ids.size());
    } else if (action == 3 && !texts.empty() && texts.size() < 9) {
        Text& fork = texts.emplace_back(decoder.cache());
        fork.ids.assign(chosen->ids.begin(), chosen->ids.begin() + static_cast<long>(below(chosen->ids.size() + 1)));
        chosen->row.copy_to(fork.row, fork.ids.size());
    } else {
        const std::size_t longest = below(4) ? 1 : below(20) ? 9 : 300;
        const std::size_t V = decoder.shape().vocab_size;
        std::vector<std::vector<float>> logits(texts.size());
        std::vector<std::uint32_t> best(texts.size());
        std::vector<std::vector<std::uint32_t>> ids;
        std::vector<Piece> pieces;
        for (Text& text : texts) {
            ids.emplace_back(1 + below(longest));
            for (std::uint32_t& id : ids.back()) id = static_cast<std::uint32_t>(below(V));
            text.ids.insert(text.ids.end(), ids.back().begin(), ids.back().end());
            const std::size_t number = pieces.size();
            logits[number].resize(V);
            const bool greedy = below(3) == 0;
            pieces.push_back({&text.row, nullptr, ids.back().size(), 1, greedy ? nullptr : logits[number].data(),
                              greedy ? &best[number] : nullptr});
        }
        for (std::size_t i = 0; i < pieces.size(); ++i) pieces[i].ids = ids[i].data();
        decoder.forward(pieces);
        std::size_t i = 0, looked = below(texts.size() + 1);
        for (Text& text : texts) {
            require(text.row.length() == text.ids.size(), "a row has another length than its text");
            if (i == looked) {
                const std::vector<float> alone = logits_alone(decoder, text.ids);
                std::size_t likeliest = 0;
                for (std::size_t id = 0; id < V; ++id) likeliest = alone[id] > alone[likeliest] ? id : likeliest;
                require(pieces[i].best ? best[i] == likeliest : logits[i] == alone, "a row is not itself alone");
            }
            ++i;
        }
    }
}

std::size_t spin_and_count(Team& team, int rounds) {
    std::vector<std::size_t> items(77);  // plain: an item that two members took is a race
    auto work = [&](unsigned member) {
        for (int round = 0; round < rounds; ++round)
            team.share(member, items.size(), [&](std::size_t i) { ++items[i]; });
    };
    team.run(work, below(2) == 0);
    std::size_t total = 0;
    for (const std::size_t times : items) total += times;
    return total;
}

void check_team() {
    for (unsigned threads : {1u, 2u, 3u, 7u}) {
        Team team(threads);
        for (int run = 0; run < 20; ++run) require(spin_and_count(team, 30) == 77 * 30, "an item was not done once");
    }
#ifdef REAL_PROCESS
    Team team(3);
    spin_and_count(team, 3);
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);  // ends a child that waits for ever
        require(spin_and_count(team, 30) == 77 * 30, "a forked child's team is not its own");
        std::_Exit(0);
    }
    int status = 1;
    waitpid(child, &status, 0);
    require(status == 0, "a forked child failed");
    require(spin_and_count(team, 30) == 77 * 30, "the parent's team is gone after a fork");
#endif
}

}  // namespace

int main(int, char** given) {
    const int rounds = std::atoi(given[1]);
    source.seed(static_cast<unsigned>(std::atoi(given[2])));
    check_team();
    const Shape shapes[] = {{97, 48, 2, 4, 2, 16, 80, 1e-6f, true, false, true},
                            {50, 33, 1, 6, 3, 10, 21, 1e-5f, false, true, false}};
    for (const Shape& shape : shapes) {
        for (const Format format : {Format::f32, Format::bf16}) {
            Decoder decoder(shape, {std::vector<float>(shape.head_dim / 2, 0.1f), 1.0f}, format, 3);
            fill(decoder, format);
            std::list<Text> texts;
            for (int round = 0; round < rounds; ++round) random_step(decoder, texts);
            texts.clear();
        }
    }
}
