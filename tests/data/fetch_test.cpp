#include "base/data/fetch.h"

#include "base/core/digest.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/core/seeds.h"
#include "tests/support/errors.h"
#include "tests/support/loopback_server.h"
#include "tests/support/temp_dir.h"

#include <chrono>
#include <cstdlib>

#include <gmock/gmock.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using core::ResourceError;
using std::chrono::milliseconds;
using ::testing::AllOf;
using testing::Answer;
using ::testing::HasSubstr;
using testing::LoopbackServer;
using testing::message_of;
using testing::ServedRequest;
using testing::TempDir;

/// 200,000 bytes that differ everywhere.
const std::string& payload() {
  static const std::string bytes = [] {
    std::string text(200'000, '\0');
    for (size_t i = 0; i < text.size(); ++i) {
      text[i] = static_cast<char>(core::mix64(i));
    }
    return text;
  }();
  return bytes;
}

class Fetch : public ::testing::Test {
 protected:
  Fetch() { ::setenv("no_proxy", "127.0.0.1", 1); }
  void TearDown() override { core::request_interrupt(false); }

  /// A request that knows what it wants, with little patience.
  FetchRequest request(const std::string& url) const {
    FetchRequest wanted;
    wanted.urls = {url};
    wanted.target = target_;
    wanted.sha256 = core::sha256_hex(payload());
    wanted.size = payload().size();
    wanted.attempts = 3;
    wanted.connect_limit = milliseconds(500);
    wanted.stall_limit = milliseconds(300);
    wanted.first_pause = milliseconds(1);
    return wanted;
  }

  void expect_installed() const {
    EXPECT_EQ(core::read_text(target_), payload());
    EXPECT_FALSE(std::filesystem::exists(part_));
  }

  void expect_nothing() const {
    EXPECT_FALSE(std::filesystem::exists(target_));
    EXPECT_FALSE(std::filesystem::exists(part_));
  }

  TempDir dir_;
  std::filesystem::path target_ = dir_ / "sub/file.bin";
  std::filesystem::path part_ = dir_ / "sub/file.bin.part";
};

Answer good() {
  Answer answer;
  answer.body = payload();
  return answer;
}

TEST_F(Fetch, InstallsAFileAndReportsProgress) {
  const LoopbackServer server([](const ServedRequest&, int) { return good(); });
  int64_t last = 0;
  const auto report = fetch_file(request(server.url("file.bin")), [&](int64_t done, int64_t total) {
    EXPECT_GE(done, last);
    EXPECT_EQ(total, 200'000);
    last = done;
  });
  expect_installed();
  EXPECT_EQ(last, 200'000);
  EXPECT_EQ(report.bytes, 200'000U);
  EXPECT_EQ(report.sha256, core::sha256_hex(payload()));
  EXPECT_EQ(report.url, server.url("file.bin"));
  EXPECT_EQ(report.attempts, 1);
  EXPECT_EQ(report.resumed_from, 0U);
}

TEST_F(Fetch, GoesOnAfterACut) {
  const LoopbackServer server([](const ServedRequest&, int index) {
    auto answer = good();
    if (index < 2) {
      answer.cut_after = 70'000;
    }
    return answer;
  });
  const auto report = fetch_file(request(server.url("f")));
  expect_installed();
  EXPECT_EQ(report.attempts, 3);
  EXPECT_EQ(report.resumed_from, 140'000U);
  ASSERT_EQ(server.requests().size(), 3U);
  EXPECT_EQ(server.requests()[1].range_from, 70'000U);
  EXPECT_EQ(server.requests()[2].range_from, 140'000U);
}

TEST_F(Fetch, GivesUpAfterItsAttemptsAndKeepsWhatCame) {
  const LoopbackServer server([](const ServedRequest&, int) {
    auto answer = good();
    answer.cut_after = 1000;
    return answer;
  });
  EXPECT_THAT(message_of<ResourceError>([&] { fetch_file(request(server.url("f"))); }),
              AllOf(HasSubstr("file.bin: not fetched, try again or use another mirror: http://127.0.0.1"),
                    HasSubstr("f: ")));
  EXPECT_EQ(server.requests().size(), 3U);
  EXPECT_EQ(std::filesystem::file_size(part_), 3000U);
  EXPECT_FALSE(std::filesystem::exists(target_));
}

TEST_F(Fetch, TheNextCallGoesOn) {
  core::make_folders(dir_ / "sub");
  core::write_file(part_, payload().substr(0, 150'000));
  const LoopbackServer server([](const ServedRequest&, int) { return good(); });
  EXPECT_EQ(fetch_file(request(server.url("f"))).resumed_from, 150'000U);
  expect_installed();
}

TEST_F(Fetch, AWholePartialFileNeedsNoNetwork) {
  core::make_folders(dir_ / "sub");
  core::write_file(part_, payload());
  const auto report = fetch_file(request("http://127.0.0.1:1/unreachable"));
  expect_installed();
  EXPECT_EQ(report.attempts, 0);
  EXPECT_EQ(report.url, "");
}

TEST_F(Fetch, AStalePartialFileIsReplaced) {
  const LoopbackServer server([](const ServedRequest&, int) { return good(); });
  core::make_folders(dir_ / "sub");
  core::write_file(part_, std::string(150'000, 'x'));  // resumed, found wrong, fetched anew
  EXPECT_EQ(fetch_file(request(server.url("f"))).attempts, 2);
  expect_installed();
  core::write_file(part_, std::string(200'001, 'x'));  // too long to be a part
  EXPECT_EQ(fetch_file(request(server.url("f"))).attempts, 1);
  expect_installed();
  core::write_file(part_,
                   std::string(250'000, 'x'));  // beyond the server's end, where the size is unknown: 416
  auto sizeless = request(server.url("f"));
  sizeless.size.reset();
  EXPECT_EQ(fetch_file(sizeless).attempts, 2);
  expect_installed();
}

TEST_F(Fetch, AServerThatIgnoresRangesSendsEverything) {
  const LoopbackServer server([](const ServedRequest&, int index) {
    auto answer = good();
    answer.honour_range = false;
    if (index == 0) {
      answer.cut_after = 50'000;
    }
    return answer;
  });
  const auto report = fetch_file(request(server.url("f")));
  expect_installed();
  EXPECT_EQ(report.attempts, 2);
  EXPECT_EQ(report.resumed_from, 0U);
}

TEST_F(Fetch, AnAnswerToAnotherRangeIsNotUsed) {
  core::make_folders(dir_ / "sub");
  core::write_file(part_, payload().substr(0, 1000));
  const LoopbackServer server([](const ServedRequest&, int) {
    auto answer = good();
    answer.claim_range_from = 500;
    return answer;
  });
  EXPECT_EQ(fetch_file(request(server.url("f"))).resumed_from, 0U);
  expect_installed();
}

TEST_F(Fetch, CorruptionIsNoticedAndNothingAppears) {
  const LoopbackServer server([](const ServedRequest&, int) {
    auto answer = good();
    answer.corrupt_at = 123'456;
    return answer;
  });
  EXPECT_THAT(message_of<DataError>([&] { fetch_file(request(server.url("f"))); }),
              AllOf(HasSubstr("its SHA-256 is "), HasSubstr(", not " + core::sha256_hex(payload()))));
  expect_nothing();
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(Fetch, AFilePutTogetherWrongIsFetchedAnew) {
  const LoopbackServer server([](const ServedRequest&, int index) {
    auto answer = good();
    if (index == 0) {
      answer.cut_after = 50'000;
      answer.corrupt_at = 10;
    }
    return answer;
  });
  EXPECT_EQ(fetch_file(request(server.url("f"))).attempts, 3);
  expect_installed();
}

TEST_F(Fetch, AStallEndsWithinItsLimit) {
  const LoopbackServer server([](const ServedRequest&, int) {
    auto answer = good();
    answer.stall_after = 5000;
    return answer;
  });
  auto impatient = request(server.url("f"));
  impatient.attempts = 1;
  EXPECT_THAT(message_of<ResourceError>([&] { fetch_file(impatient); }), HasSubstr("nothing came for 0.3 s"));
  EXPECT_EQ(std::filesystem::file_size(part_), 5000U);
}

TEST_F(Fetch, MirrorsAreTriedInOrder) {
  const LoopbackServer missing([](const ServedRequest&, int) {
    Answer answer;
    answer.status = 404;
    answer.body = "<html>not here</html>";
    return answer;
  });
  const LoopbackServer portal([](const ServedRequest&, int) {
    Answer answer;
    answer.body = "<html>please log in</html>";
    return answer;
  });
  const LoopbackServer right([](const ServedRequest&, int) { return good(); });
  auto wanted = request(missing.url("f"));
  wanted.urls = {missing.url("f"), portal.url("f"), right.url("f")};
  EXPECT_EQ(fetch_file(wanted).url, right.url("f"));
  expect_installed();
  EXPECT_EQ(missing.requests().size(), 1U) << "404 is final";

  std::filesystem::remove(target_);
  wanted.urls = {missing.url("f"), portal.url("f")};
  EXPECT_THAT(message_of<DataError>([&] { fetch_file(wanted); }),
              AllOf(HasSubstr("the server answers 404; "),
                    HasSubstr("has a file of 26 bytes where 200000 are expected")));
  expect_nothing();
}

TEST_F(Fetch, ServerErrorsAreTriedAgain) {
  const LoopbackServer server([](const ServedRequest&, int index) {
    auto answer = good();
    answer.status = index < 2 ? 503 : 200;
    return answer;
  });
  EXPECT_EQ(fetch_file(request(server.url("f"))).attempts, 3);
  expect_installed();
}

TEST_F(Fetch, RedirectsAreFollowedButNotForever) {
  const LoopbackServer server([](const ServedRequest& asked, int) {
    auto answer = good();
    if (asked.path != "/there") {
      answer.status = 302;
      answer.redirect_to = asked.path == "/once"   ? "/there"
                           : asked.path == "/file" ? "file:///etc/passwd"
                                                   : "/loop";
    }
    return answer;
  });
  fetch_file(request(server.url("once")));
  expect_installed();
  std::filesystem::remove(target_);
  EXPECT_THAT(message_of<ResourceError>([&] { fetch_file(request(server.url("loop"))); }),
              HasSubstr("Maximum (8) redirects followed"));
  message_of<ResourceError>([&] { fetch_file(request(server.url("file"))); });
  expect_nothing();
}

TEST_F(Fetch, TooManyBytesAreRefused) {
  const LoopbackServer server([](const ServedRequest&, int) {
    auto answer = good();
    answer.announce_length = false;
    return answer;
  });
  auto small = request(server.url("f"));
  small.size.reset();
  small.max_bytes = 100'000;
  EXPECT_THAT(message_of<DataError>([&] { fetch_file(small); }), HasSubstr("more than the 100000 bytes"));
  expect_nothing();
}

TEST_F(Fetch, ACheckDecidesWhereNoHashIsKnown) {
  const LoopbackServer server([](const ServedRequest&, int) { return good(); });
  auto checked = request(server.url("f"));
  checked.sha256.reset();
  checked.check = [](const std::filesystem::path& file) {
    throw DataError("{} bytes of nonsense", std::filesystem::file_size(file));
  };
  EXPECT_THAT(message_of<DataError>([&] { fetch_file(checked); }), HasSubstr("f: 200000 bytes of nonsense"));
  expect_nothing();
}

TEST_F(Fetch, WithoutHashOrCheckNothingIsResumed) {
  const LoopbackServer server([](const ServedRequest&, int index) {
    auto answer = good();
    if (index == 0) {
      answer.cut_after = 1000;
    }
    return answer;
  });
  auto blind = request(server.url("f"));
  blind.sha256.reset();
  fetch_file(blind);
  expect_installed();
  EXPECT_FALSE(server.requests().at(1).range_from.has_value());
}

TEST_F(Fetch, AnInterruptKeepsThePartAndTheNextCallGoesOn) {
  const LoopbackServer server([](const ServedRequest&, int index) {
    auto answer = good();
    if (index == 0) {
      answer.stall_after = 60'000;
    }
    return answer;
  });
  const auto wanted = request(server.url("f"));
  const auto message = message_of<core::InterruptedError>(
      [&] { fetch_file(wanted, [](int64_t done, int64_t) { core::request_interrupt(done == 60'000); }); });
  EXPECT_THAT(message, HasSubstr("stopped after 60000 bytes; run the same command again to go on"));
  core::request_interrupt(false);
  EXPECT_EQ(fetch_file(wanted).resumed_from, 60'000U);
  expect_installed();
}

TEST_F(Fetch, ReadsFileUrlsAndResumesThem) {
  core::write_file(dir_ / "origin", payload());
  const auto wanted = request("file://" + (dir_ / "origin").string());
  fetch_file(wanted);
  expect_installed();
  core::write_file(part_, payload().substr(0, 77));
  EXPECT_EQ(fetch_file(wanted).resumed_from, 77U);
  expect_installed();
}

TEST_F(Fetch, GoesThroughTheProxyOfTheEnvironment) {
  const LoopbackServer proxy([](const ServedRequest&, int) { return good(); });
  ::setenv("http_proxy", proxy.url("").c_str(), 1);
  fetch_file(request("http://files.invalid/f"));
  ::unsetenv("http_proxy");
  expect_installed();
  EXPECT_EQ(proxy.requests().at(0).path, "http://files.invalid/f");
}

TEST_F(Fetch, BadPlacesAndAddressesAreNamed) {
  EXPECT_THAT(message_of<core::UsageError>([&] { fetch_file(request("ftp://127.0.0.1/f")); }),
              HasSubstr("ftp://127.0.0.1/f: not a URL that begins with http://"));
  EXPECT_THAT(message_of<ResourceError>([&] { fetch_file(request("http://127.0.0.1:1/f")); }),
              HasSubstr("http://127.0.0.1:1/f: "));
  EXPECT_THAT(message_of<ResourceError>([&] { fetch_file(request("file:///nonexistent/f")); }),
              HasSubstr("/nonexistent/f"));
  core::write_file(dir_ / "blocker", "x");
  auto blocked = request("http://127.0.0.1:1/f");
  blocked.target = dir_ / "blocker/file.bin";
  EXPECT_THAT(message_of<ResourceError>([&] { fetch_file(blocked); }), HasSubstr("blocker"));
  blocked.target = dir_.path();
  EXPECT_THAT(message_of<ResourceError>([&] { fetch_file(blocked); }), HasSubstr("is a folder"));
}

TEST_F(Fetch, TwoAtOnceDoNotMix) {
  const LoopbackServer server([](const ServedRequest&, int) { return good(); });
  const auto wanted = request(server.url("f"));
  fetch_file(wanted, [&](int64_t done, int64_t) {
    if (done < 200'000) {
      return;
    }
    EXPECT_THAT(message_of<ResourceError>([&] { fetch_file(wanted); }),
                HasSubstr("another process is fetching"));
  });
  expect_installed();
}

}  // namespace
}  // namespace ddpm_eval::data
