"""An ensemble answers with the mean of its members, survives its manifest, and can be opened up (MOD-9)."""

import pytest
import torch

from nn.models.build import build_model, empty_network, weight_shapes
from nn.models.direction import DirectionConfig
from nn.models.ensemble import Ensemble, architecture_of, joined, members_of
from nn.models.unified import PatchTSTConfig

CONFIGS = {
    "unified_patchtst": PatchTSTConfig(
        3, context_length=16, patch_length=8, stride=8, d_model=8, n_heads=2, n_layers=1, d_ff=16
    ),
    "direction": DirectionConfig(3, 20, (4, 8), 16, 2, 1, 32, temperature=(2.0, 1.0, 1.0, 1.0)),
}
KINDS = list(CONFIGS)


def members(kind, n=3):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    return [empty_network(kind, CONFIGS[kind].to_dict()).eval() for _ in range(n)]


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_the_mean_of_its_members_through_its_manifest(kind):
    model = joined(members(kind)).eval()
    x = torch.randn(5, model.config.context_length, 3)
    with torch.inference_mode():
        mean = torch.stack([member.forecast(x) for member in members_of(model)]).mean(0)
        assert torch.equal(model.forecast(x), mean)
        first = model.columns.index("direction_1h_up")
        torch.testing.assert_close(mean[:, first : first + 3].sum(-1), torch.ones(5))
        again = build_model(kind, architecture_of(model), model.state_dict())
        torch.testing.assert_close(again.forecast(x), mean, atol=1e-6, rtol=0)
    assert architecture_of(model)["members"] == 3
    assert weight_shapes(kind, architecture_of(model)) == {n: tuple(t.shape) for n, t in model.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_one_member_is_no_ensemble(kind):
    (alone,) = members(kind, 1)
    assert joined([alone]) is alone
    assert members_of(alone) == (alone,)
    assert "members" not in architecture_of(alone)


def test_what_makes_no_ensemble_is_refused():
    (one,) = members("direction", 1)
    with pytest.raises(ValueError, match="1 members"):
        Ensemble([one])
    with pytest.raises(ValueError, match="different configs"):
        Ensemble([one, *members("unified_patchtst", 1)])
    for count in (0, 17, True, "3"):
        with pytest.raises(ValueError, match="members is"):
            build_model("direction", {**one.config.to_dict(), "members": count}, one.state_dict())
