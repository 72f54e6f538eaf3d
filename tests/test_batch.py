"""Batches of windows as one value."""

from dataclasses import fields, replace

import pytest
import torch
from torch.utils.data._utils.pin_memory import pin_memory

from tests.fakes_windows import synthetic_batch


def test_a_slice_is_of_every_field():
    batch = synthetic_batch(6)
    part = batch[2:5]
    assert len(part) == 3
    for field in fields(batch):
        torch.testing.assert_close(
            getattr(part, field.name), getattr(batch, field.name)[2:5], equal_nan=True, rtol=0, atol=0
        )


def test_every_field_moves():
    moved = synthetic_batch(2).to("meta")
    assert {getattr(moved, field.name).device.type for field in fields(moved)} == {"meta"}


def test_without_a_target_there_is_none_after_a_slice_or_a_move():
    batch = replace(synthetic_batch(6), target=None, target_mask=None)
    for changed in (batch[2:5], batch.to("meta")):
        absent = {field.name for field in fields(changed) if getattr(changed, field.name) is None}
        assert absent == {"target", "target_mask"}
    assert len(batch[2:5]) == 3


@pytest.mark.parametrize("name", ["target", "target_mask"])
def test_a_target_has_as_many_places_as_its_mask(name):
    batch = synthetic_batch(4)
    with pytest.raises(Exception, match="parameter 'target_mask'"):
        replace(batch, **{name: getattr(batch, name)[:, :-1]})


def test_a_loader_pins_every_field(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor.clone())
    batch = synthetic_batch(2)
    again = pin_memory(batch)
    assert len(pinned) == len(fields(batch))
    assert again is not batch
    assert torch.equal(again.contact_map, batch.contact_map)


def test_the_number_of_windows_is_checked():
    batch = synthetic_batch(4)
    with pytest.raises(Exception, match="parameter 'store'"):
        type(batch)(
            **{f.name: getattr(batch, f.name) for f in fields(batch)} | {"store": torch.zeros(3).long()}
        )
