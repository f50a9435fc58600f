// Monte Carlo arithmetic: number types that perturb every operation at random, up or down, by as much as a
// correct implementation may be off. Running the reference on them shows how far correct implementations can
// differ on this very case, including cancellation and rounding to T. The templates of ops/ and models/ take
// these types as they take double and float; nothing else in the reference knows of them.
//
// Where the reference computes in float32, `Sampled` computes in double and then
//   sums and products    move by one unit roundoff u = 2^-24, unless the result is a float32: every
//                        implementation computes that exactly
//   matrix products      are computed, in every second run, as on tensor cores by kernels that emulate
//                        float32 with three TF32 products (CUTLASS's "3xTF32", which PyTorch's attention
//                        on a GPU uses); sums are truncated there, not rounded (Fasi et al. 2021)
//   functions            move by the error that libraries are known to make: the table `loss` below
// Roundings to T of intermediate values (`round_to`) go up or down at random, in proportion to the distances
// (stochastic rounding): an implementation that scales, or sums in another order, before it rounds, rounds a
// different number. In one run all numbers between the same two neighbours are rounded at the same random
// threshold between them: equal tokens have equal errors in every implementation, which do not cancel in a mean.
// Results are rounded to nearest when stored, as everywhere.
//
// Sources: Parker 1997 (Monte Carlo arithmetic); Vignes 1993 (CESTAC); Denis et al. 2016 (Verificarlo).
#pragma once

#include <bit>
#include <cmath>
#include <compare>
#include <concepts>
#include <cstdint>

#include "reference/dtype.h"

namespace forgecheck {

/// The largest error of a function in float32, in units of u = 2^-24 (half a unit in the last place of 1),
/// relative to its value unless stated otherwise: the larger of what CUDA documents ("ulp" there is at most
/// 2 u) and what scripts/measure_functions.py finds in PyTorch's kernels. docs/tolerances.md lists both.
namespace loss {
inline constexpr double kDivision = 4;    // CUDA: __fdividef, 2 ulp
inline constexpr double kSquareRoot = 4;  // CUDA: rsqrtf, 2 ulp
inline constexpr double kExp = 4;         // CUDA: __expf, 2 ulp ...
inline constexpr double kExpSlope = 2.4;  // ... + 1.173 ulp for each unit of |x|
inline constexpr double kErf = 8;         // PyTorch, CPU: the erf of its GELU; of 1, not of the value
inline constexpr double kLog = 6;         // CUDA: __logf, 3 ulp, and 2^-21.4 near 1: of max(1, |value|)
inline constexpr double kCosine = 4;      // CUDA: cosf and sinf, 2 ulp
inline constexpr double kPower = 8;       // CUDA: powf, 4 ulp
inline constexpr double kTanh = 4;        // CUDA: tanhf, 2 ulp
}  // namespace loss

/// The random source of the current run in this thread. It lives as long as the run.
class Sampling {
 public:
  /// Every run with the same seed draws the same numbers; odd seeds take 3xTF32 products.
  explicit Sampling(std::uint64_t seed);
  ~Sampling();
  Sampling(const Sampling&) = delete;
  Sampling& operator=(const Sampling&) = delete;

  /// -1 or 1.
  static double sign() {
    if (now_.bits_left == 0) refill();
    const double drawn = (now_.bits & 1) != 0 ? 1.0 : -1.0;
    now_.bits >>= 1;
    --now_.bits_left;
    return drawn;
  }
  /// Uniform in [0, 1).
  static double uniform();
  /// Nearly normal: mean 0, variance 1.
  static double normal();
  /// Uniform in [0, 1), in this run always the same for the same number.
  static double threshold(double gap) { return threshold(std::bit_cast<std::uint64_t>(gap)); }
  static double threshold(std::uint64_t key);
  static bool three_tf32() { return now_.three_tf32; }

  /// A large operation done in pieces, on several threads.
  class Pieces;
  /// While it lives this thread draws for one piece: what it draws depends on neither the other pieces nor the thread.
  class Piece;

 private:
  struct State {
    std::uint64_t seed = 0, state = 0, bits = 0;
    int bits_left = 0;
    bool three_tf32 = false;
  };

  static void refill();
  static std::uint64_t next();
  static thread_local State now_;
};

class Sampling::Pieces {
 public:
  /// Of an operation of this thread's run.
  Pieces() : run_(now_), first_(next()) {}

 private:
  friend class Piece;
  State run_;
  std::uint64_t first_;
};

class Sampling::Piece {
 public:
  Piece(const Pieces& pieces, std::int64_t index);
  ~Piece() { now_ = before_; }
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;

 private:
  State before_;
};

/// The computing type of a sampled run.
struct Sampled {
  double value = 0.0;

  Sampled() = default;
  /// Constants are those of float32.
  template <class Number>
  requires std::integral<Number> || std::floating_point<Number> Sampled(Number number)
      : value(static_cast<double>(static_cast<float>(number))) {}    // NOLINT(google-explicit-constructor)
  Sampled(Bfloat16 number) : Sampled(static_cast<float>(number)) {}  // NOLINT(google-explicit-constructor)
  explicit operator double() const { return value; }
  explicit operator float() const { return static_cast<float>(value); }

  static Sampled of(double exact) {
    Sampled result;
    result.value = exact;
    return result;
  }
  /// `exact`, off by `units` u of `size`.
  static Sampled moved(double exact, double units, double size) {
    return of(exact + Sampling::sign() * units * 0x1p-24 * size);
  }
  /// A sum or product: off by one u, unless it is a float32.
  static Sampled rounded(double exact) {
    return static_cast<double>(static_cast<float>(exact)) == exact ? of(exact) : moved(exact, 1, exact);
  }

  /// As rounded(), but equal terms that are added one after the other lose the same: in all of them the same bits are beyond
  /// the sum's last place, until it is twice as large.
  static Sampled sum(Sampled a, Sampled b);

  friend Sampled operator-(Sampled a) { return of(-a.value); }
  friend Sampled operator+(Sampled a, Sampled b) { return sum(a, b); }
  friend Sampled operator-(Sampled a, Sampled b) { return sum(a, -b); }
  friend Sampled operator*(Sampled a, Sampled b) { return rounded(a.value * b.value); }
  friend Sampled operator/(Sampled a, Sampled b) {
    const double quotient = a.value / b.value;
    return moved(quotient, loss::kDivision, quotient);
  }
  Sampled& operator+=(Sampled b) { return *this = *this + b; }
  Sampled& operator-=(Sampled b) { return *this = *this - b; }
  Sampled& operator*=(Sampled b) { return *this = *this * b; }
  Sampled& operator/=(Sampled b) { return *this = *this / b; }
  friend auto operator<=>(Sampled a, Sampled b) { return a.value <=> b.value; }
  friend bool operator==(Sampled a, Sampled b) { return a.value == b.value; }
};

// The functions that the reference uses, for every computing type; only its mutants (tests/mutants/by_trace) use abs
// and tanh.
using std::abs;
using std::cos;
using std::erf;
using std::exp;
using std::log;
using std::pow;
using std::sin;
using std::sqrt;
using std::tanh;
Sampled cos(Sampled x);
Sampled erf(Sampled x);
Sampled exp(Sampled x);
Sampled log(Sampled x);
Sampled pow(Sampled x, Sampled exponent);
Sampled sin(Sampled x);
Sampled sqrt(Sampled x);
Sampled tanh(Sampled x);
inline Sampled abs(Sampled x) {
  return Sampled::of(std::abs(x.value));
}

/// One step of a matrix product: sum + a b.
template <class C>
C multiply_add(C sum, C a, C b) {
  return sum + a * b;
}
template <>
Sampled multiply_add(Sampled sum, Sampled a, Sampled b);

/// An element of a tensor in a sampled run: a value of T, computed in Sampled.
template <class T>
struct SampledElement {
  T value{};
  double unrounded = 0.0;  // what was rounded to `value`: an Array of elements holds this

  SampledElement() = default;
  explicit SampledElement(Sampled number) : value(static_cast<float>(number)), unrounded(number.value) {}
  explicit operator float() const { return static_cast<float>(value); }
  operator Sampled() const {  // NOLINT(google-explicit-constructor): exact
    return Sampled::of(static_cast<double>(static_cast<float>(value)));
  }
};
using SampledFloat = SampledElement<float>;
using SampledBfloat16 = SampledElement<Bfloat16>;

template <class T>
struct Compute<SampledElement<T>> {
  using type = Sampled;
};

/// An element as a number: exact; in a sampled run, the value before rounding.
template <class T>
double to_double(const T& element) {
  return static_cast<double>(static_cast<compute_t<T>>(element));
}
template <class T>
double to_double(const SampledElement<T>& element) {
  return element.unrounded;
}

/// A partial sum of terms that is rounded to T at each step, in an order that each implementation chooses.
template <class T>
compute_t<T> partial_sum(const T& element) {
  return static_cast<compute_t<T>>(element);
}

/// A float32 run computes in float32: nothing more is lost.
template <>
inline Sampled round_to<SampledFloat>(Sampled value) {
  return value;
}
/// Rounds to one of the two neighbours, to the nearer one in more runs.
template <>
Sampled round_to<SampledBfloat16>(Sampled value);

template <>
inline Sampled partial_sum(const SampledBfloat16& element) {
  return round_to<SampledBfloat16>(Sampled::of(element.unrounded));
}

}  // namespace forgecheck
