#include "eval/failure.h"

#include <filesystem>
#include <new>
#include <stdexcept>
#include <system_error>

#include <c10/util/Exception.h>

namespace ddpm_eval::eval {
namespace {

Failure out_of_memory() { return {core::ExitCode::kResources, "out of memory"}; }

Failure bug(const std::string& text) {
  return {core::ExitCode::kBug, "this is a bug, please report it: " + text.substr(0, text.find('\n'))};
}

}  // namespace

Failure classify(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const core::Error& error) {
    return {error.code(), error.what()};
  } catch (const std::filesystem::filesystem_error& error) {
    return {core::ExitCode::kResources, error.path1().string() + ": " + error.code().message()};
  } catch (const std::system_error& error) {  // fmt's, when standard output cannot be written
    return {core::ExitCode::kResources, error.what()};
  } catch (const std::length_error&) {
    return out_of_memory();
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const c10::OutOfMemoryError&) {
    return {
        core::ExitCode::kResources,
        "out of memory on the GPU: for training choose a smaller train.batch_size (or a larger "
        "train.accumulate), for samples and likelihoods a smaller sample.micro_batch or --micro-batch; for "
        "scores see what else uses the card, score fewer images or choose another --device"};
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    return text.find("can't allocate memory") != std::string::npos ? out_of_memory() : bug(text);
  } catch (const std::exception& error) {
    return bug(error.what());
  } catch (...) {
    return bug("something was thrown that is no exception");
  }
}

}  // namespace ddpm_eval::eval
