#include <gmock/gmock.h>

// One thread and no user folders: a test must give the same numbers on every machine and see none of its
// files.
int main(int argc, char** argv) {
  ::setenv("OMP_NUM_THREADS", "1", /*overwrite=*/0);
  ::setenv("OPENBLAS_NUM_THREADS", "1", /*overwrite=*/0);
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
