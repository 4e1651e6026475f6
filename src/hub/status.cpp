#include "hub/status.h"

#include <fmt/format.h>

#include "hub/url.h"

namespace slm::hub {

void ThrowStatus(const HttpOutcome& outcome, const std::string& what, const std::string& repo,
                 const Settings& settings) {
  const HttpReply& reply = outcome.reply;
  const std::string& kind = outcome.first.Header("x-error-code");
  const std::string page = settings.endpoint + "/" + repo;
  std::string advice;
  if (reply.status == 429) {
    const auto wait_ms = RetryAfterMs(reply);
    throw NetworkError(
        Code::kFailed, "{}: the server has had too many requests (429); try again {}{}", what,
        wait_ms ? fmt::format("in {} s", (*wait_ms + 999) / 1000) : std::string("later"),
        settings.token.empty() && !repo.empty() ? ", or set HF_TOKEN for a higher limit" : "");
  }
  if (IsRetryableStatus(reply.status))
    throw NetworkError(Code::kFailed, "{}: the server answers {} for now; try again later", what,
                       reply.status);
  if (repo.empty()) {
    if (reply.status == 401 || reply.status == 403)
      advice = "access is denied; a signed URL may have expired";
    else if (reply.status == 404 || reply.status == 410)
      advice = "there is no such file";
  } else if (kind == "GatedRepo" ||
             (reply.status == 403 && kind.empty() && outcome.first.status == 403)) {
    advice = settings.token.empty()
                 ? fmt::format(
                       "the model is gated: accept its licence at {} and set HF_TOKEN to a "
                       "token of that account ({}/settings/tokens)",
                       page, settings.endpoint)
                 : fmt::format(
                       "the model is gated: accept its licence at {} with the account that "
                       "HF_TOKEN belongs to, and give the token read access to it",
                       page);
  } else if (kind == "RevisionNotFound") {
    advice = "there is no such revision";
  } else if (kind == "EntryNotFound") {
    advice = "there is no such file";
  } else if (reply.status == 401 || kind == "RepoNotFound") {
    // The hub says 401 for what does not exist, too, so as not to tell which private names do.
    advice = settings.token.empty()
                 ? "there is no such repository, or it is private or gated: check the name, or set "
                   "HF_TOKEN"
                 : "there is no such repository, or HF_TOKEN is not valid for it: check the name "
                   "and the token";
  } else if (reply.status == 404) {
    advice = "there is no such repository, revision or file";
  }
  const std::string& said = outcome.first.Header("x-error-message");
  throw Error(Code::kFailed, "{}: HTTP {} from {}{}{}{}", what, reply.status, ShownUrl(reply.url),
              advice.empty() ? "" : ": " + advice,
              said.empty() ? "" : "; the server says: ", Shown(said));
}

}  // namespace slm::hub
