// Scores of flash attention for head dimensions that are even, but not multiples of 8. Expects lib/flash_tile.wgsl.
alias KeyVec = vec2<f32>;
const KEY_VEC = 2u;

@group(0) @binding(2) var<storage, read> key_cache: array<u32>;

// The dot products of a key with the rows of ROW_VECS vectors, from `vec` on.
fn key_dots(position: u32, kv_head: u32, vec: u32) -> array<vec4<f32>, ROW_VECS> {
  let key = (position * KV_HEADS + kv_head) * (HEAD_DIM / 2u);
  var sums = array<vec4<f32>, ROW_VECS>();
  for (var i = 0u; i < HEAD_DIM / 2u; i++) {
    let pair = unpack2x16float(key_cache[key + i]);
    for (var v = 0u; v < ROW_VECS; v++) {
      let at = (vec + v) * 4u * ROW_KEY_VECS + i;
      sums[v] += vec4<f32>(
        dot(queries[at], pair), dot(queries[at + ROW_KEY_VECS], pair),
        dot(queries[at + 2u * ROW_KEY_VECS], pair), dot(queries[at + 3u * ROW_KEY_VECS], pair),
      );
    }
  }
  return sums;
}
