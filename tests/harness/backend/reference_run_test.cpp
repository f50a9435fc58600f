#include "harness/backend/reference_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reference/error.h"

namespace forgecheck {
namespace {

const std::string kTinyModel = "dense[dim=8,n_layers=1,n_heads=2,vocab_size=11,max_seq_len=2048]";

// Nothing may be computed, or allocated, before it is known that it can be.
TEST(ReferenceRun, ALibraryThatIsNotThereIsRefusedBeforeTheRun) {
  const Problem problem = seeded_problem(parse_case_text(kTinyModel));
  Tracer tracer;
  const auto run = [&] { run_reference(problem, Dtype::f64, {.library = linalg::Library::onednn}, tracer); };
  EXPECT_THAT(run, testing::ThrowsMessage<BackendError>("oneDNN has no float64 matrix product"));
  EXPECT_TRUE(tracer.trace().empty());
}

TEST(ReferenceRun, ACaseThatDoesNotFitIsRefusedBeforeItIsMade) {
  const Case definition = parse_case_text(kTinyModel + "/batch=1073741824,text_len=1024");
  EXPECT_THAT([&] { seeded_problem(definition); },
              testing::ThrowsMessage<ConfigError>(testing::HasSubstr(": needs about ")));
}

}  // namespace
}  // namespace forgecheck
