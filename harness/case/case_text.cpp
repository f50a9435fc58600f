#include <algorithm>
#include <charconv>
#include <set>

#include "harness/case/case.h"
#include "harness/case/config_fields.h"
#include "harness/case/input_fields.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

constexpr std::string_view kAdapterPrefix = "adapter.";

[[noreturn]] void refuse(std::string_view segment, const std::string& rule) {
  throw ConfigError("case segment \"" + std::string(segment) + "\": " + rule);
}

std::int64_t parse_integer(std::string_view segment, std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    refuse(segment, "\"" + std::string(text) + "\" is not an integer");
  }
  return value;
}

std::uint64_t parse_seed(std::string_view segment, std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    refuse(segment, "\"" + std::string(text) + "\" is not an integer in 0 .. 2^64 - 1");
  }
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::pair<std::string_view, std::string_view> split_pair(std::string_view segment, std::string_view text) {
  const auto parts = split(text, ':');
  if (parts.size() != 2) refuse(segment, "must be two numbers with ':' between them");
  return {parts[0], parts[1]};
}

bool is_vlm_field(std::string_view key) {
  return key == "max_text_len" || key.starts_with("cross_attention_") || key.starts_with("mot_") ||
         key.starts_with("moma_");
}

/// "arch[fields]" of the first segment. The fields of [model] and [vlm] have different names.
Architecture parse_architecture(std::string_view head) {
  const std::size_t bracket = head.find('[');
  const std::string arch(head.substr(0, bracket));
  std::string_view inside;
  if (bracket != std::string_view::npos) {
    if (head.back() != ']') refuse(head, "the '[' is not closed by a ']' at its end");
    inside = head.substr(bracket + 1, head.size() - bracket - 2);
  }
  Architecture result;
  if (arch != "dense" && arch != "moe") set_field(result.vlm.emplace(), "arch", arch);
  for (const auto& [key, value] : inside.empty() ? FieldList() : parse_fields(inside)) {
    if (key.starts_with(kAdapterPrefix)) {
      if (!result.adapter) result.adapter.emplace();
      set_field(*result.adapter, key.substr(kAdapterPrefix.size()), value);
    } else if (key == "feature_dim" || key == "num_image_tokens") {
      const auto* integer = std::get_if<std::int64_t>(&value);
      if (integer == nullptr) refuse(head, key + " = " + format_value(value) + ": needs an integer");
      (key == "feature_dim" ? result.feature_dim : result.num_image_tokens) = *integer;
    } else if (result.vlm && is_vlm_field(key)) {
      set_field(*result.vlm, key, value);
    } else {
      set_field(result.model, key, value);
    }
  }
  if (!result.vlm && arch != arch_name(result)) {
    refuse(head,
           "num_experts = " + std::to_string(result.model.num_experts) + " makes it " + arch_name(result));
  }
  return result;
}

std::optional<double> as_number(const FieldValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return std::nullopt;
}

void parse_generate(Case& result, std::string_view segment, const FieldList& fields) {
  result.run = RunKind::generate;
  GenerateOptions& options = result.generate;
  for (const auto& [key, value] : fields) {
    const auto* integer = std::get_if<std::int64_t>(&value);
    const std::optional<double> number = as_number(value);
    if (key == "generate" && integer != nullptr) {
      options.max_new_tokens = *integer;
    } else if (key == "eos_token_id" && integer != nullptr) {
      options.eos_token_id = *integer;
    } else if (key == "temperature" && number) {
      options.sampling.temperature = *number;
    } else if (key == "top_k" && integer != nullptr) {
      options.sampling.top_k = *integer;
    } else if (key == "top_p" && number) {
      options.sampling.top_p = *number;
    } else {
      refuse(segment, key + " = " + format_value(value) + " is not a field of generate");
    }
  }
}

void parse_loss(Case& result, std::string_view segment, const FieldList& fields) {
  for (const auto& [key, value] : fields) {
    const auto* integer = std::get_if<std::int64_t>(&value);
    const std::optional<double> number = as_number(value);
    const bool names_run = key == "loss" || key == "gradients";
    if (names_run) result.run = key == "loss" ? RunKind::loss : RunKind::gradients;
    const auto* kind = std::ranges::find_if(
        kLossKinds, [&value = value](const auto& row) { return value == FieldValue(std::string(row.name)); });
    if (names_run && kind != std::end(kLossKinds)) {
      result.loss.kind = kind->value;
    } else if (key == "chunk_size" && integer != nullptr) {
      result.loss.chunk_size = *integer;
    } else if (key == "z_loss_weight" && number) {
      result.loss.z_loss_weight = *number;
    } else {
      refuse(segment, key + " = " + format_value(value) + " is not a field of loss");
    }
  }
}

void parse_segment(Case& result, std::string_view segment) {
  const std::size_t equals = segment.find('=');
  const std::string_view key = segment.substr(0, equals);
  const std::string_view text = equals == std::string_view::npos ? "" : segment.substr(equals + 1);
  if (segment == "eval" || segment == "train") {
    result.train = segment == "train";
  } else if (segment == "float32" || segment == "bfloat16") {
    result.dtype = segment == "float32" ? Dtype::f32 : Dtype::bf16;
  } else if (segment == "forward") {
    result.run = RunKind::forward;
  } else if (key == "seed") {
    result.seed = parse_seed(segment, text);
  } else if (key == "output_slice") {
    const auto [start, stop] = split_pair(segment, text);
    result.output_slice.emplace();
    if (!start.empty()) result.output_slice->start = parse_integer(segment, start);
    if (!stop.empty()) result.output_slice->stop = parse_integer(segment, stop);
  } else if (key == "moe_step") {
    const auto [step, max_steps] = split_pair(segment, text);
    result.moe_step = MoeStep{parse_integer(segment, step), parse_integer(segment, max_steps)};
  } else if (key == "stages") {
    result.stages = parse_integer(segment, text);
  } else if (key == "decode") {
    result.run = RunKind::decode;
    for (const std::string_view chunk : split(text, '+'))
      result.chunks.push_back(parse_integer(segment, chunk));
  } else if (key == "generate") {
    parse_generate(result, segment, parse_fields(segment));
  } else if (key == "loss" || key == "gradients") {
    parse_loss(result, segment, parse_fields(segment));
  } else if (key == "mot_moe_totals") {
    if (text != "true" && text != "false") refuse(segment, "must be true or false");
    result.mot_moe_totals = text == "true";
  } else if (key == "greedy_from") {
    const auto [from, new_tokens] = split_pair(segment, text);
    result.greedy_from = parse_integer(segment, from);
    result.greedy_new_tokens = parse_integer(segment, new_tokens);
  } else if (is_input_field(key)) {
    set_input_fields(result.inputs, parse_fields(segment));
  } else {
    refuse(segment, "unknown segment");
  }
}

/// What a segment decides: two that decide the same thing contradict each other or say it twice.
std::string subject_of(std::string_view segment) {
  const std::string key(segment.substr(0, segment.find('=')));
  if (key == "eval" || key == "train") return "mode";
  if (key == "float32" || key == "bfloat16") return "dtype";
  return std::ranges::find(kRunKinds, key, &Named<RunKind>::name) != std::end(kRunKinds) ? "run" : key;
}

/// Every subject of a segment: of input sizes each field.
std::vector<std::string> subjects_of(std::string_view segment) {
  if (!is_input_field(segment.substr(0, segment.find('=')))) return {subject_of(segment)};
  std::vector<std::string> subjects;
  for (const auto& [key, value] : parse_fields(segment)) subjects.push_back(key);
  return subjects;
}

/// Splits at '/', which occurs nowhere inside a segment but in quoted strings of the first.
std::vector<std::string_view> segments_of(std::string_view text) {
  const std::size_t bracket = text.rfind(']');
  const std::size_t from = bracket == std::string_view::npos ? 0 : bracket;
  const std::size_t slash = text.find('/', from);
  std::vector<std::string_view> segments = {text.substr(0, slash)};
  if (slash != std::string_view::npos) {
    for (const std::string_view segment : split(text.substr(slash + 1), '/')) segments.push_back(segment);
  }
  return segments;
}

std::string run_segment(const Case& value) {
  switch (value.run) {
    case RunKind::forward:
      return "";
    case RunKind::decode: {
      std::string chunks;
      for (const std::int64_t chunk : value.chunks)
        chunks += (chunks.empty() ? "" : "+") + std::to_string(chunk);
      return "/decode=" + chunks;
    }
    case RunKind::generate: {
      std::string text = "/generate=" + std::to_string(value.generate.max_new_tokens);
      if (value.generate.eos_token_id)
        text += ",eos_token_id=" + std::to_string(*value.generate.eos_token_id);
      const SamplingOptions& sampling = value.generate.sampling;
      if (sampling.temperature != 0) text += ",temperature=" + format_value(sampling.temperature);
      if (sampling.top_k != 0) text += ",top_k=" + std::to_string(sampling.top_k);
      if (sampling.top_p != 1) text += ",top_p=" + format_value(sampling.top_p);
      return text;
    }
    case RunKind::loss:
    case RunKind::gradients: {
      const bool chunked = value.loss.kind == LossKind::chunked_cross_entropy;
      std::string text = "/" + to_string(value.run) + "=" + to_string(value.loss.kind);
      if (chunked) text += ",chunk_size=" + std::to_string(value.loss.chunk_size);
      if (value.loss.z_loss_weight != 0) text += ",z_loss_weight=" + format_value(value.loss.z_loss_weight);
      return text;
    }
  }
  throw_not_an_enumerator("case.run", value.run);
}

std::string optional_text(const std::optional<std::int64_t>& value) {
  return value ? std::to_string(*value) : "";
}

}  // namespace

Case parse_case_text(std::string_view text) {
  Case result;
  const auto segments = segments_of(text);
  result.architecture = parse_architecture(segments[0]);
  std::set<std::string> subjects;
  for (std::size_t i = 1; i < segments.size(); ++i) {
    parse_segment(result, segments[i]);
    for (const std::string& subject : subjects_of(segments[i])) {
      if (!subjects.insert(subject).second) refuse(segments[i], subject + " is given twice");
    }
  }
  validate(result);
  return result;
}

std::string case_text(const Case& value) {
  const Architecture& architecture = value.architecture;
  FieldList fields = changed_fields(architecture.model);
  if (architecture.vlm) {
    for (const auto& [key, field] : changed_fields(*architecture.vlm)) {
      if (key != "arch") fields.emplace_back(key, field);
    }
  }
  if (architecture.num_image_tokens != 0)
    fields.emplace_back("num_image_tokens", architecture.num_image_tokens);
  if (architecture.adapter) {
    fields.emplace_back("adapter.type", to_string(architecture.adapter->type));
    for (const auto& [key, field] : changed_fields(*architecture.adapter)) {
      if (key != "type") fields.emplace_back(std::string(kAdapterPrefix) + key, field);
    }
    fields.emplace_back("feature_dim", architecture.feature_dim);
  }

  std::string text = arch_name(architecture);
  if (!fields.empty()) text += "[" + format_fields(fields) + "]";
  FieldList sizes = {{"batch", value.inputs.batch}, {"text_len", value.inputs.text_len}};
  for (const auto& field : changed_input_fields(value.inputs)) {
    if (field.first != "batch" && field.first != "text_len") sizes.push_back(field);
  }
  text += "/" + format_fields(sizes) + "/seed=" + std::to_string(value.seed);
  if (value.train) text += "/train";
  if (value.dtype != Dtype::f32) text += "/" + std::string(torch_name(value.dtype));
  text += run_segment(value);
  if (value.output_slice) {
    text += "/output_slice=" + optional_text(value.output_slice->start) + ":" +
            optional_text(value.output_slice->stop);
  }
  if (value.moe_step) {
    text +=
        "/moe_step=" + std::to_string(value.moe_step->step) + ":" + std::to_string(value.moe_step->max_steps);
  }
  if (value.stages != 0) text += "/stages=" + std::to_string(value.stages);
  if (value.mot_moe_totals) text += "/mot_moe_totals=true";
  if (value.greedy_from != 0) {
    text +=
        "/greedy_from=" + std::to_string(value.greedy_from) + ":" + std::to_string(value.greedy_new_tokens);
  }
  return text;
}

}  // namespace forgecheck
