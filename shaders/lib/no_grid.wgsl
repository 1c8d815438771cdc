// For types without a grid, or whose grid stays in its buffer: nothing to load into workgroup memory.
fn load_grid(thread: u32) {}
