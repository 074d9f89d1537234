// The same chain in jax-js: one jitted function a step, weights and states on the device, nothing read back on the way.

import { blockUntilReady, defaultDevice, init, jit, lax, nn, numpy as np, valueAndGrad } from "@jax-js/jax";
import { inputShapes } from "./model.js";

function forward(energy, shapes, weights, x) {
  const square = energy.reference ? x.ref.mul(x.ref).reshape([x.shape[0], -1]).sum(1) : null;
  const output = energy.layers.reduce((x, layer, i) => {
    const { weight, bias } = weights[i];
    switch (layer.type) {
      case "conv2d": {
        const pad = [layer.padding, layer.padding], stride = [layer.stride, layer.stride];
        const y = lax.convGeneralDilated(x, weight, stride, [pad, pad]);
        return bias ? y.add(bias.reshape([1, -1, 1, 1])) : y;
      }
      case "linear": {
        const y = np.matmul(x, weight.transpose());
        return bias ? y.add(bias) : y;
      }
      case "average_pool": {
        const [c, h, w] = shapes[i], k = layer.kernel;
        if (h % k || w % k) throw Error("the comparison pools whole windows only");
        return x.reshape([x.shape[0], c, h / k, k, w / k, k]).mean([3, 5]);
      }
      case "flatten": return x.reshape([x.shape[0], -1]);
      case "leaky_relu": return nn.leakyRelu(x, layer.slope);
      case "silu": return nn.silu(x);
      case "relu": return nn.relu(x);
      case "tanh": return np.tanh(x);
    }
  }, x).reshape([-1]);
  return square ? output.add(square.mul(0.5 / energy.reference ** 2)) : output;
}

export async function open(device, _file, energy, chains, start) {
  await init(device);
  defaultDevice(device);
  const shapes = inputShapes(energy);
  const array = (t) => t && np.array(t.data).reshape(t.shape);
  const weights = energy.layers.map(({ weight, bias }) => (weight ? { weight: array(weight), bias: array(bias) } : {}));
  const held = () => weights.map((w) => Object.fromEntries(Object.entries(w).map(([name, value]) => [name, value.ref])));
  const total = (weights, x) => forward(energy, shapes, weights, x).sum();
  const slope = valueAndGrad(total, { argnums: 1 });
  const step = jit((weights, x, draws, rate, noise) => {
    const [, gradient] = slope(weights, x.ref);
    return x.sub(gradient.mul(rate)).add(draws.mul(noise));
  });
  const energies = jit((weights, x) => forward(energy, shapes, weights, x));
  let x = np.array(start).reshape([chains, ...energy.input]);
  const draws = np.array(normals(start.length)).reshape(x.shape);
  return {
    async run(steps, stepSize, noise) {
      const rate = np.array(stepSize ** 2 / 2), scale = np.array(noise);
      for (let i = 0; i < steps; i++) x = step(held(), x, draws.ref, rate.ref, scale.ref);
      rate.dispose();
      scale.dispose();
      await blockUntilReady(x);
    },
    energies: async () => energies(held(), x.ref).data(),
    close() {
      x.dispose();
      draws.dispose();
      for (const { weight, bias } of weights) weight?.dispose(), bias?.dispose();
      step.dispose();
      energies.dispose();
    },
  };
}

/** Drawn once, outside the clock: neither library has a fast generator of normal numbers on every device. */
export function normals(n) {
  return Float32Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
}
