// The error types of forgecheck. A message names the operation, the field and the value; only main() turns an
// error into an exit status.
#pragma once

#include <stdexcept>
#include <string>

namespace forgecheck {

/// Base of every error that forgecheck reports on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A configuration, case or option whose value is not allowed.
class ConfigError : public Error {
 public:
  using Error::Error;
};

/// Tensors whose shapes, types or values do not fit the requested operation.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// A file that is missing, truncated, or not in the format that it claims.
class FormatError : public Error {
 public:
  using Error::Error;
};

/// A backend that failed while it ran a case.
class BackendError : public Error {
 public:
  using Error::Error;
};

/// A call of CUDA or cuBLAS that failed; the message quotes the call.
class CudaError : public BackendError {
 public:
  using BackendError::BackendError;
};

/// An unavailable backend; the message says why.
class BackendUnavailable : public BackendError {
 public:
  using BackendError::BackendError;
};

/// After a switch that handles every value of an enumeration: `value` is none of them.
template <class Enum>
[[noreturn]] void throw_not_an_enumerator(const char* what, Enum value) {
  throw Error(std::string(what) + " = " + std::to_string(static_cast<long long>(value)) +
              ": not a value of its enumeration");
}

}  // namespace forgecheck
