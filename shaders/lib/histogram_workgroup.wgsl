// Puts the sampler's histograms in workgroup memory, for adapters on which that is fast. See histogram_storage.wgsl.
var<workgroup> histogram: array<f32, HISTOGRAM>;

fn histogram_at(index: u32) -> f32 {
  return histogram[index];
}

fn set_histogram(index: u32, value: f32) {
  histogram[index] = value;
}

fn histogram_barrier() {
  workgroupBarrier();
}
