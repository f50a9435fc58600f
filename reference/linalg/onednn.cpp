#include <dnnl.h>

#include <string>

#include "reference/error.h"
#include "reference/linalg/matmul.h"

namespace forgecheck::linalg {

void onednn_product(const Product<float>& product) {
  const auto& [m, n, k, x, factor, w_transposed, out] = product;
  std::vector<float> scratch;
  const float* const w = product.all_of_w(scratch);
  // Row-major, as dnnl.h documents for dnnl_sgemm.
  const dnnl_status_t status =
      dnnl_sgemm('N', w_transposed ? 'T' : 'N', m, n, k, 1.0F, x, k, w, w_transposed ? k : n, 0.0F, out, n);
  if (status != dnnl_success) {
    throw BackendError("[matmul] dnnl_sgemm failed with status " + std::to_string(static_cast<int>(status)) +
                       " for m=" + std::to_string(m) + " n=" + std::to_string(n) + " k=" + std::to_string(k));
  }
}

}  // namespace forgecheck::linalg
