#include <gmock/gmock.h>

// One thread, fixed seeds and no user folders: a test must give the same numbers on every machine and see
// none of its files.
int main(int argc, char** argv) {
  ::setenv("OMP_NUM_THREADS", "1", /*overwrite=*/0);
  ::setenv("OPENBLAS_NUM_THREADS", "1", /*overwrite=*/0);
  ::setenv("RC_PARAMS", "seed=20061122 max_success=60", /*overwrite=*/0);  // rapidcheck's cases
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
