// A model file as docs/model-format.md describes it, read without this project's own code: what all libraries are given.

const decoders = {
  F32: (bytes) => new Float32Array(bytes),
  F16: (bytes) => Float32Array.from(new Uint16Array(bytes), half),
};

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

/** The energy: `{ input, layers, reference }`, and each layer's `weight` and `bias` as `{ shape, data }`. */
export function energyOf(file) {
  const view = new DataView(file);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, start - 8)));
  const energy = JSON.parse(header.__metadata__.networks).energy;
  const tensor = (name) => {
    const found = header[name];
    if (!found) return undefined;
    const [from, to] = found.data_offsets;
    return { shape: found.shape, data: decoders[found.dtype](file.slice(start + from, start + to)) };
  };
  energy.layers.forEach((layer, i) => {
    layer.weight = tensor(`energy.${i}.weight`);
    layer.bias = tensor(`energy.${i}.bias`);
  });
  return energy;
}

/** For each layer of an energy, the shape of its input: `[C, H, W]` or `[N]`. */
export function inputShapes(energy) {
  let shape = energy.input;
  return energy.layers.map((layer) => {
    const input = shape;
    if (layer.type === "conv2d") {
      const side = (n) => Math.floor((n + 2 * layer.padding - layer.kernel) / layer.stride) + 1;
      shape = [layer.out_channels, side(input[1]), side(input[2])];
    } else if (layer.type === "average_pool") {
      shape = [input[0], Math.floor(input[1] / layer.kernel), Math.floor(input[2] / layer.kernel)];
    } else if (layer.type === "flatten") {
      shape = [input.reduce((a, b) => a * b)];
    } else if (layer.type === "linear") {
      shape = [layer.out_features];
    } else if (!["leaky_relu", "silu", "relu", "tanh"].includes(layer.type)) {
      throw Error(`the comparison has no layer ${layer.type}`);
    }
    return input;
  });
}
