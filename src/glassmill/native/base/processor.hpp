// Which instructions this processor has beyond those of its architecture, decided once.
//
// A kernel that gains from them is compiled once for each set, in a folder with the set's name (dedup/avx2/...), from
// one body. All of them give the same results; tests/native/test_instruction_sets.py compares them.
#pragma once

#include <vector>

namespace glassmill {

enum class InstructionSet {
    scalar,       // what every processor of the architecture has, SSE2 on x86-64
    neon,         // arm64
    avx2,         // x86-64 from here on; and FMA
    avx512,       // F, BW, DQ, VL
    avx512_bf16,  // and VNNI, BF16
};

const char* name_of(InstructionSet set);

// Those that this processor has and this build can use; the best is last.
std::vector<InstructionSet> instruction_sets();

// The best of them, or the one that the environment variable GLASSMILL_ISA names.
// Throws std::invalid_argument if that names none of them.
InstructionSet instruction_set();

// Of a kernel's versions, the best that `instruction_set` can run.
template <class Kernel>
Kernel* choose([[maybe_unused]] Kernel* scalar, [[maybe_unused]] Kernel* avx2, [[maybe_unused]] Kernel* avx512) {
    const InstructionSet set = instruction_set();
    return set >= InstructionSet::avx512 ? avx512 : set >= InstructionSet::avx2 ? avx2 : scalar;
}

// GLASSMILL_KERNEL(name): `choose` among scalar::name, avx2::name and avx512::name, as far as this build has them.
#ifdef GLASSMILL_X86_KERNELS
#define GLASSMILL_KERNEL(name) ::glassmill::choose(scalar::name, avx2::name, avx512::name)
#else
#define GLASSMILL_KERNEL(name) (&scalar::name)
#endif

}  // namespace glassmill
