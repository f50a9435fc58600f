"""The same question in a test: pytest examples/test_my_model.py --forgecheck-html pages"""

from __future__ import annotations

from check_my_model import CASE, NAMES, TOKENS
from my_model import MyModel


def test_my_model_computes_what_its_configuration_says(forgecheck):
    assert forgecheck.check(MyModel(), TOKENS, case=CASE, names=NAMES)
