# Flags for the project's own code, as two interface targets; nothing is appended to global variables.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# -O2 for every optimised build: published numbers must not depend on an optimisation level picked by hand.
set(CMAKE_CXX_FLAGS_RELEASE "-O2")

find_program(DDPM_EVAL_CCACHE ccache)
if(DDPM_EVAL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The sloppiness lets ccache see through the precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} ${DDPM_EVAL_CCACHE})
endif()

add_library(ddpm_eval_flags INTERFACE)
# No contraction and no fast-math: what is compiled here rounds as it is written. (LibTorch and BLAS choose kernels
# by the processor.)
target_compile_options(ddpm_eval_flags INTERFACE -ffp-contract=off -fpch-preprocess)
if(DDPM_EVAL_SANITIZE)
  # Names of folders outside of what is compiled: a night builds each commit in a folder of its own, and ccache knows it.
  target_compile_options(ddpm_eval_flags INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer -g1
                         -fdebug-prefix-map=${PROJECT_SOURCE_DIR}=.)
  target_link_options(ddpm_eval_flags INTERFACE -fsanitize=address,undefined)
endif()

add_library(ddpm_eval_warnings INTERFACE)
target_compile_options(ddpm_eval_warnings INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor
                       $<$<BOOL:${DDPM_EVAL_WERROR}>:-Werror>)
