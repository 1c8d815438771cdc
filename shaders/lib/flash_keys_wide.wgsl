// Scores of flash attention for head dimensions that are multiples of 8: keys are loaded 16 bytes at a time. Expects
// lib/flash_tile.wgsl.
alias KeyVec = vec4<f32>;
const KEY_VEC = 4u;

@group(0) @binding(2) var<storage, read> key_cache: array<vec4<u32>>;

// The dot product of the query of a row of the tile with eight dimensions of a key.
fn eight(row: u32, i: u32, first: vec4<f32>, second: vec4<f32>) -> f32 {
  let at = row * ROW_KEY_VECS + 2u * i;
  return dot(queries[at], first) + dot(queries[at + 1u], second);
}

// The dot products of a key with the rows of ROW_VECS vectors, from `vec` on.
fn key_dots(position: u32, kv_head: u32, vec: u32) -> array<vec4<f32>, ROW_VECS> {
  let key = (position * KV_HEADS + kv_head) * (HEAD_DIM / 8u);
  var sums = array<vec4<f32>, ROW_VECS>();
  for (var i = 0u; i < HEAD_DIM / 8u; i++) {
    let packed = key_cache[key + i];
    let first = vec4<f32>(unpack2x16float(packed.x), unpack2x16float(packed.y));
    let second = vec4<f32>(unpack2x16float(packed.z), unpack2x16float(packed.w));
    for (var v = 0u; v < ROW_VECS; v++) {
      let row = (vec + v) * 4u;
      sums[v] += vec4<f32>(
        eight(row, i, first, second), eight(row + 1u, i, first, second),
        eight(row + 2u, i, first, second), eight(row + 3u, i, first, second),
      );
    }
  }
  return sums;
}
