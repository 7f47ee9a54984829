// The precompiled header as Clang must see it. LibTorch 1.13 moves a std::vector of a type that is still
// incomplete; with libstdc++ 12's constexpr vector Clang rejects that in C++20, though GCC accepts it. So
// vector, and what shares declarations with it, is read here with constexpr taken off: for linting only,
// never for a binary. The order of these lines is their purpose.
// clang-format off
#include <bits/allocator.h>
#include <tuple>
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR
#include <algorithm>
#include <vector>
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR constexpr

#include "base/tensor/pch.h"
