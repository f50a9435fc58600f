#include <dnnl.hpp>
#include <string>

#include "reference/error.h"
#include "reference/linalg/silu.h"

namespace forgecheck::linalg {

namespace {

/// What oneDNN prepares for one size, kept for the next call of that size.
struct Prepared {
  std::int64_t size = -1;
  dnnl::memory::desc layout;
  dnnl::eltwise_forward silu;
};

Prepared prepare(const dnnl::engine& engine, std::int64_t n) {
  const dnnl::memory::desc layout({n}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a);
  const dnnl::eltwise_forward::desc silu(dnnl::prop_kind::forward_inference, dnnl::algorithm::eltwise_swish,
                                         layout, 1.0F, 0.0F);
  return {n, layout, dnnl::eltwise_forward(dnnl::eltwise_forward::primitive_desc(silu, engine))};
}

}  // namespace

void onednn_silu(std::int64_t n, float* x) {
  if (n == 0) return;
  try {
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    thread_local Prepared prepared;
    if (prepared.size != n) prepared = prepare(engine, n);
    dnnl::stream stream(engine);
    dnnl::memory memory(prepared.layout, engine, x);
    prepared.silu.execute(stream, {{DNNL_ARG_SRC, memory}, {DNNL_ARG_DST, memory}});
    stream.wait();
  } catch (const dnnl::error& error) {
    throw BackendError("[silu] oneDNN: " + std::string(error.what()));
  }
}

}  // namespace forgecheck::linalg
