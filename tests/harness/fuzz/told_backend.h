// A backend that returns what a test tells it to.
#pragma once

#include <functional>
#include <string>

#include "harness/backend/backend.h"

namespace forgecheck {

class ToldBackend : public Backend {
 public:
  explicit ToldBackend(std::function<Trace(const Problem&)> told, std::string name = "told",
                       std::string refusal = "")
      : told_(std::move(told)), name_(std::move(name)), refusal_(std::move(refusal)) {}

  std::string name() const override { return name_; }
  std::string refusal(const Case&) const override { return refusal_; }
  Dtype precision(const Case& definition) const override { return definition.dtype; }
  Trace run(const Problem& problem, const TapFilter& wants) override {
    const Trace trace = told_(problem);
    Trace kept;
    for (const auto& [name, value] : trace.entries()) {
      if (!wants || wants(name)) kept.add(name, value);
    }
    return kept;
  }

 private:
  std::function<Trace(const Problem&)> told_;
  std::string name_, refusal_;
};

}  // namespace forgecheck
