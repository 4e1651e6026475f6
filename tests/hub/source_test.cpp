#include "hub/source.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "hub/url.h"

namespace slm::hub {
namespace {

constexpr const char* kEndpoint = "https://hub.example";

Source Parse(const std::string& text) { return ParseSource(text, kEndpoint); }

TEST(Source, TheHubForms) {
  Source source = Parse("hf:user/repo");
  EXPECT_EQ(source.kind, SourceKind::kHub);
  EXPECT_EQ(source.repo, "user/repo");
  EXPECT_EQ(source.quant + source.file, "");
  EXPECT_EQ(Parse("hf:user/repo:Q8_0").quant, "Q8_0");
  source = Parse("hf:user/repo/sub/m-Q4_0.gguf");
  EXPECT_EQ(source.repo, "user/repo");
  EXPECT_EQ(source.file, "sub/m-Q4_0.gguf");
  source = Parse("https://hub.example/user/repo/blob/refs%2Fpr%2F1/sub/a%20b.gguf?download=true");
  EXPECT_EQ(source.kind, SourceKind::kHub);
  EXPECT_EQ(source.revision, "refs/pr/1");
  EXPECT_EQ(source.file, "sub/a b.gguf");
}

TEST(Source, UrlsAndFiles) {
  EXPECT_EQ(Parse("https://other.example/user/repo/resolve/main/x.gguf").kind, SourceKind::kUrl);
  EXPECT_EQ(Parse("HTTP://a/b.gguf#part").url, "HTTP://a/b.gguf");
  // A page of the hub that names no safe file is a plain URL.
  EXPECT_EQ(Parse("https://hub.example/u/r/resolve/main/..%2fx").kind, SourceKind::kUrl);
  EXPECT_EQ(Parse("file:///a%20b/c.gguf").path, "/a b/c.gguf");
  EXPECT_EQ(Parse("file://localhost/c").path, "/c");
  EXPECT_EQ(Parse("user/repo").path, "user/repo");
  EXPECT_EQ(Parse("C:odd").kind, SourceKind::kFile);
}

TEST(Source, WrongFormsSaySo) {
  for (const char* text :
       {"", "hf:", "hf:repo", "hf:../..", "hf:user/repo:", "hf:user/repo:..", "hf:user/repo:a/b",
        "hf:user/repo/../../x", "hf:user/repo/", "hf:user/repo//x", "hf:us er/repo", "hf:a/b\n",
        "http://", "ftp://a/b", "file://host/x", "file://relative", "file:///a%00b", "http://a b/c",
        "http://a/\r\nX: y"}) {
    try {
      Parse(text);
      ADD_FAILURE() << "no error for '" << text << "'";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kUsage) << text;
    }
  }
  EXPECT_THROW(Parse(std::string("a\0b", 3)), Error);
}

TEST(Url, OriginsTellHostsPortsAndSchemesApart) {
  EXPECT_EQ(Origin("https://Hub.Example/x?y"), "https://hub.example:443");
  EXPECT_EQ(Origin("https://hub.example:443"), Origin("https://hub.example/a"));
  EXPECT_NE(Origin("http://hub.example/"), Origin("https://hub.example/"));
  EXPECT_NE(Origin("https://hub.example:444/"), Origin("https://hub.example/"));
  EXPECT_NE(Origin("https://hub.example.evil/"), Origin("https://hub.example/"));
  EXPECT_EQ(Origin("https://hub.example@evil/"), "https://evil:443");
}

TEST(Url, RedirectTargets) {
  EXPECT_EQ(ResolveUrl("http://a/b/c?d", "e"), "http://a/b/e");
  EXPECT_EQ(ResolveUrl("http://a/b/c", "/x y"), "http://a/x%20y");
  EXPECT_EQ(ResolveUrl("https://a/b", "//c/d"), "https://c/d");
  for (const char* bad : {"file:///etc/passwd", "ftp://a/b", "javascript:1", "gopher://a", "",
                          "http://a/\r\nHost: b", "http://"})
    EXPECT_THROW(ResolveUrl("http://a/b", bad), Error) << bad;
}

TEST(Url, SecretsAndControlCharactersAreNotShown) {
  EXPECT_EQ(ShownUrl("https://user:pass@host/path?Signature=x#y"), "https://host/path");
  EXPECT_EQ(Shown("a\x1b[2J\nb"), "a?[2J?b");
  EXPECT_EQ(Shown(std::string(1000, 'x')).size(), 303u);
  EXPECT_EQ(EscapeUrl("a b/\xc3\xa9", true), "a%20b/%C3%A9");
  EXPECT_EQ(EscapeUrl("refs/pr/1", false), "refs%2Fpr%2F1");
  EXPECT_EQ(UnescapeUrl("%41%4%zz%"), "A%4%zz%");
}

}  // namespace
}  // namespace slm::hub
