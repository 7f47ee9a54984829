#pragma once

#include <optional>
#include <string>

namespace ddpm_eval::eval {

/// What gnuplot (Debian: gnuplot-nox) prints on standard output for `script`. It is started from $PATH
/// without a shell, without the user's settings and in the C locale; script and output go through anonymous
/// memory, so that nothing is left behind by a process that is killed. Nothing if there is no gnuplot. Throws
/// ResourceError, with gnuplot's own words, if it does not end well, and InterruptedError.
std::optional<std::string> run_gnuplot(const std::string& script);

/// For whoever is told that plots are missing.
inline constexpr const char* kNoGnuplot = "gnuplot is not installed (Debian: gnuplot-nox)";

/// `text` as a constant of gnuplot's language in which all but letters, digits and spaces are octal escapes:
/// no quote, backquote or macro of it is ever in a script. (Single quotes would not do: gnuplot reads three
/// in a row as an empty constant and the start of another.) Control characters, a line's end among them,
/// become escapes that are shown; more than `most` bytes end in "...".
std::string gnuplot_text(const std::string& text, size_t most = 60);

}  // namespace ddpm_eval::eval
