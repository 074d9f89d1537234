// The same chain in TensorFlow.js: channels last, as its kernels want them; tidied; nothing read back on the way.

import { normals } from "./jax.js";
import { inputShapes } from "./model.js";

/** Its modules are scripts that add to a global `tf`; as modules they ask for Node's. */
for (const [part, file] of [["tfjs", "tf"], ["tfjs-backend-wasm", "tf-backend-wasm"], ["tfjs-backend-webgpu", "tf-backend-webgpu"]]) {
  await new Promise((resolve, reject) => {
    const src = `peers/@tensorflow/${part}/dist/${file}.es2017.min.js`;
    document.head.append(Object.assign(document.createElement("script"), { src, onload: resolve, onerror: reject }));
  });
}
const tf = window.tf;

/** The weights as TensorFlow.js wants them: kernels [H, W, in, out], matrices [in, out], channels last. */
function prepare(energy, shapes) {
  return energy.layers.map((layer, i) => {
    if (!layer.weight) return {};
    const bias = layer.bias && tf.tensor1d(layer.bias.data);
    const weight = tf.tidy(() => {
      const weight = tf.tensor(layer.weight.data, layer.weight.shape);
      if (layer.type === "conv2d") return tf.transpose(weight, [2, 3, 1, 0]);
      const flattened = energy.layers[i - 1]?.type === "flatten" && shapes[i - 1];
      if (!flattened) return tf.transpose(weight);
      const kernels = tf.transpose(tf.reshape(weight, [-1, ...flattened]), [2, 3, 1, 0]);
      return tf.reshape(kernels, [-1, weight.shape[0]]);
    });
    return { weight, bias };
  });
}

function forward(energy, weights, input) {
  const outputs = energy.layers.reduce((x, layer, i) => {
    const { weight, bias } = weights[i];
    switch (layer.type) {
      case "conv2d": {
        const y = tf.conv2d(x, weight, layer.stride, layer.padding);
        return bias ? tf.add(y, bias) : y;
      }
      case "linear": {
        const y = tf.matMul(x, weight);
        return bias ? tf.add(y, bias) : y;
      }
      case "average_pool": return tf.avgPool(x, layer.kernel, layer.kernel, "valid");
      case "flatten": return tf.reshape(x, [x.shape[0], -1]);
      case "leaky_relu": return tf.leakyRelu(x, layer.slope);
      case "silu": return tf.mul(x, tf.sigmoid(x));
      case "relu": return tf.relu(x);
      case "tanh": return tf.tanh(x);
    }
  }, input);
  const output = tf.reshape(outputs, [-1]);
  if (!energy.reference) return output;
  const square = tf.sum(tf.reshape(tf.square(input), [input.shape[0], -1]), 1);
  return tf.add(output, tf.mul(square, 0.5 / energy.reference ** 2));
}

export async function open(device, _file, energy, chains, start) {
  tf.wasm.setWasmPaths("peers/@tensorflow/tfjs-backend-wasm/dist/");
  if (!(await tf.setBackend(device))) throw Error(`TensorFlow.js has no ${device} here`);
  await tf.ready();
  const weights = prepare(energy, inputShapes(energy));
  const image = energy.input.length === 3;
  const last = (data) => tf.tidy(() => {
    const x = tf.tensor(data, [chains, ...energy.input]);
    return image ? tf.transpose(x, [0, 2, 3, 1]) : tf.clone(x);
  });
  const slope = tf.grad((x) => tf.sum(forward(energy, weights, x)));
  let x = last(start);
  const draws = last(normals(start.length));
  return {
    async run(steps, stepSize, noise) {
      for (let i = 0; i < steps; i++) {
        const next = tf.tidy(() => {
          const drift = tf.sub(x, tf.mul(slope(x), stepSize ** 2 / 2));
          return tf.add(drift, tf.mul(draws, noise));
        });
        x.dispose();
        x = next;
      }
      // One number: to wait for all.
      const one = tf.tidy(() => tf.slice(tf.reshape(x, [-1]), 0, 1));
      await one.data();
      one.dispose();
    },
    async energies() {
      const e = tf.tidy(() => forward(energy, weights, x));
      const data = await e.data();
      e.dispose();
      return data;
    },
    close: () => tf.disposeVariables(),
  };
}
