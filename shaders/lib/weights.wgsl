// Declarations that all weight types share. A type's lib (weights_<type>.wgsl) and the lib for its kind of run
// (run_*.wgsl) add:
//   Run32                                     // 32 weights, unpacked as far as the type's dot product needs
//   fn run32(p: Planes, n: u32) -> Run32      // the n-th run of 32 weights of the matrix, row after row
//   Input32                                   // 32 inputs, prepared once for all rows of weights
//   fn prepare(x: Block32) -> Input32
//   fn dot_run(w: Run32, x: Input32) -> f32
//   fn block32(p: Planes, n: u32) -> Block32  // the values of the weights
// They read the binding `weights: array<vec4<u32>>` of the kernel. IQ types also read `grid` at binding 7.
// The planes and their byte order: workers/format/weight-layout.ts.

// Where the planes of a matrix start, in vec4<u32> from the start of `weights`.
struct Planes {
  p0: u32,
  p1: u32,
  p2: u32,
  p3: u32,
}

// 32 numbers, in order.
struct Block32 {
  a: vec4<f32>,
  b: vec4<f32>,
  c: vec4<f32>,
  d: vec4<f32>,
  e: vec4<f32>,
  f: vec4<f32>,
  g: vec4<f32>,
  h: vec4<f32>,
}

fn dot16(
  a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, x: vec4<f32>, y: vec4<f32>, z: vec4<f32>, w: vec4<f32>,
) -> f32 {
  return dot(a, x) + dot(b, y) + dot(c, z) + dot(d, w);
}

fn dot32(w: Block32, x: Block32) -> f32 {
  return dot16(w.a, w.b, w.c, w.d, x.a, x.b, x.c, x.d) + dot16(w.e, w.f, w.g, w.h, x.e, x.f, x.g, x.h);
}

// Multiplies the first half by s and the second half by t.
fn scaled32(v: Block32, s: vec4<f32>, t: vec4<f32>) -> Block32 {
  return Block32(s * v.a, s * v.b, s * v.c, s * v.d, t * v.e, t * v.f, t * v.g, t * v.h);
}

// Converts f16 bits to f32. Subnormals stay exact, which unpack2x16float may flush. Weights are finite.
fn half4(bits: vec4<u32>) -> vec4<f32> {
  let magnitude = bits & vec4<u32>(0x7fffu);
  let normal = bitcast<vec4<f32>>(magnitude * 8192u + vec4<u32>(112u << 23u));
  let subnormal = vec4<f32>(magnitude) * 5.9604644775390625e-8; // 2^-24
  let value = select(normal, subnormal, magnitude < vec4<u32>(0x400u));
  return bitcast<vec4<f32>>(bitcast<vec4<u32>>(value) | ((bits & vec4<u32>(0x8000u)) * 65536u));
}

fn half(bits: u32) -> f32 {
  let magnitude = bits & 0x7fffu;
  let normal = bitcast<f32>((magnitude << 13u) + (112u << 23u));
  let value = select(normal, f32(magnitude) * 5.9604644775390625e-8, magnitude < 0x400u);
  return select(value, -value, (bits & 0x8000u) != 0u);
}

// The n-th element of a plane whose elements have 4 bytes (word), 8 (words), 2 (short, half) or 1 (byte).
fn word_at(plane: u32, n: u32) -> u32 {
  return weights[plane + (n >> 2u)][n & 3u];
}

fn words_at(plane: u32, n: u32) -> vec2<u32> {
  let four = weights[plane + (n >> 1u)];
  return select(four.xy, four.zw, (n & 1u) != 0u);
}

fn short_at(plane: u32, n: u32) -> u32 {
  return (word_at(plane, n >> 1u) >> ((n & 1u) * 16u)) & 0xffffu;
}

fn half_at(plane: u32, n: u32) -> f32 {
  return half(short_at(plane, n));
}

fn byte_at(plane: u32, n: u32) -> u32 {
  return (word_at(plane, n >> 2u) >> ((n & 3u) * 8u)) & 0xffu;
}

// The bytes of a word become floats without shifts, which are slow on software adapters: byte i is masked in place, so
// its value is multiplied by 256^i. Inputs or scales are divided by these powers of two beforehand, which is exact for
// all inputs above 2^-102.
const BYTE_PLACES = vec4<f32>(1.0, 256.0, 65536.0, 16777216.0);
const INVERSE_BYTE_PLACES = vec4<f32>(1.0, 0.00390625, 0.0000152587890625, 5.9604644775390625e-8);

// The four bytes (below 128) of a word, multiplied by BYTE_PLACES.
fn placed4(word: u32) -> vec4<f32> {
  return vec4<f32>(vec4<i32>(vec4<u32>(word) & vec4<u32>(0xffu, 0xff00u, 0xff0000u, 0xff000000u)));
}

// The four signed bytes of a word, multiplied by BYTE_PLACES. The top byte keeps its sign, the others are biased by
// 128.
fn placed_signed4(word: u32) -> vec4<f32> {
  return placed4(word ^ 0x808080u) - vec4<f32>(128.0, 32768.0, 8388608.0, 0.0);
}

// 32 bytes (below 128), multiplied by BYTE_PLACES.
fn placed32(u: vec4<u32>, v: vec4<u32>) -> Block32 {
  return Block32(
    placed4(u.x), placed4(u.y), placed4(u.z), placed4(u.w), placed4(v.x), placed4(v.y), placed4(v.z), placed4(v.w),
  );
}

// 32 bytes (below 128) minus `middle`, multiplied by BYTE_PLACES.
fn centered32(u: vec4<u32>, v: vec4<u32>, middle: f32) -> Block32 {
  let m = middle * BYTE_PLACES;
  return Block32(
    placed4(u.x) - m, placed4(u.y) - m, placed4(u.z) - m, placed4(u.w) - m,
    placed4(v.x) - m, placed4(v.y) - m, placed4(v.z) - m, placed4(v.w) - m,
  );
}

// 32 signed bytes, multiplied by BYTE_PLACES.
fn placed_signed32(u: vec4<u32>, v: vec4<u32>) -> Block32 {
  return Block32(
    placed_signed4(u.x), placed_signed4(u.y), placed_signed4(u.z), placed_signed4(u.w),
    placed_signed4(v.x), placed_signed4(v.y), placed_signed4(v.z), placed_signed4(v.w),
  );
}

// The low nibble, the high nibble, or the lowest bit of every byte.
fn low_nibbles(q: vec4<u32>) -> vec4<u32> {
  return q & vec4<u32>(0x0f0f0f0fu);
}

fn high_nibbles(q: vec4<u32>) -> vec4<u32> {
  return (q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu);
}

fn lowest_bits(q: vec4<u32>) -> vec4<u32> {
  return q & vec4<u32>(0x01010101u);
}

// Moves bits 0 .. 3 of each number to the lowest bits of its four bytes: the product has bit i at i + 7i, among others.
fn bits_to_bytes(four: vec4<u32>) -> vec4<u32> {
  return lowest_bits((four & vec4<u32>(15u)) * 0x204081u);
}
