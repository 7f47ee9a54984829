#include "eval/tensorboard.h"

#include "base/core/file_io.h"
#include "base/data/image_codec.h"

namespace ddpm_eval::eval {

TensorBoard::TensorBoard(bool wanted, int64_t step, const std::filesystem::path& folder)
    : file_(wanted ? std::make_unique<training::EventFile>(folder, step) : nullptr) {}

void TensorBoard::line(const training::LogLine& line) const {
  if (!file_) {
    return;
  }
  training::StepLog values = {{"train/loss", line.loss},
                              {"train/grad_norm", line.grad_norm},
                              {"train/clipped_share", line.clipped_share},
                              {"train/learning_rate", line.learning_rate},
                              {"train/images_per_second", line.images_per_second}};
  for (const auto& [name, value] : line.entries) {
    values["train/" + name] = value;
  }
  file_->scalars(line.step, values);
}

void TensorBoard::score(int64_t step, const std::string& metric, double value) const {
  if (file_) {
    file_->scalars(step, {{"score/" + metric, value}});
  }
}

void TensorBoard::grid(int64_t step, const std::filesystem::path& png) const {
  if (file_) {
    const auto bytes = core::read_file(png);
    const auto header = data::read_image_header(bytes).header;
    file_->image(step, "samples", {header.height, header.width, header.greyscale ? 1 : 3, bytes});
  }
}

}  // namespace ddpm_eval::eval
