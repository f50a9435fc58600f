/* The C interface of a plugin, a shared library that computes the taps of a case: --backend plugin:PATH.so.
 *
 * forgecheck loads it into a process of its own, asks for a model of each case, runs it once and destroys it. Everything
 * that a plugin does wrong (it crashes, hangs, gives tensors of another shape or none) is one result of the report.
 * examples/plugin.c is a whole plugin; docs/traces.md says what inputs, parameters and taps there are. */
#ifndef FORGECHECK_PLUGIN_H
#define FORGECHECK_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FORGECHECK_PLUGIN_VERSION 1

enum forgecheck_dtype {
  FORGECHECK_FLOAT64 = 0,
  FORGECHECK_FLOAT32 = 1,
  FORGECHECK_BFLOAT16 = 2,
  FORGECHECK_INT64 = 3,
  FORGECHECK_BOOL = 4 /* one byte, 0 or 1 */
};

/* Row-major and contiguous; `shape` has `rank` sizes. */
struct forgecheck_tensor {
  const char* name;
  int32_t dtype;
  int32_t rank;
  const int64_t* shape;
  const void* data;
};

/* What takes the taps. Both functions are called with `host` as it is. */
struct forgecheck_outputs {
  void* host;
  /* Whether this tap is wanted; one that is not may be given all the same. */
  int (*wants)(void* host, const char* tap);
  /* Hands a tap over: it is copied before the call returns. Names are those of docs/taps.md, without "expected.". */
  void (*give)(void* host, const struct forgecheck_tensor* tap);
};

enum forgecheck_status {
  FORGECHECK_OK = 0,
  FORGECHECK_REFUSED = 1, /* the case is not for this plugin: `rejected` */
  FORGECHECK_FAILED = 2   /* `crashed` */
};

/* FORGECHECK_PLUGIN_VERSION of the header that the plugin was compiled with. */
int forgecheck_plugin_version(void);

/* A model of the case, whose JSON has the sections of docs/traces.md, with these weights in float32 or the case's own
 * types. They stay where they are until the model is destroyed. On FORGECHECK_OK sets *model. */
int forgecheck_plugin_create(const char* case_json, const struct forgecheck_tensor* weights, size_t count,
                             void** model);

/* Runs the model on the inputs: "tokens", "key_padding_mask", ... */
int forgecheck_plugin_run(void* model, const struct forgecheck_tensor* inputs, size_t count,
                          const struct forgecheck_outputs* outputs);

/* Why the last call did not return FORGECHECK_OK: text that lives until the next call. */
const char* forgecheck_plugin_last_error(void);

void forgecheck_plugin_destroy(void* model);

#ifdef __cplusplus
}
#endif

#endif
