#include "base/data/palette.h"

#include "base/core/error.h"

#include <algorithm>

namespace ddpm_eval::data {
namespace {

/// A colour of the pixels and how many have it.
struct Counted {
  uint32_t packed = 0;
  int64_t count = 0;
};

uint32_t pack(const Colour& colour) {
  return static_cast<uint32_t>(colour[0]) << 16 | static_cast<uint32_t>(colour[1]) << 8 | colour[2];
}

int channel(uint32_t packed, int c) { return static_cast<int>(packed >> (16 - 8 * c) & 0xff); }

/// A range of the counted colours that will show as one.
struct Box {
  size_t begin = 0;
  size_t end = 0;
  double deviation = 0;  ///< squared, along the widest channel, over all pixels
  int widest = 0;
};

Box measured(const std::vector<Counted>& colours, size_t begin, size_t end) {
  Box box{begin, end, 0, 0};
  for (int c = 0; c < 3; ++c) {
    double count = 0, sum = 0, squares = 0;
    for (size_t i = begin; i < end; ++i) {
      const auto n = static_cast<double>(colours[i].count), value = double(channel(colours[i].packed, c));
      count += n;
      sum += n * value;
      squares += n * value * value;
    }
    const double deviation = squares - sum * sum / count;
    if (deviation > box.deviation) {
      box.deviation = deviation;
      box.widest = c;
    }
  }
  return box;
}

/// Sorts the box along its widest channel and returns where its second half begins; neither half is empty.
size_t cut_at_median(std::vector<Counted>& colours, const Box& box) {
  const auto first = colours.begin() + static_cast<std::ptrdiff_t>(box.begin);
  const auto last = colours.begin() + static_cast<std::ptrdiff_t>(box.end);
  std::sort(first, last, [&](const Counted& a, const Counted& b) {
    const int left = channel(a.packed, box.widest), right = channel(b.packed, box.widest);
    return left != right ? left < right : a.packed < b.packed;
  });
  int64_t total = 0;
  std::for_each(first, last, [&](const Counted& colour) { total += colour.count; });
  int64_t below = 0;
  size_t at = box.begin;
  while (at + 1 < box.end && (at == box.begin || 2 * (below + colours[at].count) <= total)) {
    below += colours[at++].count;
  }
  return at;
}

Colour mean_of(const std::vector<Counted>& colours, const Box& box) {
  Colour mean{};
  for (int c = 0; c < 3; ++c) {
    int64_t count = 0, sum = 0;
    for (size_t i = box.begin; i < box.end; ++i) {
      count += colours[i].count;
      sum += colours[i].count * channel(colours[i].packed, c);
    }
    mean[static_cast<size_t>(c)] = static_cast<uint8_t>((2 * sum + count) / (2 * count));
  }
  return mean;
}

std::vector<Counted> count_colours(std::span<const Colour> pixels) {
  std::vector<uint32_t> packed(pixels.size());
  std::transform(pixels.begin(), pixels.end(), packed.begin(), pack);
  std::sort(packed.begin(), packed.end());
  std::vector<Counted> colours;
  for (const uint32_t colour : packed) {
    if (colours.empty() || colours.back().packed != colour) {
      colours.push_back({colour, 0});
    }
    ++colours.back().count;
  }
  return colours;
}

}  // namespace

Palette Palette::greys(int64_t levels) {
  DDPM_CHECK(levels >= 2 && levels <= 256, "{} greys", levels);
  Palette palette;
  for (int64_t i = 0; i < levels; ++i) {
    const auto grey = static_cast<uint8_t>((2 * 255 * i + levels - 1) / (2 * (levels - 1)));
    palette.colours_.push_back({grey, grey, grey});
  }
  palette.exact_ = levels == 256;
  return palette;
}

Palette Palette::of_pixels(std::span<const Colour> pixels, int64_t size) {
  DDPM_CHECK(size >= 2 && size <= 256 && !pixels.empty(), "{} colours of {} pixels", size, pixels.size());
  auto colours = count_colours(pixels);
  std::vector<Box> boxes;
  Palette palette;
  palette.exact_ = colours.size() <= static_cast<size_t>(size);
  if (palette.exact_) {
    for (size_t i = 0; i < colours.size(); ++i) {
      boxes.push_back({i, i + 1, 0, 0});
    }
  } else {
    boxes.push_back(measured(colours, 0, colours.size()));
    while (boxes.size() < static_cast<size_t>(size)) {
      const auto box = std::max_element(boxes.begin(), boxes.end(),
                                        [](const Box& a, const Box& b) { return a.deviation < b.deviation; });
      const size_t end = box->end;
      const size_t middle = cut_at_median(colours, *box);
      *box = measured(colours, box->begin, middle);
      boxes.push_back(measured(colours, middle, end));
    }
  }
  for (const auto& box : boxes) {
    for (size_t i = box.begin; i < box.end; ++i) {
      palette.entries_.push_back({colours[i].packed, static_cast<uint8_t>(palette.colours_.size())});
    }
    palette.colours_.push_back(mean_of(colours, box));
  }
  std::sort(palette.entries_.begin(), palette.entries_.end(),
            [](const Entry& a, const Entry& b) { return a.packed < b.packed; });
  return palette;
}

uint8_t Palette::index_of(const Colour& colour) const {
  if (entries_.empty()) {
    const auto last = static_cast<int64_t>(colours_.size()) - 1;
    return static_cast<uint8_t>((2 * colour[0] * last + 255) / (2 * 255));
  }
  const auto found =
      std::lower_bound(entries_.begin(), entries_.end(), pack(colour),
                       [](const Entry& entry, uint32_t packed) { return entry.packed < packed; });
  DDPM_CHECK(found != entries_.end() && found->packed == pack(colour), "a colour that is not in the palette");
  return found->index;
}

}  // namespace ddpm_eval::data
