// HTTP requests with libcurl. Redirects are followed here, one by one, so that a token goes to its
// own origin only and nothing but http and https is ever spoken.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "hub/settings.h"

namespace slm::hub {

// The server could not be reached or could not serve for now, after all retries.
class NetworkError : public Error {
 public:
  using Error::Error;
};

struct HttpReply {
  int status = 0;
  std::string url;                             // that gave it, after redirects
  std::map<std::string, std::string> headers;  // names in lower case
  bool is_framed = false;  // the end of the body can be told from a cut connection

  const std::string& Header(const std::string& name) const;  // empty when absent
  std::optional<uint64_t> Number(const std::string& name) const;
};

struct HttpRequest {
  std::string url;
  bool is_head = false;
  bool stays_on_origin = false;      // hand a redirect to another origin back as the reply
  std::vector<std::string> headers;  // "Name: value"
  std::string token;                 // sent as bearer to token_origin only; may be empty
  std::string token_origin;
};

struct HttpOutcome {
  HttpReply reply;      // the last one; its status is 0 when none came
  HttpReply first;      // the last reply of the first origin: the hub's, before it points elsewhere
  std::string problem;  // why the transfer did not complete; empty when it did
  bool is_retryable = false;  // the problem may go away by itself
};

// What to do with a reply that is no redirect. Exceptions from both pass through Send().
struct HttpSink {
  std::function<bool(const HttpReply&)> on_reply;  // false: the body is of no interest
  std::function<void(std::string_view)> on_body;
};

// One thread at a time. Connections are kept between requests.
class HttpClient {
 public:
  // Both functions may be empty.
  HttpClient(const TransferLimits& limits, std::function<bool()> is_cancelled,
             std::function<void(const std::string&)> on_notice = {});
  ~HttpClient();

  // One attempt. Throws Error: kInterrupted when cancelled, kFailed for too many redirects, a
  // redirect to something that is not http(s) or from https to http, and what the sink throws.
  HttpOutcome Send(const HttpRequest& request, const HttpSink& sink);

  // Sends until there is a reply that is worth no retry; the body is kept up to `max_body_bytes`,
  // more throws Error kBadInput. Throws NetworkError when the retries are used up.
  HttpOutcome SendWithRetries(const HttpRequest& request, size_t max_body_bytes, std::string* body);

  // Tells the user something now.
  void Notify(const std::string& text) const {
    if (on_notice_) on_notice_(text);
  }

  const TransferLimits& limits() const { return limits_; }
  bool is_cancelled() const { return is_cancelled_ && is_cancelled_(); }
  const std::function<bool()>& cancel_callback() const { return is_cancelled_; }

 private:
  struct Connection;
  HttpOutcome SendOnce(const HttpRequest& request, const std::string& url, const HttpSink& sink);

  TransferLimits limits_;
  std::function<bool()> is_cancelled_;
  std::function<void(const std::string&)> on_notice_;
  std::unique_ptr<Connection> connection_;
};

// Why an outcome is no success: its problem, or the status of the reply.
std::string ReasonOf(const HttpOutcome& outcome);

// A status that may go away: 408, 429, 500, 502, 503, 504.
bool IsRetryableStatus(int status);

// The Retry-After header in milliseconds from now; nothing when absent or unreadable.
std::optional<int64_t> RetryAfterMs(const HttpReply& reply);

// Bounded waiting between attempts.
class Backoff {
 public:
  explicit Backoff(const HttpClient& client) : client_(client) {}
  void Reset() { failures_ = 0; }
  // Says on the client's notices why and how long, and waits; false when the attempts are used up
  // or the server asks for more patience than limits().max_wait_ms. Throws Error kInterrupted when
  // cancelled.
  bool Wait(std::optional<int64_t> retry_after_ms, const std::string& why);

 private:
  const HttpClient& client_;
  int failures_ = 0;
};

}  // namespace slm::hub
