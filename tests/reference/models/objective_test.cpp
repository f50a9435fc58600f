#include "reference/models/objective.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

// One row with the logits (0, ln 3) and the label 0: cross entropy and logsumexp are ln 4.
const Tensor<double> kLogits = doubles({1, 1, 2}, {0, kLn3});

double tapped(const Trace& trace, const std::string& name) {
  return trace.at(name).at(0);
}

TEST(Objective, TotalIsTheWeightedSum) {
  ModelConfig model;
  model.moe_aux_loss_weight = 0.5;
  model.moe_router_z_loss_weight = 0.25;
  Tracer tracer;
  objective(model, kLogits, Ids({1, 1}, {0}), 3.0, 8.0, {.z_loss_weight = 0.1}, tracer);
  const double cross = 2 * kLn2, logit_z = 0.1 * 4 * kLn2 * kLn2;
  EXPECT_NEAR(tapped(tracer.trace(), "loss.cross_entropy"), cross, 1e-15);
  EXPECT_NEAR(tapped(tracer.trace(), "loss.logit_z"), logit_z, 1e-15);
  EXPECT_NEAR(tapped(tracer.trace(), "loss.total"), cross + logit_z + 0.5 * 3 + 0.25 * 8, 1e-14);
}

TEST(Objective, ChunkedIsTheSameNumber) {
  for (const std::int64_t chunk_size : {1, 4096}) {
    Tracer tracer;
    const LossOptions options{LossKind::chunked_cross_entropy, chunk_size, 0.0};
    objective({}, doubles({1, 2, 2}, {0, kLn3, 0, 0}), Ids({1, 2}, {0, 1}), 0.0, 0.0, options, tracer);
    EXPECT_NEAR(tapped(tracer.trace(), "loss.total"), 1.5 * kLn2, 1e-15);
  }
}

TEST(Objective, IgnoredLabelsLeaveTheRouterLosses) {
  ModelConfig model;
  model.moe_aux_loss_weight = 0.01;
  Tracer tracer;
  objective(model, kLogits, Ids({1, 1}, {-100}), 2.0, 5.0, {}, tracer);
  EXPECT_EQ(tapped(tracer.trace(), "loss.cross_entropy"), 0);
  EXPECT_NEAR(tapped(tracer.trace(), "loss.total"), 0.02, 1e-16);  // the router z weight is 0 by default
}

TEST(Objective, ForcedPartGoesIntoTheTotal) {
  Trace forced;
  forced.add("loss.cross_entropy", Array::from(Tensor<double>(Shape{}, {7})));
  Tracer tracer;
  tracer.force(forced, Forcing::everything);
  objective({}, kLogits, Ids({1, 1}, {0}), 0.0, 0.0, {}, tracer);
  EXPECT_NEAR(tapped(tracer.trace(), "loss.cross_entropy"), 2 * kLn2, 1e-15);
  EXPECT_EQ(tapped(tracer.trace(), "loss.total"), 7);
}

TEST(Objective, LabelsHaveTheShapeOfTheLogits) {
  Tracer tracer;
  EXPECT_EQ(message_of([&] { objective({}, kLogits, Ids({1}, {0}), 0.0, 0.0, {}, tracer); }),
            "[loss] labels has shape 1, expected 1x1");
}

}  // namespace
}  // namespace forgecheck
