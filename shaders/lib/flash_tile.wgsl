// The tile of queries of a workgroup of flash attention, in workgroup memory. Expects lib/flash_rows.wgsl, and from
// lib/flash_keys_*.wgsl: KEY_VEC, the number of dimensions of a KeyVec. ROW_VECS, PAIRS and VALUE_VECS are constants
// that the caller puts in front, because the sizes of local arrays cannot be overrides.
override Q_STRIDE: u32;
override SHARES: u32;
override TILE_VECS: u32 = ROW_VECS * SHARES;
override TILE_ROWS: u32 = 4u * TILE_VECS;
override ROW_KEY_VECS: u32 = HEAD_DIM / KEY_VEC;
override TILE_SIZE: u32 = TILE_ROWS * ROW_KEY_VECS;
override TILE_LOADS: u32 = (TILE_SIZE + WORKGROUP - 1u) / WORKGROUP;

const LANES = 64u;

@group(0) @binding(1) var<storage, read> q: array<KeyVec>;

var<workgroup> queries: array<KeyVec, TILE_SIZE>;

fn load_queries(first_row: u32, kv_head: u32, thread: u32) {
  for (var i = 0u; i < TILE_LOADS; i++) {
    let at = i * WORKGROUP + thread;
    if (at < TILE_SIZE) {
      let row = min(first_row + at / ROW_KEY_VECS, row_count() - 1u);
      let head = kv_head * group_size() + row % group_size();
      let address = row / group_size() * Q_STRIDE + head * HEAD_DIM;
      queries[at] = q[address / KEY_VEC + at % ROW_KEY_VECS];
    }
  }
}
