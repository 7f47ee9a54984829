#pragma once

#include <string>

// What is done to gnuplot's SVG: the same plot gives the same bytes by any version's name, and a page of many
// has each definition once.
namespace ddpm_eval::eval {

/// Without gnuplot's name and version, its names of the plots, the definitions that are not used, and the
/// white halos of points on lines, which would show on another paper.
std::string tidy_svg(const std::string& document);

/// A tidy document as an element of a page: names begin with `prefix`, the colours of eval/plot.h are those
/// of the style sheet (var(--p0), ...), black is the colour of the text, and `label` is what is read out in
/// its place.
std::string inline_svg(const std::string& document, const std::string& prefix, const std::string& label);

}  // namespace ddpm_eval::eval
