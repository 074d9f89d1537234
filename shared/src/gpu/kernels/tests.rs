#![allow(clippy::unwrap_used)]
use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The module of a shader, as naga reads it.
fn parsed(label: &str, source: &str) -> naga::Module {
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{label}: {}", error.emit_to_string(source)));
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all());
    let valid = validator.validate(&module);
    valid.unwrap_or_else(|error| panic!("{label}: {}", error.emit_to_string(source)));
    module
}

/// The structs of a module's uniforms, by name: fields with their types and offsets.
fn uniforms(module: &naga::Module) -> BTreeMap<String, Vec<(String, String, usize)>> {
    let uniforms = module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::Uniform);
    let layout = |ty: naga::Handle<naga::Type>| {
        let naga::TypeInner::Struct { members, .. } = &module.types[ty].inner else {
            panic!("a uniform is no struct")
        };
        let field = |member: &naga::StructMember| {
            let kind = match module.types[member.ty].inner {
                naga::TypeInner::Scalar(naga::Scalar::F32) => "f32",
                naga::TypeInner::Scalar(naga::Scalar::U32) => "u32",
                naga::TypeInner::Scalar(naga::Scalar::I32) => "i32",
                ref other => panic!("{other:?}"),
            };
            (member.name.clone().unwrap(), kind.to_string(), member.offset as usize)
        };
        (module.types[ty].name.clone().unwrap(), members.iter().map(field).collect())
    };
    uniforms.map(|(_, variable)| layout(variable.ty)).collect()
}

#[test]
fn parameters_in_rust_are_those_in_wgsl() {
    let mut met = BTreeSet::new();
    for (label, source) in crate::gpu::kernels() {
        for (name, fields) in uniforms(&parsed(&label, &source)) {
            let (_, expected) = LAYOUTS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| {
                panic!("{label} has the parameters {name}, which have no struct in Rust");
            });
            let expected: Vec<(String, String, usize)> =
                expected.iter().map(|&(field, kind, at)| (field.into(), kind.into(), at)).collect();
            assert_eq!(fields, expected, "{name} of {label}");
            met.insert(name);
        }
    }
    let all: BTreeSet<String> = LAYOUTS.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(met, all);
}

/// The WGSL files below this folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|ending| ending == "wgsl"))
        .collect()
}

/// No file is a template: each is in some kernel as it stands, and each kernel is valid.
#[test]
fn every_file_is_valid_wgsl_and_used() {
    let sources: Vec<String> = crate::gpu::kernels().map(|(_, source)| source).collect();
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gpu/kernels"));
    assert!(files.len() > 40);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(sources.iter().any(|source| source.contains(&text)), "{} is in no kernel", file.display());
    }
}
