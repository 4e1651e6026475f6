#include "hub/digest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace slm::hub {

struct Hasher::Context {
  explicit Context(const EVP_MD* kind) : algorithm(kind), state(EVP_MD_CTX_new()) { Start(); }
  ~Context() { EVP_MD_CTX_free(state); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void Start() {
    if (!state || EVP_DigestInit_ex(state, algorithm, nullptr) != 1)
      throw Error(Code::kFailed, "OpenSSL cannot compute {}", EVP_MD_get0_name(algorithm));
  }
  void Add(const void* data, size_t bytes) { EVP_DigestUpdate(state, data, bytes); }
  std::string Finish() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(state, digest, &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

  const EVP_MD* algorithm;
  EVP_MD_CTX* state;
};

namespace {

constexpr size_t kReadBytes = 1 << 20;

template <class Add>
void ReadAll(const std::string& path, int fd, const std::function<bool()>& is_cancelled,
             const Add& add) {
  std::vector<char> buffer(kReadBytes);
  for (;;) {
    if (is_cancelled && is_cancelled())
      throw Error(Code::kInterrupted, "interrupted while reading {}", path);
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got == 0) return;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(Code::kFailed, "{}: cannot read: {}", path, std::strerror(errno));
    add(buffer.data(), static_cast<size_t>(got));
  }
}

struct ScopedFile {
  explicit ScopedFile(const std::string& path) : fd(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd < 0) throw Error(Code::kFailed, "{}: cannot open: {}", path, std::strerror(errno));
  }
  ~ScopedFile() { close(fd); }
  ScopedFile(const ScopedFile&) = delete;
  ScopedFile& operator=(const ScopedFile&) = delete;
  int fd;
};

}  // namespace

Hasher::Hasher() : context_(std::make_unique<Context>(EVP_sha256())) {}
Hasher::~Hasher() = default;
void Hasher::Update(const void* data, size_t bytes) { context_->Add(data, bytes); }
void Hasher::Reset() { context_->Start(); }

std::string Hasher::Finish() {
  std::string text = context_->Finish();
  context_->Start();
  return text;
}

std::string Sha256(std::string_view text) {
  Hasher hasher;
  hasher.Update(text.data(), text.size());
  return hasher.Finish();
}

std::string FileSha256(const std::string& path, const std::function<bool()>& is_cancelled) {
  const ScopedFile file(path);
  Hasher hasher;
  ReadAll(path, file.fd, is_cancelled,
          [&](const char* data, size_t bytes) { hasher.Update(data, bytes); });
  return hasher.Finish();
}

std::string FileGitBlob(const std::string& path, const std::function<bool()>& is_cancelled) {
  const ScopedFile file(path);
  struct stat info = {};
  if (fstat(file.fd, &info) != 0)
    throw Error(Code::kFailed, "{}: cannot stat: {}", path, std::strerror(errno));
  Hasher::Context context(EVP_sha1());
  const std::string header = fmt::format("blob {}", info.st_size);
  context.Add(header.c_str(), header.size() + 1);  // with its NUL
  ReadAll(path, file.fd, is_cancelled,
          [&](const char* data, size_t bytes) { context.Add(data, bytes); });
  return context.Finish();
}

std::string FileDigest(const std::string& path, const std::string& expected,
                       const std::function<bool()>& is_cancelled) {
  return expected.size() == 64 ? FileSha256(path, is_cancelled) : FileGitBlob(path, is_cancelled);
}

}  // namespace slm::hub
