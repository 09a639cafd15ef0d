"""Checkpoints: every usual form is read, nothing is executed, and what does not fit is refused whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from deepdive.errors import DeepDiveError
from deepdive.models.weights import load_weights, read_checkpoint


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_every_usual_form_is_read(tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    state = small().state_dict()
    named = {prefix + name: tensor for name, tensor in state.items()}
    torch.save({wrapper: named, "epoch": 3} if wrapper else named, tmp_path / "net.pt")
    read = read_checkpoint(tmp_path / "net.pt")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)


def test_safetensors(tmp_path: Path) -> None:
    state = small().state_dict()
    save_file(state, tmp_path / "net.safetensors")
    network = small()
    load_weights(network, read_checkpoint(tmp_path / "net.safetensors"), "a test")
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


class Hostile:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    torch.save(Hostile(tmp_path / "hostile"), tmp_path / "net.pt")
    with pytest.raises(DeepDiveError) as caught:
        read_checkpoint(tmp_path / "net.pt")
    assert "holds pickled Python objects, which could run code when opened; " in str(caught.value)
    assert not (tmp_path / "hostile").exists()


def test_a_whole_pickled_model_is_refused(tmp_path: Path) -> None:
    torch.save(small(), tmp_path / "net.pt")
    with pytest.raises(DeepDiveError, match=r"write tensors alone with torch\.save\(model\.state_dict\(\), \.\.\.\)"):
        read_checkpoint(tmp_path / "net.pt")


@pytest.mark.parametrize("length", [0, 1, 10, 200, -1])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, length: int) -> None:
    path = tmp_path / f"net{suffix}"
    if suffix == ".pt":
        torch.save(small().state_dict(), path)
    else:
        save_file(small().state_dict(), path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DeepDiveError, match="is no readable"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [torch.zeros(1)], {"state_dict": {"a": 1}}])
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(DeepDiveError, match="holds no state_dict; write one with"):
        read_checkpoint(tmp_path / "net.pt")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DeepDiveError, match=r"There is no checkpoint '.*none\.pt'; check the path\."):
        read_checkpoint(tmp_path / "none.pt")


def test_batch_norms_counter_may_be_absent() -> None:
    weights = {name: tensor for name, tensor in small().state_dict().items() if not name.endswith("tracked")}
    load_weights(small(), weights, "a test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"0.weight": None, "2.weight": torch.zeros(1)},
            "The weights of a test are not this network's: 1 missing ('0.weight'), 1 unknown ('2.weight'); "
            "build the network that they were trained for.",
        ),
        (
            {"0.weight": torch.zeros(8, 3, 1, 1)},
            "The weights of a test have '0.weight' of shape (8, 3, 1, 1), the network (4, 3, 1, 1); "
            "build it with the width and number of classes of the weights.",
        ),
        (
            {"1.bias": torch.full((4,), float("nan"))},
            "The weights of a test have NaN or infinity in '1.bias'; use an earlier checkpoint.",
        ),
    ],
)
def test_what_does_not_fit_changes_nothing(change: dict[str, torch.Tensor | None], message: str) -> None:
    network = small()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    weights = {**small().state_dict(), **change}
    with pytest.raises(DeepDiveError) as caught:
        load_weights(network, {name: tensor for name, tensor in weights.items() if tensor is not None}, "a test")
    assert str(caught.value) == message
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_long_list_of_names_is_cut() -> None:
    with pytest.raises(DeepDiveError, match=r"6 missing \('0\.weight', '0\.bias', '1\.weight', \.\.\.\), 0 unknown;"):
        load_weights(small(), {}, "a test")
