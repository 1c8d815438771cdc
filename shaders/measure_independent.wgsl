// Reads one word and writes to a buffer of its own, so that several dispatches may run at the same time: the time of many
// gives the cost of a dispatch that waits for no other.
//
// data: u32[1]; output: u32[1], which no other dispatch binds.
// Grid: 1.
@group(0) @binding(0) var<storage, read> data: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(1)
fn main() {
  if (data[0] == 0x9e3779b9u) {
    output[0] = 0u;
  }
}
