#pragma once

// For hot loops over plain arrays, in files of their own that see no LibTorch.

/// Compiles a function for several instruction sets, of which the processor's best is chosen when the program
/// loads. None contracts or reorders: equal bits everywhere. What is compiled so must be no template.
// Sanitizers do not get along with functions that are chosen while the program loads.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define DDPM_EVAL_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DDPM_EVAL_CLONES
#endif
/// Of what such a function calls, so that it is compiled with it.
#define DDPM_EVAL_INLINE __attribute__((always_inline)) inline
