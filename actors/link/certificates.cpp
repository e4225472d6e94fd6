#include "actors/link/certificates.hpp"

#include "actors/link/tls.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <memory>

namespace virga {

namespace {

namespace fs = std::filesystem;

constexpr int ca_days = 3650;
constexpr long seconds_per_day = 24 * 60 * 60;
constexpr int renew_days = 30; // a certificate with less left is made anew

template <auto Free>
struct deleter {
  template <class T>
  void operator()(T* p) const { Free(p); }
};
using key_ptr = std::unique_ptr<EVP_PKEY, deleter<EVP_PKEY_free>>;
using cert_ptr = std::unique_ptr<X509, deleter<X509_free>>;
using extension_ptr = std::unique_ptr<X509_EXTENSION, deleter<X509_EXTENSION_free>>;
using file_ptr = std::unique_ptr<std::FILE, deleter<std::fclose>>;

[[noreturn]] void fail(const std::string& what) {
  auto reason = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  throw certificate_error(reason ? what + ": " + reason : what);
}

void must(bool ok, const std::string& what) {
  if (!ok)
    fail(what);
}

// -- files -------------------------------------------------------------------------------------------------------------

/// Written beside its place and renamed, readable by the owner only from the first byte.
template <class Write>
void write_file(const fs::path& path, Write write) {
  auto fresh = path.string() + ".new";
  ::unlink(fresh.c_str());
  auto fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
  must(fd >= 0, "cannot write " + fresh);
  file_ptr file{::fdopen(fd, "w")};
  must(file && write(file.get()) && std::fflush(file.get()) == 0, "cannot write " + fresh);
  file.reset();
  std::error_code error;
  fs::rename(fresh, path, error);
  must(!error, "cannot rename " + fresh + " to " + path.string());
}

void write_pair(const fs::path& base, EVP_PKEY* key, X509* cert) {
  auto with = [&](const char* ending) { return fs::path{base.string() + ending}; };
  write_file(with(".key"), [&](auto f) { return PEM_write_PKCS8PrivateKey(f, key, nullptr, nullptr, 0, nullptr, nullptr) == 1; });
  write_file(with(".pem"), [&](auto f) { return PEM_write_X509(f, cert) == 1; });
}

cert_ptr read_cert(const fs::path& path) {
  file_ptr file{std::fopen(path.c_str(), "r")};
  return cert_ptr{file ? PEM_read_X509(file.get(), nullptr, nullptr, nullptr) : nullptr};
}

key_ptr read_key(const fs::path& path) {
  file_ptr file{std::fopen(path.c_str(), "r")};
  return key_ptr{file ? PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr) : nullptr};
}

void make_folder(const fs::path& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  must(!error, "cannot make the folder " + dir.string() + ": " + error.message());
}

// -- certificates ------------------------------------------------------------------------------------------------------

key_ptr make_key() {
  key_ptr key{EVP_EC_gen("P-256")};
  must(key != nullptr, "cannot make a key");
  return key;
}

void add_extension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  extension_ptr e{X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str())};
  must(e && X509_add_ext(cert, e.get(), -1) == 1, "cannot add " + value + " to a certificate");
}

std::uint64_t random_number() {
  std::uint64_t out = 0;
  must(RAND_bytes(reinterpret_cast<unsigned char*>(&out), sizeof out) == 1, "no random numbers");
  return out;
}

cert_ptr begin_cert(const std::string& name, EVP_PKEY* key, int days) {
  cert_ptr cert{X509_new()};
  must(cert != nullptr, "cannot make a certificate");
  X509_set_version(cert.get(), X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert.get()), random_number() >> 1 | 1);
  // A day back, for clocks that are behind.
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), (days < 0 ? 2 * days : -1) * seconds_per_day);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), days * seconds_per_day);
  X509_set_pubkey(cert.get(), key);
  auto subject = X509_get_subject_name(cert.get());
  must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                                  -1, 0) == 1, "cannot name a certificate " + name);
  return cert;
}

void sign(X509* cert, X509* issuer, EVP_PKEY* issuer_key) {
  must(X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1, "cannot set an issuer");
  must(X509_sign(cert, issuer_key, EVP_sha256()) > 0, "cannot sign a certificate");
}

bool valid_for(X509* cert, int days) {
  auto then = std::time(nullptr) + days * seconds_per_day;
  return X509_cmp_time(X509_get0_notAfter(cert), &then) > 0;
}

bool has_name(X509* cert, const std::string& name) {
  return X509_check_host(cert, name.c_str(), name.size(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1;
}

bool is_good(const fs::path& base, X509* ca, const node_identity& who) {
  auto cert = read_cert(base.string() + ".pem");
  auto key = read_key(base.string() + ".key");
  ERR_clear_error();
  return cert && key && X509_check_private_key(cert.get(), key.get()) == 1 && valid_for(cert.get(), renew_days)
         && X509_verify(cert.get(), X509_get0_pubkey(ca)) == 1 && has_name(cert.get(), who.node)
         && has_name(cert.get(), site_name(who.site));
}

/// Names go into file names and into an OpenSSL expression, so they are what the manifest allows and no more.
void check_name(const std::string& name, const char* what) {
  auto bad = name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
  if (name.empty() || name.size() > 63 || name.front() == '.' || bad != std::string::npos)
    throw certificate_error(std::string{what} + " name \"" + name + "\" must be 1 to 63 letters, digits, '-', '_' or '.'");
}

} // namespace

void make_ca(const fs::path& dir) {
  make_folder(dir);
  auto old = read_cert(dir / "ca.pem");
  auto old_key = read_key(dir / "ca.key");
  if (old && old_key && valid_for(old.get(), renew_days) && X509_check_private_key(old.get(), old_key.get()) == 1)
    return;
  ERR_clear_error();
  auto key = make_key();
  // Each CA has a name of its own: a certificate of another deployment is then "unknown ca" and not a wrong signature.
  auto cert = begin_cert("virga links CA " + std::to_string(random_number()), key.get(), ca_days);
  add_extension(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(cert.get(), cert.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(cert.get(), cert.get(), NID_subject_key_identifier, "hash");
  sign(cert.get(), cert.get(), key.get());
  write_pair(dir / "ca", key.get(), cert.get());
}

void make_node_certificate(const fs::path& ca_dir, const node_identity& who, const fs::path& out_dir, int days) {
  check_name(who.node, "the node");
  check_name(who.site, "the site");
  if (who.node == "ca")
    throw certificate_error("a node cannot be called ca: that is the name of the CA's files");
  auto ca = read_cert(ca_dir / "ca.pem");
  auto ca_key = read_key(ca_dir / "ca.key");
  must(ca != nullptr, "no CA certificate in " + (ca_dir / "ca.pem").string());
  must(ca_key != nullptr, "no CA key in " + (ca_dir / "ca.key").string());
  make_folder(out_dir);
  auto base = out_dir / who.node;
  if (days >= renew_days && is_good(base, ca.get(), who))
    return;
  auto key = make_key();
  auto cert = begin_cert(who.node, key.get(), days);
  add_extension(cert.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(cert.get(), ca.get(), NID_key_usage, "critical,digitalSignature");
  add_extension(cert.get(), ca.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  add_extension(cert.get(), ca.get(), NID_subject_alt_name, "DNS:" + who.node + ",DNS:" + site_name(who.site));
  sign(cert.get(), ca.get(), ca_key.get());
  write_pair(base, key.get(), cert.get());
}

void make_link_certificates(const fs::path& dir, std::span<const node_identity> nodes) {
  make_ca(dir);
  for (auto& n : nodes)
    make_node_certificate(dir, n, dir);
}

fs::path site_certificates(const fs::path& dir, const std::string& site) { return dir / "sites" / site; }

void make_site_certificates(const fs::path& dir, std::span<const node_identity> nodes) {
  for (auto& n : nodes) {
    check_name(n.site, "the site");
    const auto own = site_certificates(dir, n.site);
    make_ca(own);
    make_node_certificate(own, n, own);
  }
}

} // namespace virga
