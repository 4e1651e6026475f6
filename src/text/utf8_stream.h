// Turns a stream of bytes into a stream of whole UTF-8 characters: tokens may end inside a
// character.
#pragma once

#include <string>
#include <string_view>

namespace slm::text {

class Utf8Stream {
 public:
  // Takes the next bytes and returns every character that is now complete. Bytes that cannot be
  // part of a character become U+FFFD, one for each maximal subpart (Unicode 15, section 3.9, as
  // the WHATWG decoder does). At most three bytes are held back.
  std::string Feed(std::string_view bytes);

  // The end of the stream: what was held back comes out as one U+FFFD. The stream is then as new.
  std::string Flush();

 private:
  std::string pending_;
};

}  // namespace slm::text
