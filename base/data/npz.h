#pragma once

#include "base/data/byte_stream.h"
#include "base/data/zip_archive.h"
#include "base/data/zip_writer.h"
#include "base/tensor/named_tensor.h"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// NumPy's zip of arrays: member "<key>.npy" for each key; anything else in it is ignored by NumPy's users.
namespace ddpm_eval::data {

/// Reads an archive through libzip, stored or deflated members. Every call throws DataError naming the file
/// and the member for an archive that is damaged, encrypted or not a zip.
class NpzReader {
 public:
  explicit NpzReader(const std::filesystem::path& path);

  /// Keys of the arrays, without ".npy", in the order of the archive.
  const std::vector<std::string>& names() const { return names_; }
  bool contains(std::string_view key) const;

  /// The array. An absent key is a DataError that lists the keys that are there; so is an array of more than
  /// `max_bytes`.
  at::Tensor read(std::string_view key, uint64_t max_bytes = uint64_t{4} << 30) const;

  /// The array's .npy file as a stream whose memory does not depend on its size. Reading its last byte checks
  /// its CRC. The stream must not outlive the reader, and one is open at a time.
  std::unique_ptr<ByteStream> open(std::string_view key) const;

  /// Whether there is a member of that full name.
  bool has_member(const std::string& member) const;

  /// A text member by its full name ("provenance.json"), or empty if there is none. At most 16 MB.
  std::string read_text(const std::string& member) const;

 private:
  std::unique_ptr<ByteStream> open_member(const std::string& member) const;

  std::filesystem::path path_;
  ZipArchive zip_;
  std::vector<std::string> names_;
};

struct TextMember {
  std::string name;  ///< "provenance.json"
  std::string text;
};

/// Adds an array to an archive, as numpy.savez does.
void add_array(ZipWriter& zip, const std::string& name, const at::Tensor& array);

/// Writes an uncompressed archive as numpy.savez does, plus `texts` as members of their own. Appears whole or
/// not at all; throws ResourceError.
void write_npz(const std::filesystem::path& target, const tensor::NamedTensors& arrays,
               const std::vector<TextMember>& texts = {});

}  // namespace ddpm_eval::data
