"""The three-layer network for points of the well-known DDPM notebooks, with multiplicative gates per step."""

from torch import nn
from torch.nn import functional as F

STEPS = 100
WIDTH = 128


class ConditionalLinear(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.gate = nn.Embedding(STEPS, outputs)
        self.gate.weight.data.uniform_()

    def forward(self, x, t):
        return self.gate(t) * self.linear(x)


class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            [ConditionalLinear(2, WIDTH), ConditionalLinear(WIDTH, WIDTH), ConditionalLinear(WIDTH, WIDTH)])
        self.out = nn.Linear(WIDTH, 2)

    def forward(self, x, t):
        for layer in self.layers:
            x = F.softplus(layer(x, t))
        return self.out(x)
