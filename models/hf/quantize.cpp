#include "models/hf/quantize.hpp"

#include "models/hf/config.hpp"
#include "models/hf/convert.hpp"
#include "models/hf/json.hpp"
#include "models/hf/new_folder.hpp"
#include "models/hf/pack.hpp"
#include "models/hf/parts.hpp"
#include "models/hf/stored.hpp"
#include "models/memory.hpp"

#include <algorithm>
#include <array>

namespace virga::models::hf {

namespace {

namespace fs = std::filesystem;

/// Bytes packed before they are written.
constexpr std::uint64_t batch_bytes = 4u << 20;

/// Everything of the folder but weights and what is written anew.
void copy_others(const fs::path& from, const fs::path& to) {
  constexpr std::array weights{".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx", ".part"};
  for (auto& entry : fs::directory_iterator(from)) {
    auto name = entry.path().filename().string();
    bool ours = name == "config.json" || name == list_name || name.ends_with(".safetensors.index.json")
                || name.ends_with(".bin.index.json");
    auto end = entry.path().extension().string();
    if (entry.is_regular_file() && !ours && std::ranges::find(weights, end) == weights.end())
      fs::copy_file(entry.path(), to / name);
  }
}

void write_config(const fs::path& from, dtype type, const fs::path& to) {
  auto file = from / "config.json";
  auto root = parse_strict(read_text(file), file.string());
  root.as_object()["quantization_config"] = {
    {"quant_method", quantized_method}, {"dtype", to_string(type)}, {"layout", quantized_layout}};
  write_text(to / "config.json", json::serialize(root) + "\n");
}

std::uint64_t bytes_of(const stored_tensor& t, dtype type) {
  if (!t.matrix())
    return t.shape[0] * sizeof(float);
  return kernels::packed_shape{type, static_cast<std::uint32_t>(t.shape[0]), static_cast<std::uint32_t>(t.shape[1])}
      .bytes();
}

/// Before hours of work.
void check_room(const fs::path& out, std::uint64_t needed) {
  std::error_code error;
  auto space = fs::space(out, error);
  if (!error && space.available < needed)
    fail(out.parent_path().string(), "the weights need " + bytes_text(needed) + ", but the disk has "
                                         + bytes_text(space.available) + " left; free some or write elsewhere");
}

class weights_writer {
public:
  weights_writer(const model_folder& from, dtype type, const load_progress& progress)
      : from_(from), type_(type), progress_(progress), tensors_(stored_tensors(from.config(), from.stages())) {
    for (auto& t : tensors_)
      total_ += bytes_of(t, type);
  }

  std::uint64_t total() const { return total_; }

  std::map<std::string, stored_entry> write(const fs::path& file) {
    std::vector<tensor_view> heads;
    for (auto& t : tensors_)
      heads.push_back({t.name, t.matrix() ? type_ : dtype::f32, t.shape, {}, t.matrix()});
    safetensors_writer out(file, heads);
    std::map<std::string, stored_entry> made;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      auto sum = begun_hash(heads[i]);
      auto add = [&](std::span<const std::byte> bytes) {
        out.add(bytes);
        sum.add(bytes);
        tell(bytes.size());
      };
      tensors_[i].matrix() ? write_matrix(tensors_[i], add) : write_vector(tensors_[i], add);
      made[tensors_[i].name] = {tensors_[i].shape, sum.hex()};
    }
    out.finish();
    return made;
  }

private:
  template <class Add>
  void write_matrix(const stored_tensor& t, const Add& add) const {
    std::vector<tensor_view> parts;
    for (auto& name : t.parts)
      parts.push_back(from_.weight(name));
    const packer matrix(std::move(parts), type_);
    auto panel_bytes = matrix.shape().panel_bytes();
    auto at_once = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, batch_bytes / panel_bytes));
    std::vector<std::byte> room(at_once * panel_bytes);
    for (std::uint32_t first = 0, end = matrix.shape().panels(); first < end; first += at_once) {
      auto count = std::min(at_once, end - first);
      matrix.pack(first, first + count, room.data());
      add(std::span(room).first(count * panel_bytes));
    }
  }

  template <class Add>
  void write_vector(const stored_tensor& t, const Add& add) const {
    for (auto& name : t.parts)
      add(std::as_bytes(std::span<const float>(to_reals<float>(from_.weight(name)))));
  }

  void tell(std::uint64_t bytes) {
    done_ += bytes;
    if (progress_)
      progress_("writing weights", done_, total_);
  }

  const model_folder& from_;
  dtype type_;
  const load_progress& progress_;
  std::vector<stored_tensor> tensors_;
  std::uint64_t done_ = 0, total_ = 0;
};

} // namespace

std::uint64_t quantize_folder(const model_folder& from, dtype to, const fs::path& out, const load_progress& progress) {
  from.need_numbers("quantising");
  new_folder part(out);
  weights_writer weights(from, to, progress);
  check_room(part.path(), weights.total());
  copy_others(from.dir(), part.path());
  write_config(from.dir(), to, part.path());
  auto stored = weights.write(part.path() / "model.safetensors");
  write_list(part.path(), from, from.stages(), stored);
  part.finish();
  return weights.total();
}

} // namespace virga::models::hf
