from __future__ import annotations

import torch
from torch import nn

from dimcli.models.speaker_baseline import Past, WritingLayer, periodic_positions


def test_a_layer_is_torchs_decoder_layer_under_faceformers_two_masks() -> None:
    torch.manual_seed(0)
    layer, width, frames = WritingLayer(8, heads=2, period=3), 8, 7
    theirs = nn.TransformerDecoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
    own, cross = theirs.self_attn, theirs.multihead_attn
    assert own.in_proj_weight is not None and cross.in_proj_weight is not None
    with torch.no_grad():
        own.in_proj_weight.copy_(layer.query_key_value.weight)
        own.in_proj_bias.copy_(layer.query_key_value.bias)
        own.out_proj.load_state_dict(layer.attention_out.state_dict())
        cross.in_proj_weight[2 * width :] = layer.aligned.weight
        cross.in_proj_bias[2 * width :] = layer.aligned.bias
        cross.out_proj.weight.copy_(torch.eye(width))
        cross.out_proj.bias.zero_()
        theirs.linear1.load_state_dict(layer.feedforward[0].state_dict())
        theirs.linear2.load_state_dict(layer.feedforward[2].state_dict())
    features, heard = torch.randn(2, frames, width), torch.randn(2, frames, width)
    biased = torch.full((2, frames, frames), -torch.inf)
    for head, slope in enumerate((2.0**-4, 2.0**-8)):
        for frame in range(frames):
            for before in range(frame + 1):
                biased[head, frame, before] = -slope * ((frame - before) // 3)
    alignment = ~torch.eye(frames, dtype=torch.bool)
    expected = theirs(features, heard, tgt_mask=biased.repeat(2, 1, 1), memory_mask=alignment)
    found = layer(features, heard)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    past, aligned = Past(), layer.aligned(heard)
    one_by_one = [layer.step(features[:, at], aligned[:, at], past) for at in range(frames)]
    torch.testing.assert_close(torch.stack(one_by_one, 1), found, atol=1e-5, rtol=1e-4)


def test_positions_repeat_with_the_period() -> None:
    positions = periodic_positions(8, 6, 3, torch.zeros(1))
    torch.testing.assert_close(positions[3:6], positions[:3])
    assert not torch.allclose(positions[0], positions[1])
