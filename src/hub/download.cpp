#include "hub/download.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "hub/digest.h"
#include "hub/names.h"
#include "hub/partial_file.h"
#include "hub/status.h"
#include "hub/url.h"

namespace slm::hub {
namespace {

constexpr uint64_t kMinGainBytes = 1 << 20;

struct ContentRange {
  uint64_t first = 0, last = 0;
  std::optional<uint64_t> total;
};

// "bytes 100-199/200" or "bytes 100-199/*".
std::optional<ContentRange> ParseContentRange(std::string_view text) {
  ContentRange range;
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const auto number = [&](uint64_t* value) {
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), *value);
    if (problem != std::errc()) return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return true;
  };
  const auto skip = [&](char c) {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
  };
  if (!number(&range.first) || !skip('-') || !number(&range.last) || !skip('/'))
    return std::nullopt;
  if (text != "*") {
    uint64_t total = 0;
    if (!number(&total) || !text.empty()) return std::nullopt;
    range.total = total;
  }
  if (range.last < range.first || (range.total && range.last >= *range.total)) return std::nullopt;
  return range;
}

// What goes into If-Range: a strong ETag, else the date of the last change. A weak ETag does not
// promise the same bytes.
std::string ValidatorOf(const HttpReply& reply) {
  const std::string& etag = reply.Header("etag");
  if (etag.size() > 2 && etag.front() == '"' && etag.back() == '"') return etag;
  return reply.Header("last-modified");
}

class Transfer {
 public:
  Transfer(HttpClient& client, const Download& download, const Settings& settings,
           Progress* progress)
      : client_(client),
        download_(download),
        settings_(settings),
        progress_(progress),
        file_(download.partial, client.cancel_callback()),
        total_(download.size) {
    if (total_ && file_.size() > *total_) file_.Clear();
    DropUnlessContinuable();
    is_resumed_ = file_.size() > 0;
  }

  ~Transfer() {
    if (is_announced_) progress_->Finish();
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  Downloaded Run() {
    if (total_) file_.CheckRoom(*total_);
    Receive();
    while (!HasDigest()) {
      // Bytes of an earlier run may be to blame: then once more without them.
      const bool was_resumed = is_resumed_;
      file_.Clear();
      is_resumed_ = false;
      if (!was_resumed)
        throw Error(
            Code::kFailed,
            "{}: the content is not what was promised: expected {}, got SHA-256 {}; the file "
            "was removed",
            download_.name, download_.digest, last_sha256_);
      Receive();
    }
    file_.Finish();
    return {file_.size(), received_, last_sha256_};
  }

 private:
  bool HasDigest() {
    last_sha256_ = file_.FinishSha256();
    if (download_.digest.empty()) return true;
    if (IsSha256(download_.digest)) return last_sha256_ == download_.digest;
    return FileGitBlob(download_.partial, client_.cancel_callback()) == download_.digest;
  }

  // Until the file is complete; throws when that cannot be reached.
  void Receive() {
    Backoff backoff(client_);
    uint64_t furthest = file_.size();
    is_complete_ = total_ && file_.size() == *total_;
    while (!is_complete_) {
      const HttpOutcome outcome = Attempt();
      if (is_complete_) break;
      // Only what goes further than ever is progress. Pitfall: a server that never ends as promised
      // makes every attempt receive a lot, and this loop go on for ever.
      const uint64_t step = std::max<uint64_t>(total_ ? *total_ / 100 : kMinGainBytes, 1);
      if (file_.size() >= furthest + step) {
        furthest = file_.size();
        backoff.Reset();
      }
      const bool is_cut = !outcome.problem.empty() || !unfinished_.empty();
      const bool may_retry = !outcome.problem.empty() ? outcome.is_retryable
                             : !unfinished_.empty()   ? true
                                                      : IsRetryableStatus(outcome.reply.status);
      const bool is_whole_reply = outcome.problem.empty() && !unfinished_.empty();
      const std::string why =
          is_whole_reply ? download_.name + ": " + unfinished_ : ReasonOf(outcome);
      if (may_retry && backoff.Wait(RetryAfterMs(outcome.reply), why)) continue;
      if (!is_cut) ThrowStatus(outcome, download_.name, download_.repo, settings_);
      std::string text = download_.name + ": the download stopped: " +
                         (outcome.problem.empty() ? unfinished_ : outcome.problem);
      if (file_.size() > 0)
        text += fmt::format("; {} are kept, run the same command again to go on",
                            FormatBytes(file_.size()));
      throw NetworkError(Code::kFailed, "{}", text);
    }
  }

  // Without a digest or a validator nobody would notice that the rest is of another file.
  void DropUnlessContinuable() {
    if (file_.size() > 0 && download_.digest.empty() && file_.validator().empty()) file_.Clear();
  }

  HttpOutcome Attempt() {
    unfinished_.clear();
    DropUnlessContinuable();
    HttpRequest request;
    request.url = download_.url;
    request.headers = {"Accept-Encoding: identity"};
    if (file_.size() > 0) {
      request.headers.push_back(fmt::format("Range: bytes={}-", file_.size()));
      if (!file_.validator().empty()) request.headers.push_back("If-Range: " + file_.validator());
    }
    if (download_.sends_token) {
      request.token = settings_.token;
      request.token_origin = Origin(settings_.endpoint);
    }
    HttpSink sink;
    sink.on_reply = [this](const HttpReply& reply) { return OnReply(reply); };
    sink.on_body = [this](std::string_view data) { OnBody(data); };
    HttpOutcome outcome = client_.Send(request, sink);
    CheckPromise(outcome.first);
    const bool is_success = outcome.reply.status == 200 || outcome.reply.status == 206;
    if (outcome.problem.empty() && is_success && unfinished_.empty()) {
      if (!total_ || file_.size() == *total_) {
        is_complete_ = true;
      } else {
        unfinished_ = fmt::format("got {} of {} bytes", file_.size(), *total_);
      }
    }
    return outcome;
  }

  // What the hub itself says about the file, on its reply or its redirect.
  void CheckPromise(const HttpReply& reply) const {
    std::string linked = reply.Header("x-linked-etag");
    std::erase(linked, '"');
    if (!download_.digest.empty() && IsDigest(linked) && linked != download_.digest)
      throw Error(Code::kFailed, "{}: the hub's listing says {}, its download says {}",
                  download_.name, download_.digest, linked);
    if (const auto size = reply.Number("x-linked-size");
        size && download_.size && *size != *download_.size)
      throw Error(Code::kFailed, "{}: the hub's listing says {} bytes, its download says {}",
                  download_.name, *download_.size, *size);
  }

  bool OnReply(const HttpReply& reply) {
    if (reply.status == 416) {
      // The range begins at or behind the end: what is there belongs to another file.
      file_.Clear();
      is_resumed_ = false;
      unfinished_ = "the server refuses the range";
      return false;
    }
    if (reply.status != 200 && reply.status != 206) return false;
    if (const std::string& encoding = reply.Header("content-encoding");
        !encoding.empty() && encoding != "identity")
      throw Error(Code::kFailed, "{}: the server sends the file encoded ({}) though asked not to",
                  download_.name, Shown(encoding));
    return reply.status == 206 ? BeginPart(reply) : BeginWhole(reply);
  }

  bool BeginWhole(const HttpReply& reply) {
    // The server has no ranges, or the file changed: from the start.
    if (file_.size() > 0) file_.Clear();
    is_resumed_ = false;
    total_ = download_.size;
    if (const auto length = reply.Number("content-length")) {
      if (total_ && *length != *total_)
        throw Error(Code::kFailed, "{}: {} bytes were promised, but the server sends {}",
                    download_.name, *total_, *length);
      total_ = *length;
    }
    if (!total_ && !reply.is_framed && download_.digest.empty())
      throw Error(
          Code::kFailed,
          "{}: the server does not say how long the file is, so a cut could not be told from "
          "its end; give its SHA-256",
          download_.name);
    file_.SetValidator(ValidatorOf(reply));
    Announce();
    return true;
  }

  bool BeginPart(const HttpReply& reply) {
    const auto range = ParseContentRange(reply.Header("content-range"));
    const std::string validator = ValidatorOf(reply);
    const bool is_same_file =
        validator.empty() || file_.validator().empty() || validator == file_.validator();
    const bool fits =
        range && file_.size() > 0 && range->first == file_.size() &&
        (total_ ? !range->total || *range->total == *total_ : range->total.has_value());
    if (!fits || !is_same_file) {
      file_.Clear();
      is_resumed_ = false;
      unfinished_ = is_same_file ? "the server sends another range than asked for"
                                 : "the file changed on the server";
      return false;
    }
    if (range->total) total_ = range->total;
    Announce();
    return true;
  }

  void Announce() {
    if (total_) file_.CheckRoom(*total_);
    if (!progress_) return;
    // Once: further attempts go on with the same line.
    if (!is_announced_)
      progress_->Start(download_.name, ProgressUnit::kBytes, file_.size(), total_.value_or(0));
    is_announced_ = true;
    progress_->Update(file_.size());
  }

  void OnBody(std::string_view data) {
    if (total_ && data.size() > *total_ - std::min(*total_, file_.size())) {
      file_.Clear();
      throw Error(Code::kFailed,
                  "{}: the server sends more than the {} bytes promised; the file was "
                  "removed",
                  download_.name, *total_);
    }
    file_.Append(data, total_);
    received_ += data.size();
    if (progress_) progress_->Update(file_.size());
  }

  HttpClient& client_;
  const Download& download_;
  const Settings& settings_;
  Progress* progress_;
  PartialFile file_;
  std::optional<uint64_t> total_;
  uint64_t received_ = 0;
  bool is_resumed_ = false;  // the file holds bytes of an earlier run
  bool is_complete_ = false;
  bool is_announced_ = false;  // to progress_
  std::string unfinished_;     // why the last reply did not complete the file
  std::string last_sha256_;
};

}  // namespace

Downloaded Fetch(HttpClient& client, const Download& download, const Settings& settings,
                 Progress* progress) {
  return Transfer(client, download, settings, progress).Run();
}

}  // namespace slm::hub
