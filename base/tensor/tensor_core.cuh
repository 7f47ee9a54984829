#pragma once

#include <cstdint>

// Instructions of NVIDIA's chips from compute capability 8.0 on that CUDA C++ has no words for: copies to
// shared memory that do not wait, and products of small matrices in TF32 (PTX ISA: cp.async, mma.m16n8k8).
// Compiled by nvcc alone.
namespace ddpm_eval::tensor::cuda {

/// Copies four floats to shared memory in the background, or zeros where `given` is false; both addresses are
/// multiples of 16 bytes, and `from` is one that may be read in any case.
__device__ __forceinline__ void copy_four(float* to, const float* from, bool given) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  const int bytes = given ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(address), "l"(from), "r"(bytes)
               : "memory");
}

/// Ends a group of this thread's copies.
__device__ __forceinline__ void end_copies() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }

/// Waits for all groups of this thread but the last `Pending`.
template <int Pending>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(Pending) : "memory");
}

/// A float32 as the sum of two TF32 (11 bits each), but for 2^-23 of it and what is below float32's range.
struct Halves {
  uint32_t high;
  uint32_t low;
};

__device__ __forceinline__ uint32_t to_tf32(float x) {
  uint32_t rounded;
  asm("cvt.rna.tf32.f32 %0, %1;\n" : "=r"(rounded) : "f"(x));
  return rounded;
}

__device__ __forceinline__ Halves halves_of(float x) {
  const uint32_t high = to_tf32(x);
  return {high, to_tf32(x - __uint_as_float(high))};
}

/// d = a b of a warp: a [16][8], b [8][8], d [16][8]. A thread in lane 4 g + t holds a[g][t], a[g + 8][t],
/// a[g][t + 4], a[g + 8][t + 4]; b[t][g], b[t + 4][g]; d[g][2 t], d[g][2 t + 1], d[g + 8][2 t] and
/// d[g + 8][2 t + 1].
__device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%10, %10, %10, %10};\n"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(0.0F));
}

/// d += a b, likewise.
__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace ddpm_eval::tensor::cuda
