#include "harness/verdict/judge_backend.h"

#include <new>

#include "harness/verdict/judge.h"
#include "reference/error.h"

namespace forgecheck {

Judgement failure(Verdict verdict, const std::string& message) {
  Judgement judgement;
  judgement.verdict = verdict;
  judgement.message = message;
  return judgement;
}

Judgement judged_or_failure(const std::function<Judgement()>& judge) {
  try {
    return judge();
  } catch (const BackendError& error) {
    return failure(Verdict::crashed, error.what());
  } catch (const Error& error) {
    return failure(Verdict::rejected, error.what());
  } catch (const std::bad_alloc&) {
    return failure(Verdict::crashed, "out of memory");
  } catch (const std::exception& error) {
    return failure(Verdict::crashed, std::string("internal error: ") + error.what());
  }
}

Judgement judge_backend(Backend& backend, const Problem& problem) {
  const Case& definition = problem.definition;
  if (const std::string refusal = backend.refusal(definition); !refusal.empty()) {
    return failure(Verdict::rejected, refusal);
  }
  return judged_or_failure([&] {
    const Trace trace = backend.run(problem, {});
    return judge(problem, trace, backend.precision(definition), backend.is_plain_reference());
  });
}

}  // namespace forgecheck
