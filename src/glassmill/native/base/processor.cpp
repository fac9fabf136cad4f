#include "base/processor.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace glassmill {
namespace {

InstructionSet choose_set() {
    const std::vector<InstructionSet> sets = instruction_sets();
    const char* wanted = std::getenv("GLASSMILL_ISA");
    if (!wanted || !*wanted) return sets.back();
    std::string names;
    for (const InstructionSet set : sets) {
        if (name_of(set) == std::string(wanted)) return set;
        names += (names.empty() ? "" : ", ") + std::string(name_of(set));
    }
    throw std::invalid_argument("GLASSMILL_ISA=" + std::string(wanted) + " is not available here; available: " + names);
}

}  // namespace

const char* name_of(InstructionSet set) {
    constexpr const char* names[] = {"scalar", "neon", "avx2", "avx512", "avx512_bf16"};
    return names[static_cast<int>(set)];
}

std::vector<InstructionSet> instruction_sets() {
    std::vector<InstructionSet> sets{InstructionSet::scalar};
#if defined(__aarch64__)
    sets.push_back(InstructionSet::neon);
#elif defined(GLASSMILL_X86_KERNELS)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (avx2) sets.push_back(InstructionSet::avx2);
    if (avx512) sets.push_back(InstructionSet::avx512);
    if (avx512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16")) {
        sets.push_back(InstructionSet::avx512_bf16);
    }
#endif
    return sets;
}

InstructionSet instruction_set() {
    static const InstructionSet chosen = choose_set();
    return chosen;
}

}  // namespace glassmill
