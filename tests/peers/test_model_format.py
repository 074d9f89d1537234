"""Run every Python block of docs/model-format.md and check what it makes.

    pytest tests/peers
    python tests/peers/test_model_format.py    (writes tests/fixtures/page_example.safetensors)
"""

import json
import sys

import numpy as np
import pytest
import torch

import page
from lab_model import LAYERS, Network, load_model, save_model


def run(block, folder, monkeypatch):
    monkeypatch.chdir(folder)
    exec(compile(block, "docs/model-format.md", "exec"), {})


def test_the_page_has_the_blocks_that_are_tested():
    assert len(page.blocks("python")) == 3
    assert len(page.blocks("json")) == 3


@pytest.mark.parametrize("name", ["linear", "conv", "image", "pool"])
def test_energies_and_gradients(name, tmp_path, monkeypatch):
    """The second block, on the reference models."""
    import safetensors.torch

    expected = safetensors.torch.load_file(page.FIXTURES / f"reference_{name}.expected.safetensors")
    (tmp_path / "model.safetensors").write_bytes((page.FIXTURES / f"reference_{name}.safetensors").read_bytes())
    np.save(tmp_path / "x.npy", expected["energy.input"].numpy())
    run(page.blocks("python")[1], tmp_path, monkeypatch)
    e, g = np.load(tmp_path / "e.npy"), np.load(tmp_path / "g.npy")
    assert e.dtype == g.dtype == np.float32 and e.ndim == 1
    np.testing.assert_allclose(e, expected["energy.output"].flatten(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(g, expected["energy.input_gradient"], rtol=1e-3, atol=1e-5)


def test_a_model_of_your_own(tmp_path, monkeypatch):
    """The third block: the energy is the ring's, to a constant."""
    run(page.blocks("python")[2], tmp_path, monkeypatch)
    networks, metadata = load_model(tmp_path / "my-ring.safetensors")
    assert metadata["chains"]["x"]["steps"] == 100
    angle = torch.linspace(0, 6.28, 50)
    at = {r: networks["energy"](r * torch.stack([angle.cos(), angle.sin()], 1)) for r in (1.0, 2.0, 3.0)}
    assert all((at[r] - 4 * (r - 2) ** 2).abs().max() < 0.5 for r in at)


def test_the_json_of_the_page():
    description = json.loads(page.blocks("json")[0])
    assert Network(description)(torch.zeros(3, *description["input"])).shape == (3, 1)


def test_what_is_written_is_read(tmp_path):
    network = Network({"input": [3], "layers": [
        {"type": "linear", "in_features": 3, "out_features": 4, "bias": False},
        {"type": "scale_shift", "channels": 4}, {"type": "relu"},
        {"type": "linear", "in_features": 4, "out_features": 1}], "reference": 2.0})
    path = tmp_path / "m.safetensors"
    x = torch.randn(5, 3)
    for dtype, tolerance in [(torch.float32, 0), (torch.float16, 1e-2)]:
        save_model(path, {"energy": network}, provenance={"seed": 3}, dtype=dtype)
        networks, metadata = load_model(path)
        assert metadata["provenance"] == {"seed": 3}
        assert (networks["energy"](x) - network(x)).abs().max() <= tolerance
    histogram = json.loads(page.blocks("json")[2])
    points = torch.tensor([[0.5, -1.0, 2.0], [0.0, 0.25, 4.0]])
    save_model(path, {"energy": network}, examples=points, energy_histograms=histogram, extras={"mine": [1]})
    metadata = load_model(path)[1]
    assert torch.equal(metadata["examples"], points)
    assert (metadata["energy_histograms"], metadata["extras"]) == (histogram, {"mine": [1]})
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="SHA-256"):
        load_model(path)


def test_images_are_kept_in_8_bits_and_a_density_by_its_name(tmp_path):
    path = tmp_path / "m.safetensors"
    network = Network({"input": [1, 2, 2], "layers": [
        {"type": "flatten"}, {"type": "linear", "in_features": 4, "out_features": 1}]})
    images = torch.tensor([-1.0, 1.0, 51 / 127.5 - 1, -0.3]).reshape(1, 1, 2, 2)
    save_model(path, {"energy": network}, examples=images)
    assert (load_model(path)[1]["examples"] - images).abs().max() <= 0.5 / 127.5
    plane = Network({"input": [2], "layers": [{"type": "linear", "in_features": 2, "out_features": 1}]})
    save_model(path, {"energy": plane}, density="moons")
    assert load_model(path)[1]["density"] == "moons"


def test_a_sequential_of_ones_own():
    """The page's last advice: load_state_dict between an nn.Sequential and a Network."""
    mine = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.SiLU(), torch.nn.Flatten(), torch.nn.Linear(32, 1))
    network = Network({"input": [1, 4, 4], "layers": [
        {"type": "conv2d", "in_channels": 1, "out_channels": 2, "kernel": 3, "padding": 1}, {"type": "silu"},
        {"type": "flatten"}, {"type": "linear", "in_features": 32, "out_features": 1}]})
    network.load_state_dict(mine.state_dict())
    x = torch.randn(2, 1, 4, 4)
    assert torch.equal(network(x), mine(x))


def test_batch_norm_folds_as_the_page_says():
    norm = torch.nn.BatchNorm2d(3).eval()
    norm.weight.data, norm.bias.data = torch.randn(3), torch.randn(3)
    norm.running_mean, norm.running_var = torch.randn(3), torch.rand(3) + 0.1
    folded = LAYERS["scale_shift"]({"channels": 3})
    folded.scale.data = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    folded.shift.data = norm.bias - folded.scale * norm.running_mean
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(folded(x), norm(x))


if __name__ == "__main__":
    import os
    import tempfile

    if sys.argv[1:]:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        exec(compile(page.blocks("python")[2], "docs/model-format.md", "exec"), {})
        with open("my-ring.safetensors", "rb") as file:
            (page.FIXTURES / "page_example.safetensors").write_bytes(file.read())
