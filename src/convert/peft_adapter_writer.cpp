#include "convert/peft_adapter_writer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/result_file.h"
#include "convert/hf_names.h"
#include "format/safetensors_writer.h"

namespace slm::convert {
namespace {

using model::LoraMatrix;
using model::Slot;
using nlohmann::ordered_json;

// The value that most have.
template <class T>
T Commonest(const std::map<std::string, T>& values) {
  std::map<T, int> counts;
  for (const auto& [name, value] : values) ++counts[value];
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

// By module; those that differ from `common`.
template <class T>
ordered_json Others(const std::map<std::string, T>& values, T common) {
  ordered_json others = ordered_json::object();
  for (const auto& [name, value] : values)
    if (value != common) others[name] = value;
  return others;
}

class Writer {
 public:
  Writer(const std::string& folder, const model::Lora& lora, const model::LoraTargets& targets,
         const PeftOptions& options)
      : folder_(folder),
        lora_(lora),
        targets_(targets),
        options_(options),
        family_(FindHfArch(targets.base().metadata().GetString("general.architecture"))) {
    SLM_CHECK(family_ && !lora.matrices.empty());
    std::map<std::string, float> scales;
    for (const LoraMatrix& matrix : lora.matrices) {
      ranks_[Module(matrix)] = matrix.rank;
      scales[Module(matrix)] = matrix.scale;
    }
    scale_ = Commonest(scales);
    if (scale_ == 0) scale_ = 1;  // of 0 no other is a multiple
  }

  void Write() {
    format::SafetensorsWriter tensors(folder_, kMaxBytes, "adapter_model");
    if (lora_.base)
      for (const auto& [key, text] : ToMetadata(*lora_.base)) tensors.SetMetadata(key, text);
    for (const LoraMatrix& matrix : lora_.matrices) Declare(matrix, &tensors);
    for (const LoraMatrix& matrix : lora_.matrices) Append(matrix, &tensors);
    ResultFile config((std::filesystem::path(folder_) / "adapter_config.json").string());
    constexpr auto kReplace = ordered_json::error_handler_t::replace;  // what is not UTF-8
    const std::string text = Config().dump(2, ' ', false, kReplace) + "\n";
    config.Write(text.data(), text.size());
    config.Complete();
    tensors.Finish();
    config.Finish();
  }

 private:
  static constexpr uint64_t kMaxBytes = UINT64_MAX;  // PEFT reads one file

  std::string Module(const LoraMatrix& matrix) const {
    constexpr std::string_view kWeight = ".weight";
    const auto name = HfTensorName(*family_, Form::kTransformers, matrix.slot, matrix.layer);
    SLM_CHECK(name);
    return name->substr(0, name->size() - kWeight.size());
  }

  void Declare(const LoraMatrix& matrix, format::SafetensorsWriter* writer) const {
    const std::string name = "base_model.model." + Module(matrix);
    writer->Declare(name + ".lora_A.weight", "F32", std::array{matrix.rank, matrix.in});
    writer->Declare(name + ".lora_B.weight", "F32", std::array{matrix.out, matrix.rank});
    if (!matrix.magnitude.empty())
      writer->Declare(name + ".lora_magnitude_vector", "F32", std::array{matrix.out});
  }

  void Append(const LoraMatrix& matrix, format::SafetensorsWriter* writer) const {
    const auto append = [&](const std::vector<float>& values) {
      writer->Append(
          {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)});
    };
    append(matrix.a);
    std::vector<float> b = Rows(matrix, matrix.b, matrix.rank);
    if (matrix.scale != scale_)
      for (float& x : b) x *= matrix.scale / scale_;
    append(b);
    if (!matrix.magnitude.empty()) append(Rows(matrix, matrix.magnitude, 1));
  }

  // In transformers' order.
  std::vector<float> Rows(const LoraMatrix& matrix, const std::vector<float>& from,
                          int64_t row_size) const {
    if (!family_->permutes_qk || (matrix.slot != Slot::kAttnQ && matrix.slot != Slot::kAttnK))
      return from;
    std::vector<float> to(from.size());
    for (int64_t row = 0; row < matrix.out; ++row)
      std::copy_n(from.begin() + GgufRowOfHfRow(row, targets_.hparams().head_dim) * row_size,
                  row_size, to.begin() + row * row_size);
    return to;
  }

  // The last part of a module's name where all layers have one, else the whole name.
  ordered_json TargetModules() const {
    std::map<Slot, int64_t> layers;
    for (const LoraMatrix& matrix : lora_.matrices) ++layers[matrix.slot];
    std::set<std::string> names;
    for (const LoraMatrix& matrix : lora_.matrices) {
      const std::string module = Module(matrix);
      const bool is_in_all = layers[matrix.slot] == targets_.hparams().layers;
      names.insert(is_in_all ? module.substr(module.rfind('.') + 1) : module);
    }
    return names;
  }

  ordered_json Config() const {
    std::map<std::string, double> alphas;
    for (const auto& [module, rank] : ranks_) alphas[module] = AlphaOf(rank);
    const int64_t rank = Commonest(ranks_);
    const double alpha = AlphaOf(rank);
    return {{"peft_type", "LORA"},
            {"task_type", "CAUSAL_LM"},
            {"base_model_name_or_path", options_.base_name},
            {"r", rank},
            {"lora_alpha", Number(alpha)},
            {"lora_dropout", options_.dropout},
            {"target_modules", TargetModules()},
            {"rank_pattern", Others(ranks_, rank)},
            {"alpha_pattern", Others(alphas, alpha)},
            {"use_rslora", options_.is_rank_stabilised},
            {"use_dora", !lora_.matrices.front().magnitude.empty()},
            {"bias", "none"},
            {"fan_in_fan_out", false},
            {"init_lora_weights", true},
            {"inference_mode", true},
            {"modules_to_save", nullptr}};
  }

  // The whole number where one gives the scale: that is what PEFT's class declares.
  double AlphaOf(int64_t rank) const {
    const auto r = static_cast<double>(rank);
    const double divisor = options_.is_rank_stabilised ? std::sqrt(r) : r;
    const double alpha = static_cast<double>(scale_) * divisor, whole = std::round(alpha);
    return static_cast<float>(whole / divisor) == scale_ ? whole : alpha;
  }
  static ordered_json Number(double x) {
    if (x == std::floor(x) && std::fabs(x) < 1e9) return static_cast<int64_t>(x);
    return x;
  }

  const std::string& folder_;
  const model::Lora& lora_;
  const model::LoraTargets& targets_;
  const PeftOptions& options_;
  const HfFamily* family_;
  std::map<std::string, int64_t> ranks_;  // by module
  float scale_ = 1;                       // of all
};

}  // namespace

void WritePeftLora(const std::string& folder, const model::Lora& lora,
                   const model::LoraTargets& targets, const PeftOptions& options) {
  Writer(folder, lora, targets, options).Write();
}

}  // namespace slm::convert
