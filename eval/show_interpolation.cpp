#include "base/core/error.h"
#include "base/data/source_spec.h"
#include "eval/sheet.h"
#include "eval/show.h"

#include <algorithm>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

constexpr int64_t kLambdaFrames = 21;

/// One image of a source, as the model takes it: uint8 [C, H, W].
at::Tensor image_for(const ddpm::Model& model, const std::string& source, int64_t index) {
  auto spec = data::parse_source(source);
  if (index < 0 || (spec.subset.count && index >= *spec.subset.count)) {
    throw core::UsageError("--pair: {} is no index of an image of {}", index, source);
  }
  spec.subset.first += index;
  spec.subset.count = 1;
  auto image = data::load_image_dataset(spec).images_u8[0];
  if (model.row_shape[0] == 3) {
    image = image.expand({3, -1, -1});
  } else if (image.size(0) == 3 && image.eq(image.narrow(0, 0, 1)).all().item<bool>()) {
    image = image.narrow(0, 0, 1);
  }
  if (image.sizes() != at::IntArrayRef(model.row_shape)) {
    throw core::UsageError(
        "--data {}: image {} is {} x {} x {}, and the run makes {}", source, index, image.size(2),
        image.size(1), image.size(0),
        fmt::format("{} x {} x {}", model.row_shape[2], model.row_shape[1], model.row_shape[0]));
  }
  return image.contiguous();
}

std::vector<double> even_lambdas(int64_t count) {
  std::vector<double> lambdas;
  for (int64_t k = 0; k < count; ++k) {
    lambdas.push_back(static_cast<double>(k) / static_cast<double>(count - 1));
  }
  return lambdas;
}

/// The request with nothing left open.
InterpolationRequest completed(InterpolationRequest request, const LoadedRun& run) {
  if (request.data.empty()) {
    request.data = run.record.at("data").get<std::string>();
  }
  if (request.levels.empty()) {
    request.levels = {run.model.process.steps() / 2};
  }
  if (request.lambdas.empty()) {
    request.lambdas = even_lambdas(11);
  }
  if (request.film.frames == 0) {
    request.film.frames = kLambdaFrames;
  }
  return request;
}

void require_pair_and_lambdas(const InterpolationRequest& request) {
  if (request.pair.size() != 2) {
    throw core::UsageError("--pair: expected the indices of two images, as --pair 0,1");
  }
  for (const double lambda : request.lambdas) {
    if (!(lambda >= 0 && lambda <= 1)) {
      throw core::UsageError("--lambda {}: is not within 0..1", lambda);
    }
  }
}

/// The mixtures at every level: uint8 [levels, lambdas, C, H, W].
at::Tensor mixtures(const InterpolationRequest& request, const LoadedRun& run, const at::Tensor& ends_u8,
                    std::span<const double> lambdas, const Session& session) {
  const auto& model = run.model;
  std::vector<at::Tensor> rows;
  for (const int64_t level : request.levels) {
    rows.push_back(ddpm::interpolate({*model.network, model.process, model.parameterisation}, run.options,
                                     ddpm::to_pm1(ends_u8), level, lambdas,
                                     sampling_progress(session, fmt::format("decoding from t = {}", level))));
  }
  return ddpm::to_u8(torch::stack(rows), run.options.rounding);
}

/// A row for each level: source, mixtures, source.
void write_lambda_strip(const InterpolationRequest& request, const at::Tensor& mixed,
                        const at::Tensor& ends_u8, int64_t scale) {
  Sheet sheet;
  sheet.columns = mixed.size(1) + 2;
  sheet.caption = "(1 - lambda) x_t + lambda x'_t, decoded; columns: lambda";
  sheet.column_labels.emplace_back("source");
  for (const double lambda : request.lambdas) {
    sheet.column_labels.push_back(fmt::format("{:.3g}", lambda));
  }
  sheet.column_labels.emplace_back("source");
  for (int64_t row = 0; row < mixed.size(0); ++row) {
    sheet.row_labels.push_back(fmt::format("t = {}", request.levels[static_cast<size_t>(row)]));
    sheet.cells.push_back(enlarged(ends_u8[0], scale));
    for (const auto& image : mixed[row].unbind()) {
      sheet.cells.push_back(enlarged(image, scale));
    }
    sheet.cells.push_back(enlarged(ends_u8[1], scale));
  }
  write_strip(render(sheet), request.film);
}

/// A frame for each lambda: source, the mixture of every level, source.
void write_lambda_gif(const InterpolationRequest& request, const at::Tensor& mixed, const at::Tensor& ends_u8,
                      std::span<const double> lambdas, int64_t scale) {
  Sheet sheet;
  sheet.columns = mixed.size(0) + 2;
  sheet.column_labels.emplace_back("source");
  for (const int64_t level : request.levels) {
    sheet.column_labels.push_back(fmt::format("t = {}", level));
  }
  sheet.column_labels.emplace_back("source");
  const auto caption = [](double lambda) { return fmt::format("lambda = {:.2f}", lambda); };
  for (const double lambda : lambdas) {
    sheet.caption_width = std::max(sheet.caption_width, caption_width(caption(lambda)));
  }
  std::vector<at::Tensor> frames;
  for (int64_t i = 0; i < mixed.size(1); ++i) {
    const double lambda = lambdas[static_cast<size_t>(i)];
    sheet.caption = caption(lambda);
    sheet.progress = lambda;
    sheet.cells = {enlarged(ends_u8[0], scale)};
    for (int64_t row = 0; row < mixed.size(0); ++row) {
      sheet.cells.push_back(enlarged(mixed[row][i], scale));
    }
    sheet.cells.push_back(enlarged(ends_u8[1], scale));
    frames.push_back(render(sheet));
  }
  write_gif_frames(frames, request.film);
}

}  // namespace

core::Json show_interpolation(const InterpolationRequest& asked, const Session& session) {
  require_film_options(asked.film);
  require_pair_and_lambdas(asked);
  const auto run = load_run(asked.run);
  if (!run.model.makes_images()) {
    throw core::UsageError("--run {}: makes points, and interpolate is for images", asked.run.run.string());
  }
  auto request = completed(asked, run);
  request.film.gif_options.and_back = true;
  for (const int64_t level : request.levels) {
    if (level < 0 || level > run.model.process.steps()) {
      throw core::UsageError("--depth {}: is not within 0..{}, the steps of the trained chain", level,
                             run.model.process.steps());
    }
  }
  const auto& shape = run.model.row_shape;
  const auto ends_u8 = torch::stack({image_for(run.model, request.data, request.pair[0]),
                                     image_for(run.model, request.data, request.pair[1])});
  const int64_t scale = image_scale(request.film, shape[1], shape[2]);
  request.film.columns = static_cast<int64_t>(request.lambdas.size()) + 2;
  require_film_size(request.film, static_cast<int64_t>(request.levels.size()) + 2, shape);

  core::Json pictures;
  if (!request.film.strip.empty()) {
    const auto mixed = mixtures(request, run, ends_u8, request.lambdas, session);
    write_lambda_strip(request, mixed, ends_u8, scale);
    pictures["strip"] = {{"file", request.film.strip.string()}, {"lambda", request.lambdas}};
  }
  if (!request.film.gif.empty()) {
    const auto lambdas = even_lambdas(request.film.frames);
    write_lambda_gif(request, mixtures(request, run, ends_u8, lambdas, session), ends_u8, lambdas, scale);
    pictures["gif"] = {
        {"file", request.film.gif.string()}, {"lambda", lambdas}, {"play", gif_record(request.film)}};
  }
  pictures["scale"] = scale;
  auto record = pictures_record("interpolate");
  record.update(run.record);
  record["trained_on"] = run.record.at("data");
  record["data"] = request.data;
  record["pair"] = request.pair;
  record["t"] = request.levels;
  auto visited = core::Json::array();  // a row each; not what a sample visits
  for (const int64_t level : request.levels) {
    visited.push_back(level == 0 ? 0 : ddpm::chain_below(run.model.process, run.options, level).steps());
  }
  record["sampler"]["visited"] = visited;
  return finished_pictures(std::move(record), pictures);
}

}  // namespace ddpm_eval::eval
