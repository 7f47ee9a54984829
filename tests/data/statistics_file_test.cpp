#include "base/data/statistics_file.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/npz.h"
#include "tests/support/errors.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <limits>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

constexpr auto kProvenance = R"({"features":{"name":"net","preset":"pytorch-fid","dim":100},"count":200})";

class StatisticsFile : public ::testing::Test {
 protected:
  StatisticsFile() {
    mu_ = torch::rand({100}, torch::kFloat64);
    const at::Tensor x = torch::rand({200, 100}, torch::kFloat64);
    sigma_ = x.t().mm(x);
    sigma_ = (sigma_ + sigma_.t()) / 2;
  }
  std::string error(const at::Tensor& mu, const at::Tensor& sigma) {
    write_npz(dir_ / "s.npz", {{"mu", mu}, {"sigma", sigma}});
    return message_of<DataError>([&] { read_statistics(dir_ / "s.npz"); });
  }
  testing::TempDir dir_;
  at::Tensor mu_, sigma_;
};

TEST_F(StatisticsFile, GoesRound) {
  write_statistics(dir_ / "s.npz", {mu_, sigma_, kProvenance, {}});
  EXPECT_TRUE(is_statistics_file(dir_ / "s.npz"));
  const Statistics read = read_statistics(dir_ / "s.npz");
  EXPECT_THAT(read.mu, TensorEq(mu_));
  EXPECT_THAT(read.sigma, TensorEq(sigma_));
  EXPECT_EQ(read.provenance_json, kProvenance);
  EXPECT_EQ(read.name, (dir_ / "s.npz").string());
}

TEST_F(StatisticsFile, ImagesLieBesideThem) {
  const auto first = torch::randint(0, 256, {3, 3, 4, 5}, torch::kUInt8);
  const auto grey = torch::randint(0, 256, {2, 1, 4, 5}, torch::kUInt8);
  const at::Tensor mu_s = torch::rand({7}, torch::kFloat64), sigma_s = torch::eye(7, torch::kFloat64);
  const auto target = dir_ / "ref.npz";
  {
    ReferenceWriter writer(target);
    writer.add(first);
    writer.add(grey);
    EXPECT_THAT(
        message_of<DataError>([&] {
          writer.add(torch::zeros({1, 3, 5, 4}, torch::kUInt8));
        }),
        HasSubstr("ref.npz: an array holds images of one size, and after 5 of 5 x 4 comes one of 4 x 5"));
    EXPECT_FALSE(std::filesystem::exists(target));
    writer.finish({mu_, sigma_, kProvenance, {}}, SpatialStatistics{mu_s, sigma_s});
  }
  EXPECT_TRUE(is_statistics_file(target));
  EXPECT_TRUE(holds_images_too(target));
  const NpzReader archive(target);
  EXPECT_THAT(archive.read("arr_0"),
              TensorEq(torch::cat({first, grey.expand({2, 3, 4, 5})}).permute({0, 2, 3, 1})));
  EXPECT_THAT(archive.read("mu_s"), TensorEq(mu_s));
  EXPECT_THAT(archive.read("sigma_s"), TensorEq(sigma_s));
  EXPECT_THAT(read_statistics(target).sigma, TensorEq(sigma_));
  EXPECT_EQ(read_statistics(target).provenance_json, kProvenance);
  EXPECT_THAT(message_of<DataError>([&] {
                ReferenceWriter(dir_ / "none.npz").finish({mu_, sigma_, "", {}}, {});
              }),
              HasSubstr("none.npz: no images to write"));
  write_statistics(dir_ / "s.npz", {mu_, sigma_, kProvenance, {}});
  EXPECT_FALSE(holds_images_too(dir_ / "s.npz"));
}

TEST_F(StatisticsFile, OfSpatialFeaturesAreReadBesideTheOthers) {
  const at::Tensor mu_s = torch::rand({7}), sigma_s = torch::eye(7);
  write_npz(dir_ / "adm.npz", {{"mu", mu_}, {"sigma", sigma_}, {"mu_s", mu_s}, {"sigma_s", sigma_s}});
  EXPECT_THAT(read_statistics(dir_ / "adm.npz").mu, TensorEq(mu_));
  const Statistics spatial = read_statistics(dir_ / "adm.npz", StatisticsPart::kSpatial);
  EXPECT_THAT(spatial.mu, TensorEq(mu_s.to(torch::kFloat64)));
  EXPECT_THAT(spatial.sigma, TensorEq(sigma_s.to(torch::kFloat64)));
  write_npz(dir_ / "half.npz", {{"mu", mu_}, {"sigma", sigma_}, {"mu_s", mu_s}});
  EXPECT_THAT(message_of<DataError>([&] { read_statistics(dir_ / "half.npz", StatisticsPart::kSpatial); }),
              HasSubstr("need 'mu_s' and 'sigma_s'; 'sigma_s' is missing"));
}

TEST_F(StatisticsFile, WithoutSpatialOnesAreWhatTheyHold) {
  write_statistics(dir_ / "s.npz", {mu_, sigma_, kProvenance, {}});
  const Statistics read = read_statistics(dir_ / "s.npz", StatisticsPart::kSpatial);
  EXPECT_THAT(read.mu, TensorEq(mu_));
  EXPECT_EQ(read.provenance_json, kProvenance);
}

TEST_F(StatisticsFile, ReadsOtherToolsFilesInAnyMixOfPrecisions) {
  write_npz(dir_ / "s.npz",
            {{"arr_0", torch::zeros({2, 2})}, {"mu", mu_.to(torch::kFloat32)}, {"sigma", sigma_}});
  const Statistics read = read_statistics(dir_ / "s.npz");
  EXPECT_THAT(read.mu, TensorEq(mu_.to(torch::kFloat32).to(torch::kFloat64)));
  EXPECT_THAT(read.sigma, TensorEq(sigma_));
  EXPECT_EQ(read.provenance_json, "");
  const auto numpys = read_statistics(testing::source_dir() / "tests/golden/numpy_deflated.npz");
  EXPECT_EQ(numpys.sigma.sum().item<double>(), 24);
}

TEST_F(StatisticsFile, OtherArchivesAreNoStatistics) {
  write_npz(dir_ / "images.npz", {{"arr_0", mu_}});
  EXPECT_FALSE(is_statistics_file(dir_ / "images.npz"));
  EXPECT_FALSE(is_statistics_file(dir_ / "none.npz"));
  EXPECT_FALSE(is_statistics_file(dir_.path()));
  write_npz(dir_ / "half.npz", {{"mu", mu_}});
  EXPECT_THAT(message_of<DataError>([&] { read_statistics(dir_ / "half.npz"); }),
              HasSubstr("half.npz: statistics need 'mu' and 'sigma'; 'sigma' is missing, it holds mu"));
  EXPECT_TRUE(is_statistics_file(dir_ / "half.npz")) << "so that this is what users read";
  write_npz(dir_ / "both.npz", {{"arr_0", mu_}, {"mu", mu_}});
  EXPECT_FALSE(is_statistics_file(dir_ / "both.npz"));
}

TEST_F(StatisticsFile, ShapesAndDtypesMustFit) {
  EXPECT_THAT(error(mu_.narrow(0, 0, 99), sigma_),
              HasSubstr("'sigma' has shape [100, 100], where 'mu' asks for [99, 99]"));
  EXPECT_THAT(error(sigma_, sigma_), HasSubstr("'mu' has shape [100, 100]"));
  EXPECT_THAT(error(torch::zeros({0}), torch::zeros({0, 0})), HasSubstr("'mu' of shape [0] is empty"));
  EXPECT_THAT(error(mu_.to(torch::kInt64), sigma_), HasSubstr("'mu' is int64 [100]"));
}

TEST_F(StatisticsFile, ValuesMustBeFinite) {
  mu_[3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(error(mu_, sigma_), HasSubstr("'mu' holds nan at position 3"));
  mu_[3] = 0;
  sigma_[0][1] = std::numeric_limits<double>::infinity();
  EXPECT_THAT(error(mu_, sigma_), HasSubstr("'sigma' holds inf at position 1"));
  sigma_[0][1] = -1e308;
  EXPECT_THAT(error(mu_, sigma_),
              HasSubstr("'sigma' holds -1e+308 at position 1, of which distances overflow"));
}

TEST_F(StatisticsFile, SigmaMustBeSymmetricToOnePartInAHundredThousand) {
  const double largest = sigma_.abs().max().item<double>();
  sigma_[90][10] += 0.9e-5 * largest;
  write_statistics(dir_ / "s.npz", {mu_, sigma_, {}, {}});
  EXPECT_NO_THROW(read_statistics(dir_ / "s.npz"));
  sigma_[90][10] += 0.2e-5 * largest;
  EXPECT_THAT(error(mu_, sigma_), HasSubstr("'sigma' is not symmetric: entries (90, 10) and (10, 90)"));
}

TEST_F(StatisticsFile, NoCovarianceIsBeyondItsVariances) {
  const double bound = std::sqrt(sigma_[3][3].item<double>() * sigma_[5][5].item<double>());
  sigma_[3][5] = sigma_[5][3] = bound;
  write_npz(dir_ / "s.npz", {{"mu", mu_}, {"sigma", sigma_}});
  EXPECT_NO_THROW(read_statistics(dir_ / "s.npz"));
  sigma_[3][5] = sigma_[5][3] = -1.1 * bound;
  EXPECT_THAT(error(mu_, sigma_), HasSubstr("at (5, 3), more than variances of"));
}

TEST_F(StatisticsFile, NoVarianceIsNegative) {
  sigma_[7][7] = -0.25;
  EXPECT_THAT(error(mu_, sigma_),
              HasSubstr("'sigma' holds -0.25 at (7, 7), a negative variance; it is no covariance"));
  // What rounding leaves of a feature that hardly varies.
  sigma_[7] = 0;
  sigma_.select(1, 7).zero_();
  sigma_[7][7] = -1e-9;
  write_npz(dir_ / "rounded.npz", {{"mu", mu_}, {"sigma", sigma_}});
  EXPECT_NO_THROW(read_statistics(dir_ / "rounded.npz"));
}

TEST_F(StatisticsFile, CovariancesComputedInFloat32AreSymmetricEnough) {
  const at::Tensor x = torch::rand({20'000, 64}) * 3;
  const at::Tensor mean = x.mean(0);
  at::Tensor sigma = x.t().mm(x) / x.size(0) - mean.outer(mean);
  // As summation in another order would leave it.
  sigma[40][3] += 2e-6 * sigma.abs().max();
  write_npz(dir_ / "s.npz", {{"mu", mean}, {"sigma", sigma}});
  EXPECT_NO_THROW(read_statistics(dir_ / "s.npz"));
}

TEST_F(StatisticsFile, ProvenanceThatIsThereMustBeUsable) {
  const auto problem = [&](const std::string& provenance) {
    write_npz(dir_ / "s.npz", {{"mu", mu_}, {"sigma", sigma_}}, {{"provenance.json", provenance}});
    return message_of<DataError>([&] { read_statistics(dir_ / "s.npz"); });
  };
  const std::string deep =
      R"({"features":{"name":"net","x":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}}";
  for (const auto& text :
       {std::string(), std::string("{{{"), std::string("[1]"), std::string("null"), deep}) {
    EXPECT_THAT(problem(text), HasSubstr("s.npz: its provenance.json is no JSON object"));
  }
  EXPECT_THAT(problem("{}"), HasSubstr("does not say which features"));
  EXPECT_THAT(problem(R"({"features":"net"})"), HasSubstr("does not say which features"));
  EXPECT_THAT(problem(R"({"features":{"dim":100}})"), HasSubstr("does not name the features"));
  EXPECT_THAT(problem(R"({"features":{"name":7}})"), HasSubstr("has a name that is no text"));
  EXPECT_THAT(problem(R"({"features":{"name":"net","preset":null}})"),
              HasSubstr("has a preset that is no text"));
  for (const auto* dim : {"99", "-100", "\"100\"", "1e300"}) {
    EXPECT_THAT(problem(fmt::format(R"({{"features":{{"name":"net","dim":{}}}}})", dim)),
                HasSubstr("other features than the 100 of mu"));
  }
  const auto of_count = [&](const char* count) {
    return problem(fmt::format(R"({{"features":{{"name":"net"}},"count":{}}})", count));
  };
  for (const auto* count : {"0", "-5", "2.5", "\"200\"", "18446744073709551615", "null"}) {
    EXPECT_THAT(of_count(count), HasSubstr("has a count that is no positive number"));
  }
  EXPECT_THAT(of_count("1"), HasSubstr("s.npz: is of 1 image, which has no covariance"));
  for (const auto* count : {"1000000000001", "9223372036854775807"}) {
    EXPECT_THAT(of_count(count), HasSubstr(fmt::format("s.npz: its provenance.json has a count of {}, beyond "
                                                       "1000000000000",
                                                       count)));
  }
  EXPECT_THAT(problem(R"({"schema":2,"features":{"name":"net"}})"),
              HasSubstr("s.npz: written by a newer ddpm-eval (schema 2, this one reads 1)"));
  EXPECT_THAT(problem(R"({"schema":"1","features":{"name":"net"}})"),
              HasSubstr("has a schema that is no whole number"));
}

TEST_F(StatisticsFile, PartsThatAreThereMustBeItsOwn) {
  const auto problem = [&](const std::string& parts) {
    write_npz(
        dir_ / "s.npz", {{"mu", mu_}, {"sigma", sigma_}},
        {{"provenance.json", fmt::format(R"({{"features":{{"name":"net"}},"count":9,"parts":{}}})", parts)}});
    const auto message = message_of<DataError>([&] { read_statistics(dir_ / "s.npz"); });
    return message.substr(message.find("its provenance.json"));
  };
  const auto part = [](const std::string& count, char digit) {
    return fmt::format(R"({{"file":"x.npz","count":{},"mu_sha256":"{}"}})", count, std::string(64, digit));
  };
  const auto two = [&](const std::string& one, const std::string& other) {
    return problem(fmt::format("[{},{}]", one, other));
  };
  const auto good = part("5", 'a');
  for (const auto& none : {std::string("[]"), std::string("3"), "[" + good + "]", "{\"a\":" + good + "}"}) {
    EXPECT_THAT(problem(none), HasSubstr("has parts that are no list of two or more"));
  }
  EXPECT_THAT(two(good, "3"), HasSubstr("does not say which file parts[1] is"));
  EXPECT_THAT(two(good, R"({"file":3})"), HasSubstr("does not say which file parts[1] is"));
  for (const std::string count : {"1", "-4", "4.5", "\"4\"", "null", "1000000000001", "1e300"}) {
    EXPECT_THAT(two(part(count, 'b'), good),
                HasSubstr("has a count in parts[0] that is no number of images"));
  }
  EXPECT_THAT(two(good, R"({"file":"x","count":4})"),
              HasSubstr("has no mu_sha256, 64 hexadecimal digits, in parts[1]"));
  EXPECT_THAT(two(good, part("4", 'X')), HasSubstr("has no mu_sha256, 64 hexadecimal digits, in parts[1]"));
  EXPECT_THAT(two(good, part("4", 'a')), HasSubstr("has the measurement of parts[1] twice"));
  EXPECT_THAT(two(good, part("5", 'b')),
              HasSubstr("has parts of 10 images together, which is not its count"));
  EXPECT_THAT(
      two(good, R"({"file":"x","count":5,"mu_sha256":")" + std::string(64, 'b') + R"(","data":{"lossy":6}})"),
      HasSubstr("has more lossy images in parts[1] than images"));
  EXPECT_THAT(two(part("1000000000000", 'a'), part("1000000000000", 'b')),
              HasSubstr("has parts of 1000000000001 images together, which is not its count"));
  write_npz(dir_ / "s.npz", {{"mu", mu_}, {"sigma", sigma_}},
            {{"provenance.json", fmt::format(R"({{"features":{{"name":"net"}},"count":9,"parts":[{},{}]}})",
                                             good, part("4", 'b'))}});
  EXPECT_NO_THROW(read_statistics(dir_ / "s.npz"));
}

TEST_F(StatisticsFile, CutAnywhereIsADataError) {
  write_statistics(dir_ / "s.npz", {mu_, sigma_, kProvenance, {}});
  const std::string whole = core::read_text(dir_ / "s.npz");
  for (size_t length = 0; length < whole.size(); length += 997) {
    testing::put_file(dir_ / "cut.npz", std::string_view(whole).substr(0, length));
    message_of<DataError>([&] { read_statistics(dir_ / "cut.npz"); });
  }
}

TEST_F(StatisticsFile, AFullDiskIsAResourceError) {
  const testing::FileSizeLimit limit(10'000);
  EXPECT_THROW(write_statistics(dir_ / "s.npz", {mu_, sigma_, {}, {}}), core::ResourceError);
}

}  // namespace
}  // namespace ddpm_eval::data
