// What a run produced: an ordered map from tap name to tensor, and the recorder that the models write to. Tap
// names are upstream's module names; outputs, decisions and the state after the run have their own names.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reference/array.h"

namespace forgecheck {

/// Taps in the order of execution.
class Trace {
 public:
  using Entry = std::pair<std::string, Array>;

  /// Adds a tap. Throws ShapeError if the name already exists.
  void add(std::string name, Array value);
  /// The tap of that name, or null.
  const Array* find(std::string_view name) const;
  /// Throws ShapeError naming the tap if it does not exist.
  const Array& at(std::string_view name) const;

  const std::vector<Entry>& entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }

 private:
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

/// Why `indices` cannot be choices (rows, k) of that shape among `candidates`: wrong type or shape, an index
/// out of range, or an index that occurs twice within a row. Empty if they can.
std::string invalid_choice(const Array& indices, const Shape& shape, std::int64_t candidates);

/// One discrete choice of a run: what was chosen, and the scores that decided it.
struct Decision {
  Tensor<std::int64_t> chosen;  // (rows, k) before anything was forced
  Tensor<double> scores;        // (rows, candidates)
};

/// What the recorder puts in place of the values that the run computed.
enum class Forcing {
  nothing,
  decisions,   // chosen indices only: the run continues with the choices of the forced trace
  everything,  // every tap: each module reads the forced trace's values, so its output shows its own error
};

/// Rows along the last axis of some taps, in ascending order, by tap name.
using TapRows = std::map<std::string, std::vector<std::int64_t>, std::less<>>;

/// Receives every tap of a run. A run must continue with the value that tap() leaves in `value`.
class Tracer {
 public:
  Tracer() = default;
  /// Records only taps for which `wants` is true; without a filter, every tap.
  explicit Tracer(std::function<bool(std::string_view)> wants) : wants_(std::move(wants)) {}
  /// Replaces values by those of `forced`, which must outlive the run, where it has a usable tap of that
  /// name: the same shape, and for a choice distinct indices in range.
  void force(const Trace& forced, Forcing forcing) {
    forced_ = &forced;
    forcing_ = forcing;
  }
  /// Says that nobody reads other rows of these taps: where a large module's value is replaced too, they may be zero.
  void need_only(TapRows rows) { needed_ = std::move(rows); }
  /// A tracer that records nothing and follows the same forced choices.
  Tracer untapped() const;

  /// A floating point tap.
  template <class T>
  void tap(const std::string& name, Tensor<T>& value);
  /// A floating point tap that is recorded with another shape of the same elements.
  template <class T>
  void tap(const std::string& name, Tensor<T>& value, const Shape& recorded_shape);
  /// Whether a tap of that name and shape is replaced and not recorded: its value need not be computed.
  bool overwrites(const std::string& name, const Shape& shape) const;
  /// The rows of a replaced tap of that name and shape that are needed, or null: all of them.
  const std::vector<std::int64_t>* needed_rows(const std::string& name, const Shape& shape) const;
  /// A tap of integers that follow from decisions (counts, tokens).
  void tap_value(const std::string& name, Array value);
  /// A decision tap: each row of `indices` (R, k) chose the largest of `scores` (R, candidates).
  template <class T>
  void decide(const std::string& name, Tensor<std::int64_t>& indices, const Tensor<T>& scores);
  /// The forced trace's value for a decision that a run follows step by step (generated tokens), or null; and
  /// what the run itself would have chosen.
  const Array* forced_decision(std::string_view name) const { return replacement(name, Forcing::decisions); }
  void add_decision(const std::string& name, Decision decision);

  const Trace& trace() const { return trace_; }
  Trace take() { return std::move(trace_); }
  const std::map<std::string, Decision, std::less<>>& decisions() const { return decisions_; }

 private:
  bool wanted(std::string_view name) const { return !wants_ || wants_(name); }
  const Array* replacement(std::string_view name, Forcing at_least) const;
  const Array* forced_value(std::string_view name, const Shape& shape) const;

  std::function<bool(std::string_view)> wants_;
  TapRows needed_;
  const Trace* forced_ = nullptr;
  Forcing forcing_ = Forcing::nothing;
  Trace trace_;
  std::map<std::string, Decision, std::less<>> decisions_;
};

}  // namespace forgecheck
