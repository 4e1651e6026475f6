#include "hub/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <thread>

#include "hub/url.h"

namespace slm::hub {
namespace {

constexpr size_t kMaxHeaderBytes = 256 * 1024;
constexpr size_t kMaxIgnoredBytes = 64 * 1024;  // of a body nobody wants, before the line is cut
constexpr long kReceiveBytes = 256 * 1024;
constexpr int kPollMs = 100;  // how soon a cancellation is seen
constexpr const char* kUserAgent = "slm/0.1";

bool IsRedirect(const HttpReply& reply) {
  return (reply.status == 301 || reply.status == 302 || reply.status == 303 ||
          reply.status == 307 || reply.status == 308) &&
         !reply.Header("location").empty();
}

bool IsRetryableCurl(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// What the callbacks of one exchange share. They may not throw through C frames: an exception is
// kept and rethrown after the transfer.
struct Exchange {
  const HttpSink* sink = nullptr;
  HttpReply reply;
  size_t header_bytes = 0, ignored_bytes = 0;
  bool is_chunked = false, is_http1 = true;
  bool is_begun = false, wants_body = false;
  bool is_dropped = false;  // the rest of the body is not wanted, so the line was cut on purpose
  std::exception_ptr error;

  void Begin() {
    if (is_begun) return;
    is_begun = true;
    reply.is_framed = !is_http1 || is_chunked || reply.headers.contains("content-length");
    wants_body = !IsRedirect(reply) && sink->on_reply && sink->on_reply(reply);
  }
};

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto* exchange = static_cast<Exchange*>(user);
  const size_t bytes = size * count;
  exchange->header_bytes += bytes;
  if (exchange->header_bytes > kMaxHeaderBytes) return 0;
  std::string_view line(data, bytes);
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {  // also after a "100 Continue"
    exchange->reply.headers.clear();
    exchange->is_chunked = false;
    exchange->is_http1 = line.starts_with("HTTP/1");
    exchange->reply.status = 0;
    if (const size_t space = line.find(' '); space != std::string_view::npos)
      std::from_chars(line.data() + space + 1, line.data() + line.size(), exchange->reply.status);
    return bytes;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || exchange->is_begun) return bytes;  // trailers do not count
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  if (name == "transfer-encoding" && value.find("chunked") != std::string_view::npos)
    exchange->is_chunked = true;
  exchange->reply.headers.emplace(std::move(name), value);
  return bytes;
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto* exchange = static_cast<Exchange*>(user);
  const size_t bytes = size * count;
  try {
    exchange->Begin();
    if (exchange->wants_body) {
      exchange->sink->on_body(std::string_view(data, bytes));
      return bytes;
    }
  } catch (...) {
    exchange->error = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
  exchange->ignored_bytes += bytes;
  if (exchange->ignored_bytes <= kMaxIgnoredBytes) return bytes;
  exchange->is_dropped = true;
  return CURL_WRITEFUNC_ERROR;
}

void InitializeCurl() {
  static const bool is_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  if (!is_ready) throw Error(Code::kFailed, "libcurl does not start");
}

[[noreturn]] void ThrowInterrupted() {
  throw Error(Code::kInterrupted,
              "interrupted; what was received is kept, run the same command "
              "again to go on");
}

}  // namespace

const std::string& HttpReply::Header(const std::string& name) const {
  static const std::string kNone;
  const auto found = headers.find(name);
  return found == headers.end() ? kNone : found->second;
}

std::optional<uint64_t> HttpReply::Number(const std::string& name) const {
  const std::string& text = Header(name);
  uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

struct HttpClient::Connection {
  Connection() {
    InitializeCurl();
    easy = curl_easy_init();
    multi = curl_multi_init();
    if (!easy || !multi) throw Error(Code::kFailed, "libcurl does not start");
  }
  ~Connection() {
    if (easy) curl_easy_cleanup(easy);
    if (multi) curl_multi_cleanup(multi);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  template <class Value>
  void Set(CURLoption option, Value value) {
    if (curl_easy_setopt(easy, option, value) != CURLE_OK)
      throw Error(Code::kFailed, "libcurl refuses option {}", static_cast<int>(option));
  }

  // Runs what is set up. The multi interface, as it can look at `is_cancelled` while it waits.
  CURLcode Perform(const HttpClient& client) {
    curl_multi_add_handle(multi, easy);
    CURLcode result = CURLE_OK;
    bool is_interrupted = false;
    for (int running = 1; running > 0;) {
      const CURLMcode code = curl_multi_perform(multi, &running);
      if (code != CURLM_OK) {
        result = CURLE_FAILED_INIT;
        break;
      }
      if (client.is_cancelled()) {
        is_interrupted = true;
        break;
      }
      if (running > 0) curl_multi_poll(multi, nullptr, 0, kPollMs, nullptr);
    }
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) result = message->data.result;
    }
    curl_multi_remove_handle(multi, easy);
    if (is_interrupted) ThrowInterrupted();
    return result;
  }

  CURL* easy = nullptr;
  CURLM* multi = nullptr;
};

HttpClient::HttpClient(const TransferLimits& limits, std::function<bool()> is_cancelled,
                       std::function<void(const std::string&)> on_notice)
    : limits_(limits),
      is_cancelled_(std::move(is_cancelled)),
      on_notice_(std::move(on_notice)),
      connection_(std::make_unique<Connection>()) {}

HttpClient::~HttpClient() = default;

HttpOutcome HttpClient::SendOnce(const HttpRequest& request, const std::string& url,
                                 const HttpSink& sink) {
  if (is_cancelled()) ThrowInterrupted();
  Exchange exchange;
  exchange.sink = &sink;
  exchange.reply.url = url;

  std::unique_ptr<curl_slist, ListDeleter> headers;
  const auto add_header = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
    if (!longer) throw Error(Code::kFailed, "out of memory");
    (void)headers.release();
    headers.reset(longer);
  };
  for (const std::string& line : request.headers) add_header(line);
  if (!request.token.empty() && Origin(url) == request.token_origin)
    add_header("Authorization: Bearer " + request.token);

  Connection& curl = *connection_;
  curl_easy_reset(curl.easy);
  char message[CURL_ERROR_SIZE] = "";
  curl.Set(CURLOPT_ERRORBUFFER, message);
  curl.Set(CURLOPT_URL, url.c_str());
  curl.Set(CURLOPT_PROTOCOLS_STR, "http,https");
  curl.Set(CURLOPT_FOLLOWLOCATION, 0L);
  curl.Set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl.Set(CURLOPT_NOSIGNAL, 1L);
  curl.Set(CURLOPT_NOBODY, request.is_head ? 1L : 0L);
  curl.Set(CURLOPT_USERAGENT, kUserAgent);
  // Only a hint. Pitfall: libcurl refuses it while it still holds the last connection, as it does
  // after a name that could not be resolved.
  (void)curl_easy_setopt(curl.easy, CURLOPT_BUFFERSIZE, kReceiveBytes);
  curl.Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits_.connect_timeout_ms));
  curl.Set(CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(limits_.low_speed_bytes_s));
  curl.Set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(limits_.low_speed_time_s));
  curl.Set(CURLOPT_HTTPHEADER, headers.get());
  curl.Set(CURLOPT_HEADERFUNCTION, OnHeader);
  curl.Set(CURLOPT_HEADERDATA, &exchange);
  curl.Set(CURLOPT_WRITEFUNCTION, OnBody);
  curl.Set(CURLOPT_WRITEDATA, &exchange);
  // The variable that OpenSSL itself knows, for companies with an authority of their own.
  if (const char* bundle = std::getenv("SSL_CERT_FILE"); bundle && *bundle)
    curl.Set(CURLOPT_CAINFO, bundle);

  const CURLcode code = curl.Perform(*this);
  curl.Set(CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));  // it dies with this frame
  if (exchange.error) std::rethrow_exception(exchange.error);

  HttpOutcome outcome;
  if (code == CURLE_OK) {
    exchange.Begin();
  } else if (!exchange.is_dropped) {
    const char* text = message[0] ? message : curl_easy_strerror(code);
    outcome.problem = fmt::format("{}: {}", ShownUrl(url), Shown(text));
    outcome.is_retryable = IsRetryableCurl(code);
  }
  outcome.reply = std::move(exchange.reply);
  return outcome;
}

HttpOutcome HttpClient::Send(const HttpRequest& request, const HttpSink& sink) {
  const std::string first_origin = Origin(request.url);
  std::string url = request.url;
  HttpReply first;
  for (int hop = 0;; ++hop) {
    HttpOutcome outcome = SendOnce(request, url, sink);
    if (Origin(url) == first_origin) first = outcome.reply;
    outcome.first = first;
    if (!outcome.problem.empty() || !IsRedirect(outcome.reply)) return outcome;
    if (hop >= limits_.redirects)
      throw Error(Code::kFailed, "{}: more than {} redirects", ShownUrl(request.url),
                  limits_.redirects);
    const std::string next = ResolveUrl(url, outcome.reply.Header("location"));
    if (request.stays_on_origin && Origin(next) != first_origin) return outcome;
    if (SplitUrl(url).scheme == "https" && SplitUrl(next).scheme != "https")
      throw Error(Code::kFailed, "{}: redirects from https to http ({}), which is not followed",
                  ShownUrl(url), ShownUrl(next));
    url = next;
  }
}

HttpOutcome HttpClient::SendWithRetries(const HttpRequest& request, size_t max_body_bytes,
                                        std::string* body) {
  Backoff backoff(*this);
  for (;;) {
    body->clear();
    HttpSink sink;
    sink.on_reply = [](const HttpReply& reply) { return reply.status == 200; };
    sink.on_body = [&](std::string_view data) {
      if (data.size() > max_body_bytes - body->size())
        throw Error(Code::kBadInput, "{}: the answer is longer than {} bytes",
                    ShownUrl(request.url), max_body_bytes);
      body->append(data);
    };
    HttpOutcome outcome = Send(request, sink);
    const bool is_cut = !outcome.problem.empty();
    if (is_cut ? !outcome.is_retryable : !IsRetryableStatus(outcome.reply.status)) {
      if (is_cut) throw NetworkError(Code::kFailed, "{}", outcome.problem);
      return outcome;
    }
    if (backoff.Wait(RetryAfterMs(outcome.reply), ReasonOf(outcome))) continue;
    if (is_cut) throw NetworkError(Code::kFailed, "{}", outcome.problem);
    return outcome;
  }
}

std::string ReasonOf(const HttpOutcome& outcome) {
  if (!outcome.problem.empty()) return outcome.problem;
  return fmt::format("{}: status {}", ShownUrl(outcome.reply.url), outcome.reply.status);
}

bool IsRetryableStatus(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

std::optional<int64_t> RetryAfterMs(const HttpReply& reply) {
  const std::string& text = reply.Header("retry-after");
  if (text.empty()) return std::nullopt;
  constexpr uint64_t kMaxSeconds = 1'000'000;
  if (const auto seconds = reply.Number("retry-after"))
    return static_cast<int64_t>(std::min(*seconds, kMaxSeconds)) * 1000;
  const time_t date = curl_getdate(text.c_str(), nullptr);
  if (date < 0) return std::nullopt;
  return std::clamp<int64_t>(date - std::time(nullptr), 0, kMaxSeconds) * 1000;
}

bool Backoff::Wait(std::optional<int64_t> retry_after_ms, const std::string& why) {
  const TransferLimits& limits = client_.limits();
  if (failures_ >= limits.retries) return false;
  int64_t wait_ms = limits.backoff_ms;
  for (int i = 0; i < failures_ && wait_ms < limits.max_wait_ms; ++i) wait_ms *= 2;
  wait_ms = std::min(wait_ms, limits.max_wait_ms);
  if (retry_after_ms) {
    if (*retry_after_ms > limits.max_wait_ms) return false;
    wait_ms = std::max(wait_ms, *retry_after_ms);
  }
  ++failures_;
  client_.Notify(
      fmt::format("{}; trying again in {:.3g} s", why, static_cast<double>(wait_ms) / 1e3));
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  for (;;) {
    if (client_.is_cancelled()) ThrowInterrupted();
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) return true;
    std::this_thread::sleep_for(
        std::min<std::chrono::steady_clock::duration>(until - now, std::chrono::milliseconds(50)));
  }
}

}  // namespace slm::hub
