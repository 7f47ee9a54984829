#include "base/data/cifar_archive.h"

#include "base/core/error.h"
#include "base/data/cifar10.h"
#include "base/data/cifar10_format.h"
#include "base/data/cifar_batch.h"
#include "base/data/source_spec.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/tar_bytes.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <string>
#include <vector>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using namespace std::string_literals;
using core::DataError;
using core::UsageError;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TarEntry;
using testing::TensorEq;

/// A file of a set: its images uint8 [n, 3, 32, 32] and labels.
struct SetFile {
  std::string name;
  at::Tensor images_u8;
  std::vector<int> labels;
};

SetFile file_of(const std::string& name, std::vector<int> labels) {
  const auto count = static_cast<int64_t>(labels.size());
  return {name, torch::randint(0, 256, {count, 3, 32, 32}, torch::kUInt8), std::move(labels)};
}

std::string bytes_of(const at::Tensor& array) {
  const at::Tensor whole = array.contiguous();
  return {static_cast<const char*>(whole.data_ptr()), whole.nbytes()};
}

/// The coarse label that CIFAR-100 has before the fine one is 7 everywhere.
std::string binary_of(const SetFile& file, bool hundred) {
  std::string bytes;
  for (size_t i = 0; i < file.labels.size(); ++i) {
    bytes += hundred ? "\x07"s : ""s;
    bytes += static_cast<char>(file.labels[i]);
    bytes += bytes_of(file.images_u8[static_cast<int64_t>(i)]);
  }
  return bytes;
}

// Opcodes of protocol 2 as Python 2's cPickle writes them, which made the official files.

std::string number(uint64_t value, int bytes) {
  std::string text;
  for (; bytes > 0; --bytes, value >>= 8) {
    text.push_back(static_cast<char>(value & 0xff));
  }
  return text;
}
std::string pickled(const std::string& text) {
  return (text.size() < 256 ? "U" + number(text.size(), 1) : "T" + number(text.size(), 4)) + text;
}
std::string pickled(int value) {
  return value < 256 ? "K" + number(uint64_t(value), 1) : "M" + number(uint64_t(value), 2);
}
std::string pickled(const std::vector<int>& values) {
  std::string text = "](";
  for (const int value : values) {
    text += pickled(value);
  }
  return text + "e";
}
/// uint8 of `shape`, the bytes in Fortran order or not.
std::string pickled_array(const std::string& shape, const std::string& bytes, bool fortran = false) {
  return "cnumpy.core.multiarray\n_reconstruct\nq\x06"s + "cnumpy\nndarray\nq\x07K\x00\x85U\x01"s +
         "b\x87Rq\x08(K\x01"s + shape +
         "cnumpy\ndtype\nq\tU\x02u1K\x00K\x01\x87Rq\n(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"s +
         (fortran ? "\x88"s : "\x89"s) + pickled(bytes) + "tb";
}
std::string shape_of(size_t count) { return pickled(static_cast<int>(count)) + pickled(3072) + "\x86"; }
std::string pickled_batch(const std::string& array, const std::string& labels, const char* key = "labels") {
  return "\x80\x02}q\x01("s + pickled("batch_label"s) + "q\x02" + pickled("training batch 1 of 5"s) +
         "q\x03" + pickled(std::string(key)) + "q\x04" + labels + pickled("data"s) + "q\x05" + array + "u.";
}
std::string pickled_file(const SetFile& file, bool hundred) {
  const auto array = pickled_array(shape_of(file.labels.size()), bytes_of(file.images_u8));
  return hundred
             ? pickled_batch(array, pickled(file.labels) + pickled("coarse_labels"s) + pickled(file.labels),
                             "fine_labels")
             : pickled_batch(array, pickled(file.labels));
}

class CifarArchive : public ::testing::Test {
 protected:
  CifarArchive() {
    for (int i = 1; i <= 5; ++i) {
      ten_.push_back(file_of("data_batch_" + std::to_string(i), {i, 0}));
    }
    ten_.push_back(file_of("test_batch", {9, 3, 4}));
    hundred_ = {file_of("train", {99, 0, 42}), file_of("test", {1})};
  }
  /// An official archive by its name, with more files in it that are not wanted; the last file first.
  std::string put_release(const std::string& name) {
    const bool hundred = name.find("100") != std::string::npos;
    const bool binary = name.find("binary") != std::string::npos;
    const std::string folder = hundred ? (binary ? "cifar-100-binary/" : "cifar-100-python/")
                                       : (binary ? "cifar-10-batches-bin/" : "cifar-10-batches-py/");
    std::vector<TarEntry> entries = {{folder, "", '5'}, {folder + "readme.html", "about"}};
    const auto& files = hundred ? hundred_ : ten_;
    for (auto file = files.rbegin(); file != files.rend(); ++file) {
      entries.push_back({folder + file->name + (binary ? ".bin" : ""),
                         binary ? binary_of(*file, hundred) : pickled_file(*file, hundred)});
    }
    testing::put_tar(dir_ / name, entries);
    return (dir_ / name).string();
  }
  /// CIFAR-10 in the Python version with one file replaced.
  std::string error_of(const std::string& name, const std::string& content) {
    std::vector<TarEntry> entries;
    for (const auto& file : ten_) {
      entries.push_back(
          {"cifar-10-batches-py/" + file.name, file.name == name ? content : pickled_file(file, false)});
    }
    testing::put_tar(dir_ / "damaged.tar.gz", entries);
    return message_of<DataError>([&] { load_cifar_archive(dir_ / "damaged.tar.gz", 10, Split::kTest); });
  }
  at::Tensor images(const std::vector<SetFile>& files) {
    std::vector<at::Tensor> parts;
    for (const auto& file : files) {
      parts.push_back(file.images_u8);
    }
    return torch::cat(parts);
  }

  testing::TempDir dir_;
  std::vector<SetFile> ten_, hundred_;
};

TEST_F(CifarArchive, BothVersionsOfCifar10AreThatOfTheFolder) {
  std::filesystem::create_directory(dir_ / "unpacked");
  for (const auto& file : ten_) {
    testing::put_file(dir_ / "unpacked" / (file.name + ".bin"), binary_of(file, false));
  }
  for (const char* name : {"cifar-10-binary.tar.gz", "cifar-10-python.tar.gz", "cifar-10-python.tar"}) {
    const auto path = put_release(name);
    for (const auto split : {Split::kTrain, Split::kTest}) {
      const auto set = load_cifar_archive(path, 10, split);
      const auto want = load_cifar10(dir_ / "unpacked", split);
      EXPECT_EQ(set.name, want.name);
      EXPECT_EQ(set.classes, 10);
      EXPECT_EQ(set.class_names, want.class_names);
      EXPECT_THAT(set.images_u8, TensorEq(want.images_u8)) << name;
      EXPECT_THAT(set.labels, TensorEq(want.labels)) << name;
    }
  }
}

TEST_F(CifarArchive, Cifar100HasItsFineLabels) {
  for (const char* name : {"cifar-100-binary.tar.gz", "cifar-100-python.tar.gz"}) {
    const auto path = put_release(name);
    const auto train = load_cifar_archive(path, 100, Split::kTrain);
    EXPECT_EQ(train.name, "cifar100:train");
    ASSERT_EQ(train.class_names.size(), 100U);
    EXPECT_TRUE(std::is_sorted(train.class_names.begin(), train.class_names.end()));
    EXPECT_EQ(train.class_names[42], "leopard");
    EXPECT_THAT(train.images_u8, TensorEq(hundred_[0].images_u8)) << name;
    EXPECT_THAT(train.labels, TensorEq(torch::tensor({99, 0, 42}, torch::kInt64))) << name;
    EXPECT_THAT(train.notes, ElementsAre(HasSubstr("holds 3 images, the official file 50,000")));
    EXPECT_THAT(load_cifar_archive(path, 100, Split::kTest).images_u8, TensorEq(hundred_[1].images_u8));
  }
}

TEST_F(CifarArchive, IsASourceByItsPathOrBehindItsName) {
  const auto path = put_release("renamed.tgz-cifar-10-python.tar.gz");
  EXPECT_EQ(parse_source(path).kind, SourceKind::kCifar10);
  EXPECT_EQ(resolved_name(parse_source(path)), "cifar10:train@" + path);
  EXPECT_THAT(load_image_dataset(parse_source(path)).images_u8, TensorEq(images(ten_).narrow(0, 0, 10)));
  for (const auto& words :
       {path + "?split=test", "cifar10:test@" + path, "cifar10:test@" + path + "?split=test"}) {
    const auto source =
        open_image_source(parse_source(words + (words.ends_with("gz") ? "?" : "&") + "first=1"));
    EXPECT_THAT(source->next(9), TensorEq(ten_[5].images_u8.narrow(0, 1, 2))) << words;
    EXPECT_THAT(source->labels(), TensorEq(torch::tensor({3, 4}, torch::kInt64)));
    const auto spec = parse_source(words);
    EXPECT_EQ(spec.name, "cifar10:test");
    EXPECT_EQ(parse_source(resolved_name(spec)).name, "cifar10:test");
  }
  const auto hundred = put_release("cifar-100-binary.tar.gz");
  EXPECT_EQ(parse_source(hundred + "?split=test").name, "cifar100:test");
  EXPECT_EQ(load_image_dataset(parse_source("cifar100@" + hundred)).images_u8.size(0), 3);

  const auto usage = [](const std::string& text) {
    return message_of<UsageError>([&] { parse_source(text); });
  };
  EXPECT_THAT(usage(path + "?split=valid"), HasSubstr("split=valid is not known; there are train and test"));
  EXPECT_THAT(usage("cifar10:train@" + path + "?split=test"),
              HasSubstr("split=test does not fit cifar10:train"));
  EXPECT_THAT(usage("cifar10?split=test"), HasSubstr("unknown key 'split'"));
}

TEST_F(CifarArchive, Cifar100IsFoundInTheHome) {
  const testing::Environment home("DDPM_EVAL_HOME", (dir_ / "home").string());
  EXPECT_THAT(
      message_of<DataError>([] { open_image_source(parse_source("cifar100")); }),
      HasSubstr("home/data/cifar-100-binary.tar.gz or cifar-100-python.tar.gz; put the official archive"));
  std::filesystem::create_directories(dir_ / "home/data");
  put_release("home/data/cifar-100-python.tar.gz");
  EXPECT_EQ(open_image_source(parse_source("cifar100:test"))->size(), 1);
}

TEST_F(CifarArchive, AnotherArchiveIsRefused) {
  const auto path = put_release("cifar-10-binary.tar.gz");
  EXPECT_THAT(message_of<DataError>([&] { load_cifar_archive(path, 100, Split::kTrain); }),
              HasSubstr("is no official archive of CIFAR-100 (cifar-100-binary.tar.gz or"));
  testing::put_tar(dir_ / "other.tar.gz", {{"faces/data_batch_1.bin", binary_of(ten_[0], false)}});
  EXPECT_FALSE(cifar_release(dir_ / "other.tar.gz"));
  EXPECT_FALSE(cifar_release(dir_ / "none.tar.gz"));
  testing::put_tar(dir_ / "part.tar.gz",
                   {{"./cifar-10-batches-bin/data_batch_1.bin", binary_of(ten_[0], false)}});
  EXPECT_THAT(message_of<DataError>([&] { load_cifar_archive(dir_ / "part.tar.gz", 10, Split::kTrain); }),
              HasSubstr("part.tar.gz: 'data_batch_2.bin' is missing from it"));
  const TarEntry batch = {"cifar-10-batches-bin/test_batch.bin", binary_of(ten_[5], false)};
  testing::put_tar(dir_ / "twice.tar.gz", {batch, batch});
  EXPECT_THAT(message_of<DataError>([&] { load_cifar_archive(dir_ / "twice.tar.gz", 10, Split::kTest); }),
              HasSubstr("twice.tar.gz: test_batch.bin: is in it twice"));
  testing::put_tar(dir_ / "link.tar.gz", {{batch.name, "", '2', "/etc/passwd"}});
  EXPECT_THAT(message_of<DataError>([&] { load_cifar_archive(dir_ / "link.tar.gz", 10, Split::kTest); }),
              HasSubstr("test_batch.bin: is no file of CIFAR-10"));
}

TEST_F(CifarArchive, PicklesThatAreNoBatchesAreRefused) {
  const auto& test = ten_[5];
  const auto array = pickled_array(shape_of(3), bytes_of(test.images_u8));
  const auto labels = pickled(test.labels);
  const auto refused = [&](const std::string& content, const std::string& problem) {
    EXPECT_THAT(error_of("test_batch", content),
                AllOf(HasSubstr("damaged.tar.gz: test_batch: "), HasSubstr(problem)));
  };
  refused("\x80\x02"s + "cos\nsystem\nU\x02ls\x85R.",
          "refuses to execute global 'os.system'; only the batches of CIFAR");
  refused("\x80\x02].", "it is no dict");
  refused("\x80\x02}.", "it has no 'data'");
  refused(pickled_batch(labels, labels), "its 'data' is no NumPy array");
  refused(pickled_batch(array, labels, "fine_labels"), "it has no 'labels'");
  refused(pickled_batch(pickled_array(pickled(3) + pickled(1024) + "\x86", "x"), labels),
          "is not of shape [n, 3072]");
  refused(pickled_batch(pickled_array(shape_of(4), bytes_of(test.images_u8)), labels),
          "another number of bytes");
  refused(pickled_batch(pickled_array(shape_of(0), ""), pickled(std::vector<int>())),
          "another number of bytes");
  refused(pickled_batch(array, pickled(std::vector<int>{1, 2})),
          "its 'labels' are no list of a label for each of its 3 images");
  refused(pickled_batch(array, pickled(std::vector<int>{1, 2, 10})),
          "label 10 in record 2, where 0 to 9 are possible");
  refused(pickled_batch(array, "](K\x01K\x01U\x01xe"), "its 'labels' are no integers");
  auto wide = array;
  wide.replace(wide.find("u1"), 2, "f4");
  refused(pickled_batch(wide, labels), "its 'data' is not uint8");
  const auto whole = pickled_batch(array, labels);
  refused(whole.substr(0, whole.size() / 2), "damaged pickle at byte");
}

TEST(CifarPickle, ArraysInFortranOrderAreRead) {
  const auto file = file_of("test_batch", {1, 2});
  const auto columns = bytes_of(file.images_u8.reshape({2, 3072}).t());
  const auto batch = parse_cifar_pickle(
      pickled_batch(pickled_array(shape_of(2), columns, true), pickled(file.labels)), "test_batch", 10);
  EXPECT_THAT(batch.images_u8, TensorEq(file.images_u8));
}

TEST(CifarBinary, RecordsAreChecked) {
  const auto bytes = binary_of(file_of("train", {1, 2}), true);
  EXPECT_EQ(parse_cifar_binary(bytes, "train.bin", 100).images_u8.size(0), 2);
  EXPECT_THAT(message_of<DataError>([&] { parse_cifar_binary(bytes, "train.bin", 10); }),
              HasSubstr("train.bin: 6148 bytes are no whole number of records of 3073"));
  EXPECT_THAT(message_of<DataError>([&] { parse_cifar_binary({}, "train.bin", 100); }), HasSubstr("0 bytes"));
  EXPECT_THAT(message_of<DataError>([&] {
                parse_cifar_binary(binary_of(file_of("train", {1, 100}), true), "train.bin", 100);
              }),
              HasSubstr("train.bin: label 100 in record 1, where 0 to 99 are possible"));
}

}  // namespace
}  // namespace ddpm_eval::data
