// What the tests of the configuration rules share: a small valid model, and the message of its rejection.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <optional>
#include <string>

#include "reference/config.h"
#include "reference/error.h"
#include "reference/numbers.h"

namespace forgecheck {

inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

inline ModelConfig small_model() {
  ModelConfig model;
  model.dim = 32;
  model.n_layers = 2;
  model.n_heads = 4;
  model.vocab_size = 61;
  model.ffn_hidden_dim = 48;
  return model;
}

inline Architecture small(std::optional<VlmArch> arch = std::nullopt) {
  Architecture architecture;
  architecture.model = small_model();
  if (arch) architecture.vlm.emplace().arch = *arch;
  return architecture;
}

/// The message of the ConfigError that validating a changed architecture throws; empty if it is valid.
inline std::string rejection(Architecture architecture, const std::function<void(Architecture&)>& change) {
  change(architecture);
  try {
    validate(architecture);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

/// Every message begins with "<section>.<field> = <value>: ".
#define EXPECT_REJECTED(architecture, change, start)                                       \
  do {                                                                                     \
    const std::string rejected = rejection(architecture, [](Architecture& a) { change; }); \
    EXPECT_TRUE(rejected.starts_with(start ": ")) << rejected << "\nexpected: " << start;  \
  } while (false)
#define EXPECT_ACCEPTED(architecture, change) \
  EXPECT_EQ(rejection(architecture, [](Architecture& a) { change; }), "")

}  // namespace forgecheck
