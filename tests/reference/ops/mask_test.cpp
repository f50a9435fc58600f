#include "reference/ops/mask.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

using Rows = std::vector<std::string>;

/// One string per query, "x" where it sees the key and "." where not.
Rows picture(const AttentionMask& mask) {
  Rows rows;
  const Shape& shape = mask.shape();
  std::vector<std::uint8_t> seen(static_cast<std::size_t>(shape[2]));
  for (std::int64_t r = 0; r < shape[0] * shape[1]; ++r) {
    mask.read(r, seen);
    std::string row;
    for (const std::uint8_t key : seen) row += key != 0 ? 'x' : '.';
    rows.push_back(row);
  }
  return rows;
}

TEST(CausalMask, QuerySeesItselfAndWhatIsBefore) {
  EXPECT_EQ(picture(causal_mask(1, 3, 3, 0, nullptr, nullptr)), (Rows{"x..", "xx.", "xxx"}));
}

// Divergence D1: the chunk is aligned to the end of the cache, not to its top left corner.
TEST(CausalMask, ChunkOnCachedKeysSeesAllOfThem) {
  EXPECT_EQ(picture(causal_mask(1, 2, 5, 3, nullptr, nullptr)), (Rows{"xxxx.", "xxxxx"}));
}

TEST(CausalMask, OneTokenOnACacheSeesEverything) {
  EXPECT_EQ(picture(causal_mask(2, 1, 3, 2, nullptr, nullptr)), (Rows{"xxx", "xxx"}));
}

// Row 2^40 - 1 of a batch whose mask would have 2^42 elements.
TEST(CausalMask, RowsMayLiePast32Bits) {
  const std::int64_t batch = std::int64_t{1} << 20, queries = std::int64_t{1} << 20;
  const AttentionMask mask = causal_mask(batch, queries, 4, 3 - queries + 1, nullptr, nullptr);
  std::vector<std::uint8_t> row(4);
  mask.read(batch * queries - 1, row);
  EXPECT_EQ(row, (std::vector<std::uint8_t>{1, 1, 1, 1}));
  mask.read(batch * queries - 3, row);
  EXPECT_EQ(row, (std::vector<std::uint8_t>{1, 1, 0, 0}));
}

TEST(CausalMask, AWindowEndsWithTheQueryItself) {
  EXPECT_EQ(picture(causal_mask(1, 4, 4, 0, nullptr, nullptr, 2)), (Rows{"x...", "xx..", ".xx.", "..xx"}));
  EXPECT_EQ(picture(causal_mask(1, 2, 5, 3, nullptr, nullptr, 3)), (Rows{".xxx.", "..xxx"}));
  EXPECT_EQ(picture(causal_mask(1, 2, 2, 0, nullptr, nullptr, 1)), (Rows{"x.", ".x"}));
}

TEST(CausalMask, DocumentsDoNotSeeEachOther) {
  const Ids doc_ids({2, 4}, {0, 0, 1, 1, 7, 5, 7, 5});
  EXPECT_EQ(picture(causal_mask(2, 4, 4, 0, &doc_ids, nullptr)),
            (Rows{"x...", "xx..", "..x.", "..xx", "x...", ".x..", "x.x.", ".x.x"}));
}

TEST(CausalMask, PaddedKeysAreNotSeen) {
  const Ids valid({1, 4}, {1, 0, 1, 0});
  EXPECT_EQ(picture(causal_mask(1, 4, 4, 0, nullptr, &valid)), (Rows{"x...", "x...", "x.x.", "x.x."}));
}

// It sees its whole row of keys, including later and padded ones; the rows below it are as usual.
TEST(CausalMask, QueryThatWouldSeeNothingSeesEveryKey) {
  const Ids valid({2, 3}, {0, 1, 1, 0, 0, 0});
  EXPECT_EQ(picture(causal_mask(2, 3, 3, 0, nullptr, &valid)),
            (Rows{"xxx", ".x.", ".xx", "xxx", "xxx", "xxx"}));
}

TEST(CausalMask, AllRulesHoldTogether) {
  const Ids doc_ids({1, 4}, {0, 1, 1, 1});
  const Ids valid({1, 4}, {1, 0, 1, 1});
  // Query 1 is the first of its document, and padded.
  EXPECT_EQ(picture(causal_mask(1, 4, 4, 0, &doc_ids, &valid)), (Rows{"x...", "xxxx", "..x.", "..xx"}));
}

TEST(CausalMask, ShapesAreChecked) {
  const Ids three({1, 3}, {0, 0, 0});
  EXPECT_EQ(message_of([&] { causal_mask(1, 4, 4, 0, &three, nullptr); }),
            "[attention] doc_ids has shape 1x3, expected 1x4");
  EXPECT_EQ(message_of([&] { causal_mask(2, 3, 3, 0, nullptr, &three); }),
            "[attention] key_padding_mask has shape 1x3, expected 2x3");
}

TEST(CrossMask, WithoutAMaskEveryQuerySeesEveryKey) {
  EXPECT_EQ(picture(cross_mask(1, 2, 3, nullptr)), (Rows{"xxx", "xxx"}));
}

TEST(CrossMask, QueriesSeeTheTrueKeysOfTheirSample) {
  const Ids image_mask({2, 3}, {1, 0, 1, 0, 1, 0});
  EXPECT_EQ(picture(cross_mask(2, 2, 3, &image_mask)), (Rows{"x.x", "x.x", ".x.", ".x."}));
}

TEST(CrossMask, SampleWithoutATrueKeySeesAll) {
  const Ids image_mask({2, 2}, {0, 0, 0, 1});
  EXPECT_EQ(picture(cross_mask(2, 1, 2, &image_mask)), (Rows{"xx", ".x"}));
}

TEST(CrossMask, ShapeIsChecked) {
  const Ids image_mask({2, 2}, {0, 0, 0, 1});
  EXPECT_EQ(message_of([&] { cross_mask(2, 1, 3, &image_mask); }),
            "[cross_attention] image_mask has shape 2x2, expected 2x3");
}

}  // namespace
}  // namespace forgecheck
