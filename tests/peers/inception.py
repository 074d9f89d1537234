"""Inception V3 with random weights in pytorch-fid's file format, and a check of its features.

    python tests/peers/inception.py write inception.pth
    dual-mcmc features extract --inception inception.pth --input IMAGES.npy --out FEATURES.npy
    python tests/peers/inception.py check inception.pth IMAGES.npy FEATURES.npy

The official weights (pt-inception-2015-12-05-6726825d.pth, from the releases of the pytorch-fid project) have the same
tensors. IMAGES.npy is [N, C, H, W] in [-1, 1]. Needs PyTorch, torchvision and pytorch-fid.
"""

import sys

import numpy as np
import torch
from pytorch_fid import inception


def network():
    """pytorch-fid's network, without its download."""
    net = inception._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    net.Mixed_5b = inception.FIDInceptionA(192, pool_features=32)
    net.Mixed_5c = inception.FIDInceptionA(256, pool_features=64)
    net.Mixed_5d = inception.FIDInceptionA(288, pool_features=64)
    net.Mixed_6b = inception.FIDInceptionC(768, channels_7x7=128)
    net.Mixed_6c = inception.FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6d = inception.FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6e = inception.FIDInceptionC(768, channels_7x7=192)
    net.Mixed_7b = inception.FIDInceptionE_1(1280)
    net.Mixed_7c = inception.FIDInceptionE_2(2048)
    return net.eval()


def write(path):
    torch.manual_seed(1)
    net = network()
    for module in net.modules():
        # Weights that keep the scale of what they pass on, and statistics that are not the initial ones.
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.8, 1.2)
    torch.save(net.state_dict(), path)


def check(path, images, found):
    net = network()
    net.load_state_dict(torch.load(path))
    net.fc = torch.nn.Identity()
    net.dropout = torch.nn.Identity()
    net.transform_input = False
    x, found = torch.from_numpy(np.load(images)), np.load(found)
    x = torch.nn.functional.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False)
    with torch.no_grad():
        expected = net(x.expand(-1, 3, -1, -1)).numpy()
    error = np.abs(expected - found).max() / np.abs(expected).max()
    print(f"{len(found)} images, largest feature {expected.max():.4f}, largest difference {error:.2e} of it")
    assert error < 1e-4


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
