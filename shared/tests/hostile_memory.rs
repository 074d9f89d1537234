//! A file cannot make its reader allocate more than a few times its own size.
#![allow(clippy::unwrap_used)]

mod model_file;

use cap::Cap;
use dual_mcmc::model::Model;
use model_file::Draft;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// One test: the peak is the whole process's.
#[test]
fn claims_allocate_nothing() {
    let energy = |input: Value, layers: Value| {
        let mut draft = Draft::valid();
        draft.tensors.clear();
        draft.set_json("networks", &json!({"energy": {"input": input, "layers": layers}}));
        draft.bytes()
    };
    let wide = json!([{"type": "linear", "in_features": 1u64 << 14, "out_features": 1u64 << 14},
        {"type": "linear", "in_features": 1u64 << 14, "out_features": 1}]);
    let mut up = vec![json!({"type": "upsample_nearest"}); 13];
    up.push(json!({"type": "global_average_pool"}));
    let kernel = 1u64 << 14;
    let conv = json!([{"type": "conv2d", "in_channels": 1, "out_channels": 1, "kernel": kernel}]);
    let mut claimed = Draft::valid().bytes();
    claimed[..8].copy_from_slice(&(1u64 << 20).to_le_bytes());
    let files = [
        ("wide layers", energy(json!([1u64 << 14]), wide)),
        ("upsampling without end", energy(json!([1, 1, 1]), json!(up))),
        ("a huge kernel", energy(json!([1, kernel, kernel]), conv)),
        (
            "a huge input",
            energy(
                json!([1u64 << 28]),
                json!([{"type": "linear", "in_features": 1u64 << 28, "out_features": 1}]),
            ),
        ),
        ("a header longer than the file", claimed),
        (
            "a million brackets",
            model_file::container(&format!("{{\"__metadata__\":{}", "[".repeat(1 << 19)), b""),
        ),
        ("half a million numbers", {
            let mut draft = Draft::valid();
            draft.set("networks", &format!("[{}0]", "0,".repeat(400_000)));
            draft.bytes()
        }),
    ];
    for (name, bytes) in files {
        let before = ALLOCATOR.allocated();
        ALLOCATOR.set_limit(before + 64 * bytes.len() + (4 << 20)).unwrap();
        let error = Model::from_bytes(&bytes).err();
        ALLOCATOR.set_limit(usize::MAX).unwrap();
        assert!(error.is_some(), "{name} was accepted");
    }
    // An honest file of weights takes its own size in memory, and no second copy.
    let mut draft = Draft::valid();
    draft.tensors.clear();
    let side = 1u64 << 10;
    let layers = json!([{"type": "linear", "in_features": side, "out_features": side, "bias": false},
        {"type": "linear", "in_features": side, "out_features": 1, "bias": false}]);
    draft.set_json("networks", &json!({"energy": {"input": [side], "layers": layers}}));
    draft.tensor("energy.0.weight", &[side, side]);
    draft.tensor("energy.1.weight", &[1, side]);
    let bytes = draft.bytes();
    ALLOCATOR.set_limit(ALLOCATOR.allocated() + bytes.len() + (1 << 20)).unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    ALLOCATOR.set_limit(usize::MAX).unwrap();
    assert_eq!(model.energy.unwrap().weights.len() as u64, side * side + side);
}
