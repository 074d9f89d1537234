//! Compute shaders and their pipelines, compiled when first used.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Invocations of a workgroup, unless a shader says otherwise.
pub(super) const WORKGROUP: usize = 64;

/// A compute shader with the entry point `main`.
pub(super) trait Shader: fmt::Debug + Send + Sync {
    /// A name that no other shader has: pipelines are found by it, and tools show it.
    fn label(&self) -> String;

    /// The complete WGSL.
    fn source(&self) -> String;
}

/// The compiled shaders of a device, by label.
#[derive(Default)]
pub(super) struct Pipelines(Mutex<HashMap<String, wgpu::ComputePipeline>>);

impl Pipelines {
    /// The pipeline of `shader`, compiled now if it is not yet.
    pub(super) fn get(&self, device: &wgpu::Device, shader: &dyn Shader) -> wgpu::ComputePipeline {
        let mut compiled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = shader.label();
        let label = Some(name.as_str());
        if let Some(pipeline) = compiled.get(&name) {
            return pipeline.clone();
        }
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label,
            source: wgpu::ShaderSource::Wgsl(shader.source().into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        compiled.insert(name, pipeline.clone());
        pipeline
    }
}
