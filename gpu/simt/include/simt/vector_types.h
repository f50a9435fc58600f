// The vector types of CUDA C++, with their sizes and alignments.
#pragma once

struct uint3 {
  unsigned x, y, z;
};

/// Extents of a grid or a block; what is not named is 1.
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};

#define SIMT_VECTOR_TYPES(T, name, align2, align4)              \
  struct alignas(align2) name##2 {                              \
    T x, y;                                                     \
  };                                                            \
  struct alignas(align4) name##4 {                              \
    T x, y, z, w;                                               \
  };                                                            \
  inline constexpr name##2 make_##name##2(T x, T y) {           \
    return {x, y};                                              \
  }                                                             \
  inline constexpr name##4 make_##name##4(T x, T y, T z, T w) { \
    return {x, y, z, w};                                        \
  }

SIMT_VECTOR_TYPES(signed char, char, 2, 4)
SIMT_VECTOR_TYPES(unsigned char, uchar, 2, 4)
SIMT_VECTOR_TYPES(short, short, 4, 8)
SIMT_VECTOR_TYPES(unsigned short, ushort, 4, 8)
SIMT_VECTOR_TYPES(int, int, 8, 16)
SIMT_VECTOR_TYPES(unsigned, uint, 8, 16)
SIMT_VECTOR_TYPES(long long, longlong, 16, 16)
SIMT_VECTOR_TYPES(unsigned long long, ulonglong, 16, 16)
SIMT_VECTOR_TYPES(float, float, 8, 16)
SIMT_VECTOR_TYPES(double, double, 16, 16)
#undef SIMT_VECTOR_TYPES

struct int3 {
  int x, y, z;
};
struct float3 {
  float x, y, z;
};
inline constexpr int3 make_int3(int x, int y, int z) {
  return {x, y, z};
}
inline constexpr uint3 make_uint3(unsigned x, unsigned y, unsigned z) {
  return {x, y, z};
}
inline constexpr float3 make_float3(float x, float y, float z) {
  return {x, y, z};
}
