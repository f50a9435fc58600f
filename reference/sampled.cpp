#include "reference/sampled.h"

#include <algorithm>
#include <bit>

namespace forgecheck {

thread_local Sampling::State Sampling::now_;

Sampling::Sampling(std::uint64_t seed) {
  now_ = {.seed = seed, .state = seed, .three_tf32 = seed % 2 == 1};
}

Sampling::~Sampling() {
  now_ = State();
}

namespace {

constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15;

/// The output of splitmix64 (Steele, Lea and Flood 2014) for this state.
std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

/// Uniform in [0, 1).
double fraction(std::uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace

std::uint64_t Sampling::next() {
  return mixed(now_.state += kStep);
}

void Sampling::refill() {
  now_.bits = next();
  now_.bits_left = 64;
}

double Sampling::uniform() {
  return fraction(next());
}

double Sampling::normal() {
  // The sum of 64 signs, each -1 or 1.
  return (2.0 * std::popcount(next()) - 64.0) / 8.0;
}

double Sampling::threshold(std::uint64_t key) {
  return fraction(mixed(mixed(key + kStep) ^ now_.seed));
}

Sampling::Piece::Piece(const Pieces& pieces, std::int64_t index) : before_(now_) {
  now_ = pieces.run_;
  now_.bits_left = 0;
  now_.state = mixed(pieces.first_ + static_cast<std::uint64_t>(index));
}

Sampled Sampled::sum(Sampled a, Sampled b) {
  const double exact = a.value + b.value;
  if (static_cast<double>(static_cast<float>(exact)) == exact) return of(exact);
  // Terms are equal where they differ by what was lost before; sums, where their last place is the same.
  constexpr int kFraction = 52, kEqualBits = 16;
  const double term = std::abs(a.value) < std::abs(b.value) ? a.value : b.value;
  const std::uint64_t leading = std::bit_cast<std::uint64_t>(term) >> (kFraction - kEqualBits);
  const std::uint64_t last_place = std::bit_cast<std::uint64_t>(exact) >> kFraction;
  const bool up = Sampling::threshold(leading << 12 ^ last_place) < 0.5;
  return of(exact + (up ? exact : -exact) * 0x1p-24);
}

namespace {

/// `exact`, off by `units` u of itself.
Sampled moved(double exact, double units) {
  return Sampled::moved(exact, units, exact);
}

}  // namespace

Sampled cos(Sampled x) {
  return moved(std::cos(x.value), loss::kCosine);
}

Sampled sin(Sampled x) {
  return moved(std::sin(x.value), loss::kCosine);
}

Sampled erf(Sampled x) {
  return Sampled::moved(std::erf(x.value), loss::kErf, 1.0);
}

Sampled exp(Sampled x) {
  const double exact = std::exp(x.value);
  if (x.value == 0 || !std::isfinite(x.value)) return Sampled::of(exact);
  return moved(exact, loss::kExp + loss::kExpSlope * std::abs(x.value));
}

Sampled log(Sampled x) {
  const double exact = std::log(x.value);
  return Sampled::moved(exact, loss::kLog, std::max(1.0, std::abs(exact)));
}

Sampled pow(Sampled x, Sampled exponent) {
  return moved(std::pow(x.value, exponent.value), loss::kPower);
}

Sampled sqrt(Sampled x) {
  return moved(std::sqrt(x.value), loss::kSquareRoot);
}

Sampled tanh(Sampled x) {
  return moved(std::tanh(x.value), loss::kTanh);
}

namespace {

/// The 11 leading bits of the significand, the others truncated: a TF32 number.
double tf32(double value) {
  constexpr std::uint64_t kDropped = (std::uint64_t{1} << (53 - 11)) - 1;
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(value) & ~kDropped);
}

}  // namespace

template <>
Sampled multiply_add(Sampled sum, Sampled a, Sampled b) {
  if (!Sampling::three_tf32()) return Sampled::rounded(sum.value + (a * b).value);
  const double a_large = tf32(a.value), b_large = tf32(b.value);
  const double a_small = tf32(a.value - a_large), b_small = tf32(b.value - b_large);
  const double exact = sum.value + (a_large * b_large + a_large * b_small + a_small * b_large);
  // Truncation: no error, or one unit in the last place.
  return Sampled::of(Sampling::sign() > 0 ? exact : exact - exact * 0x1p-23);
}

template <>
Sampled round_to<SampledBfloat16>(Sampled value) {
  if (!std::isfinite(value.value) || value.value == 0) return value;
  int exponent = 0;
  std::frexp(value.value, &exponent);
  const int smallest = -133, digits = 8;
  const double unit = std::ldexp(1.0, std::max(exponent - digits, smallest));
  const double steps = value.value / unit, below = std::floor(steps);
  return Sampled::of(unit * (Sampling::threshold(unit * below) < steps - below ? below + 1 : below));
}

}  // namespace forgecheck
