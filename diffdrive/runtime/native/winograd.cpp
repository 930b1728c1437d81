// 3 x 3 convolution, stride 1, zero padding 1, by Winograd's F(4 x 4, 3 x 3) (Lavin and Gray 2016, "Fast algorithms for
// convolutional neural networks"): a 6 x 6 patch becomes 36 numbers per channel, 36 matrix products take the place of the
// convolution (a quarter of its multiplications), and each 36 products become 4 x 4 outputs.
//
// Maps are float32, rows x columns x channels (channels last). Channel counts are multiples of 8 (the caller checks).
// Vectors are those of GCC and Clang; -march=native decides what becomes of them.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace {

#ifdef __AVX512F__
constexpr int WIDE = 16;
#else
constexpr int WIDE = 8;
#endif
constexpr int LANES = 8;           // of the transforms
constexpr int PANEL = 2 * WIDE;    // output channels that one matrix product handles at a time
constexpr int ROWS = 6;            // tiles likewise: 6 x 2 sums fill the registers of AVX2
constexpr int64_t BLOCK = 96;      // tiles whose channels stay in the second-level cache while the panels pass by
constexpr int POSITIONS = 36;
constexpr int64_t STAGGER = 16;    // floats between positions: distances of powers of two would share a cache set

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef float wide __attribute__((vector_size(WIDE * 4)));

template <class T> inline T load(const float* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T> inline void store(float* to, T value) { std::memcpy(to, &value, sizeof value); }

struct Free {
  void operator()(float* data) const { std::free(data); }
};

// Grows to the largest layer and stays: no allocation per call. One per calling thread, so that planners do not share it.
struct Scratch {
  std::unique_ptr<float, Free> data;
  int64_t size = 0;
  float* at_least(int64_t count) {
    if (count > size) {
      data.reset();
      size = 0;
      data.reset(static_cast<float*>(std::aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64)));
      if (data) size = count;
    }
    return data.get();
  }
};
thread_local Scratch patches_scratch, products_scratch;

inline void transform_patch(const vec in[6], vec out[6]) {
  const vec a = in[4] - 4.0f * in[2], b = in[3] - 4.0f * in[1];
  const vec c = in[4] - in[2], d = 2.0f * (in[3] - in[1]);
  out[0] = 4.0f * in[0] - 5.0f * in[2] + in[4];
  out[1] = a + b;
  out[2] = a - b;
  out[3] = c + d;
  out[4] = c - d;
  out[5] = 4.0f * in[1] - 5.0f * in[3] + in[5];
}

inline void transform_product(const vec in[6], vec out[4]) {
  const vec a = in[1] + in[2], b = in[1] - in[2], c = in[3] + in[4], d = in[3] - in[4];
  out[0] = in[0] + a + c;
  out[1] = b + 2.0f * d;
  out[2] = a + 4.0f * c;
  out[3] = b + 8.0f * d + in[5];
}

// R rows of `a` (row stride `depth`) times a panel [depth][PANEL], into rows of `out`.
template <int R> void multiply(const float* a, const float* panel, int64_t depth, float* out, int64_t out_stride) {
  wide sum[R][2];
  for (int r = 0; r < R; ++r) sum[r][0] = sum[r][1] = wide{};
  for (int64_t c = 0; c < depth; ++c, panel += PANEL) {
    const wide left = load<wide>(panel), right = load<wide>(panel + WIDE);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const float x = a[r * depth + c];
      sum[r][0] += x * left;
      sum[r][1] += x * right;
    }
  }
  for (int r = 0; r < R; ++r) {
    store(out + r * out_stride, sum[r][0]);
    store(out + r * out_stride + WIDE, sum[r][1]);
  }
}

void multiply_rows(int64_t count, const float* a, const float* panel, int64_t depth, float* out, int64_t out_stride) {
  int64_t row = 0;
  for (; row + ROWS <= count; row += ROWS) multiply<ROWS>(a + row * depth, panel, depth, out + row * out_stride, out_stride);
  a += row * depth;
  out += row * out_stride;
  switch (count - row) {
    case 5: return multiply<5>(a, panel, depth, out, out_stride);
    case 4: return multiply<4>(a, panel, depth, out, out_stride);
    case 3: return multiply<3>(a, panel, depth, out, out_stride);
    case 2: return multiply<2>(a, panel, depth, out, out_stride);
    case 1: return multiply<1>(a, panel, depth, out, out_stride);
    default: return;
  }
}

struct Shape {
  int64_t batch, height, width, in, out;
  int64_t tile_rows() const { return (height + 3) / 4; }
  int64_t tile_columns() const { return (width + 3) / 4; }
  int64_t tiles() const { return batch * tile_rows() * tile_columns(); }
  int64_t panels() const { return (out + PANEL - 1) / PANEL; }
  int64_t patch_stride() const { return tiles() * in + STAGGER; }
  int64_t product_stride() const { return tiles() * panels() * PANEL + STAGGER; }
};

struct Place {
  int64_t scene, row, column;
  Place(const Shape& s, int64_t tile)
      : scene(tile / (s.tile_rows() * s.tile_columns())),
        row(tile / s.tile_columns() % s.tile_rows() * 4),
        column(tile % s.tile_columns() * 4) {}
};

void spread_tile(const Shape& s, int64_t tile, const float* x, float* patches) {
  const Place at(s, tile);
  for (int64_t c = 0; c < s.in; c += LANES) {
    vec half[6][6];
    for (int j = 0; j < 6; ++j) {
      vec column[6], done[6];
      const int64_t xx = at.column - 1 + j;
      for (int i = 0; i < 6; ++i) {
        const int64_t yy = at.row - 1 + i;
        const bool inside = yy >= 0 && yy < s.height && xx >= 0 && xx < s.width;
        column[i] = inside ? load<vec>(x + ((at.scene * s.height + yy) * s.width + xx) * s.in + c) : vec{};
      }
      transform_patch(column, done);
      for (int i = 0; i < 6; ++i) half[i][j] = done[i];
    }
    for (int i = 0; i < 6; ++i) {
      vec done[6];
      transform_patch(half[i], done);
      for (int j = 0; j < 6; ++j) store(patches + (i * 6 + j) * s.patch_stride() + tile * s.in + c, done[j]);
    }
  }
}

void gather_tile(const Shape& s, int64_t tile, const float* products, const float* bias, const float* added, bool relu, float* y) {
  const Place at(s, tile);
  for (int64_t k = 0; k < s.out; k += LANES) {
    vec half[4][6];
    for (int j = 0; j < 6; ++j) {
      vec column[6], done[4];
      for (int i = 0; i < 6; ++i)
        column[i] = load<vec>(products + (i * 6 + j) * s.product_stride() + tile * s.panels() * PANEL + k);
      transform_product(column, done);
      for (int i = 0; i < 4; ++i) half[i][j] = done[i];
    }
    const vec offset = load<vec>(bias + k);
    for (int i = 0; i < 4 && at.row + i < s.height; ++i) {
      vec done[4];
      transform_product(half[i], done);
      for (int j = 0; j < 4 && at.column + j < s.width; ++j) {
        const int64_t index = ((at.scene * s.height + at.row + i) * s.width + at.column + j) * s.out + k;
        vec value = done[j] + offset;
        if (added) value += load<vec>(added + index);
        // Written so that NaN stays NaN: it must reach the planner's checks.
        if (relu) value = value < 0.0f ? vec{} : value;
        store(y + index, value);
      }
    }
  }
}

}  // namespace

extern "C" int64_t winograd_panel() { return PANEL; }

// x [batch, height, width, in]; kernel [36, panels, in, PANEL]; bias [out]; added like y or null; y [batch, height, width, out].
// Returns 0, or 1 when there was no memory.
extern "C" int winograd_conv(const float* x, const float* kernel, const float* bias, const float* added, float* y, int64_t batch,
                             int64_t height, int64_t width, int64_t in, int64_t out, int relu) {
  const Shape s{batch, height, width, in, out};
  float* patches = patches_scratch.at_least(POSITIONS * s.patch_stride());
  float* products = products_scratch.at_least(POSITIONS * s.product_stride());
  if (!patches || !products) return 1;
  const int64_t tiles = s.tiles(), panels = s.panels(), blocks = (tiles + BLOCK - 1) / BLOCK;
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int64_t tile = 0; tile < tiles; ++tile) spread_tile(s, tile, x, patches);
#pragma omp for schedule(dynamic) collapse(2)
    for (int64_t position = 0; position < POSITIONS; ++position)
      for (int64_t block = 0; block < blocks; ++block) {
        const int64_t first = block * BLOCK, count = tiles - first < BLOCK ? tiles - first : BLOCK;
        for (int64_t panel = 0; panel < panels; ++panel)
          multiply_rows(count, patches + position * s.patch_stride() + first * in,
                        kernel + (position * panels + panel) * in * PANEL, in,
                        products + position * s.product_stride() + first * panels * PANEL + panel * PANEL, panels * PANEL);
      }
#pragma omp for schedule(static)
    for (int64_t tile = 0; tile < tiles; ++tile) gather_tile(s, tile, products, bias, added, relu != 0, y);
  }
  return 0;
}
