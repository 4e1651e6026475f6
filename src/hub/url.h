// URLs: parts, origins, relative references, escaping, and a form that is fit to be shown.
#pragma once

#include <string>
#include <string_view>

namespace slm::hub {

// An absolute http or https URL with a host.
bool IsHttpUrl(const std::string& url);

struct UrlParts {
  std::string scheme;  // lower case
  std::string host;    // lower case
  std::string port;    // always given: 80 and 443 are filled in
  std::string path;    // as sent, escaped; begins with '/'
  std::string query;
};

// Throws Error kUsage when `url` is not an absolute http(s) URL.
UrlParts SplitUrl(const std::string& url);

// scheme://host:port. Credentials may only go to the origin they belong to.
std::string Origin(const std::string& url);

// `location` of a redirect seen at `base`. Throws Error kFailed when the result is not http(s).
std::string ResolveUrl(const std::string& base, const std::string& location);

// For messages and records: without user, password, query and fragment, which may hold secrets.
std::string ShownUrl(const std::string& url);

// Percent-encodes all but unreserved characters; with `keep_slash` also keeps '/'.
std::string EscapeUrl(std::string_view text, bool keep_slash);

// The reverse of EscapeUrl; a bad escape stays as it is.
std::string UnescapeUrl(std::string_view text);

// For a message: text of a server with control characters replaced and a limited length.
std::string Shown(std::string_view text);

}  // namespace slm::hub
