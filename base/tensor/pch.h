#pragma once

// The one precompiled header. Every operator of LibTorch is in <torch/types.h>: parsing it anew costs about 6
// s a file.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <torch/types.h>
