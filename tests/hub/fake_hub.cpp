#include "hub/fake_hub.h"

#include <fmt/format.h>

#include <random>

#include "hub/digest.h"

namespace slm::hub {

using testing::ServerReply;
using testing::ServerRequest;

std::string FakeModel(size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::string content = "GGUF";
  while (content.size() < bytes) content += static_cast<char>(random());
  return content;
}

Settings TestSettings(const std::string& cache, const std::string& endpoint) {
  Settings settings;
  settings.cache = cache;
  settings.endpoint = endpoint;
  settings.limits.retries = 3;
  settings.limits.backoff_ms = 5;
  settings.limits.max_wait_ms = 1500;
  settings.limits.connect_timeout_ms = 2000;
  return settings;
}

FakeHub::FakeHub()
    : cdn([this](const ServerRequest& request) { return Cdn(request); }),
      hub([this](const ServerRequest& request) { return Hub(request); }) {}

void FakeHub::Add(const std::string& path, const std::string& content, bool is_git) {
  File file;
  file.content = content;
  file.is_git = is_git;
  file.digest = Sha256(content);
  if (is_git) {
    testing::WriteFile(folder / "git", content);
    file.digest = FileGitBlob(folder / "git", {});
  }
  files_[path] = file;
  ++version_;
}

void FakeHub::Remove(const std::string& path) {
  files_.erase(path);
  ++version_;
}

PullOptions FakeHub::options(const std::string& source) const {
  PullOptions options;
  options.source = source;
  options.settings = settings();
  return options;
}

std::string FakeHub::commit() const { return fmt::format("{:040x}", 0xabc0000 + version_); }

std::string FakeHub::Blob(const std::string& path) const {
  std::string name = repo;
  name.replace(name.find('/'), 1, "--");
  return folder / ("hub/models--" + name + "/blobs/" + files_.at(path).digest);
}

std::vector<std::string> FakeHub::Ranges() const {
  std::vector<std::string> ranges;
  for (const ServerRequest& request : cdn.requests()) ranges.push_back(request.Header("range"));
  return ranges;
}

std::string FakeHub::List() const {
  std::string siblings;
  for (const auto& [path, file] : files_) {
    siblings += fmt::format("{}{{\"rfilename\":\"{}\"", siblings.empty() ? "" : ",", path);
    if (lists_digests && file.is_git)
      siblings += fmt::format(",\"size\":{},\"blobId\":\"{}\"", file.content.size(), file.digest);
    if (lists_digests && !file.is_git)
      siblings += fmt::format(
          ",\"size\":{0},\"blobId\":\"{1:040}\",\"lfs\":{{\"sha256\":\"{2}\",\"size\":{0},"
          "\"pointerSize\":134}}",
          file.content.size(), 7, file.digest);
    siblings += "}";
  }
  return fmt::format("{{\"id\":\"{}\",\"sha\":\"{}\",\"siblings\":[{}]}}", repo, commit(),
                     siblings);
}

ServerReply FakeHub::Hub(const ServerRequest& request) {
  if (on_hub) {
    if (auto reply = on_hub(request)) return *reply;
  }
  ServerReply reply;
  const std::string path = request.Path();
  if (path.starts_with("/api/models/" + repo + "/revision/")) {
    reply.body = list.empty() ? List() : list;
    return reply;
  }
  const std::string prefix = "/" + repo + "/resolve/" + commit() + "/";
  const auto file = files_.find(path.starts_with(prefix) ? path.substr(prefix.size()) : "");
  if (file == files_.end()) {
    reply.status = 404;
    reply.headers = {
        {"X-Error-Code", path.starts_with("/" + repo) ? "EntryNotFound" : "RepoNotFound"}};
    return reply;
  }
  if (file->second.is_git) {
    reply = testing::ServeContent(request, file->second.content, '"' + file->second.digest + '"');
    reply.headers.emplace_back("X-Repo-Commit", commit());
    return reply;
  }
  reply.status = 302;
  reply.headers = {{"X-Repo-Commit", commit()},
                   {"X-Linked-Etag", '"' + file->second.digest + '"'},
                   {"X-Linked-Size", std::to_string(file->second.content.size())},
                   {"Location", cdn.url() + "/" + file->second.digest + "?Signature=secret"}};
  return reply;
}

ServerReply FakeHub::Cdn(const ServerRequest& request) {
  if (on_cdn) {
    if (auto reply = on_cdn(request)) return *reply;
  }
  for (const auto& [path, file] : files_) {
    if (request.Path() == "/" + file.digest)
      return testing::ServeContent(request, file.content,
                                   "\"cdn-" + file.digest.substr(0, 8) + '"');
  }
  ServerReply reply;
  reply.status = 404;
  return reply;
}

}  // namespace slm::hub
