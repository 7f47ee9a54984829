#include "eval/report/html.h"

#include <gtest/gtest.h>

namespace ddpm_eval::eval {
namespace {

TEST(Html, EscapesWhatABrowserReads) {
  EXPECT_EQ(escape_html("a & b < c > d \" e ' f"), "a &amp; b &lt; c &gt; d &quot; e &#39; f");
  EXPECT_EQ(escape_html("&lt;"), "&amp;lt;");
  EXPECT_EQ(escape_html("Fréchet, 1e-6"), "Fréchet, 1e-6");
}

TEST(Html, BytesThatAreNoTextAreShownAndLinesStay) {
  EXPECT_EQ(escape_html("a\n\tb\n"), "a\n\tb\n");
  EXPECT_EQ(escape_html(std::string("\0<\xff\x1b[0m", 7)), "\\x00&lt;\\xff\\x1b[0m");
  EXPECT_EQ(escape_html(""), "");
}

TEST(Html, TextIsEscapedAndPiecesStay) {
  const auto piece = element("p", {{"title", "\"><script>"}}, "1 < 2 ", element("b", {}, "&"));
  EXPECT_EQ(piece.markup(), "<p title=\"&quot;&gt;&lt;script&gt;\">1 &lt; 2 <b>&amp;</b>\n</p>\n");
  EXPECT_EQ(void_element("br", {}).markup(), "<br>");
}

// Nothing in a file's name is a scheme, a query or another attribute.
TEST(Html, APathIsNoMoreThanAPath) {
  EXPECT_EQ(url_of_path("./a b/ü?x=1#y"), "./a%20b/%C3%BC%3Fx%3D1%23y");
  EXPECT_EQ(url_of_path("./javascript:alert('1')"), "./javascript%3Aalert%28%271%27%29");
}

TEST(Html, BytesInAnAddress) {
  EXPECT_EQ(data_url("image/png", {'a', 'b', 'c'}), "data:image/png;base64,YWJj");
}

}  // namespace
}  // namespace ddpm_eval::eval
