// output[t, head] = o / s, with (m, s, o) the chunks of attention_flash.wgsl merged in the order of their positions.
//
// partial: vec2[chunks, KV_HEADS, query rows, 1 + HEAD_DIM / 2], (m, s) and then o; output: f32[tokens, OUTPUT_STRIDE].
// Grid: x = pairs of dimensions of all heads, in workgroups of WORKGROUP; y = tokens.
override OUTPUT_STRIDE: u32;

@group(0) @binding(0) var<storage, read> state: StepState;
@group(0) @binding(1) var<storage, read> partial: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec2<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let pairs = HEAD_DIM / 2u;
  let token = id.y;
  if (state.stalled != 0u || token >= state.token_count || id.x >= HEADS * pairs) {
    return;
  }
  let head = id.x / pairs;
  let row = token * group_size() + head % group_size();
  let first = (head / group_size() * row_count() + row) * (1u + pairs);
  let stride = KV_HEADS * row_count() * (1u + pairs);
  let length = row_length(row);
  var largest = partial[first].x;
  var total = partial[first].y;
  var sum = partial[first + 1u + id.x % pairs];
  for (var chunk = 1u; chunk < MAX_CHUNKS; chunk++) {
    if (chunk * CHUNK >= length) {
      break;
    }
    let record = first + chunk * stride;
    let stats = partial[record];
    let larger = max(largest, stats.x);
    let keep = exp(largest - larger);
    let add = exp(stats.x - larger);
    largest = larger;
    total = total * keep + stats.y * add;
    sum = sum * keep + partial[record + 1u + id.x % pairs] * add;
  }
  output[(token * OUTPUT_STRIDE) / 2u + id.x] = sum / total;
}
