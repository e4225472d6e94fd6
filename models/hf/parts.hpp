// models/hf/parts.hpp: which tensors make up which stage, and their hashes. Private to models/hf.
#pragma once

#include "models/hf/folder.hpp"
#include "models/hf/xxh64.hpp"

#include <functional>

namespace virga::models::hf {

/// SHA-256 of each tensor by name, as 64 hexadecimal digits.
using hash_list = std::map<std::string, std::string>;
/// Shape of each tensor by name.
using shape_list = std::map<std::string, std::vector<std::uint64_t>>;

/// "[101, 48]"
std::string shape_text(const std::vector<std::uint64_t>& shape);

/// The tensors that these stages need. A tied head needs the embedding's matrix.
shape_list tensors_of(const model_config& c, const std::vector<stage>& stages);

/// embedding, all layers in one stage, head.
std::vector<stage> whole_model(const model_config& c);

/// Over dtype, shape and bytes, so that equal bytes of another dtype differ. Reads the data once, in pieces, and tells
/// `done` the bytes of each. @throws bad_model("WHERE: ...") naming the first element that is NaN or infinite
std::string hash_finite(const tensor_view& t, const std::string& where, const std::function<void(std::uint64_t)>& done);

/// The checksum of a tensor in a quantised folder, which says no more than that it is undamaged: the digest says of which
/// model the folder is. Over dtype, shape and bytes.
std::string hash_stored(const tensor_view& t, const std::string& where, const std::function<void(std::uint64_t)>& done);
xxh64 begun_hash(const tensor_view& t);  ///< the same before the bytes

/// The model's digest: SHA-256 over the lines "NAME SHA256\n", sorted by name, with one more line "config.json SHA256"
/// for the config's canonical text.
std::string digest_of(const hash_list& tensors, const model_config& c);

/// Whether everything that `part` names is in `whole`.
bool holds(const std::vector<stage>& whole, const std::vector<stage>& part);

/// At least one stage; embedding first, layers ascending and within the model, head last. @throws bad_model
void check_order(const std::vector<stage>& stages, std::uint32_t model_layers, const std::string& where);

} // namespace virga::models::hf
