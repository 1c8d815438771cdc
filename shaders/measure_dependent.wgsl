// Does nothing: the time of many dispatches gives the cost of one. With a read-write binding each has to wait for the
// one before it, because WebGPU must assume that it wrote something.
//
// data: u32[1].
// Grid: 1.
@group(0) @binding(0) var<storage, read_write> data: array<u32>;

@compute @workgroup_size(1)
fn main() {
  if (data[0] == 0x9e3779b9u) {
    data[0] = 0u;
  }
}
