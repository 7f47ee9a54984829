# Writes build_info.cpp from its template, and only if that changes it. Included when configuring, for the linter, and
# run again by every build (cmake -P), so that records never name an old commit or a clean tree that is not.
find_package(Git QUIET)
set(DDPM_EVAL_COMMIT "")
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C "${BUILD_INFO_SOURCE_DIR}" describe --always --dirty --abbrev=12
                  OUTPUT_VARIABLE DDPM_EVAL_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(DDPM_EVAL_COMMIT STREQUAL "")
  set(DDPM_EVAL_COMMIT "unknown")
endif()
configure_file("${BUILD_INFO_TEMPLATE}" "${BUILD_INFO_OUTPUT}" @ONLY)
