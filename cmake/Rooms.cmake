# ddpm_add_room(<name> DIR <folder> SOURCES ... [PUBLIC ...] [PRIVATE ...] [TORCH])
#
# One static library per room. The link list is the architecture: a room sees what it links and nothing else.
# TORCH gives it LibTorch and the shared precompiled header.
function(ddpm_add_room name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TORCH" "" "SOURCES;PUBLIC;PRIVATE")
  add_library(ddpm_eval_${name} STATIC ${arg_SOURCES})
  add_library(ddpm_eval::${name} ALIAS ddpm_eval_${name})
  target_include_directories(ddpm_eval_${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(ddpm_eval_${name} PUBLIC ddpm_eval_flags ${arg_PUBLIC}
                        PRIVATE ddpm_eval_warnings ${arg_PRIVATE})
  if(arg_TORCH)
    ddpm_use_torch(ddpm_eval_${name})
  endif()
endfunction()

# The precompiled header is built once and shared, so every user needs the very same flags.
function(ddpm_use_torch target)
  target_link_libraries(${target} PUBLIC torch OpenMP::OpenMP_CXX)
  if(NOT TARGET ddpm_eval_pch)
    file(WRITE "${PROJECT_BINARY_DIR}/pch.cpp.tmp" "// Carrier of the precompiled header.\n")
    configure_file("${PROJECT_BINARY_DIR}/pch.cpp.tmp" "${PROJECT_BINARY_DIR}/pch.cpp" COPYONLY)
    add_library(ddpm_eval_pch STATIC "${PROJECT_BINARY_DIR}/pch.cpp")
    target_include_directories(ddpm_eval_pch PUBLIC "${PROJECT_SOURCE_DIR}")
    target_link_libraries(ddpm_eval_pch PUBLIC torch OpenMP::OpenMP_CXX fmt::fmt ddpm_eval_flags PRIVATE ddpm_eval_warnings)
    target_precompile_headers(ddpm_eval_pch PRIVATE "${PROJECT_SOURCE_DIR}/base/tensor/pch.h")
  endif()
  target_precompile_headers(${target} REUSE_FROM ddpm_eval_pch)
endfunction()

# ddpm_add_cuda_kernels(<room> <file.cu> ...)
#
# What a room computes on the GPU, in a library of its own: nvcc takes neither the flags nor the precompiled header of the
# room. Nothing where LibTorch has no CUDA; else the room sees DDPM_EVAL_WITH_CUDA.
function(ddpm_add_cuda_kernels room)
  if(NOT DDPM_EVAL_CUDA)
    return()
  endif()
  set(name ddpm_eval_${room}_cuda)
  add_library(${name} STATIC ${ARGN})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}" ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(${name} PUBLIC CUDA::cudart)
  set_target_properties(${name} PROPERTIES CUDA_RUNTIME_LIBRARY Shared)
  target_link_libraries(ddpm_eval_${room} PRIVATE ${name})
  target_compile_definitions(ddpm_eval_${room} PRIVATE DDPM_EVAL_WITH_CUDA)
endfunction()

# ddpm_add_tests(<room> SOURCES ... [LINK ...] [TORCH] [SHARDS n])
#
# One binary per room, and two ctest entries: <room> and, for suites whose name begins with Slow, <room>_slow. A room whose
# tests take long is split: <room>_1 ... <room>_n share the fast ones.
function(ddpm_add_tests room)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TORCH" "SHARDS" "SOURCES;LINK")
  add_executable(test_${room} ${arg_SOURCES} "${PROJECT_SOURCE_DIR}/tests/support/main.cpp")
  add_dependencies(all_tests test_${room})
  target_link_libraries(test_${room} PRIVATE ${arg_LINK} GTest::gmock GTest::gtest ddpm_eval_flags ddpm_eval_warnings)
  target_include_directories(test_${room} PRIVATE "${PROJECT_SOURCE_DIR}")
  if(arg_TORCH)
    ddpm_use_torch(test_${room})
  endif()
  set(environment "DDPM_EVAL_SOURCE_DIR=${PROJECT_SOURCE_DIR};DDPM_EVAL_BINARY=$<TARGET_FILE:ddpm-eval>")
  string(APPEND environment ";DDPM_EVAL_TEST_RECORDS=${PROJECT_BINARY_DIR}/test-records")
  set(limit 900)
  set(modification "")
  if(DDPM_EVAL_SANITIZE)
    set(limit 3600)  # sanitizers take several times as long
    # LibTorch asking for more memory than there is is an error, as without them, and no end of the process.
    set(modification ASAN_OPTIONS=path_list_append:allocator_may_return_null=1)
  endif()
  add_test(NAME ${room}_slow COMMAND test_${room} --gtest_filter=Slow*)
  set_tests_properties(${room}_slow PROPERTIES LABELS slow TIMEOUT ${limit} ENVIRONMENT "${environment}"
                       ENVIRONMENT_MODIFICATION "${modification}")
  if(NOT arg_SHARDS)
    set(arg_SHARDS 1)
  endif()
  foreach(shard RANGE 1 ${arg_SHARDS})
    set(name ${room})
    if(arg_SHARDS GREATER 1)
      string(APPEND name _${shard})
    endif()
    math(EXPR index "${shard} - 1")
    add_test(NAME ${name} COMMAND test_${room} --gtest_filter=-Slow*)
    set_tests_properties(${name} PROPERTIES LABELS fast TIMEOUT ${limit}
      ENVIRONMENT "${environment};GTEST_TOTAL_SHARDS=${arg_SHARDS};GTEST_SHARD_INDEX=${index}"
      ENVIRONMENT_MODIFICATION "${modification}")
  endforeach()
endfunction()
