/* A plugin for forgecheck: a dense Llama in float32, in plain C, without a KV cache.
 *
 *   cc -O2 -shared -fPIC -I harness/backend examples/plugin.c -o libplugin.so -lm
 *   forgecheck verify --filter kempnerforge/dense --backend plugin:libplugin.so
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forgecheck_plugin.h"

struct model {
  int64_t dim, heads, kv_heads, layers;
  float eps, theta;
  const struct forgecheck_tensor* weights;
  size_t count;
};

static char error[256];

int forgecheck_plugin_version(void) { return FORGECHECK_PLUGIN_VERSION; }
const char* forgecheck_plugin_last_error(void) { return error; }
void forgecheck_plugin_destroy(void* model) { free(model); }

/* The number after "key": in the case, which is JSON of one level below each section. */
static double number(const char* json, const char* key, double otherwise) {
  char quoted[64];
  snprintf(quoted, sizeof quoted, "\"%s\":", key);
  const char* at = strstr(json, quoted);
  return at == NULL ? otherwise : strtod(at + strlen(quoted), NULL);
}

static const float* weight(const struct model* m, const char* name) {
  for (size_t i = 0; i < m->count; ++i) {
    if (strcmp(m->weights[i].name, name) == 0) return m->weights[i].data;
  }
  return NULL;
}

static const float* of_layer(const struct model* m, int64_t layer, const char* name) {
  char full[96];
  snprintf(full, sizeof full, "layers.%d.%s.weight", (int)layer, name);
  return weight(m, full);
}

int forgecheck_plugin_create(const char* json, const struct forgecheck_tensor* weights, size_t count, void** model) {
  static const char* const foreign[] = {"vlm",        "adapter",  "num_experts", "norm_type", "activation",
                                        "qk_norm",    "head_dim", "qkv_bias",    "stages",    "sliding_window",
                                        "greedy_from", "output_slice", "rope_scaling"};
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; ++i) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", foreign[i]);
    if (strstr(json, quoted) == NULL) continue;
    snprintf(error, sizeof error, "%s is not for this plugin", foreign[i]);
    return FORGECHECK_REFUSED;
  }
  if (strstr(json, "\"run\":\"forward\"") == NULL || strstr(json, "\"dtype\":\"float32\"") == NULL) {
    snprintf(error, sizeof error, "only forward calls in float32");
    return FORGECHECK_REFUSED;
  }
  struct model* m = calloc(1, sizeof *m);
  if (m == NULL) {
    snprintf(error, sizeof error, "out of memory");
    return FORGECHECK_FAILED;
  }
  m->dim = (int64_t)number(json, "dim", 4096);
  m->heads = (int64_t)number(json, "n_heads", 32);
  m->kv_heads = (int64_t)number(json, "n_kv_heads", (double)m->heads);
  m->layers = (int64_t)number(json, "n_layers", 32);
  m->eps = (float)number(json, "norm_eps", 1e-5);
  m->theta = (float)number(json, "rope_theta", 10000);
  m->weights = weights;
  m->count = count;
  *model = m;
  return FORGECHECK_OK;
}

static void give(const struct forgecheck_outputs* out, const char* name, const float* x, int64_t batch, int64_t length,
                 int64_t width) {
  const int64_t shape[] = {batch, length, width};
  const struct forgecheck_tensor tap = {name, FORGECHECK_FLOAT32, 3, shape, x};
  if (out->wants(out->host, name)) out->give(out->host, &tap);
}

static void give_of_layer(const struct forgecheck_outputs* out, int64_t layer, const char* part, const float* x,
                          int64_t batch, int64_t length, int64_t width) {
  char name[96];
  snprintf(name, sizeof name, "layers.%d%s%s", (int)layer, *part ? "." : "", part);
  give(out, name, x, batch, length, width);
}

/* out (rows, width) = x (rows, in) times the transpose of w (width, in). */
static void linear(float* out, const float* x, const float* w, int64_t rows, int64_t in, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < width; ++j) {
      float sum = 0;
      for (int64_t i = 0; i < in; ++i) sum += x[r * in + i] * w[j * in + i];
      out[r * width + j] = sum;
    }
  }
}

static void rms_norm(float* out, const float* x, const float* w, int64_t rows, int64_t dim, float eps) {
  for (int64_t r = 0; r < rows; ++r) {
    float squares = 0;
    for (int64_t i = 0; i < dim; ++i) squares += x[r * dim + i] * x[r * dim + i];
    const float scale = 1 / sqrtf(squares / (float)dim + eps);
    for (int64_t i = 0; i < dim; ++i) out[r * dim + i] = x[r * dim + i] * scale * w[i];
  }
}

/* Rotates x (rows, heads, d), whose row r is at position r % length. */
static void rope(float* x, int64_t rows, int64_t length, int64_t heads, int64_t d, float theta) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t h = 0; h < heads; ++h) {
      float* v = x + (r * heads + h) * d;
      for (int64_t j = 0; j < d / 2; ++j) {
        const float angle = (float)(r % length) / powf(theta, (float)(2 * j) / (float)d);
        const float a = v[j], b = v[j + d / 2];
        v[j] = a * cosf(angle) - b * sinf(angle);
        v[j + d / 2] = b * cosf(angle) + a * sinf(angle);
      }
    }
  }
}

static void attention(float* out, const float* q, const float* k, const float* v, int64_t batch, int64_t length,
                      const struct model* m, float* scores) {
  const int64_t d = m->dim / m->heads, group = m->heads / m->kv_heads;
  for (int64_t r = 0; r < batch * length; ++r) {
    const int64_t first = r - r % length;
    for (int64_t h = 0; h < m->heads; ++h) {
      const float* query = q + (r * m->heads + h) * d;
      float largest = -INFINITY, sum = 0;
      for (int64_t j = first; j <= r; ++j) {
        float score = 0;
        for (int64_t e = 0; e < d; ++e) score += query[e] * k[(j * m->kv_heads + h / group) * d + e];
        scores[j - first] = score / sqrtf((float)d);
        largest = fmaxf(largest, scores[j - first]);
      }
      for (int64_t j = 0; j <= r - first; ++j) sum += scores[j] = expf(scores[j] - largest);
      for (int64_t e = 0; e < d; ++e) {
        float total = 0;
        for (int64_t j = first; j <= r; ++j) total += scores[j - first] * v[(j * m->kv_heads + h / group) * d + e];
        out[(r * m->heads + h) * d + e] = total / sum;
      }
    }
  }
}

int forgecheck_plugin_run(void* model, const struct forgecheck_tensor* inputs, size_t count,
                          const struct forgecheck_outputs* out) {
  const struct model* m = model;
  if (count != 1 || strcmp(inputs[0].name, "tokens") != 0) {
    snprintf(error, sizeof error, "takes tokens alone");
    return FORGECHECK_REFUSED;
  }
  const int64_t* tokens = inputs[0].data;
  const int64_t batch = inputs[0].shape[0], length = inputs[0].shape[1], rows = batch * length, dim = m->dim;
  const int64_t kv_dim = dim / m->heads * m->kv_heads;
  int64_t ffn = 0, vocabulary = 0;
  for (size_t i = 0; i < m->count; ++i) {
    if (strcmp(m->weights[i].name, "layers.0.mlp.up_proj.weight") == 0) ffn = m->weights[i].shape[0];
    if (strcmp(m->weights[i].name, "token_embedding.embedding.weight") == 0) vocabulary = m->weights[i].shape[0];
  }
  const int64_t widest = dim > ffn ? dim : ffn;
  float* const memory = malloc(sizeof(float) * (size_t)(rows * (5 * dim + 2 * kv_dim + 3 * widest + vocabulary) + length));
  if (memory == NULL) {
    snprintf(error, sizeof error, "out of memory");
    return FORGECHECK_FAILED;
  }
  float *x = memory, *normed = x + rows * dim, *q = normed + rows * dim, *context = q + rows * dim;
  float *part = context + rows * dim, *k = part + rows * dim, *v = k + rows * kv_dim, *gate = v + rows * kv_dim;
  float *up = gate + rows * widest, *hidden = up + rows * widest, *logits = hidden + rows * widest;
  float* scores = logits + rows * vocabulary;

  const float* embedding = weight(m, "token_embedding.embedding.weight");
  for (int64_t r = 0; r < rows; ++r) memcpy(x + r * dim, embedding + tokens[r] * dim, sizeof(float) * (size_t)dim);
  give(out, "token_embedding", x, batch, length, dim);
  for (int64_t i = 0; i < m->layers; ++i) {
    rms_norm(normed, x, of_layer(m, i, "attention_norm"), rows, dim, m->eps);
    give_of_layer(out, i, "attention_norm", normed, batch, length, dim);
    linear(q, normed, of_layer(m, i, "attention.q_proj"), rows, dim, dim);
    linear(k, normed, of_layer(m, i, "attention.k_proj"), rows, dim, kv_dim);
    linear(v, normed, of_layer(m, i, "attention.v_proj"), rows, dim, kv_dim);
    give_of_layer(out, i, "attention.q_proj", q, batch, length, dim);
    give_of_layer(out, i, "attention.k_proj", k, batch, length, kv_dim);
    give_of_layer(out, i, "attention.v_proj", v, batch, length, kv_dim);
    rope(q, rows, length, m->heads, dim / m->heads, m->theta);
    rope(k, rows, length, m->kv_heads, dim / m->heads, m->theta);
    attention(context, q, k, v, batch, length, m, scores);
    give_of_layer(out, i, "attention.context", context, batch, length, dim);
    linear(part, context, of_layer(m, i, "attention.o_proj"), rows, dim, dim);
    give_of_layer(out, i, "attention", part, batch, length, dim);
    for (int64_t j = 0; j < rows * dim; ++j) x[j] += part[j];
    rms_norm(normed, x, of_layer(m, i, "mlp_norm"), rows, dim, m->eps);
    give_of_layer(out, i, "mlp_norm", normed, batch, length, dim);
    linear(gate, normed, of_layer(m, i, "mlp.gate_proj"), rows, dim, ffn);
    linear(up, normed, of_layer(m, i, "mlp.up_proj"), rows, dim, ffn);
    for (int64_t j = 0; j < rows * ffn; ++j) hidden[j] = gate[j] / (1 + expf(-gate[j])) * up[j];
    give_of_layer(out, i, "mlp.hidden", hidden, batch, length, ffn);
    linear(part, hidden, of_layer(m, i, "mlp.down_proj"), rows, ffn, dim);
    give_of_layer(out, i, "mlp", part, batch, length, dim);
    for (int64_t j = 0; j < rows * dim; ++j) x[j] += part[j];
    give_of_layer(out, i, "", x, batch, length, dim);
  }
  rms_norm(normed, x, weight(m, "norm.weight"), rows, dim, m->eps);
  give(out, "norm", normed, batch, length, dim);
  const float* head = weight(m, "output_head.proj.weight");
  linear(logits, normed, head == NULL ? embedding : head, rows, dim, vocabulary);
  give(out, "logits", logits, batch, length, vocabulary);
  free(memory);
  return FORGECHECK_OK;
}
