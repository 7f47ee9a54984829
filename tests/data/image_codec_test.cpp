#include "base/data/image_codec.h"

#include "base/core/file_io.h"
#include "base/data/npy.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <cstring>
#include <fstream>

#include <zlib.h>

namespace ddpm_eval::data {
namespace {

using ::testing::HasSubstr;
using testing::TensorEq;
using testing::TensorNear;

std::string golden(const std::string& name) {
  return core::read_text(testing::source_dir() / "tests/golden/images" / name);
}

std::string problem_of(const std::string& bytes) {
  const DecodeOutcome outcome = decode_image(bytes);
  EXPECT_EQ(outcome.image_u8.defined(), outcome.problem.empty());
  EXPECT_EQ(outcome.problem.find('\n'), std::string::npos);
  return outcome.problem;
}

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

/// A PNG whose header claims another size; checksums are right.
std::string png_of_size(uint32_t width, uint32_t height) {
  std::string png = golden("rgb.png");
  png.replace(16, 8, big_endian(width) + big_endian(height));
  const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(png.data() + 12), 17);
  return png.replace(29, 4, big_endian(static_cast<uint32_t>(crc)));
}

class EveryImage : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryImage, HasPillowsPixels) {
  const DecodeOutcome outcome = decode_image(golden(GetParam()));
  ASSERT_EQ(outcome.problem, "");
  const at::Tensor want = parse_npy(golden(GetParam() + ".npy"), "golden").permute({2, 0, 1});
  EXPECT_THAT(outcome.image_u8, TensorNear(want, 0));
  EXPECT_EQ(outcome.header.cmyk, GetParam().starts_with("cmyk"));
  EXPECT_EQ(outcome.image_u8.scalar_type(), at::kByte);
  EXPECT_EQ(outcome.header.greyscale, GetParam().starts_with("grey") ||
                                          GetParam().find(".pbm") != std::string::npos ||
                                          GetParam().starts_with("bilevel") || GetParam() == "tiled.tiff" ||
                                          GetParam() == "packbits_white.tiff" || GetParam() == "fax.tiff");
  EXPECT_EQ(outcome.header.sixteen_bit, GetParam().find("16.") != std::string::npos);
  EXPECT_EQ(outcome.header.lossy,
            GetParam().ends_with(".jpg") || GetParam().starts_with("lossy") || GetParam() == "jpeg.tiff");
  EXPECT_EQ(outcome.header.alpha,
            (GetParam().find("alpha") != std::string::npos ||
             GetParam().find("transparent") != std::string::npos || GetParam().starts_with("rgba")) &&
                !GetParam().ends_with(".bmp"));
}

TEST_P(EveryImage, TruncatedAnywhereIsAProblem) {
  const std::string whole = golden(GetParam());
  size_t end = whole.size();
  // TIFF and WebP may end in padding, and a text bitmap in white space; all that matters lies before.
  if (GetParam().ends_with(".tiff") || GetParam().ends_with(".webp") || GetParam() == "plain.pbm") {
    end -= GetParam() == "fax.tiff" ? 4 : 2;
  }
  const size_t step = whole.size() > 1000 ? 7 : 1;
  for (size_t length = 0; length < end; length += step) {
    EXPECT_NE(problem_of(whole.substr(0, length)), "") << length << " of " << whole.size();
  }
}

TEST_P(EveryImage, DamageNeverCrashesAndTheLibrariesAreSilent) {
  const std::string whole = golden(GetParam());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  int problems = 0;
  for (size_t at = 0; at < whole.size(); at += 3) {
    for (const auto* bytes : {"\x91", "\xff\xff\xff\xff\xff\xff\xff\xff"}) {
      std::string damaged = whole;
      damaged.replace(at, std::min(std::strlen(bytes), whole.size() - at), bytes,
                      std::min(std::strlen(bytes), whole.size() - at));
      const auto [header, problem] = read_image_header(damaged);
      if (!problem.empty()) {
        ++problems;
      } else if (header.width * header.height < 1'000'000) {
        problems += problem_of(damaged).empty() ? 0 : 1;
      }
    }
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_GT(problems, 0);
}

INSTANTIATE_TEST_SUITE_P(
    ImageCodec, EveryImage,
    ::testing::Values("rgb.png", "rgba.png", "rgb_transparent_colour.png", "grey.png", "grey_alpha.png",
                      "bilevel.png", "palette.png", "palette_transparent.png", "grey16.png", "colour.jpg",
                      "progressive.jpg", "grey.jpg", "cmyk.jpg", "exif_rotated.jpg", "lossless.webp",
                      "lossless_alpha.webp", "lossy.webp", "lossy_alpha.webp", "rgb.tiff", "rgba.tiff",
                      "grey.tiff", "grey_alpha.tiff", "bilevel.tiff", "palette.tiff", "lzw.tiff",
                      "grey16.tiff", "tiled_lzw.tiff", "tiled.tiff", "planar_deflate.tiff", "planar16.tiff",
                      "packbits_white.tiff", "multiplied_alpha.tiff", "palette_tiled.tiff", "cmyk.tiff",
                      "fax.tiff", "jpeg.tiff", "turned2.tiff", "turned3.tiff", "turned4.tiff", "turned5.tiff",
                      "turned6.tiff", "turned7.tiff", "turned8.tiff", "rgb.bmp", "rgba.bmp", "palette.bmp",
                      "rgb.ppm", "grey.pgm", "bilevel.pbm", "plain.pbm", "rgb16.ppm"));

TEST(ImageCodec, PngGoesRound) {
  for (const int64_t channels : {1, 3}) {
    const at::Tensor image = torch::randint(0, 256, {channels, 9, 14}, torch::kUInt8);
    const auto png = encode_png(image);
    EXPECT_THAT(decode_image(png).image_u8, TensorEq(image.expand({3, 9, 14}).contiguous()));
    EXPECT_EQ(read_image_header(png).header.greyscale, channels == 1);
  }
}

TEST(ImageCodec, OtherFilesAreProblems) {
  EXPECT_EQ(problem_of(""), "empty file");
  EXPECT_THAT(problem_of("this is a text file named .png"), HasSubstr("not a PNG, JPEG"));
  EXPECT_THAT(problem_of("GIF89a\1\0\1\0"), HasSubstr("not a PNG, JPEG"));
  EXPECT_THAT(problem_of(std::string("\0\0\0\x0cjP  \r\n\x87\n", 12)),
              HasSubstr("not a PNG, JPEG"));  // JPEG 2000
  EXPECT_THAT(problem_of("P7\nWIDTH 1\n"), HasSubstr("not a PNG, JPEG"));
}

TEST(ImageCodec, SizesAreRefusedFromTheHeader) {
  EXPECT_EQ(problem_of(png_of_size(0, 5)), "an image of 0 x 5 pixels");
  EXPECT_EQ(problem_of(png_of_size(7, 0)), "an image of 7 x 0 pixels");
  EXPECT_THAT(problem_of(png_of_size(60000, 5)), HasSubstr("60000 x 5 pixels, more than the 32768 a side"));
  EXPECT_THAT(problem_of(png_of_size(5, 60000)), HasSubstr("more than the 32768 a side"));
  EXPECT_THAT(problem_of(png_of_size(32768, 32768)), HasSubstr("268435456 in all"));
  EXPECT_THAT(problem_of(png_of_size(0xffffffff, 0xffffffff)), HasSubstr("more than"));
  EXPECT_THAT(problem_of("P5 60000 1 255\n"), HasSubstr("60000 x 1 pixels"));
  EXPECT_THAT(problem_of("P5 0 1 255\n"), HasSubstr("0 x 1 pixels"));
  std::string jpeg = golden("colour.jpg");
  const size_t frame = jpeg.find("\xff\xc0");
  EXPECT_THAT(problem_of(std::string(jpeg).replace(frame + 5, 4, "\xea\x60\xea\x60")),
              HasSubstr("60000 x 60000"));
  EXPECT_THAT(problem_of(jpeg.replace(frame + 5, 2, std::string(2, '\0'))), HasSubstr("19 x 0 pixels"));
  std::string bmp = golden("rgb.bmp");
  EXPECT_THAT(problem_of(std::string(bmp).replace(18, 4, std::string("\x60\xea\0\0", 4))),
              HasSubstr("60000 x 5"));
  EXPECT_THAT(problem_of(bmp.replace(18, 4, "\xff\xff\xff\xff")), HasSubstr("-1 x 5"));
}

TEST(ImageCodec, ABrokenPngChecksumIsAProblem) {
  std::string png = golden("rgb.png");
  const size_t pixels = png.find("IDAT") + 10;
  png[pixels] = static_cast<char>(png[pixels] ^ 1);
  EXPECT_THAT(problem_of(png), HasSubstr("damaged PNG: wrong checksum"));
}

TEST(ImageCodec, ATiffOfManySamplesIsRefusedFromItsHeader) {
  std::string tiff = golden("rgb.tiff");
  const size_t field =
      tiff.find(std::string("\x15\x01\x03\x00\x01\x00\x00\x00", 8));  // SamplesPerPixel, a short
  ASSERT_NE(field, std::string::npos);
  tiff[field + 8] = 9;
  EXPECT_EQ(problem_of(tiff), "TIFF of 9 samples a pixel, more than the 8 that are read");
}

TEST(ImageCodec, DamagedPixelsOfATiffAreAProblemInTheWordsOfLibtiff) {
  struct {
    const char* name;
    size_t at;
    const char* words;
  } const kCases[] = {{"lzw.tiff", 20, "damaged TIFF: Using code not yet in table"},
                      {"tiled_lzw.tiff", 400, "damaged TIFF: Using code not yet in table"},
                      {"planar_deflate.tiff", 700, "damaged TIFF: ZIPDecode: "},
                      {"fax.tiff", 40, "damaged TIFF: Fax4Decode: "},
                      {"cmyk.tiff", 100, "damaged TIFF: ZIPDecode: "}};
  for (const auto& [name, at, words] : kCases) {
    const auto problem = problem_of(golden(name).replace(at, 8, 8, '\xff'));
    EXPECT_THAT(problem, ::testing::StartsWith(words)) << name;
  }
}

TEST(ImageCodec, AJpegIsReadAsPillowReadsIt) {
  const std::string jpeg = golden("colour.jpg");
  const at::Tensor whole = decode_image(jpeg).image_u8;
  // Bytes after the end, and between the parts before the pixels, are no damage.
  EXPECT_THAT(decode_image(jpeg + "more").image_u8, TensorEq(whole));
  EXPECT_THAT(decode_image(std::string(jpeg).insert(jpeg.find("\xff\xdb"), "odd")).image_u8, TensorEq(whole));
  // Its end is missing: the last part of the pixels would be grey.
  EXPECT_EQ(problem_of(jpeg.substr(0, jpeg.size() - 2)), "truncated");
  EXPECT_EQ(problem_of(jpeg.substr(0, jpeg.size() - 40)), "truncated");
  const size_t tables = jpeg.find("\xff\xc4");
  EXPECT_THAT(problem_of(std::string(jpeg).replace(tables + 5, 4, 4, '\xff')),
              HasSubstr("damaged JPEG: Bogus Huffman"));
  EXPECT_THAT(problem_of("\xff\xd8\xff\xd9"), HasSubstr("damaged JPEG: no picture in it"));
}

TEST(ImageCodec, AJpegOfTooManyScansIsRefused) {
  // Each scan says the same once more and costs a pass over the picture.
  std::string jpeg = golden("progressive.jpg");
  const size_t last = jpeg.rfind("\xff\xda");
  const std::string scan = jpeg.substr(last, jpeg.size() - 2 - last);
  std::string many;
  for (int i = 0; i < 600; ++i) {
    many += scan;
  }
  EXPECT_THAT(problem_of(jpeg.insert(last, many)), HasSubstr("damaged JPEG: "));
}

TEST(ImageCodec, DamagedPixelsOfAPngAreAProblemInTheWordsOfLibpng) {
  std::string png = golden("rgb.png");
  const size_t pixels = png.find("IDAT");
  const size_t length = static_cast<uint8_t>(png[pixels - 1]);  // short enough for one byte
  ASSERT_EQ(png.substr(pixels - 4, 3), std::string(3, '\0'));
  png.replace(pixels + 10, 8, 8, '\xff');
  const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(png.data() + pixels), 4 + length);
  png.replace(pixels + 4 + length, 4, big_endian(static_cast<uint32_t>(crc)));
  ::testing::internal::CaptureStderr();
  EXPECT_THAT(problem_of(png), HasSubstr("damaged PNG: bad adaptive filter value"));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(ImageCodec, ExtrasOfAPngDoNotMatterAndMakeNoNoise) {
  const std::string png = golden("rgb.png");
  // A colour profile that libpng would complain of on standard error, without naming the file.
  const std::string body = std::string("iCCPodd\0\0nonsense", 17);
  const auto sum = ::crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  const std::string chunk =
      big_endian(static_cast<uint32_t>(body.size() - 4)) + body + big_endian(static_cast<uint32_t>(sum));
  constexpr size_t kHeaderEnd = 33;
  ::testing::internal::CaptureStderr();
  const auto outcome = decode_image(png.substr(0, kHeaderEnd) + chunk + png.substr(kHeaderEnd));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(outcome.problem, "");
  EXPECT_THAT(outcome.image_u8, TensorEq(decode_image(png).image_u8));
}

TEST(ImageCodec, VariantsThatWouldComeOutWrongAreRefused) {
  EXPECT_THAT(problem_of("P5 1 1 15\n\x05"), HasSubstr("largest value of 15"));
  std::string bmp = golden("rgb.bmp");
  EXPECT_THAT(problem_of(std::string(bmp).replace(28, 1, "\x10")), HasSubstr("BMP of 16 bits"));
  EXPECT_THAT(problem_of(std::string(bmp).replace(30, 1, "\x01")), HasSubstr("compressed BMP"));
  EXPECT_THAT(problem_of(bmp.replace(14, 1, "\x29")), HasSubstr("BMP with a header of 41 bytes"));
  EXPECT_THAT(problem_of("P2 1 1 255 256\n"), HasSubstr("damaged PNM: a number above 255"));
  std::string jpeg = golden("colour.jpg");
  EXPECT_THAT(problem_of(jpeg.replace(jpeg.find("\xff\xc0") + 9, 1, "\x02")), HasSubstr("JPEG of 2 colours"));
  std::string webp = golden("lossy_alpha.webp");
  ASSERT_EQ(webp.substr(12, 4), "VP8X");
  webp[20] = static_cast<char>(webp[20] | 2);
  EXPECT_THAT(problem_of(webp), HasSubstr("animated WebP"));
}

}  // namespace
}  // namespace ddpm_eval::data
