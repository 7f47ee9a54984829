# Everything the project uses, found once. All of it is in Debian 12, and tools/install-deps.sh installs it; or it is in the
# bundle of tools/make-deps-bundle.sh, but for LibTorch.
find_package(OpenMP REQUIRED)
find_package(Torch REQUIRED)
find_package(OpenCV REQUIRED COMPONENTS core imgproc imgcodecs)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(LibArchive REQUIRED)
find_package(GIF REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(TIFF 4.5 REQUIRED)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
# ddpm_find_library(<name> <header>): the target ddpm_eval_<name>. For libraries that come without CMake files, or with such as ask
# for programs that Debian packages apart.
function(ddpm_find_library name header)
  find_library(DDPM_EVAL_LIB_${name} ${name} REQUIRED)
  find_path(DDPM_EVAL_HEADERS_OF_${name} ${header} REQUIRED)
  add_library(ddpm_eval_${name} INTERFACE IMPORTED GLOBAL)
  target_link_libraries(ddpm_eval_${name} INTERFACE "${DDPM_EVAL_LIB_${name}}")
  target_include_directories(ddpm_eval_${name} INTERFACE "${DDPM_EVAL_HEADERS_OF_${name}}")
endfunction()
ddpm_find_library(zip zip.h)
ddpm_find_library(webp webp/decode.h)
# What static ones need, which do not say so.
target_link_libraries(ddpm_eval_zip INTERFACE ZLIB::ZLIB)
target_link_libraries(LibArchive::LibArchive INTERFACE ZLIB::ZLIB)
target_link_libraries(TIFF::TIFF INTERFACE JPEG::JPEG ZLIB::ZLIB)
find_package(Eigen3 REQUIRED NO_MODULE)
# LibTorch 2 brings the headers of a fmt of its own, which its include path puts before the one that is linked.
if(Torch_VERSION VERSION_GREATER_EQUAL 2 AND EXISTS "${TORCH_INSTALL_PREFIX}/include/fmt/format.h")
  get_target_property(fmt_headers fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/include")
  file(CREATE_LINK "${fmt_headers}/fmt" "${PROJECT_BINARY_DIR}/include/fmt" SYMBOLIC)
  target_include_directories(ddpm_eval_flags BEFORE INTERFACE "${PROJECT_BINARY_DIR}/include")
  # PyPI's libtorch.so exports a std::filesystem::remove_all of its own, whose parts are missing: the system's first.
  target_link_options(ddpm_eval_flags INTERFACE "SHELL:-Wl,--push-state,--no-as-needed -lstdc++ -Wl,--pop-state")
endif()
find_library(DDPM_EVAL_LAPACKE lapacke)
find_library(DDPM_EVAL_BLAS NAMES openblas blas)
# LibTorch's own library of convolutions, called directly. Its next version is another interface.
find_library(DDPM_EVAL_ONEDNN dnnl)
find_path(DDPM_EVAL_ONEDNN_HEADERS oneapi/dnnl/dnnl_version.h)
if(DDPM_EVAL_ONEDNN AND DDPM_EVAL_ONEDNN_HEADERS)
  file(STRINGS "${DDPM_EVAL_ONEDNN_HEADERS}/oneapi/dnnl/dnnl_version.h" onednn_version REGEX "DNNL_VERSION_MAJOR 2")
endif()
if(NOT onednn_version OR Torch_VERSION VERSION_GREATER_EQUAL 2)  # LibTorch 2 has a oneDNN 3 inside
  set(DDPM_EVAL_ONEDNN "")
endif()
# What processes on CPUs talk through is inside of LibTorch. Its headers include Gloo's, which PyPI's wheel lacks; those of
# another version would be another interface.
find_path(DDPM_EVAL_GLOO_HEADERS gloo/context.h)
set(DDPM_EVAL_GLOO OFF)
if(DDPM_EVAL_GLOO_HEADERS AND Torch_VERSION VERSION_LESS 2)
  set(DDPM_EVAL_GLOO ON)
endif()
# Kernels for CUDA, where LibTorch has it.
set(DDPM_EVAL_CUDA OFF)
if(TARGET torch_cuda)  # its CMake files have enabled the language, for the chips of TORCH_CUDA_ARCH_LIST
  # CMake 3.25.1's module fails where CUDA has no nvToolsExt, for projects that ask for 3.25.
  set(minimum "${CMAKE_MINIMUM_REQUIRED_VERSION}")
  set(CMAKE_MINIMUM_REQUIRED_VERSION 3.24)
  find_package(CUDAToolkit REQUIRED)
  set(CMAKE_MINIMUM_REQUIRED_VERSION "${minimum}")
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know nvcc 13's
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(DDPM_EVAL_CUDA ON)
endif()
# And what processes on cards talk through, with the header of the wheel that LibTorch loads it from: another version's is
# another interface.
find_path(DDPM_EVAL_NCCL_HEADERS nccl.h PATHS "${TORCH_INSTALL_PREFIX}/../nvidia/nccl/include" NO_DEFAULT_PATH)
set(DDPM_EVAL_NCCL OFF)
if(DDPM_EVAL_CUDA AND DDPM_EVAL_NCCL_HEADERS AND Torch_VERSION VERSION_GREATER_EQUAL 2)
  set(DDPM_EVAL_NCCL ON)
endif()
if(BUILD_TESTING)
  find_package(GTest REQUIRED)
  find_package(rapidcheck CONFIG REQUIRED)
endif()
if(DDPM_EVAL_BUILD_BENCH)
  find_package(benchmark REQUIRED)
endif()

get_target_property(DDPM_EVAL_TORCH_DEFS torch INTERFACE_COMPILE_OPTIONS)
if("${DDPM_EVAL_TORCH_DEFS} ${TORCH_CXX_FLAGS}" MATCHES "_GLIBCXX_USE_CXX11_ABI=0")
  message(FATAL_ERROR "This LibTorch uses the old C++ ABI and cannot be linked with Debian's libraries; "
                      "use Debian's libtorch-dev or a cxx11-abi archive")
endif()
