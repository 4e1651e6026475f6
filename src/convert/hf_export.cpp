#include "convert/hf_export.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"
#include "base/half.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "convert/hf_config.h"
#include "convert/hf_names.h"
#include "convert/hf_tokenizer.h"
#include "convert/output_folder.h"
#include "convert/pack4.h"
#include "format/gguf.h"
#include "format/safetensors_writer.h"
#include "model/tensor_finder.h"

namespace slm::convert {
namespace {

using format::GgufTensor;
using nlohmann::ordered_json;

constexpr int64_t kChunkBytes = 32 << 20;        // of the result, held at a time
constexpr int64_t kElementsOfATask = 128 << 10;  // that one thread converts without asking for more

enum class Storage { kF32, kF16, kBF16, kPacked };

const char* NameOf(Storage storage) {
  switch (storage) {
    case Storage::kF32:
      return "F32";
    case Storage::kF16:
      return "F16";
    case Storage::kBF16:
      return "BF16";
    case Storage::kPacked:
      break;
  }
  return "I32";
}

// What holds every value of a type.
Storage ExactStorage(quant::Type type) {
  if (type == quant::Type::kF16) return Storage::kF16;
  if (type == quant::Type::kBF16) return Storage::kBF16;
  return Storage::kF32;
}

// A tensor of the result.
struct Plan {
  const GgufTensor* source;
  std::string name;  // without ".weight" when packed
  Storage storage;
  bool is_vector;
  bool is_permuted;   // rows of q and k
  float subtrahend;   // 1 where the file has one more than the checkpoint
  int64_t rows, row;  // row: elements of one
};

class Exporter {
 public:
  explicit Exporter(const HfExportOptions& options)
      : options_(options),
        file_(format::GgufFile::Open(options.input)),
        family_(
            model::FindFamily(file_.metadata().GetString("general.architecture"), file_.path())),
        hf_(FindHf()),
        hparams_(model::ReadHparams(file_, family_)),
        pool_(options.threads > 0 ? options.threads : DefaultThreads()),
        row_floats_(static_cast<size_t>(pool_.threads())) {}

  // All that can be wrong with the file is found before anything is written.
  HfExportResult Run() {
    result_.bits = Bits();
    const bool has_halves =
        std::any_of(file_.tensors().begin(), file_.tensors().end(),
                    [](const GgufTensor& tensor) { return tensor.type == quant::Type::kF16; });
    if (options_.bits == 0 && result_.bits == 16 && has_halves)
      options_.notice("F16 is rounded to bfloat16, which has three bits less; --bits 32 keeps all");
    const ordered_json config = Config();
    const ordered_json generation = MakeGenerationConfig(file_);
    std::vector<TextFile> texts = MakeHfTokenizer(file_, options_.notice);
    MakePlans();

    OutputFolder folder(options_.folder);
    for (const TextFile& text : texts) folder.WriteFile(text.name, text.content);
    folder.WriteFile("generation_config.json", generation.dump(2) + "\n");
    folder.WriteFile("config.json", config.dump(2) + "\n");
    format::SafetensorsWriter writer(folder.path());
    Declare(&writer);
    CheckSpace(folder.path(), writer.data_bytes());
    Progress* const progress = options_.progress;
    if (progress) progress->Start("converting", ProgressUnit::kBytes, 0, writer.data_bytes());
    for (const Plan& plan : plans_) Stream(plan, &writer);
    writer.Complete();  // a full disk shows here at the latest
    folder.RemoveOld();
    writer.Finish();
    folder.Finish();
    if (progress) progress->Finish();
    result_.bytes = writer.data_bytes();
    return result_;
  }

 private:
  const HfFamily& FindHf() const {
    if (const HfFamily* hf = FindHfArch(family_.arch)) return *hf;
    throw Error(Code::kUnsupported, "{}: the layout of {} in transformers is not known",
                file_.path(), family_.arch);
  }

  int Bits() const {
    if (options_.bits == 4 && options_.group_size != 32 && options_.group_size != 128)
      throw Error(Code::kUsage, "a group size of {}: expected 32 or 128", options_.group_size);
    if (options_.bits != 0) return options_.bits;
    const bool has_floats =
        std::any_of(file_.tensors().begin(), file_.tensors().end(), [](const GgufTensor& tensor) {
          return tensor.num_dims == 2 && tensor.type == quant::Type::kF32;
        });
    return has_floats ? 32 : 16;
  }

  ordered_json Config() const {
    ordered_json config = MakeHfConfig(file_, family_, hparams_, hf_);
    const char* half = hf_.needs_bfloat ? "bfloat16" : "float16";
    config["torch_dtype"] = result_.bits == 32 ? "float32" : result_.bits == 16 ? "bfloat16" : half;
    if (result_.bits == 4) config["quantization_config"] = QuantizationConfig();
    config[kMakerKey] = kMaker;
    return config;
  }

  // As compressed-tensors' QuantizationConfig writes itself.
  ordered_json QuantizationConfig() const {
    const ordered_json weights = {{"num_bits", 4},       {"type", "int"},
                                  {"symmetric", true},   {"group_size", options_.group_size},
                                  {"strategy", "group"}, {"dynamic", false}};
    return {{"config_groups",
             {{"group_0",
               {{"targets", {"Linear"}},
                {"weights", weights},
                {"input_activations", nullptr},
                {"output_activations", nullptr},
                {"format", "pack-quantized"}}}}},
            {"quant_method", "compressed-tensors"},
            {"kv_cache_scheme", nullptr},
            {"format", "pack-quantized"},
            {"quantization_status", "compressed"},
            {"global_compression_ratio", nullptr},
            {"ignore", {"lm_head"}}};
  }

  void MakePlans() {
    model::TensorFinder finder(file_, hparams_, family_);
    for (const model::TensorRow& row : model::TensorTable())
      if (!row.is_layer) AddPlan(row, 0, &finder);
    for (int64_t layer = 0; layer < hparams_.layers; ++layer)
      for (const model::TensorRow& row : model::TensorTable())
        if (row.is_layer) AddPlan(row, layer, &finder);
    finder.CheckAllFound();
    if (result_.rounded == 0) return;
    // Beside matrices rounded to 4 bits, 16 bits for the rest do not show.
    for (Plan& plan : plans_)
      if (plan.storage == Storage::kF32)
        plan.storage = hf_.needs_bfloat ? Storage::kBF16 : Storage::kF16;
  }

  // Of the tensors that some families have and others have not.
  bool IsOfClass(model::Slot slot) const {
    using enum model::Slot;
    const bool is_apart = slot == kAttnQ || slot == kAttnK || slot == kAttnV || slot == kFfnGate;
    const auto& also = hf_.also_required;
    return (is_apart && !hf_.fuses) || (slot == kAttnQkv && hf_.fuses) ||
           std::find(also.begin(), also.end(), slot) != also.end();
  }

  void AddPlan(const model::TensorRow& row, int64_t layer, model::TensorFinder* finder) {
    const GgufTensor* tensor = finder->Find(row.slot, layer);
    const bool is_of_class = IsOfClass(row.slot);
    const std::string name = model::TensorName(row, layer);
    if (!tensor) {
      if (is_of_class) finder->Fail(name, fmt::format("missing; {} needs it", hf_.classes[0]));
      return;
    }
    if (row.is_layer && row.presence == model::Presence::kOptional && !is_of_class)
      throw Error(Code::kUnsupported, "{}: tensor {}: {} of transformers has no such tensor",
                  file_.path(), name, hf_.classes[0]);
    const auto hf_name = HfTensorName(hf_, convert::Form::kTransformers, row.slot, layer);
    if (!hf_name) return;  // numbers in config.json
    const bool is_matrix = row.out != model::Dim::kNone;
    const bool is_packed = result_.bits == 4 && row.is_layer && is_matrix;
    const bool is_norm = std::string_view(row.name).ends_with("norm.weight");
    const bool is_rotated = row.slot == model::Slot::kAttnQ || row.slot == model::Slot::kAttnK;
    Plan plan;
    plan.source = tensor;
    plan.name = *hf_name;
    plan.storage = is_packed            ? Storage::kPacked
                   : result_.bits == 32 ? Storage::kF32
                   : result_.bits == 16 ? Storage::kBF16
                                        : ExactStorage(tensor->type);
    plan.is_vector = !is_matrix;
    plan.is_permuted = is_rotated && hf_.permutes_qk;
    plan.subtrahend = is_norm && hf_.adds_one_to_norms ? 1.0f : 0.0f;
    plan.row = tensor->dims[0];
    plan.rows = tensor->elements / tensor->dims[0];
    if (is_packed) {
      if (plan.row % options_.group_size != 0)
        throw Error(Code::kUnsupported,
                    "{}: tensor {}: rows of {} elements do not divide into groups of {}; {}",
                    file_.path(), name, plan.row, options_.group_size,
                    plan.row % 32 == 0 ? "use --group-size 32" : "use --bits 16");
      plan.name = plan.name.substr(0, plan.name.rfind('.'));
      ++(IsExactIn4Bits(tensor->type, options_.group_size) ? result_.exact : result_.rounded);
    }
    plans_.push_back(std::move(plan));
  }

  void Declare(format::SafetensorsWriter* writer) {
    for (const Plan& plan : plans_) {
      if (plan.storage != Storage::kPacked) {
        const int64_t shape[] = {plan.rows, plan.row};
        writer->Declare(plan.name, NameOf(plan.storage), std::span(shape).subspan(plan.is_vector));
        ++result_.tensors;
        continue;
      }
      const int64_t packed[] = {plan.rows, plan.row / 8};
      const int64_t scales[] = {plan.rows, plan.row / options_.group_size};
      const int64_t two[] = {2};
      writer->Declare(plan.name + ".weight_packed", "I32", packed);
      writer->Declare(plan.name + ".weight_scale", "F16", scales);
      writer->Declare(plan.name + ".weight_shape", "I64", two);
      result_.tensors += 3;
    }
  }

  void CheckSpace(const std::string& folder, uint64_t bytes) const {
    std::error_code problem;
    const auto space = std::filesystem::space(folder, problem);
    if (!problem && space.available < bytes)
      throw Error(Code::kFailed, "{}: the weights take {}, the disk has {} left", folder,
                  FormatBytes(bytes), FormatBytes(space.available));
  }

  void Stream(const Plan& plan, format::SafetensorsWriter* writer) {
    const bool is_packed = plan.storage == Storage::kPacked;
    const int64_t element_bits = is_packed ? 4 : plan.storage == Storage::kF32 ? 32 : 16;
    const int64_t row_bytes = plan.row * element_bits / 8;
    const int64_t chunk_rows = std::clamp(kChunkBytes / row_bytes, int64_t{1}, plan.rows);
    const int64_t task_rows = std::max(kElementsOfATask / plan.row, int64_t{1});
    const int64_t row_scales = is_packed ? plan.row / options_.group_size : 0;
    chunk_.resize(static_cast<size_t>(chunk_rows * row_bytes));
    scales_.resize(static_cast<size_t>(plan.rows * row_scales));
    for (auto& floats : row_floats_) floats.resize(static_cast<size_t>(plan.row));
    for (int64_t first = 0; first < plan.rows; first += chunk_rows) {
      const int64_t count = std::min(chunk_rows, plan.rows - first);
      pool_.ParallelFor((count + task_rows - 1) / task_rows, [&](int64_t task, int thread) {
        const int64_t end = std::min((task + 1) * task_rows, count);
        for (int64_t r = task * task_rows; r < end; ++r)
          ConvertRow(plan, first + r, chunk_.data() + r * row_bytes,
                     scales_.data() + (first + r) * row_scales,
                     row_floats_[static_cast<size_t>(thread)].data());
      });
      Append(chunk_.data(), count * row_bytes, writer);
      // Permuted rows lie within a head of these, so some may be read from the file again.
      const size_t source_bytes = plan.source->row_bytes();
      file_.Release(*plan.source,
                    plan.source->data.subspan(static_cast<size_t>(first) * source_bytes,
                                              static_cast<size_t>(count) * source_bytes));
    }
    file_.Release(*plan.source);
    if (!is_packed) return;
    Append(scales_.data(), plan.rows * row_scales, writer);
    const int64_t shape[] = {plan.rows, plan.row};
    Append(shape, 2, writer);
  }

  template <class T>
  void Append(const T* items, int64_t count, format::SafetensorsWriter* writer) {
    const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(items),
                                         static_cast<size_t>(count) * sizeof(T));
    writer->Append(bytes);
    written_ += bytes.size();
    if (options_.progress) options_.progress->Update(written_);
  }

  // Row `row` of the result. `floats` is scratch of a row.
  void ConvertRow(const Plan& plan, int64_t row, uint8_t* out, uint16_t* scales,
                  float* floats) const {
    const GgufTensor& source = *plan.source;
    const int64_t source_row = plan.is_permuted ? GgufRowOfHfRow(row, hparams_.head_dim) : row;
    const uint8_t* in = source.data.data() + static_cast<size_t>(source_row) * source.row_bytes();
    const auto fail = [&](const char* problem) {
      throw Error(Code::kBadInput, "{}: tensor {}: row {} has {}", file_.path(), source.name,
                  source_row, problem);
    };
    quant::Traits(source.type).decode(in, floats, plan.row);
    float not_a_number = 0;
    for (int64_t i = 0; i < plan.row; ++i) {
      floats[i] -= plan.subtrahend;
      not_a_number += floats[i] * 0;
    }
    const bool may_be_any = options_.allows_non_finite && plan.storage != Storage::kPacked;
    if (not_a_number != 0 && !may_be_any) fail("a weight that is infinite or NaN");
    const auto halves = [&](auto convert) {
      for (int64_t i = 0; i < plan.row; ++i) {
        const uint16_t bits = convert(floats[i]);
        std::memcpy(out + i * 2, &bits, sizeof bits);
      }
    };
    switch (plan.storage) {
      case Storage::kF32:
        std::memcpy(out, floats, static_cast<size_t>(plan.row) * sizeof(float));
        break;
      case Storage::kBF16:
        halves(FloatToBfloat);
        break;
      case Storage::kF16:
        for (int64_t i = 0; i < plan.row; ++i)
          if (std::isfinite(floats[i]) && std::abs(floats[i]) >= 65520)
            fail("a weight above 65504, the most of half precision");
        halves(FloatToHalf);
        break;
      case Storage::kPacked:
        if (IsExactIn4Bits(source.type, options_.group_size))
          PackQ4_0(in, plan.row, out, scales);
        else if (!PackFloats(floats, plan.row, options_.group_size, out, scales))
          fail("weights above 8 times 65504, the most of a scale in half precision");
        break;
    }
  }

  const HfExportOptions& options_;
  format::GgufFile file_;
  const model::Family& family_;
  const HfFamily& hf_;
  model::Hparams hparams_;
  ThreadPool pool_;
  std::vector<Plan> plans_;
  HfExportResult result_;
  std::vector<uint8_t> chunk_;
  std::vector<uint16_t> scales_;
  std::vector<std::vector<float>> row_floats_;  // of each thread
  uint64_t written_ = 0;
};

}  // namespace

HfExportResult ExportHf(const HfExportOptions& options) {
  if (options.bits != 0 && options.bits != 4 && options.bits != 16 && options.bits != 32)
    throw Error(Code::kUsage, "{} bits: expected 32, 16 or 4", options.bits);
  return Exporter(options).Run();
}

}  // namespace slm::convert
