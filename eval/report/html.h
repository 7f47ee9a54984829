#pragma once

#include "eval/escape_html.h"

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Markup that cannot forget to escape: text enters it through escape_html() alone.
namespace ddpm_eval::eval {

struct Attribute {
  const char* name;
  std::string value;
};
using Attributes = std::vector<Attribute>;

/// A piece of a page. What is text is given as text and escaped; what is a piece already stays as it is.
class Html {
 public:
  Html() = default;
  /// `markup` is of this program: its style sheet, or what inline_svg() has made.
  static Html trusted(std::string markup);

  Html& add(const Html& piece) {
    markup_ += piece.markup_;
    return *this;
  }
  Html& add(std::string_view text) {
    markup_ += escape_html(text);
    return *this;
  }

  bool empty() const { return markup_.empty(); }
  const std::string& markup() const { return markup_; }

 private:
  std::string markup_;
};

/// <tag attributes>content</tag>. Tag and attribute names are of this program.
Html element_of(const char* tag, const Attributes& attributes, const Html& content);
/// One without content: <img>, <br>.
Html void_element(const char* tag, const Attributes& attributes);

/// element_of() with the parts one after the other, each a text or a piece.
template <class... Parts>
Html element(const char* tag, const Attributes& attributes, const Parts&... parts) {
  Html content;
  (content.add(parts), ...);
  return element_of(tag, attributes, content);
}

/// A relative address of a file: whatever could be read as a scheme, a query or markup is percent-encoded.
std::string url_of_path(std::string_view path);

/// "data:image/png;base64,...".
std::string data_url(const char* type, const std::vector<char>& bytes);

}  // namespace ddpm_eval::eval
