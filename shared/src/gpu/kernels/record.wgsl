// Write the chains' values into the trace's row of this step.
//
// The step counter has two words, so that no kernel reads the word it writes: `record` reads
// steps[0], the number of steps taken, and copies it to steps[1]; `langevin` reads steps[1] and
// writes its successor to steps[0]. Recording twice before a step is therefore harmless.

struct RecordParams {
    chains: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: RecordParams;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<f32>;
@group(0) @binding(3) var<storage, read_write> steps: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let chain = element_index(id, groups);
    if (chain >= params.chains) {
        return;
    }
    let taken = steps[0];
    rows[taken % params.rows * params.chains + chain] = values[chain];
    if (chain == 0u) {
        steps[1] = taken;
    }
}
