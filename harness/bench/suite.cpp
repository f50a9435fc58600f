#include "harness/bench/suite.h"

namespace forgecheck {

const std::vector<BenchCase>& bench_suite() {
  static const std::string large =
      "dim=768,n_layers=12,n_heads=12,n_kv_heads=4,vocab_size=32000,max_seq_len=512";
  static const std::vector<BenchCase> suite = {
      {"tiny", "dense[dim=32,n_layers=2,n_heads=4,vocab_size=64,max_seq_len=16]/batch=2,text_len=9"},
      {"dense-20m",
       "dense[dim=256,n_layers=4,n_heads=4,vocab_size=32000,max_seq_len=256]/batch=2,text_len=256"},
      {"dense-110m", "dense[" + large + "]/batch=1,text_len=256"},
      {"moe-8x",
       "moe[dim=256,n_layers=4,n_heads=4,vocab_size=32000,max_seq_len=256,num_experts=8,moe_top_k=2]/"
       "batch=2,text_len=256"},
      {"generate-110m", "dense[" + large + "]/batch=1,text_len=16/generate=16"},
  };
  return suite;
}

}  // namespace forgecheck
