/* The SSE intrinsics that the *_sse.h files of libspeex and speexdsp use, over WebAssembly SIMD,
 * so that their hand-vectorised paths build for wasm32. */
#ifndef SIPRTMP_XMMINTRIN_H
#define SIPRTMP_XMMINTRIN_H
#include <wasm_simd128.h>

typedef float __m128 __attribute__((__vector_size__(16), __aligned__(16)));

#define SSE static inline __m128 __attribute__((__always_inline__, __nodebug__))
SSE _mm_setzero_ps(void)             { return (__m128)wasm_f32x4_const_splat(0.f); }
SSE _mm_load_ps1(const float *p)     { return (__m128)wasm_v128_load32_splat(p); }
SSE _mm_load1_ps(const float *p)     { return (__m128)wasm_v128_load32_splat(p); }
SSE _mm_set_ps1(float x)             { return (__m128)wasm_f32x4_splat(x); }
SSE _mm_setr_ps(float a, float b, float c, float d) { return (__m128)wasm_f32x4_make(a, b, c, d); }
SSE _mm_loadu_ps(const float *p)     { return (__m128)wasm_v128_load(p); }
SSE _mm_add_ps(__m128 a, __m128 b)   { return a + b; }
SSE _mm_sub_ps(__m128 a, __m128 b)   { return a - b; }
SSE _mm_mul_ps(__m128 a, __m128 b)   { return a * b; }
SSE _mm_add_ss(__m128 a, __m128 b)   { a[0] += b[0]; return a; }
SSE _mm_sub_ss(__m128 a, __m128 b)   { a[0] -= b[0]; return a; }
SSE _mm_move_ss(__m128 a, __m128 b)  { return __builtin_shufflevector(a, b, 4, 1, 2, 3); }
SSE _mm_movehl_ps(__m128 a, __m128 b){ return __builtin_shufflevector(a, b, 6, 7, 2, 3); }
#undef SSE
static inline void _mm_storeu_ps(float *p, __m128 a) { wasm_v128_store(p, (v128_t)a); }
static inline void _mm_store_ss(float *p, __m128 a)  { *p = a[0]; }
#define _mm_shuffle_ps(a, b, m) __builtin_shufflevector((__m128)(a), (__m128)(b), \
   (m) & 3, ((m) >> 2) & 3, (((m) >> 4) & 3) + 4, (((m) >> 6) & 3) + 4)
#endif
