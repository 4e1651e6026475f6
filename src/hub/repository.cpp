#include "hub/repository.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "hub/names.h"
#include "hub/status.h"
#include "hub/url.h"

namespace slm::hub {
namespace {

using nlohmann::json;

constexpr size_t kMaxListBytes = 32 << 20;  // some repositories hold ten thousands of files
constexpr int kMaxJsonDepth = 64;           // deeper nesting would only cost memory

std::optional<uint64_t> Unsigned(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<uint64_t>();
}

std::string Text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

HttpRequest HubRequest(const Settings& settings, const std::string& url) {
  HttpRequest request;
  request.url = url;
  request.token = settings.token;
  request.token_origin = Origin(settings.endpoint);
  return request;
}

}  // namespace

Repository ParseRepository(std::string_view text, const std::string& repo) {
  json root;
  try {
    root = json::parse(text, [&](int depth, json::parse_event_t, json&) {
      if (depth > kMaxJsonDepth)
        throw Error(Code::kBadInput, "{}: the hub's list is nested too deep", repo);
      return true;
    });
  } catch (const json::exception& problem) {
    throw Error(Code::kBadInput, "{}: the hub's list is not valid JSON: {}", repo,
                Shown(problem.what()));
  }
  if (!root.is_object()) throw Error(Code::kBadInput, "{}: the hub's list is no object", repo);
  Repository repository;
  repository.commit = Text(root, "sha");
  if (!IsCommit(repository.commit))
    throw Error(Code::kBadInput, "{}: the hub names no commit: expected 40 hex digits, got '{}'",
                repo, Shown(repository.commit));
  const auto siblings = root.find("siblings");
  if (siblings == root.end() || !siblings->is_array())
    throw Error(Code::kBadInput, "{}: the hub's list has no files (siblings)", repo);
  for (const json& item : *siblings) {
    if (!item.is_object()) continue;
    RepoFile file;
    file.path = Text(item, "rfilename");
    file.size = Unsigned(item, "size");
    file.digest = Text(item, "blobId");
    if (const auto lfs = item.find("lfs"); lfs != item.end() && lfs->is_object()) {
      file.digest = Text(*lfs, "sha256");
      if (const auto size = Unsigned(*lfs, "size")) file.size = size;
    }
    if (!file.path.empty()) repository.files.push_back(std::move(file));
  }
  return repository;
}

Repository FetchRepository(HttpClient& client, const Settings& settings, const std::string& repo,
                           const std::string& revision) {
  const std::string url = settings.endpoint + "/api/models/" + EscapeUrl(repo, true) +
                          "/revision/" + EscapeUrl(revision, false) + "?blobs=true";
  std::string body;
  const HttpOutcome outcome =
      client.SendWithRetries(HubRequest(settings, url), kMaxListBytes, &body);
  if (outcome.reply.status != 200)
    ThrowStatus(outcome, repo + " (" + Shown(revision) + ")", repo, settings);
  return ParseRepository(body, repo);
}

std::string ResolveFileUrl(const Settings& settings, const std::string& repo,
                           const std::string& commit, const std::string& path) {
  return settings.endpoint + "/" + EscapeUrl(repo, true) + "/resolve/" + commit + "/" +
         EscapeUrl(path, true);
}

void FetchFileFacts(HttpClient& client, const Settings& settings, const std::string& repo,
                    const std::string& commit, RepoFile* file) {
  HttpRequest request = HubRequest(settings, ResolveFileUrl(settings, repo, commit, file->path));
  request.is_head = true;
  request.stays_on_origin = true;
  request.headers = {"Accept-Encoding: identity"};
  std::string body;
  const HttpOutcome outcome = client.SendWithRetries(request, 0, &body);
  const HttpReply& reply = outcome.reply;
  if (reply.status < 200 || reply.status >= 400)
    ThrowStatus(outcome, repo + "/" + Shown(file->path), repo, settings);
  const bool is_linked = !reply.Header("x-linked-etag").empty();
  file->digest = reply.Header(is_linked ? "x-linked-etag" : "etag");
  if (file->digest.starts_with("W/")) file->digest.erase(0, 2);
  std::erase(file->digest, '"');
  if (const auto size = reply.Number("x-linked-size"))
    file->size = size;
  else if (reply.status == 200)
    file->size = reply.Number("content-length");
}

}  // namespace slm::hub
