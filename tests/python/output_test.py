"""What a model may return."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from forgecheck import ForgecheckError
from forgecheck.family import read_output

LOGITS, LOSS = torch.zeros(2, 3), torch.tensor(1.0)


@pytest.mark.parametrize(
    ("returned", "loss"),
    [
        (LOGITS, None),
        ((LOGITS,), None),
        ((LOGITS, LOSS), LOSS),
        ((LOGITS, None), None),
        ((LOGITS, LOGITS), None),  # hidden states, a cache: no loss
        ({"logits": LOGITS, "loss": LOSS}, LOSS),
        (SimpleNamespace(logits=LOGITS), None),
        (SimpleNamespace(logits=LOGITS, loss=LOSS), LOSS),
    ],
)
def test_logits_and_loss_are_found_in_every_form(returned, loss):
    output = read_output(returned)
    assert output.logits is LOGITS and output.loss is loss


@pytest.mark.parametrize("returned", [None, (), {"loss": LOSS}, ("logits",), SimpleNamespace(logits=[1.0])])
def test_what_has_no_logits_is_refused_by_its_type(returned):
    with pytest.raises(ForgecheckError, match=f"the model returned {type(returned).__name__}: logits are needed"):
        read_output(returned)
