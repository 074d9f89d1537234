// Ask for subgroups with every device: wgpu cannot yet, and on adapters in software the kernels gain by them.
if (self.GPUAdapter) {
  const ask = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (wanted) {
    const more = this.features.has('subgroups') ? ['subgroups'] : [];
    const device = await ask.call(this, { ...wanted, requiredFeatures: [...(wanted?.requiredFeatures ?? []), ...more] });
    self.subgroups = device.features.has('subgroups');
    return device;
  };
}
